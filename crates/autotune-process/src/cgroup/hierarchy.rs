//! Where the control groups are mounted, and which of them this process is in.
//! Pure: works on the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What the kernel can limit for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    Memory,
    Cpu,
}

impl Controller {
    pub(crate) const ALL: [Self; 2] = [Self::Memory, Self::Cpu];

    /// As the kernel calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }

    /// Those that a list of words names; others are of no use here.
    pub(crate) fn named<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        let words: Vec<&str> = words.into_iter().collect();
        let mut all = Self::ALL.to_vec();
        all.retain(|one| words.contains(&one.as_str()));
        all
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The two interfaces of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// A tree for each controller or some of them.
    One,
    /// One tree for all.
    Two,
}

/// One mounted tree of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    pub(crate) version: Version,
    /// Those that it was mounted with; in version 2 each group says its own.
    pub(crate) controllers: Vec<Controller>,
    pub(crate) mount: PathBuf,
    /// The group of this process; `None` where it lies outside what is mounted.
    pub(crate) own: Option<PathBuf>,
}

/// All trees that can limit something, in the order of the mounts.
pub(crate) fn hierarchies(mountinfo: &str, membership: &str) -> Vec<Hierarchy> {
    mountinfo
        .lines()
        .filter_map(|line| hierarchy(line, membership))
        .collect()
}

/// `31 23 0:28 ROOT MOUNT rw shared:1 - cgroup cgroup rw,memory`; the fields
/// before the dash vary in number.
fn hierarchy(line: &str, membership: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, mount) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let mut kind = after.split(' ');
    let version = match kind.next()? {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let controllers = match version {
        Version::One => Controller::named(kind.next_back()?.split(',')),
        Version::Two => Vec::new(),
    };
    if version == Version::One && controllers.is_empty() {
        return None;
    }
    let own = own_path(membership, version, &controllers)
        .and_then(|path| below(&mount, &root, Path::new(path)));
    Some(Hierarchy {
        version,
        controllers,
        mount,
        own,
    })
}

/// `4:memory:/a` in version 1, `0::/a` in version 2.
fn own_path<'a>(
    membership: &'a str,
    version: Version,
    controllers: &[Controller],
) -> Option<&'a str> {
    membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let is_it = match version {
            Version::Two => names.is_empty(),
            Version::One => controllers
                .iter()
                .any(|one| names.split(',').any(|name| name == one.as_str())),
        };
        is_it.then_some(path)
    })
}

/// A group's path as the mount shows it. A container may see only a part of the
/// tree, with paths that begin above it or lead upwards out of it.
fn below(mount: &Path, root: &Path, path: &Path) -> Option<PathBuf> {
    let is_outside = path
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    let rest = path.strip_prefix(root).ok().filter(|_| !is_outside)?;
    Some(match rest.as_os_str().is_empty() {
        true => mount.to_owned(),
        false => mount.join(rest),
    })
}

/// Blanks and the like stand as `\040` in `mountinfo`.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let value = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const HYBRID_MOUNTS: &str = "\
23 1 0:20 / / rw - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    pub(crate) const HYBRID_OWN: &str =
        "9:name=systemd:/\n4:memory:/api/x\n3:cpuset:/\n2:cpu,cpuacct:/\n0::/\n";
    pub(crate) const UNIFIED_MOUNTS: &str =
        "35 23 0:30 / /sys/fs/cgroup rw shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[track_caller]
    fn check(mounts: &str, own: &str, expected: &[(Version, &str, Option<&str>)]) {
        let found = hierarchies(mounts, own);
        let found: Vec<_> = found
            .iter()
            .map(|one| {
                let own = one.own.as_deref().and_then(Path::to_str);
                (one.version, one.mount.to_str().expect("text"), own)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_tree_is_found_with_our_own_group() {
        use Version::{One, Two};
        let hybrid = [
            (
                One,
                "/sys/fs/cgroup/cpu,cpuacct",
                Some("/sys/fs/cgroup/cpu,cpuacct"),
            ),
            (
                One,
                "/sys/fs/cgroup/memory",
                Some("/sys/fs/cgroup/memory/api/x"),
            ),
            (
                Two,
                "/sys/fs/cgroup/unified",
                Some("/sys/fs/cgroup/unified"),
            ),
        ];
        check(HYBRID_MOUNTS, HYBRID_OWN, &hybrid);
        let own = "0::/user.slice/user-7.slice/run:1.scope\n";
        let path = "/sys/fs/cgroup/user.slice/user-7.slice/run:1.scope";
        check(UNIFIED_MOUNTS, own, &[(Two, "/sys/fs/cgroup", Some(path))]);
        check("23 1 0:20 / / rw - ext4 /dev/vda rw\n", own, &[]);
        check("", "", &[]);
        check("31 23 0:28 / - broken\n", own, &[]);
    }

    #[test]
    fn a_container_sees_its_own_part() {
        let root = [(Version::Two, "/sys/fs/cgroup", Some("/sys/fs/cgroup"))];
        check(UNIFIED_MOUNTS, "0::/\n", &root);
        // Moved out of what its namespace shows.
        let outside = [(Version::Two, "/sys/fs/cgroup", None)];
        check(UNIFIED_MOUNTS, "0::/../other\n", &outside);
        // Without a namespace, the mount begins further down.
        let mounts = "35 23 0:30 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let mount = "/sys/fs/cgroup/memory";
        check(
            mounts,
            "4:memory:/docker/ab\n",
            &[(Version::One, mount, Some(mount))],
        );
        let below = "/sys/fs/cgroup/memory/c";
        check(
            mounts,
            "4:memory:/docker/ab/c\n",
            &[(Version::One, mount, Some(below))],
        );
        check(mounts, "4:memory:/other\n", &[(Version::One, mount, None)]);
    }

    #[test]
    fn blanks_in_paths_are_read() {
        let mounts = "35 23 0:30 / /my\\040cgroups rw - cgroup2 none rw\n";
        check(
            mounts,
            "0::/\n",
            &[(Version::Two, "/my cgroups", Some("/my cgroups"))],
        );
        assert_eq!(unescaped("\\x"), Path::new("\\x"));
    }
}
