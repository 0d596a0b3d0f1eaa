//! What the tree may have, as it is written in the protocol.

use autotune_model::{Bytes, Confinement, CpuQuota, HostLimits, LimitMeans};
use serde::{Deserialize, Serialize};

/// Mirrors `Confinement`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireConfinement {
    pub(crate) group: WireGroup,
    memory_bytes: Option<u64>,
    cpus_thousandths: Option<u32>,
    pub(crate) open_files: Option<u64>,
}

/// What the supervisor has to do with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireGroup {
    /// Nothing.
    None,
    /// Make one for the tree.
    Make,
    /// It lives in one that systemd made for it, with its tree.
    Own,
}

impl WireConfinement {
    pub(crate) fn of(confinement: &Confinement) -> Self {
        let limits = &confinement.limits;
        Self {
            group: match confinement.enforcement.means() {
                None => WireGroup::None,
                Some(LimitMeans::Cgroup) => WireGroup::Make,
                Some(LimitMeans::SystemdScope) => WireGroup::Own,
            },
            memory_bytes: limits.memory.map(Bytes::get),
            cpus_thousandths: limits.cpus.map(CpuQuota::thousandths),
            open_files: limits.files,
        }
    }

    /// What the group is to limit.
    pub(crate) fn limits(&self) -> HostLimits {
        HostLimits {
            memory: self.memory_bytes.map(Bytes::new),
            cpus: self.cpus_thousandths.and_then(CpuQuota::from_thousandths),
            files: self.open_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::Enforcement;

    use super::*;

    #[test]
    fn limits_come_back_as_they_were() {
        let limits = HostLimits {
            memory: Some(Bytes::new(64 << 20)),
            cpus: CpuQuota::new(0.125),
            files: Some(99),
        };
        let confinement = Confinement {
            limits: limits.clone(),
            enforcement: Enforcement::By(LimitMeans::Cgroup),
        };
        let wire = WireConfinement::of(&confinement);
        assert_eq!((wire.limits(), wire.group), (limits, WireGroup::Make));
        let none = WireConfinement::of(&Confinement::default());
        assert_eq!(
            (none.limits(), none.group),
            (HostLimits::default(), WireGroup::None)
        );
    }
}
