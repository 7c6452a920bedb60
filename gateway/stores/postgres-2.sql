-- Schema 2 of the registration store in PostgreSQL, out of schema 1.
--
-- `gateway deliver` runs this by itself where its role owns the tables. An owner who grants no more than is
-- needed runs it with psql while no delivery runs, and then:
--     GRANT SELECT, INSERT, UPDATE ON fences TO gateway;   -- they hold no personal data

CREATE TABLE fences (
    programme_id text PRIMARY KEY,
    fence        bigint NOT NULL -- raised by each recovery; a batch read behind another one is refused
);
UPDATE gateway_schema SET version = 2;
