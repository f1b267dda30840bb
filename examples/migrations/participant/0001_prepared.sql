-- What a participant has promised and nobody has decided yet. PostgreSQL keeps this by itself (pg_prepared_xacts).
CREATE TABLE prepared (
    participant TEXT NOT NULL,
    transaction_id BIGINT NOT NULL,
    -- Milliseconds since 1970.
    prepared_at BIGINT NOT NULL,
    PRIMARY KEY (participant, transaction_id)
);
