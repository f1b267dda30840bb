CREATE TABLE products (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    price_cents BIGINT NOT NULL CHECK (price_cents > 0)
);

INSERT INTO products (id, name, description, price_cents) VALUES
    (1, 'Punched cards', 'A box of 100, blank, for looms and engines.', 250),
    (2, 'Slide rule', 'Mahogany, with a scale for logarithms.', 1900),
    (3, 'Log tables', 'Seven places, checked twice.', 1200),
    (4, 'Vacuum tube', 'Warm glow, replaced while hot.', 700),
    (5, 'Relay', 'One bit, audible.', 450),
    (6, 'Magnetic tape', 'A reel of 730 metres.', 3200),
    (7, 'Core memory', 'One kilobit, woven by hand.', 8800),
    (8, 'Moth', 'Found in relay 70. Taped to a page.', 100);
