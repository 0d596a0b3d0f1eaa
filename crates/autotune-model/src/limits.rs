//! What the production host lets a server have, as `[limits]` of the grid file
//! says, and whether a trial's server is kept to it. The limits of `[objective]`
//! are another matter: they judge, these hold.

use std::fmt;

use crate::units::{Bytes, trim};

/// A number of CPUs, also a part of one: a quota of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuQuota(u32);

impl CpuQuota {
    /// The kernel takes no quota below a millisecond in its period of a tenth of
    /// a second.
    pub const LEAST: f64 = 0.01;
    /// More than any machine has.
    pub const MOST: f64 = 4096.0;

    /// So many CPUs, to a thousandth; `None` below the least and above the most.
    pub fn new(cpus: f64) -> Option<Self> {
        (Self::LEAST..=Self::MOST)
            .contains(&cpus)
            .then(|| Self((cpus * 1000.0).round() as u32))
    }

    /// In CPUs.
    pub fn cpus(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// In thousandths of a CPU.
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// The reverse of [`CpuQuota::thousandths`].
    pub fn from_thousandths(thousandths: u32) -> Option<Self> {
        Self::new(f64::from(thousandths) / 1000.0)
    }

    /// How many CPUs are always there, at least one: two and a half give two.
    pub fn whole(self) -> usize {
        (self.0 / 1000).max(1) as usize
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&trim(self.cpus()))
    }
}

/// `[limits]`: what the server and all its processes together may have; each
/// `None` where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLimits {
    /// Memory, the page cache of its files included, as the kernel counts it.
    pub memory: Option<Bytes>,
    /// CPU time.
    pub cpus: Option<CpuQuota>,
    /// Open descriptors, of each process.
    pub files: Option<u64>,
}

impl HostLimits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a cgroup is needed: what each process has to itself needs none.
    pub fn need_a_group(&self) -> bool {
        self.memory.is_some() || self.cpus.is_some()
    }
}

/// By what the kernel keeps a tree to its memory and CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitMeans {
    /// A cgroup that the supervisor makes.
    Cgroup,
    /// A scope of the user's systemd, whose cgroup it makes.
    SystemdScope,
}

impl LimitMeans {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cgroup, Self::SystemdScope];

    /// As stored and exported.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::SystemdScope => "systemd-scope",
        }
    }
}

impl fmt::Display for LimitMeans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether memory and CPUs are kept to `[limits]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    /// `[limits]` names neither.
    #[default]
    NotAsked,
    /// They are.
    By(LimitMeans),
    /// They are not: this machine does not let us.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

impl Enforcement {
    /// By what, where they are kept.
    pub fn means(&self) -> Option<LimitMeans> {
        match self {
            Self::By(means) => Some(*means),
            Self::NotAsked | Self::Refused { .. } => None,
        }
    }

    /// Why they are not kept although they should be.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Refused { reason } => Some(reason),
            Self::NotAsked | Self::By(_) => None,
        }
    }
}

/// What a server may have, and whether it is kept to that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// What it may have.
    pub limits: HostLimits,
    /// Whether memory and CPUs are kept to it.
    pub enforcement: Enforcement,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_has_whole_cpus_and_at_least_one() {
        let check = |cpus: f64, whole: usize, text: &str| {
            let quota = CpuQuota::new(cpus).unwrap();
            assert_eq!((quota.whole(), quota.to_string()), (whole, text.to_owned()));
            assert_eq!(CpuQuota::from_thousandths(quota.thousandths()), Some(quota));
        };
        check(2.0, 2, "2");
        check(1.5, 1, "1.5");
        check(0.5, 1, "0.5");
        check(0.01, 1, "0.01");
        check(16.0, 16, "16");
        for cpus in [0.0, 0.009, -1.0, f64::NAN, f64::INFINITY, 4097.0] {
            assert_eq!(CpuQuota::new(cpus), None, "{cpus}");
        }
    }

    #[test]
    fn only_memory_and_cpus_need_a_group() {
        let files = HostLimits {
            files: Some(64),
            ..HostLimits::default()
        };
        assert!(!files.need_a_group() && !files.is_empty());
        let memory = HostLimits {
            memory: Some(Bytes::MIB),
            ..HostLimits::default()
        };
        assert!(memory.need_a_group());
        assert!(HostLimits::default().is_empty());
    }
}
