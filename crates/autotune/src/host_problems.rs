//! What of a machine's state spoils a measurement, and what a person can do about
//! it. Pure: the state is read by `host_state`.

use std::fmt;

use autotune_model::{Bytes, Confinement, CpuPlacement, CpuSet};

use crate::awake::Refusal;
use crate::host_state::{HostState, Memory};
use crate::placement::ENOUGH;

/// A tenth of a CPU: more than an idle system with a desktop takes.
const OTHERS_CPUS: f64 = 0.1;
/// One percent of a CPU: a request that meets it waits for milliseconds.
const STOLEN_CPUS: f64 = 0.01;
/// A machine that was half busy for the last minute is at work on something.
const LOAD_PER_CPU: f64 = 0.5;
/// With less than a tenth of the memory available the kernel swaps; where it
/// cannot, it soon ends a process.
const AVAILABLE_PART: u64 = 10;
/// Below that, pages that were swapped out once and never wanted again.
const SWAPPED: Bytes = Bytes::new(64 << 20);
/// A night of some hundred trials with their logs takes less.
const DISK: Bytes = Bytes::new(1 << 30);

/// The kinds of problems. The codes never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostCode {
    /// Server and generator may run on the same of few CPUs.
    FewCpus,
    /// The CPUs cannot be kept out of their idle states.
    IdleStates,
    /// CPUs are clocked up and down.
    Governor,
    /// Other processes are busy.
    OthersBusy,
    /// The hypervisor gives the CPUs to others.
    Stolen,
    /// The machine was busy in the last minute.
    Load,
    /// Memory is short.
    Memory,
    /// Too few files may be open.
    OpenFiles,
    /// The disk of the results is nearly full.
    Disk,
    /// The cgroup gives less than the CPUs that are planned.
    Quota,
    /// Servers cannot be kept to `[limits]`.
    Limits,
}

impl HostCode {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::FewCpus,
        Self::IdleStates,
        Self::Governor,
        Self::OthersBusy,
        Self::Stolen,
        Self::Load,
        Self::Memory,
        Self::OpenFiles,
        Self::Disk,
        Self::Quota,
        Self::Limits,
    ];

    /// As shown: `H0101`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FewCpus => "H0101",
            Self::IdleStates => "H0102",
            Self::Governor => "H0103",
            Self::OthersBusy => "H0104",
            Self::Stolen => "H0105",
            Self::Load => "H0106",
            Self::Memory => "H0107",
            Self::OpenFiles => "H0108",
            Self::Disk => "H0109",
            Self::Quota => "H0110",
            Self::Limits => "H0111",
        }
    }
}

impl fmt::Display for HostCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that spoils a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: HostCode,
    /// What is so, and what it does.
    pub(crate) text: String,
    /// What a person can do.
    pub(crate) remedy: String,
}

/// What the sweep wants of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) placement: &'a CpuPlacement,
    pub(crate) confinement: &'a Confinement,
    /// Connections that the load engine opens at most.
    pub(crate) connections: u64,
}

/// All problems, in the order of their codes.
pub(crate) fn problems(state: &HostState, wanted: Wanted<'_>) -> Vec<Problem> {
    let used = used(state, wanted.placement);
    let found = [
        few_cpus(state, wanted.placement),
        idle_states(state),
        governor(state, &used),
        others(state),
        stolen(state),
        load(state),
        state.memory.and_then(memory),
        open_files(state, wanted.connections),
        disk(state),
        quota(state, &used),
        limits(wanted.confinement),
    ];
    found.into_iter().flatten().collect()
}

/// The CPUs that server and generator will run on.
fn used(state: &HostState, placement: &CpuPlacement) -> Vec<usize> {
    match (&placement.server, &placement.generator) {
        (Some(server), Some(generator)) => {
            let all = server.as_slice().iter().chain(generator.as_slice());
            all.copied().collect()
        }
        // The one that is not pinned may run anywhere.
        _ => state.cpus.clone(),
    }
}

fn problem(code: HostCode, text: String, remedy: impl Into<String>) -> Option<Problem> {
    let remedy = remedy.into();
    Some(Problem { code, text, remedy })
}

fn few_cpus(state: &HostState, placement: &CpuPlacement) -> Option<Problem> {
    let count = state.cpus.len();
    let (server, generator) = (&placement.server, &placement.generator);
    if count >= ENOUGH || (server.is_some() && generator.is_some()) {
        return None;
    }
    let [first, second] = state.cpus[..].first_chunk().copied().unwrap_or([0, 0]);
    if count < 2 {
        return problem(
            HostCode::FewCpus,
            "server and load share the only CPU: each delays the other".to_owned(),
            "measure on a machine with two CPUs or more",
        );
    }
    if let Some(cpus) = server {
        return half_pinned(state, ("server", cpus), ("load", "generator_cpus"));
    }
    if let Some(cpus) = generator {
        return half_pinned(state, ("load", cpus), ("server", "server_cpus"));
    }
    problem(
        HostCode::FewCpus,
        format!("nothing is pinned: server and load share {count} CPUs and delay each other"),
        format!(
            "give each its own, as in [host] server_cpus = [{second}] and generator_cpus = \
             [{first}], or measure on a machine with {ENOUGH} CPUs or more"
        ),
    )
}

