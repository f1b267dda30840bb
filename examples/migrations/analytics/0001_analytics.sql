-- How far each consumer of events has got. Services that share a database share the table.
CREATE TABLE IF NOT EXISTS event_cursors (
    name TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    happened_at BIGINT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- Orders as analytics knows them.
CREATE TABLE analytics_orders (
    order_id BIGINT PRIMARY KEY,
    -- CREATED, COMPLETED, CANCELLED
    status TEXT NOT NULL,
    total_cents BIGINT NOT NULL
);

CREATE TABLE analytics_items (
    order_id BIGINT NOT NULL REFERENCES analytics_orders (order_id),
    product_id BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    PRIMARY KEY (order_id, product_id)
);
