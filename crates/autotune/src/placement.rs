//! Which CPUs the server and the generator get.
//!
//! With four or more, the generator takes one and the server the rest; with
//! fewer nothing is pinned unless the grid file asks, since the generator costs
//! microseconds a request.

use autotune_grid::HostRequest;
use autotune_model::{CpuPlacement, CpuSet};
use nix::sched::{CpuSet as Mask, sched_getaffinity};
use nix::unistd::Pid;

use crate::failure::Failure;

/// From this many CPUs on, server and generator are kept apart unasked.
const ENOUGH: usize = 4;

/// What this machine gives.
///
/// # Errors
/// When the grid file asks for CPUs that this process may not use.
pub(crate) fn place(request: &HostRequest) -> Result<CpuPlacement, Failure> {
    decide(request, &allowed()?, quota())
}

fn decide(
    request: &HostRequest,
    allowed: &CpuSet,
    quota: Option<f64>,
) -> Result<CpuPlacement, Failure> {
    for (key, cpus) in [
        ("server_cpus", &request.server_cpus),
        ("generator_cpus", &request.generator_cpus),
    ] {
        let missing = cpus.iter().flat_map(|cpus| cpus.as_slice());
        if let Some(cpu) = missing
            .into_iter()
            .find(|cpu| !allowed.as_slice().contains(cpu))
        {
            return Err(Failure::usage(format!(
                "[host] {key} names CPU {cpu}, but this process may use only {allowed}"
            ))
            .hint(format!("take CPUs out of {allowed}, or leave [host] out")));
        }
    }
    let (mut server, mut generator) = (request.server_cpus.clone(), request.generator_cpus.clone());
    let asked = server.is_some() || generator.is_some();
    if !asked && allowed.len() >= ENOUGH {
        let (last, rest) = allowed.as_slice().split_at(allowed.len() - 1);
        server = Some(CpuSet::new(last.iter().copied()));
        generator = Some(CpuSet::new(rest.iter().copied()));
    }
    let own = server.as_ref().map_or(allowed.len(), CpuSet::len);
    // A quota of two and a half CPUs gives two that are always there.
    let by_quota = quota.map_or(own, |quota| (quota.floor() as usize).max(1));
    Ok(CpuPlacement {
        cores: own.min(by_quota).max(1),
        server,
        generator,
    })
}

fn allowed() -> Result<CpuSet, Failure> {
    let mask = sched_getaffinity(Pid::from_raw(0)).map_err(|error| {
        Failure::stopped(
            autotune_model::ErrorCode::Process,
            "the CPUs cannot be listed",
        )
        .because(error)
    })?;
    Ok(CpuSet::new(
        (0..Mask::count()).filter(|cpu| mask.is_set(*cpu).unwrap_or(false)),
    ))
}

/// The CPU quota of our control group, in CPUs: version 2, then version 1.
fn quota() -> Option<f64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    if let Some(text) = read("/sys/fs/cgroup/cpu.max") {
        let (quota, period) = text.trim().split_once(' ')?;
        return Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?);
    }
    let number = |path: &str| read(path)?.trim().parse::<f64>().ok();
    let quota = number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")?;
    let period = number("/sys/fs/cgroup/cpu/cpu.cfs_period_us")?;
    (quota > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placement_follows_request_count_and_quota() {
        let none = HostRequest {
            server_cpus: None,
            generator_cpus: None,
            keep_awake: true,
        };
        let two = CpuSet::new([0, 1]);
        let free = decide(&none, &two, None).unwrap();
        assert_eq!((free.server, free.generator, free.cores), (None, None, 2));
        let four = decide(&none, &CpuSet::new(0..4), Some(2.5)).unwrap();
        assert_eq!(four.server, Some(CpuSet::new(0..3)));
        assert_eq!(four.generator, Some(CpuSet::new([3])));
        assert_eq!(four.cores, 2);
        let asked = HostRequest {
            server_cpus: Some(CpuSet::new([1])),
            ..none.clone()
        };
        assert_eq!(decide(&asked, &two, None).unwrap().cores, 1);
        let missing = HostRequest {
            server_cpus: Some(CpuSet::new([7])),
            ..none
        };
        assert!(decide(&missing, &two, None).is_err());
    }
}