/// One of the two has CPUs, and the other one may run anywhere, there as well.
fn half_pinned(
    state: &HostState,
    (who, cpus): (&str, &CpuSet),
    (other, key): (&str, &str),
) -> Option<Problem> {
    let mut left = state.cpus.iter();
    let left = left.find(|cpu| !cpus.as_slice().contains(cpu));
    problem(
        HostCode::FewCpus,
        format!(
            "only the {who} is pinned, to CPU {cpus}: the {other} may run there, too, and each \
             delays the other"
        ),
        match left {
            Some(cpu) => format!("add {key} = [{cpu}] under [host]"),
            None => format!("leave a CPU for {key} under [host]: the {who} has all of them"),
        },
    )
}

fn idle_states(state: &HostState) -> Option<Problem> {
    let Refusal { why, remedy } = state.asleep.as_ref()?;
    problem(
        HostCode::IdleStates,
        format!("the CPUs cannot be kept awake ({why}): launches will differ more"),
        *remedy,
    )
}

fn governor(state: &HostState, used: &[usize]) -> Option<Problem> {
    let slow = state.governors.iter();
    let slow: Vec<_> = slow
        .filter(|(cpu, name)| used.contains(cpu) && name != "performance")
        .collect();
    let (first, name) = slow.first()?;
    let others = match slow.len() {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    problem(
        HostCode::Governor,
        format!(
            "the frequency of CPU {first}{others} follows the load (governor `{name}`): speed \
             changes from one trial to the next"
        ),
        "as root: echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )
}

fn others(state: &HostState) -> Option<Problem> {
    let busy = state.use_now?.busy;
    if busy <= OTHERS_CPUS {
        return None;
    }
    let busiest = state.busiest.as_ref();
    let busiest = busiest.filter(|(_, cpus)| *cpus > OTHERS_CPUS / 2.0);
    let who = busiest.map_or_else(String::new, |(who, cpus)| {
        format!(", {who} alone {:.0} %", cpus * 100.0)
    });
    problem(
        HostCode::OthersBusy,
        format!(
            "other processes take {:.0} % of a CPU right now{who}: they will disturb the trials",
            busy * 100.0
        ),
        match busiest {
            Some((who, _)) => {
                format!("end {who}, and see with `top` what else runs, at night as well")
            }
            None => "see with `top` what runs and end it, at night as well".to_owned(),
        },
    )
}

fn stolen(state: &HostState) -> Option<Problem> {
    let stolen = state.use_now?.stolen;
    if stolen <= STOLEN_CPUS {
        return None;
    }
    problem(
        HostCode::Stolen,
        format!(
            "the hypervisor takes {:.0} % of a CPU away from this machine (stolen time)",
            stolen * 100.0
        ),
        "measure on a machine with dedicated CPUs, not one with CPU credits, or at an hour when \
         its neighbours sleep",
    )
}

fn load(state: &HostState) -> Option<Problem> {
    let (load, cpus) = state.load?;
    if load <= LOAD_PER_CPU * cpus as f64 {
        return None;
    }
    problem(
        HostCode::Load,
        format!("in the last minute {load:.1} processes wanted to run, on {cpus} CPUs"),
        "wait until the machine is at rest, and see with `top` what runs",
    )
}

fn memory(memory: Memory) -> Option<Problem> {
    let Memory {
        total,
        available,
        swapped,
    } = memory;
    if available.get() >= total.get() / AVAILABLE_PART {
        return None;
    }
    if swapped > SWAPPED {
        return problem(
            HostCode::Memory,
            format!("{swapped} are swapped out and only {available} of {total} are available"),
            "end what needs memory, then `swapoff -a && swapon -a` as root",
        );
    }
    problem(
        HostCode::Memory,
        format!(
            "only {available} of {total} of memory are available: under load the server may be \
             swapped out, or ended by the kernel"
        ),
        "end what needs memory, or measure on a machine that has more of it",
    )
}

fn open_files(state: &HostState, connections: u64) -> Option<Problem> {
    if state.files >= connections {
        return None;
    }
    // The program needs some for itself.
    let enough = (connections + 200).next_power_of_two();
    problem(
        HostCode::OpenFiles,
        format!(
            "the load may need {connections} connections, and only {} files may be open: a trial \
             that wants more is invalid",
            state.files
        ),
        format!(
            "raise the hard limit of this shell: `sudo prlimit --pid $$ \
             --nofile={enough}:{enough}`, or for good with `nofile` in /etc/security/limits.conf"
        ),
    )
}

fn disk(state: &HostState) -> Option<Problem> {
    let free = state.disk.filter(|free| *free < DISK)?;
    problem(
        HostCode::Disk,
        format!("only {free} are free where the results go"),
        format!("make room for {DISK}, or name another folder with --out"),
    )
}

fn quota(state: &HostState, used: &[usize]) -> Option<Problem> {
    let quota = state.quota.filter(|quota| *quota < used.len() as f64)?;
    problem(
        HostCode::Quota,
        format!(
            "the cgroup of this program gives {quota:.1} CPUs where server and load are planned \
             on {}: what uses more is stopped for some hundredths of a second at a time",
            used.len()
        ),
        "raise the quota (cpu.max; --cpus of a container), or name fewer CPUs under [host]",
    )
}

fn limits(confinement: &Confinement) -> Option<Problem> {
    let reason = confinement.enforcement.refusal()?;
    problem(
        HostCode::Limits,
        format!(
            "limits not enforced: {reason}; every server will have the memory and CPU time of this \
             machine"
        ),
        "run it as root, or have the controllers given to your user (Delegate=cpu memory of \
         user@.service) and log in again; in a container, start that one with the limits (--memory, \
         --cpus) and leave them out here",
    )
}

#[cfg(test)]
pub(crate) mod tests;
