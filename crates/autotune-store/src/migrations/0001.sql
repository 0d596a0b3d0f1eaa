-- Format 1. Every number carries its unit, last in its name; what is not known
-- is NULL. Times of a trial's axis are nanoseconds of CLOCK_MONOTONIC.
-- Migrations only add tables and columns, so that an older program can read a
-- newer file.

CREATE TABLE study (
    study TEXT NOT NULL PRIMARY KEY,
    format INTEGER NOT NULL,
    tool_version TEXT NOT NULL,
    grid_text TEXT NOT NULL,
    identity TEXT NOT NULL,
    -- The 64 bits of the seed; a seed of 2^63 or more shows as a negative number.
    seed INTEGER NOT NULL,
    created_wall_ns INTEGER NOT NULL,
    -- JSON lists of CPU numbers; NULL where nothing is pinned.
    server_cpus_json TEXT,
    generator_cpus_json TEXT,
    cores_count INTEGER NOT NULL
) STRICT;

CREATE TABLE study_fact (
    study TEXT NOT NULL REFERENCES study (study),
    kind TEXT NOT NULL CHECK (kind IN ('host', 'provenance')),
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (study, kind, number)
) STRICT;

-- Who works on what. The only table whose rows change.
CREATE TABLE claim (
    study TEXT NOT NULL REFERENCES study (study),
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    config_id BLOB NOT NULL CHECK (length(config_id) = 16),
    owner TEXT NOT NULL,
    lease_until_wall_ns INTEGER NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt)
) STRICT;

CREATE TABLE trial (
    study TEXT NOT NULL REFERENCES study (study),
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    config_id BLOB NOT NULL CHECK (length(config_id) = 16),
    config_json TEXT NOT NULL,
    label TEXT NOT NULL,
    load_kind TEXT NOT NULL CHECK (load_kind IN ('open', 'closed')),
    rate_per_s REAL,
    arrivals TEXT,
    users_count INTEGER,
    think_ns INTEGER,
    length_ns INTEGER NOT NULL,
    warm_up_ns INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT,
    start_monotonic_ns INTEGER NOT NULL,
    start_boot_ns INTEGER NOT NULL,
    start_wall_ns INTEGER NOT NULL,
    end_monotonic_ns INTEGER NOT NULL,
    end_boot_ns INTEGER NOT NULL,
    end_wall_ns INTEGER NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt)
) STRICT;

-- What the server did; no row where nothing was launched.
CREATE TABLE trial_server (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    boot_ns INTEGER,
    stop_ns INTEGER,
    exit TEXT,
    killed_count INTEGER NOT NULL,
    restarts_count INTEGER NOT NULL,
    settings_json TEXT NOT NULL,
    versions_json TEXT NOT NULL,
    memory_peak_bytes INTEGER,
    memory_before_bytes INTEGER,
    memory_after_bytes INTEGER,
    memory_source TEXT NOT NULL,
    cpu_ns INTEGER,
    log_tail_json TEXT NOT NULL,
    log_bytes INTEGER NOT NULL,
    log_truncations_count INTEGER NOT NULL,
    peers_json TEXT NOT NULL,
    isolation TEXT NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt),
    FOREIGN KEY (study, stage, block, position, attempt)
        REFERENCES trial (study, stage, block, position, attempt)
) STRICT;

-- What the generator saw and says of itself; no row where no load was sent.
-- Histograms are of microseconds, as V2 deflate of HdrHistogram.
CREATE TABLE trial_load (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    length_ns INTEGER NOT NULL,
    warm_up_ns INTEGER NOT NULL,
    own_lag_us_hdr BLOB NOT NULL,
    waited_for_connection_count INTEGER NOT NULL,
    generator_cpu_ns INTEGER NOT NULL,
    generator_wall_ns INTEGER NOT NULL,
    connections_peak_count INTEGER NOT NULL,
    connections_limit_count INTEGER NOT NULL,
    outstanding_at_end_count INTEGER NOT NULL,
    retries_count INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    verdict_reasons_json TEXT NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt),
    FOREIGN KEY (study, stage, block, position, attempt)
        REFERENCES trial (study, stage, block, position, attempt)
) STRICT;

