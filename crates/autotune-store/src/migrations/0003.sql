-- Format 3. What the machine did beside a trial while its load ran: CPU time that
-- the hypervisor gave to others, and that of processes that are not ours. Empty
-- where it could not be read, and in trials that an earlier version stored.

ALTER TABLE trial_server ADD COLUMN host_wall_ns INTEGER;
ALTER TABLE trial_server ADD COLUMN host_cpus_count INTEGER;
ALTER TABLE trial_server ADD COLUMN host_stolen_ns INTEGER;
ALTER TABLE trial_server ADD COLUMN host_others_ns INTEGER;
