-- Format 2. How each run of a sweep ended, the faults of those that were stopped
-- included. A row speaks for the study as long as nothing was added after it,
-- which the two counts tell.

CREATE TABLE run_end (
    study TEXT NOT NULL REFERENCES study (study),
    number INTEGER NOT NULL,
    how TEXT NOT NULL,
    fault_code TEXT,
    fault_text TEXT,
    trials_count INTEGER NOT NULL,
    decisions_count INTEGER NOT NULL,
    ended_wall_ns INTEGER NOT NULL,
    PRIMARY KEY (study, number)
) STRICT;

CREATE TRIGGER run_end_kept BEFORE DELETE ON run_end
BEGIN SELECT RAISE (ABORT, 'ends are append-only'); END;
CREATE TRIGGER run_end_fixed BEFORE UPDATE ON run_end
BEGIN SELECT RAISE (ABORT, 'ends are append-only'); END;
