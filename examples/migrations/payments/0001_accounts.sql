CREATE TABLE accounts (
    user_id BIGINT PRIMARY KEY,
    balance_cents BIGINT NOT NULL CHECK (balance_cents >= 0),
    charged_cents BIGINT NOT NULL CHECK (charged_cents >= 0),
    deposited_cents BIGINT NOT NULL,
    CHECK (balance_cents + charged_cents = deposited_cents)
);

-- One row for each order that was charged, or that came to be refunded before that (which has no user).
CREATE TABLE charges (
    order_id BIGINT PRIMARY KEY,
    user_id BIGINT REFERENCES accounts (user_id),
    amount_cents BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('charged', 'refunded'))
);

INSERT INTO accounts (user_id, balance_cents, charged_cents, deposited_cents) VALUES
    (1, 1000000, 0, 1000000), (2, 1000000, 0, 1000000), (3, 1000000, 0, 1000000);
