-- Schema 1 of the registration store in PostgreSQL.
--
-- `gateway deliver` runs this, and postgres-2.sql after it, by itself where its role may create tables. An
-- owner who grants no more than is needed runs both with psql, and then:
--     GRANT SELECT ON gateway_schema TO gateway;
--     GRANT SELECT, INSERT ON registrations TO gateway;
--     GRANT SELECT, INSERT, UPDATE ON checkpoints, fences TO gateway;   -- they hold no personal data

CREATE TABLE gateway_schema (
    single  boolean PRIMARY KEY DEFAULT true CHECK (single), -- there is one line
    version integer NOT NULL
);
INSERT INTO gateway_schema (version) VALUES (1);

CREATE TABLE registrations (
    receipt        text COLLATE "C" PRIMARY KEY, -- "C": read in the order of its bytes
    wave_id        text NOT NULL,
    programme_id   text NOT NULL,
    person         bytea NOT NULL CHECK (octet_length(person) = 32), -- keyed digest
    payload        json NOT NULL, -- the canonical form; json keeps it byte for byte, jsonb would not
    accepted_at_us bigint NOT NULL, -- Redis TIME
    recorded_at_us bigint NOT NULL, -- delivery's clock
    number         bigint NOT NULL, -- of the ticket, and of the pass that was spent:
    serial         bigint NOT NULL, -- what recovery rebuilds the room from
    UNIQUE (programme_id, person)
);

CREATE TABLE checkpoints (
    wave_id  text PRIMARY KEY,
    document text NOT NULL
);
