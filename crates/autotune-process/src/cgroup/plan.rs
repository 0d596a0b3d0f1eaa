//! Where a group can be made that limits what is to be limited, or why nowhere.
//! Pure: what a folder is like is asked of the caller.

use std::fmt;
use std::path::{Path, PathBuf};

use super::hierarchy::{Controller, Hierarchy, Version};

/// A folder in which a group is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) version: Version,
    pub(crate) parent: PathBuf,
    /// What the group limits there.
    pub(crate) controllers: Vec<Controller>,
    /// What must be switched on for the groups within the parent first.
    pub(crate) enable: Vec<Controller>,
}

/// What a folder of groups is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    /// Whether we may make groups in it and move processes within it.
    pub(crate) writable: bool,
    /// Version 2: what it may limit.
    pub(crate) available: Vec<Controller>,
    /// Version 2: what groups within it may limit.
    pub(crate) enabled: Vec<Controller>,
    /// Whether processes are in it, and not only in groups within it.
    pub(crate) has_processes: bool,
    /// Whether it is the root of the whole machine, which may have both.
    pub(crate) is_root: bool,
}

/// Why no group can be made. The last one tells the most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// Nothing here limits that.
    Missing(Controller),
    /// The folder is not ours.
    NotWritable(PathBuf),
    /// Processes are in the folder: the kernel then lets no group within it
    /// limit anything (the rule of no internal processes).
    Busy(PathBuf),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(controller) => {
                write!(f, "no cgroup here has the controller `{controller}`")
            }
            Self::NotWritable(dir) => {
                write!(f, "no permission to make a cgroup in {}", dir.display())
            }
            Self::Busy(dir) => write!(
                f,
                "the cgroup {} has processes of its own, so none within it can limit anything",
                dir.display()
            ),
        }
    }
}

/// Where the groups are to be made for these controllers. In version 1 that is
/// below our own group; in version 2 in the nearest group on the way up that may
/// have groups which limit something, as a rule the one around our own.
pub(crate) fn plan(
    hierarchies: &[Hierarchy],
    wanted: &[Controller],
    look: &dyn Fn(&Path) -> Level,
) -> Result<Vec<Place>, Refusal> {
    let mut places: Vec<Place> = Vec::new();
    let mut unified = Vec::new();
    for controller in wanted {
        let older = hierarchies.iter().find_map(|one| {
            let is_it = one.version == Version::One && one.controllers.contains(controller);
            one.own.as_deref().filter(|_| is_it)
        });
        let Some(own) = older else {
            unified.push(*controller);
            continue;
        };
        if !look(own).writable {
            return Err(Refusal::NotWritable(own.to_owned()));
        }
        match places.iter_mut().find(|place| place.parent == own) {
            Some(place) => place.controllers.push(*controller),
            None => places.push(Place {
                version: Version::One,
                parent: own.to_owned(),
                controllers: vec![*controller],
                enable: Vec::new(),
            }),
        }
    }
    if let Some(first) = unified.first() {
        let two = hierarchies.iter().find(|one| one.version == Version::Two);
        let two = two.ok_or(Refusal::Missing(*first))?;
        places.push(unified_place(two, unified, look)?);
    }
    Ok(places)
}

fn unified_place(
    hierarchy: &Hierarchy,
    wanted: Vec<Controller>,
    look: &dyn Fn(&Path) -> Level,
) -> Result<Place, Refusal> {
    let mut refusals = Vec::new();
    let own = hierarchy.own.as_deref().into_iter();
    let levels = own.flat_map(Path::ancestors);
    for dir in levels.take_while(|dir| dir.starts_with(&hierarchy.mount)) {
        let level = look(dir);
        let lacks = wanted.iter().find(|one| !level.available.contains(one));
        let mut enable = wanted.clone();
        enable.retain(|one| !level.enabled.contains(one));
        if let Some(lacks) = lacks {
            refusals.push(Refusal::Missing(*lacks));
        } else if !level.writable {
            refusals.push(Refusal::NotWritable(dir.to_owned()));
        } else if !enable.is_empty() && level.has_processes && !level.is_root {
            refusals.push(Refusal::Busy(dir.to_owned()));
        } else {
            return Ok(Place {
                version: Version::Two,
                parent: dir.to_owned(),
                controllers: wanted,
                enable,
            });
        }
    }
    let missing = || Refusal::Missing(wanted.first().copied().unwrap_or(Controller::Memory));
    Err(refusals.into_iter().max().unwrap_or_else(missing))
}

#[cfg(test)]
mod tests {
    use super::super::hierarchy::hierarchies;
    use super::super::hierarchy::tests::{HYBRID_MOUNTS, HYBRID_OWN, UNIFIED_MOUNTS};
    use super::*;

    const BOTH: [Controller; 2] = Controller::ALL;

