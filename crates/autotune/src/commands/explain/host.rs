//! The longer texts behind the codes of host problems. They stop nothing: a
//! measurement on such a machine is possible, only less sure.

use crate::host_problems::HostCode;

/// The first line says what it is; then what it does and what to do.
pub(super) fn explanation(code: HostCode) -> &'static str {
    match code {
        HostCode::FewCpus => FEW_CPUS,
        HostCode::IdleStates => IDLE_STATES,
        HostCode::Governor => GOVERNOR,
        HostCode::OthersBusy => OTHERS_BUSY,
        HostCode::Stolen => STOLEN,
        HostCode::Load => LOAD,
        HostCode::Memory => MEMORY,
        HostCode::OpenFiles => OPEN_FILES,
        HostCode::Disk => DISK,
        HostCode::Quota => QUOTA,
        HostCode::Limits => LIMITS,
    }
}

const FEW_CPUS: &str = "\
Server and load generator may run on the same of few CPUs.

Whoever runs delays the other, so that response times hold what no visitor would see. With two or
three CPUs say who gets which under [host]: server_cpus = [1], generator_cpus = [0]. One of them
alone is not enough: the other one may still run there. With four CPUs or more, and no CPUs under
[host], the generator gets one of its own unasked.";

const IDLE_STATES: &str = "\
The CPUs cannot be kept out of their idle states.

A server that waits for requests sleeps, and how deep its CPU slept decides what the next request
costs; launches of one configuration then differ by more than most settings do. Run autotune as
root, or give your user write access to /dev/cpu_dma_latency. A container has that file only if it
is started with --device /dev/cpu_dma_latency. Where none of it is wanted, say keep_awake = false
under [host].";

const GOVERNOR: &str = "\
The frequency of a CPU follows its load.

The first requests after a pause are served by a slower CPU than those in a rush, and how long a
pause must be differs between machines. As root: echo performance into scaling_governor of all
CPUs, below /sys/devices/system/cpu. The setting lasts until the next start of the machine.";

const OTHERS_BUSY: &str = "\
Other processes take CPU time right now.

They were seen in one second before the server was started, and the busiest is named. What runs
beside a trial changes its result; random order spreads that over all configurations, but makes
all of them less sure. End it, and look for what is started at night: backups, updates, indexers.";

const STOLEN: &str = "\
The hypervisor gives the CPUs of this virtual machine to others.

Stolen time is when this machine wanted to run and could not. A request that meets it waits for
milliseconds, whatever the setting. Machines with CPU credits have it once the credits are used
up, which a night of load does. Take one with dedicated CPUs.";

const LOAD: &str = "\
The machine was busy in the last minute.

The mean number of processes that ran or wanted to is more than half the number of CPUs, even if
this second is quiet. Wait until it is at rest; if it does not come to rest, `top` shows why.";

const MEMORY: &str = "\
Little memory is available.

Less than a tenth of it is. With swap, a server whose pages come from the disk is measured as slow
as the disk, and peak memory, which decides between settings, is less exact. Without swap the kernel
ends a process when nothing is left, as a rule the largest one. End what needs memory before the
night.";

const OPEN_FILES: &str = "\
Fewer files may be open than the load may need connections.

Each connection is an open file. A trial in which the generator had none left for a request is
invalid: it was the bottleneck and not the server. Raise the hard limit, which in a shell only root
can: sudo prlimit --pid $$ --nofile=N:N for the shell in which it is typed, nofile in
/etc/security/limits.conf for all later logins, LimitNOFILE of a systemd unit, --ulimit nofile=N of
a container.";

const DISK: &str = "\
The disk of the results is nearly full.

A trial that cannot be stored stops the sweep: the record is the product. Make room, or name a
folder on another disk with --out.";

const QUOTA: &str = "\
The cgroup gives less CPU time than the CPUs that are planned.

What uses up its quota is stopped until the next period, a tenth of a second later as a rule, and
requests wait meanwhile: the 95th percentile then measures the quota. Raise it (cpu.max, --cpus of
a container, the CPU limit of a pod), or plan with fewer CPUs under [host].";

const LIMITS: &str = "\
Servers cannot be kept to the memory and CPUs of [limits].

That takes a control group (cgroup) of the kernel: one that autotune may make, as root or in a part
of the tree that is delegated to it, or one that the user's systemd makes (systemd-run --user
--scope). Version 2 lets no group limit anything within one that has processes of its own, as the
root of a container has. The sweep goes on without them, and headline, verdict.json and report say
\"limits not enforced\": a setting that is best with all of this machine may be too large for
production. Run it as root or under `systemd-run --user --scope -p Delegate=yes`; in a container,
start the container with the limits (--memory, --cpus) and leave them out of [limits].";