-- `window` is what was due after the warm-up; the histograms are of the window.
CREATE TABLE trial_endpoint (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    total_scheduled_count INTEGER NOT NULL,
    total_completed_count INTEGER NOT NULL,
    total_failed_count INTEGER NOT NULL,
    total_timed_out_count INTEGER NOT NULL,
    total_dropped_count INTEGER NOT NULL,
    window_scheduled_count INTEGER NOT NULL,
    window_completed_count INTEGER NOT NULL,
    window_failed_count INTEGER NOT NULL,
    window_timed_out_count INTEGER NOT NULL,
    window_dropped_count INTEGER NOT NULL,
    response_us_hdr BLOB NOT NULL,
    service_us_hdr BLOB NOT NULL,
    failed_us_hdr BLOB NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt, number),
    FOREIGN KEY (study, stage, block, position, attempt)
        REFERENCES trial_load (study, stage, block, position, attempt)
) STRICT;

CREATE TABLE trial_failure (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    number INTEGER NOT NULL,
    class TEXT NOT NULL,
    requests_count INTEGER NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt, number, class),
    FOREIGN KEY (study, stage, block, position, attempt, number)
        REFERENCES trial_endpoint (study, stage, block, position, attempt, number)
) STRICT;

-- Per second. One byte of format version, then zlib over JSON (version 1).
CREATE TABLE trial_series (
    study TEXT NOT NULL,
    stage TEXT NOT NULL,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    series BLOB NOT NULL,
    PRIMARY KEY (study, stage, block, position, attempt),
    FOREIGN KEY (study, stage, block, position, attempt)
        REFERENCES trial (study, stage, block, position, attempt)
) STRICT;

CREATE TABLE decision (
    study TEXT NOT NULL REFERENCES study (study),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    control_config_id BLOB,
    length_ns INTEGER,
    warm_up_ns INTEGER,
    resolvable_pct REAL,
    stage TEXT,
    block INTEGER,
    reason TEXT,
    PRIMARY KEY (study, number)
) STRICT;

CREATE TRIGGER study_kept BEFORE DELETE ON study
BEGIN SELECT RAISE (ABORT, 'a study is append-only'); END;
CREATE TRIGGER study_fixed BEFORE UPDATE ON study
BEGIN SELECT RAISE (ABORT, 'a study is append-only'); END;
CREATE TRIGGER study_fact_kept BEFORE DELETE ON study_fact
BEGIN SELECT RAISE (ABORT, 'a study is append-only'); END;
CREATE TRIGGER study_fact_fixed BEFORE UPDATE ON study_fact
BEGIN SELECT RAISE (ABORT, 'a study is append-only'); END;
CREATE TRIGGER trial_kept BEFORE DELETE ON trial
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_fixed BEFORE UPDATE ON trial
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_server_kept BEFORE DELETE ON trial_server
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_server_fixed BEFORE UPDATE ON trial_server
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_load_kept BEFORE DELETE ON trial_load
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_load_fixed BEFORE UPDATE ON trial_load
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_endpoint_kept BEFORE DELETE ON trial_endpoint
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_endpoint_fixed BEFORE UPDATE ON trial_endpoint
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_failure_kept BEFORE DELETE ON trial_failure
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_failure_fixed BEFORE UPDATE ON trial_failure
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_series_kept BEFORE DELETE ON trial_series
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER trial_series_fixed BEFORE UPDATE ON trial_series
BEGIN SELECT RAISE (ABORT, 'trials are append-only'); END;
CREATE TRIGGER decision_kept BEFORE DELETE ON decision
BEGIN SELECT RAISE (ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decision_fixed BEFORE UPDATE ON decision
BEGIN SELECT RAISE (ABORT, 'decisions are append-only'); END;
