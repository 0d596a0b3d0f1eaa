-- Format 4. What the services beside the server did while the load of a trial ran.
-- The window is what of the load came after the warm-up; its columns are empty where
-- too few samples fell there. Without rows where there are no services, and in trials
-- that an earlier version stored.

CREATE TABLE trial_service (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,
    service TEXT NOT NULL,
    -- How many it may use.
    cpus_count INTEGER NOT NULL,
    memory_peak_bytes INTEGER,
    memory_source TEXT NOT NULL,
    cpu_ns INTEGER,
    window_wall_ns INTEGER,
    window_cpu_ns INTEGER,
    window_busiest_cpu_ns INTEGER,
    -- In percent of one CPU.
    window_busiest_peak_pct REAL,
    PRIMARY KEY (study, stage, block, position, attempt, number),
    FOREIGN KEY (study, stage, block, position, attempt)
        REFERENCES trial_server (study, stage, block, position, attempt)
) STRICT;

CREATE TRIGGER trial_service_kept BEFORE DELETE ON trial_service
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_service_fixed BEFORE UPDATE ON trial_service
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
