CREATE TABLE stock (
    product_id BIGINT PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    received BIGINT NOT NULL,
    CHECK (available + reserved = received)
);

-- One row for each order that something was set aside for, or that came to be released before that.
CREATE TABLE reservations (
    order_id BIGINT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'released'))
);

CREATE TABLE reserved_items (
    order_id BIGINT NOT NULL REFERENCES reservations (order_id),
    product_id BIGINT NOT NULL REFERENCES stock (product_id),
    quantity BIGINT NOT NULL,
    PRIMARY KEY (order_id, product_id)
);

INSERT INTO stock (product_id, available, reserved, received) VALUES
    (1, 1000, 0, 1000), (2, 1000, 0, 1000), (3, 1000, 0, 1000), (4, 1000, 0, 1000),
    (5, 1000, 0, 1000), (6, 1000, 0, 1000), (7, 1000, 0, 1000), (8, 1000, 0, 1000);
