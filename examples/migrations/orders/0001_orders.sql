-- Times are milliseconds since 1970, money is cents.

CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    user_name TEXT NOT NULL,
    mode TEXT NOT NULL,
    -- pending, completed, cancelled
    status TEXT NOT NULL,
    -- Why it is cancelled, or on its way there: once this is set, steps only go back.
    reason TEXT,
    total_cents BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Who works on it: a number drawn anew each time that it is taken up, and until when that holds.
    lease BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);
CREATE INDEX orders_by_user ON orders (user_id, id);
CREATE INDEX orders_by_lease ON orders (status, lease_until);

CREATE TABLE order_items (
    order_id BIGINT NOT NULL REFERENCES orders (id),
    product_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    price_cents BIGINT NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

-- The log of each order: what was begun, and what came of it.
CREATE TABLE order_steps (
    order_id BIGINT NOT NULL REFERENCES orders (id),
    position BIGINT NOT NULL,
    name TEXT NOT NULL,
    -- running, done, failed
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    detail TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (order_id, name)
);

-- Idempotency keys, each with the request that it came with.
CREATE TABLE order_keys (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    order_id BIGINT NOT NULL
);

-- The outbox: what happened, written in the transaction in which it happened.
CREATE TABLE order_events (
    sequence BIGINT PRIMARY KEY,
    -- CREATED, COMPLETED, CANCELLED
    kind TEXT NOT NULL,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    happened_at BIGINT NOT NULL
);

-- One row: the last sequence given out. Whoever takes the next one holds the row until its transaction ends, so that
-- sequences appear in their order and none is left out.
CREATE TABLE order_event_sequence (last BIGINT NOT NULL);
INSERT INTO order_event_sequence (last) VALUES (0);

-- What two-phase commit decided: written once for each transaction, before anyone is told.
CREATE TABLE order_decisions (
    transaction_id BIGINT PRIMARY KEY REFERENCES orders (id),
    -- COMMIT, ABORT
    decision TEXT NOT NULL,
    decided_at BIGINT NOT NULL
);

-- What is told of choreographed orders. Each event has one who reacts to it, and is told in the transaction in which the one
-- before it was dealt with.
CREATE TABLE order_choreography (
    order_id BIGINT NOT NULL REFERENCES orders (id),
    event TEXT NOT NULL,
    detail TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    -- When it was dealt with; 0 for not yet.
    done_at BIGINT NOT NULL,
    PRIMARY KEY (order_id, event)
);
CREATE INDEX order_choreography_by_event ON order_choreography (done_at, event, told_at);
