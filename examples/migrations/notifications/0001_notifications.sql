-- How far each consumer of events has got. Services that share a database share the table.
CREATE TABLE IF NOT EXISTS event_cursors (
    name TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    happened_at BIGINT NOT NULL,
    applied_at BIGINT NOT NULL
);

-- What users are told, by the sequence of the event that it is about.
CREATE TABLE notifications (
    id BIGINT PRIMARY KEY,
    user_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    text TEXT NOT NULL,
    happened_at BIGINT NOT NULL
);
CREATE INDEX notifications_by_user ON notifications (user_id, id);
