-- The data that every trial begins with.

CREATE TABLE person (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE,
    password text NOT NULL
);
CREATE TABLE note (
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    person_id integer NOT NULL REFERENCES person (id),
    text text NOT NULL,
    -- The trial that wrote it.
    run text
);
CREATE TABLE mark (
    note_id integer NOT NULL REFERENCES note (id),
    person_id integer NOT NULL REFERENCES person (id),
    PRIMARY KEY (note_id, person_id)
);

INSERT INTO person (name, password) VALUES ('reader', 'scrypt:32768:8:1$v3PifPVP9bclTPZ9$90ba5a44d41e21524a4c328ce11f1ee088ff1bfee63a564ee7ced13b8e11679f9d58c87ec246d84266477c2ed9f63872674dd39a38f0a4a3ad050c844444ad0a');
INSERT INTO person (name, password) SELECT 'person ' || n, '' FROM generate_series(1, 99) AS n;
INSERT INTO note (person_id, text)
    SELECT 1 + n % 100, 'note ' || n || ': ' || repeat('word ', n % 30) FROM generate_series(1, 2000) AS n;
INSERT INTO mark (note_id, person_id)
    SELECT note, 1 + (note * 7 + place * 13) % 100 FROM generate_series(1, 2000) AS note, generate_series(1, 3) AS place;
ANALYZE;
