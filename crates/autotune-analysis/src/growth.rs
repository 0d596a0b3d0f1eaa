//! Growth of memory under load, for the sentence that max-requests were not
//! judged.

use autotune_stats::median;

use crate::outcome::MemoryGrowth;
use crate::sample::Arm;

/// Median over launches of the growth from before the first request to after
/// the last, per 1,000 requests to the whole server. Start-up growth is in it:
/// a slope per worker life needs longer trials.
pub(crate) fn growth(arm: &Arm<'_>) -> Option<MemoryGrowth> {
    let each: Vec<f64> = arm
        .telling()
        .filter_map(|launch| {
            let server = launch.record.server.as_ref()?;
            let requests = launch.record.load.as_ref()?.total().completed;
            let grown = server.memory_after?.mib() - server.memory_before?.mib();
            (requests > 0).then(|| grown / requests as f64 * 1000.0)
        })
        .collect();
    median(&each).map(|mib_per_1000_requests| MemoryGrowth {
        mib_per_1000_requests,
    })
}
