-- Buckets of the limits that several nodes share. What a crash of the database forgets is a minute's count.
CREATE UNLOGGED TABLE rates (
    key bytea PRIMARY KEY,
    empty_at bigint NOT NULL, -- µs since 1970
    granted bigint NOT NULL   -- to the last who asked
);
-- down
DROP TABLE rates;
