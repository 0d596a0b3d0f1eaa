//! Every problem is found, named, and has a remedy; a quiet machine has none.

use autotune_model::{Enforcement, HostLimits, LimitMeans};

use super::*;
use crate::host_state::UseNow;

static NO_LIMITS: Confinement = Confinement {
    limits: HostLimits {
        memory: None,
        cpus: None,
        files: None,
    },
    enforcement: Enforcement::NotAsked,
};

/// A machine without any problem.
pub(crate) fn quiet() -> HostState {
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
        confinement: &NO_LIMITS,
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
            confinement: &NO_LIMITS,
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
        confinement: &NO_LIMITS,
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
fn limits_that_are_not_enforced_are_a_problem_of_the_machine() {
    let mut confinement = Confinement {
        enforcement: Enforcement::Refused {
            reason: "no permission to make a cgroup in /x".to_owned(),
        },
        ..NO_LIMITS.clone()
    };
    let found = limits(&confinement).expect("a problem");
    assert_eq!(found.code, HostCode::Limits);
    for word in ["limits not enforced: no permission", "as root", "--memory"] {
        let said = format!("{} | {}", found.text, found.remedy);
        assert!(said.contains(word), "no {word}: {said}");
    }
    confinement.enforcement = Enforcement::By(LimitMeans::Cgroup);
    assert_eq!(limits(&confinement), None);
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
        confinement: &NO_LIMITS,
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
