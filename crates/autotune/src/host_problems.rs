//! What of a machine's state spoils a measurement, and what a person can do about
//! it. Pure: the state is read by `host_state`.

use std::fmt;

use autotune_model::{Bytes, CpuPlacement, CpuSet};

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
}

impl HostCode {
    /// All of them.
    pub(crate) const ALL: [Self; 10] = [
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_state::UseNow;

    /// A machine without any problem.
    fn quiet() -> HostState {
        HostState {
            cpus: (0..8).collect(),
            quota: None,
            asleep: None,
            governors: (0..8).map(|cpu| (cpu, "performance".to_owned())).collect(),
            use_now: Some(UseNow {
                busy: 0.02,
                stolen: 0.0,
            }),
            busiest: Some(("process 7 (top)".to_owned(), 0.01)),
            load: Some((0.5, 8)),
            memory: Some(Memory {
                total: Bytes::new(16 << 30),
                available: Bytes::new(8 << 30),
                swapped: Bytes::new(1 << 30),
            }),
            files: 60_000,
            disk: Some(Bytes::new(50 << 30)),
        }
    }

    fn pinned() -> CpuPlacement {
        CpuPlacement {
            server: Some(CpuSet::new(1..3)),
            generator: Some(CpuSet::new([0])),
            cores: 2,
        }
    }

    fn free() -> CpuPlacement {
        CpuPlacement {
            server: None,
            generator: None,
            cores: 2,
        }
    }

    /// The only problem of the machine after this change, with these words.
    #[track_caller]
    fn check(change: impl FnOnce(&mut HostState), code: HostCode, words: &[&str]) {
        let mut state = quiet();
        change(&mut state);
        let placement = match code {
            HostCode::FewCpus => free(),
            _ => pinned(),
        };
        let wanted = Wanted {
            placement: &placement,
            connections: 256,
        };
        let found = problems(&state, wanted);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].code, code);
        let said = format!("{} | {}", found[0].text, found[0].remedy);
        for word in words {
            assert!(said.contains(word), "no {word}: {said}");
        }
    }

    #[test]
    fn a_quiet_machine_has_no_problem() {
        for placement in [pinned(), free()] {
            let wanted = Wanted {
                placement: &placement,
                connections: 256,
            };
            assert_eq!(problems(&quiet(), wanted), []);
        }
        let nothing_known = HostState {
            cpus: quiet().cpus,
            files: 60_000,
            ..HostState::default()
        };
        let wanted = Wanted {
            placement: &pinned(),
            connections: 256,
        };
        assert_eq!(problems(&nothing_known, wanted), []);
    }

    #[test]
    fn each_problem_has_its_code_and_a_remedy() {
        let cpus = |cpus: Vec<usize>| move |state: &mut HostState| state.cpus = cpus;
        let own = ["server_cpus = [3]", "generator_cpus = [2]"];
        check(cpus(vec![2, 3]), HostCode::FewCpus, &own);
        check(cpus(vec![0]), HostCode::FewCpus, &["the only CPU"]);
        let refused = |state: &mut HostState| {
            let why = "denied".to_owned();
            let remedy = "run it as root";
            state.asleep = Some(Refusal { why, remedy });
        };
        check(refused, HostCode::IdleStates, &["denied", "as root"]);
        let saving = |state: &mut HostState| {
            state.governors[1].1 = "powersave".to_owned();
            state.governors[2].1 = "powersave".to_owned();
        };
        let words = ["CPU 1 and 1 more", "powersave", "echo performance"];
        check(saving, HostCode::Governor, &words);
        let busy = |state: &mut HostState| {
            let busy = 0.6;
            state.use_now = Some(UseNow { busy, stolen: 0.0 });
            state.busiest = Some(("process 9 (rustc)".to_owned(), 0.5));
        };
        let words = ["60 %", "process 9 (rustc) alone 50 %", "end process 9"];
        check(busy, HostCode::OthersBusy, &words);
        let stolen = |state: &mut HostState| {
            let stolen = 0.05;
            state.use_now = Some(UseNow { busy: 0.0, stolen });
        };
        check(stolen, HostCode::Stolen, &["5 %", "dedicated"]);
        let load = |state: &mut HostState| state.load = Some((4.1, 8));
        check(load, HostCode::Load, &["4.1", "8 CPUs"]);
        let full = |state: &mut HostState| {
            let available = Bytes::new(1 << 30);
            state.memory = state.memory.map(|memory| Memory {
                available,
                ..memory
            });
        };
        check(
            full,
            HostCode::Memory,
            &["1024.0 MiB of 16384.0 MiB", "swapoff"],
        );
        let without_swap = |state: &mut HostState| {
            full(state);
            let swapped = Bytes::new(0);
            state.memory = state.memory.map(|memory| Memory { swapped, ..memory });
        };
        let words = ["only 1024.0 MiB of 16384.0 MiB", "ended", "has more"];
        check(without_swap, HostCode::Memory, &words);
        let files = |state: &mut HostState| state.files = 200;
        check(
            files,
            HostCode::OpenFiles,
            &["256", "200", "prlimit --pid $$ --nofile=512:512"],
        );
        let disk = |state: &mut HostState| state.disk = Some(Bytes::new(5 << 20));
        check(disk, HostCode::Disk, &["5.0 MiB", "--out"]);
        let quota = |state: &mut HostState| state.quota = Some(2.5);
        check(
            quota,
            HostCode::Quota,
            &["2.5 CPUs", "planned on 3", "cpu.max"],
        );
    }

    #[test]
    fn one_of_the_two_alone_is_not_enough() {
        let few = HostState {
            cpus: vec![0, 1],
            ..quiet()
        };
        let check = |server: Option<Vec<usize>>, generator: Option<Vec<usize>>, words: &[&str]| {
            let placement = CpuPlacement {
                server: server.map(CpuSet::new),
                generator: generator.map(CpuSet::new),
                cores: 1,
            };
            let found = few_cpus(&few, &placement);
            let found = found.map(|one| format!("{} | {}", one.text, one.remedy));
            assert_eq!(found.is_none(), words.is_empty(), "{found:?}");
            let said = found.unwrap_or_default();
            for word in words {
                assert!(said.contains(word), "no {word}: {said}");
            }
        };
        check(Some(vec![1]), Some(vec![0]), &[]);
        let words = ["only the server", "CPU 1", "generator_cpus = [0]"];
        check(Some(vec![1]), None, &words);
        let words = ["only the load", "CPU 0", "server_cpus = [1]"];
        check(None, Some(vec![0]), &words);
        let words = ["leave a CPU for generator_cpus"];
        check(Some(vec![0, 1]), None, &words);
    }

    #[test]
    fn only_cpus_that_are_used_count() {
        let mut state = quiet();
        state.governors[5].1 = "powersave".to_owned();
        state.quota = Some(3.0);
        let wanted = Wanted {
            placement: &pinned(),
            connections: 256,
        };
        assert_eq!(problems(&state, wanted), []);
    }

    #[test]
    fn codes_are_unlike_each_other() {
        let codes: std::collections::BTreeSet<_> =
            HostCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), HostCode::ALL.len());
    }
}
