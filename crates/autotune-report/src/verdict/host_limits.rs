//! `[limits]`, which is not what `limits` of a verdict is: that judges, this holds.

use autotune_model::{Bytes, Confinement, CpuQuota, LimitMeans};
use serde::Serialize;

/// What a server may have, and whether it is kept to it: the same object in a
/// verdict and in a check.
#[derive(Debug, Serialize)]
pub struct HostLimitsRecord<'a> {
    memory_bytes: Option<u64>,
    cpus: Option<f64>,
    open_files: Option<u64>,
    /// Whether the server was kept to all of them.
    enforced: bool,
    /// By what, where memory or CPUs are among them.
    enforced_by: Option<&'static str>,
    not_enforced_because: Option<&'a str>,
}

impl<'a> HostLimitsRecord<'a> {
    /// `None` without `[limits]`.
    pub fn of(confinement: &'a Confinement) -> Option<Self> {
        let limits = &confinement.limits;
        let refusal = confinement.enforcement.refusal();
        (!limits.is_empty()).then(|| Self {
            memory_bytes: limits.memory.map(Bytes::get),
            cpus: limits.cpus.map(CpuQuota::cpus),
            open_files: limits.files,
            enforced: refusal.is_none(),
            enforced_by: confinement.enforcement.means().map(LimitMeans::as_str),
            not_enforced_because: refusal,
        })
    }
}
