CREATE TABLE users (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE
);

INSERT INTO users (id, name, email) VALUES
    (1, 'Ada Lovelace', 'ada@shop.example'),
    (2, 'Grace Hopper', 'grace@shop.example'),
    (3, 'Katherine Johnson', 'katherine@shop.example');
