//! Which CPUs the server and the generator get.
//!
//! With four or more, the generator takes one and the server the rest; with
//! fewer nothing is pinned unless the grid file asks, since the generator costs
//! microseconds a request.

use autotune_grid::HostRequest;
use autotune_model::{CpuPlacement, CpuQuota, CpuSet, HostLimits};
use autotune_trial::ServiceCpus;
use nix::sched::{CpuSet as Mask, sched_getaffinity};
use nix::unistd::Pid;

use crate::failure::Failure;

/// From this many CPUs on, server and generator are kept apart unasked.
pub(crate) const ENOUGH: usize = 4;

/// What this machine gives, and `[limits]` leaves of it.
///
/// # Errors
/// When the grid file asks for CPUs that this process may not use.
pub(crate) fn place(request: &HostRequest, limits: &HostLimits) -> Result<CpuPlacement, Failure> {
    let quotas = [quota_now(), limits.cpus.map(CpuQuota::cpus)];
    let quota = quotas.into_iter().flatten().reduce(f64::min);
    decide(request, &allowed()?, quota)
}

/// Which CPUs services get that name none: all but the generator's, which they
/// would slow down. A machine that does not say pins nothing.
pub(crate) fn of_services(placement: &CpuPlacement) -> ServiceCpus {
    let Ok(allowed) = allowed() else {
        return ServiceCpus {
            set: None,
            most: placement.cores,
        };
    };
    left_to_services(placement, &allowed, quota_now())
}

fn left_to_services(placement: &CpuPlacement, allowed: &CpuSet, quota: Option<f64>) -> ServiceCpus {
    // Of two and a half CPUs a service that uses two and a quarter has time left.
    let by_quota = quota.map_or(allowed.len(), |quota| (quota.ceil() as usize).max(1));
    let set = placement.generator.as_ref().map(|generator| {
        let all = allowed.as_slice().iter().copied();
        CpuSet::new(all.filter(|cpu| !generator.as_slice().contains(cpu)))
    });
    ServiceCpus {
        // On a machine of one CPU there is no other.
        set: set.filter(|set| !set.is_empty()),
        most: by_quota.min(allowed.len()),
    }
}

/// The CPU quota of this process at this moment, in CPUs.
pub(crate) fn quota_now() -> Option<f64> {
    quota(&|path| std::fs::read_to_string(path).ok())
}

pub(crate) fn decide(
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

/// The CPUs that this process may use.
///
/// # Errors
/// When the system does not say.
pub(crate) fn allowed() -> Result<CpuSet, Failure> {
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

/// The text of a file; `None` where there is none.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The CPU quota of this process, in CPUs. Each group on the way up to the root
/// may have one, and the smallest holds; inside a container the root is its own.
fn quota(read: Read<'_>) -> Option<f64> {
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let all = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next(), fields.next());
        let controllers = controllers.unwrap_or("none");
        ways_up(path.unwrap_or_default()).map(move |group| match controllers {
            "" => unified_quota(read, group),
            names if names.split(',').any(|name| name == "cpu") => older_quota(read, group),
            _ => None,
        })
    });
    all.flatten().reduce(f64::min)
}

/// A group and all above it; the root is the empty text.
fn ways_up(path: &str) -> impl Iterator<Item = &str> {
    // Seen from another namespace a path may lead upwards, out of sight.
    let path = if path.contains("..") { "" } else { path };
    let first = path.trim_end_matches('/');
    std::iter::successors(Some(first), |group| Some(group.rsplit_once('/')?.0))
}

/// Version 2: `150000 100000`, or `max 100000`.
fn unified_quota(read: Read<'_>, group: &str) -> Option<f64> {
    let text = read(&format!("/sys/fs/cgroup{group}/cpu.max"))?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// Version 1, where -1 stands for no quota.
fn older_quota(read: Read<'_>, group: &str) -> Option<f64> {
    let number = |name: &str| {
        let text = read(&format!("/sys/fs/cgroup/cpu{group}/cpu.{name}"))?;
        text.trim().parse::<f64>().ok()
    };
    let (quota, period) = (number("cfs_quota_us")?, number("cfs_period_us")?);
    (quota > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_quota_on_the_way_up_holds() {
        let check = |files: &[(&str, &str)], expected: Option<f64>| {
            let read = |path: &str| {
                let found = files.iter().find(|(name, _)| *name == path);
                found.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(quota(&read), expected, "{files:?}");
        };
        let own = ("/proc/self/cgroup", "0::/user.slice/run-7.scope\n");
        let at = |path, text| (path, text);
        let (leaf, middle, root) = (
            "/sys/fs/cgroup/user.slice/run-7.scope/cpu.max",
            "/sys/fs/cgroup/user.slice/cpu.max",
            "/sys/fs/cgroup/cpu.max",
        );
        check(&[], None);
        check(&[own], None);
        check(&[own, at(leaf, "max 100000\n")], None);
        check(&[own, at(leaf, "150000 100000\n")], Some(1.5));
        let both = [own, at(leaf, "max 100000"), at(middle, "200000 100000")];
        check(&both, Some(2.0));
        let all = [own, at(leaf, "300000 100000"), at(root, "50000 100000")];
        check(&all, Some(0.5));
        let container = [("/proc/self/cgroup", "0::/\n"), at(root, "100000 100000")];
        check(&container, Some(1.0));
        let outside = [
            ("/proc/self/cgroup", "0::/../x\n"),
            at(root, "100000 100000"),
        ];
        check(&outside, Some(1.0));
        let older = [
            (
                "/proc/self/cgroup",
                "5:cpuset:/a\n4:cpu,cpuacct:/docker/x\n0::/\n",
            ),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us", "100000\n"),
        ];
        check(&older, Some(2.5));
    }

    #[test]
    fn the_server_has_no_more_cores_than_its_limit() {
        let none = HostRequest {
            server_cpus: None,
            generator_cpus: None,
            keep_awake: true,
        };
        let limits = HostLimits {
            cpus: CpuQuota::new(0.5),
            ..HostLimits::default()
        };
        assert_eq!(place(&none, &limits).unwrap().cores, 1);
        let limits = HostLimits {
            cpus: CpuQuota::new(4096.0),
            ..limits
        };
        let free = place(&none, &HostLimits::default()).unwrap();
        assert_eq!(place(&none, &limits).unwrap(), free);
    }

    #[test]
    fn services_keep_off_the_generator() {
        let placement = |generator: Option<CpuSet>| CpuPlacement {
            server: None,
            generator,
            cores: 4,
        };
        let four = CpuSet::new(0..4);
        let free = left_to_services(&placement(None), &four, None);
        assert_eq!((free.set, free.most), (None, 4));
        let pinned = placement(Some(CpuSet::new([3])));
        let kept = left_to_services(&pinned, &four, Some(2.5));
        assert_eq!((kept.set, kept.most), (Some(CpuSet::new([0, 1, 2])), 3));
        assert_eq!(left_to_services(&pinned, &four, Some(1.0)).most, 1);
        let one = placement(Some(CpuSet::new([0])));
        assert_eq!(left_to_services(&one, &CpuSet::new([0]), None).set, None);
    }

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