    fn level(writable: bool, enabled: &[Controller], has_processes: bool) -> Level {
        Level {
            writable,
            available: BOTH.to_vec(),
            enabled: enabled.to_vec(),
            has_processes,
            is_root: false,
        }
    }

    /// What is decided where folders are like this; others are not writable.
    fn decided(mounts: &str, own: &str, levels: &[(&str, Level)]) -> Result<Vec<Place>, Refusal> {
        let look = |dir: &Path| {
            let found = levels.iter().find(|(path, _)| Path::new(path) == dir);
            let other = || level(false, &[], false);
            found.map_or_else(other, |(_, level)| level.clone())
        };
        plan(&hierarchies(mounts, own), &BOTH, &look)
    }

    fn place(version: Version, parent: &str, controllers: &[Controller]) -> Place {
        Place {
            version,
            parent: parent.into(),
            controllers: controllers.to_vec(),
            enable: Vec::new(),
        }
    }

    #[test]
    fn older_trees_have_a_group_each_below_our_own() {
        let (memory, cpu) = ("/sys/fs/cgroup/memory/api/x", "/sys/fs/cgroup/cpu,cpuacct");
        let writable = || level(true, &[], true);
        let found = decided(
            HYBRID_MOUNTS,
            HYBRID_OWN,
            &[(memory, writable()), (cpu, writable())],
        );
        let expected = vec![
            place(Version::One, memory, &[Controller::Memory]),
            place(Version::One, cpu, &[Controller::Cpu]),
        ];
        assert_eq!(found, Ok(expected));
        let found = decided(HYBRID_MOUNTS, HYBRID_OWN, &[(memory, writable())]);
        assert_eq!(found, Err(Refusal::NotWritable(cpu.into())));
        let mounts = "35 23 0:30 / /cg rw - cgroup none rw,memory,cpu\n";
        let found = decided(mounts, "4:memory,cpu:/\n", &[("/cg", writable())]);
        assert_eq!(found, Ok(vec![place(Version::One, "/cg", &BOTH)]));
    }

    #[test]
    fn a_delegated_group_has_ours_beside_our_own() {
        let own = "0::/user.slice/app.slice/run.scope\n";
        let scope = "/sys/fs/cgroup/user.slice/app.slice/run.scope";
        let slice = "/sys/fs/cgroup/user.slice/app.slice";
        let levels = |slice_level| [(scope, level(true, &[], true)), (slice, slice_level)];
        let found = decided(UNIFIED_MOUNTS, own, &levels(level(true, &BOTH, false)));
        assert_eq!(found, Ok(vec![place(Version::Two, slice, &BOTH)]));
        // What is not switched on yet can be, where no process is.
        let memory = [Controller::Memory];
        let found = decided(UNIFIED_MOUNTS, own, &levels(level(true, &memory, false)));
        let enable = vec![Controller::Cpu];
        let expected = Place {
            enable,
            ..place(Version::Two, slice, &BOTH)
        };
        assert_eq!(found, Ok(vec![expected]));
        let found = decided(UNIFIED_MOUNTS, own, &levels(level(true, &memory, true)));
        assert!(matches!(found, Err(Refusal::Busy(_))), "{found:?}");
        let found = decided(UNIFIED_MOUNTS, own, &levels(level(false, &BOTH, false)));
        assert_eq!(found, Err(Refusal::Busy(scope.into())));
    }

    #[test]
    fn a_session_that_is_not_ours_is_refused() {
        let own = "0::/user.slice/session-1.scope\n";
        let found = decided(UNIFIED_MOUNTS, own, &[]);
        assert!(matches!(found, Err(Refusal::NotWritable(_))), "{found:?}");
        // Out of sight.
        let found = decided(UNIFIED_MOUNTS, "0::/../x\n", &[]);
        assert_eq!(found, Err(Refusal::Missing(Controller::Memory)));
        assert_eq!(
            decided("", "", &[]),
            Err(Refusal::Missing(Controller::Memory))
        );
    }

    #[test]
    fn the_root_of_a_container_is_busy_and_that_of_the_machine_is_not() {
        let root = "/sys/fs/cgroup";
        let container = level(true, &[], true);
        let found = decided(UNIFIED_MOUNTS, "0::/\n", &[(root, container.clone())]);
        assert_eq!(found, Err(Refusal::Busy(root.into())));
        let machine = Level {
            is_root: true,
            ..container
        };
        let found = decided(UNIFIED_MOUNTS, "0::/\n", &[(root, machine)]).expect("a place");
        assert_eq!(found[0].enable, BOTH);
    }

    #[test]
    fn a_unified_tree_without_controllers_is_of_no_use() {
        let mounts = "41 31 0:38 / /cg rw - cgroup2 none rw\n";
        let none = Level {
            available: Vec::new(),
            is_root: true,
            ..level(true, &[], true)
        };
        let found = decided(mounts, "0::/\n", &[("/cg", none)]);
        assert_eq!(found, Err(Refusal::Missing(Controller::Memory)));
    }
}
