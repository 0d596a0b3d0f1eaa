//! Which way of keeping a server to its limits this machine allows: found by
//! trying, since permissions, mounts and the tools of systemd all have a say.

use std::path::PathBuf;
use std::time::Duration;

use autotune_model::{Bytes, Confinement, Enforcement, HostLimits, LimitMeans, Secret};

use super::group::Group;
use super::leftover::name_of;
use crate::clock;
use crate::error::{LaunchStep, ProcessError, causes};
use crate::launch::{Ipc, Launch};
use crate::marker::Marker;
use crate::run::run_to_end;

/// How long a command that does nothing may take, systemd's answer included.
const LIMIT: Duration = Duration::from_secs(20);

/// Tries which means there is for these limits, by running a command under them
/// that does nothing.
///
/// # Errors
/// When no supervisor can be run at all.
pub async fn find_means(limits: &HostLimits) -> Result<Enforcement, ProcessError> {
    if !limits.need_a_group() {
        return Ok(Enforcement::NotAsked);
    }
    let marker = Marker::for_this_process()?;
    let group = match group_refusal(&marker, limits) {
        None => try_means(&marker, limits, LimitMeans::Cgroup).await?,
        refusal => refusal,
    };
    let Some(group) = group else {
        return Ok(Enforcement::By(LimitMeans::Cgroup));
    };
    let scope = try_means(&marker, limits, LimitMeans::SystemdScope).await?;
    let Some(scope) = scope else {
        return Ok(Enforcement::By(LimitMeans::SystemdScope));
    };
    let reason = format!("{group}; systemd-run --user --scope: {scope}");
    Ok(Enforcement::Refused { reason })
}

/// Why no group can be made. Told in more words here than a supervisor can.
fn group_refusal(marker: &Marker, limits: &HostLimits) -> Option<String> {
    let name = name_of(marker.as_str(), std::process::id());
    match Group::make(&name, limits) {
        Ok(mut group) => {
            for left in group.remove() {
                tracing::warn!(left = %left.display(), "a group that was tried stays");
            }
            None
        }
        Err(fault) => Some(fault.text()),
    }
}

/// Why a command cannot be run in this way; `None` where it can.
async fn try_means(
    marker: &Marker,
    limits: &HostLimits,
    means: LimitMeans,
) -> Result<Option<String>, ProcessError> {
    let launch = Launch {
        argv: vec!["true".to_owned()],
        env: vec![("PATH".to_owned(), Secret::new("/usr/bin:/bin".to_owned()))],
        dir: PathBuf::from("/"),
        log: PathBuf::from("/dev/null"),
        log_limit: Bytes::MIB,
        cpus: None,
        confinement: Confinement {
            limits: HostLimits {
                files: None,
                ..limits.clone()
            },
            enforcement: Enforcement::By(means),
        },
        user: None,
        ipc: Ipc::Shared,
        marker: marker.clone(),
        sample_every: None,
        origin_monotonic_ns: clock::monotonic_ns(),
    };
    match run_to_end(&launch, LIMIT).await {
        // How it ended says nothing of the limits; that it was begun does.
        Ok(_) => Ok(None),
        Err(ProcessError::Launch {
            step: LaunchStep::Exec,
            ..
        }) => Ok(None),
        Err(error @ (ProcessError::Launch { .. } | ProcessError::NoScope { .. })) => {
            Ok(Some(causes(&error)))
        }
        // What was to become the supervisor ended: the tool's way to say no.
        Err(error @ ProcessError::SupervisorLost { .. }) if means == LimitMeans::SystemdScope => {
            Ok(Some(causes(&error)))
        }
        Err(error) => Err(error),
    }
}
