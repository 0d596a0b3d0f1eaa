//! `[limits]` on this machine: whether a server can be kept to them, what a study
//! remembers of that, and what is said of it.

use autotune_grid::{GridFault, GridFile};
use autotune_model::{Confinement, Enforcement, ErrorCode, HostLimits, LimitMeans};
use autotune_store::StudyMeta;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::study;
use crate::terminal::say;

/// What a study tells of how its servers were kept to `[limits]`.
const KEPT_BY: &str = "limits kept by";
const NOT_ENFORCED: &str = "limits not enforced";

/// Tries by what a server can be kept to these limits here.
///
/// # Errors
/// When nothing at all can be started.
pub(crate) async fn find(limits: &HostLimits) -> Result<Confinement, Failure> {
    let found = autotune_process::find_means(limits).await;
    let enforcement = found.map_err(|error| {
        Failure::stopped(ErrorCode::Process, "no supervisor can be started").because(error)
    })?;
    Ok(Confinement {
        limits: limits.clone(),
        enforcement,
    })
}

/// Says before the first trial what is or is not kept.
pub(crate) fn announce(confinement: &Confinement) {
    if confinement.limits.is_empty() {
        return;
    }
    let given = autotune_report::given_limits(&confinement.limits);
    match &confinement.enforcement {
        Enforcement::NotAsked => say(&format!("every server is held to {given}")),
        Enforcement::By(means) => say(&format!("every server is held to {given}, by {means}")),
        Enforcement::Refused { reason } => say(&format!(
            "warning: limits not enforced: {reason} (autotune explain H0111)"
        )),
    }
}

/// What a study is to remember.
pub(crate) fn remembered(confinement: &Confinement) -> Option<(String, String)> {
    match &confinement.enforcement {
        Enforcement::NotAsked => None,
        Enforcement::By(means) => Some((KEPT_BY.to_owned(), means.to_string())),
        Enforcement::Refused { reason } => Some((NOT_ENFORCED.to_owned(), reason.clone())),
    }
}

/// How the servers of a study were kept to the limits of its grid.
pub(crate) fn recalled(limits: &HostLimits, meta: &StudyMeta) -> Confinement {
    let means = study::fact(meta, KEPT_BY);
    let means = means.and_then(|text| LimitMeans::ALL.into_iter().find(|one| one.as_str() == text));
    let refused = study::fact(meta, NOT_ENFORCED);
    let enforcement = match (means, refused) {
        (Some(means), _) => Enforcement::By(means),
        (None, Some(reason)) => Enforcement::Refused {
            reason: reason.to_owned(),
        },
        (None, None) => Enforcement::NotAsked,
    };
    Confinement {
        limits: limits.clone(),
        enforcement,
    }
}

/// Why a study does not go on: half of its trials would have had all of this
/// machine, and half of them not.
pub(crate) fn changed(then: &Confinement, now: &Confinement) -> Option<String> {
    match (&then.enforcement, &now.enforcement) {
        (Enforcement::By(_), Enforcement::Refused { reason }) => Some(format!(
            "was made with its limits enforced, and now they are not: {reason}"
        )),
        (Enforcement::Refused { .. }, Enforcement::By(means)) => Some(format!(
            "was made without its limits enforced, and now {means} keeps them"
        )),
        _ => None,
    }
}

/// A fault where a process of this user cannot be given so many descriptors.
pub(crate) fn check_files(file: &GridFile, faults: &mut Vec<GridFault>) {
    let (Some(files), Some(place)) = (file.limits.files, &file.places.files) else {
        return;
    };
    let Some(hard) = too_many(files) else {
        return;
    };
    faults.push(GridFault {
        code: ErrorCode::GridValue,
        span: place.clone(),
        message: format!("`files` is above what this user may open: {hard}"),
        label: "not permitted here".to_owned(),
        hint: Some(format!(
            "raise the hard limit of this shell, `sudo prlimit --pid $$ --nofile={files}:{files}`, \
             or write at most {hard}"
        )),
    });
}

/// The limit that stands against so many; found by trying, as root may pass it,
/// but not in every container, and not beyond what the kernel has.
fn too_many(files: u64) -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if files <= hard {
        return None;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, soft, files) {
        // Only tried: this program itself does not need them.
        Ok(()) => setrlimit(Resource::RLIMIT_NOFILE, soft, hard)
            .is_err()
            .then_some(hard),
        Err(_not_permitted) => Some(hard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Enforcement {
        Enforcement::By(LimitMeans::Cgroup)
    }

    fn refused() -> Enforcement {
        Enforcement::Refused {
            reason: "no permission".to_owned(),
        }
    }

    fn confinement(enforcement: Enforcement) -> Confinement {
        Confinement {
            limits: HostLimits::default(),
            enforcement,
        }
    }

    #[test]
    fn a_study_goes_on_only_if_its_limits_are_kept_as_before() {
        let check = |then: Enforcement, now: Enforcement, word: Option<&str>| {
            let found = changed(&confinement(then), &confinement(now));
            assert_eq!(found.is_some(), word.is_some());
            let found = found.unwrap_or_default();
            assert!(found.contains(word.unwrap_or_default()), "{found}");
        };
        check(kept(), kept(), None);
        check(refused(), refused(), None);
        check(Enforcement::NotAsked, Enforcement::NotAsked, None);
        check(kept(), refused(), Some("now they are not: no permission"));
        check(refused(), kept(), Some("now cgroup keeps them"));
    }

    #[test]
    fn more_files_than_any_kernel_has_are_too_many() {
        assert!(too_many(1 << 40).is_some());
        assert_eq!(too_many(32), None);
    }
}
