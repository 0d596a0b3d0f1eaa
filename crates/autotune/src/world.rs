//! The real world behind the sweep's seam: trials on real servers.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autotune_model::{Configuration, Confinement, CpuPlacement, ErrorCode, TrialRecord, TrialSpec};
use autotune_process::causes;
use autotune_sweep::{Fault, RunTrial};
use autotune_trial::{TrialContext, TrialError, TrialEvent, Trials, Verified};

use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::host;
use crate::placement;
use crate::terminal::say;

/// For each request, from its due time: as long as gunicorn's own default for a
/// worker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// A server that is not ready by then stops the sweep; with the stop of what
/// was started that makes thirty seconds.
const CHECK_LIMIT: Duration = Duration::from_secs(26);
/// Between looks at whether the user asked for an end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Trials on real servers.
pub(crate) struct RealWorld {
    trials: Trials,
    stop: Arc<AtomicBool>,
}

impl RealWorld {
    /// Builds what the servers need and starts the services. They run until
    /// [`RealWorld::end`].
    ///
    /// # Errors
    /// When a setup step fails, a service does not get ready, or the user stops it.
    pub(crate) async fn prepare(
        grid: &Grid,
        (placement, confinement): (&CpuPlacement, &Confinement),
        run_root: PathBuf,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, TrialError> {
        let context = context(grid, (placement, confinement), run_root);
        let mut on_event = |event| show(&event);
        let trials = Trials::prepare(context, &mut on_event, &stop).await?;
        Ok(Self { trials, stop })
    }

    /// Ends what ran beside the servers.
    ///
    /// # Errors
    /// When some of it cannot be ended.
    pub(crate) async fn end(self) -> Result<(), TrialError> {
        self.trials.end().await
    }

    /// Starts the server once and asks every endpoint; where the first
    /// configuration does not start, with the other one. Tells which one started.
    ///
    /// # Errors
    /// When nothing can be measured.
    pub(crate) async fn verify<'a>(
        &mut self,
        first: &'a Configuration,
        other: &'a Configuration,
    ) -> Result<(&'a Configuration, Verified), TrialError> {
        self.trials
            .verify_either([first, other], &mut |event| show(&event), &self.stop)
            .await
    }
}

impl RunTrial for RealWorld {
    async fn run(&mut self, spec: &TrialSpec) -> Result<TrialRecord, Fault> {
        self.trials
            .run(spec, &self.stop)
            .await
            .map_err(|error| fault(&error))
    }

    fn now_wall_ns(&self) -> i64 {
        host::now_wall_ns()
    }

    async fn wait_until(&mut self, wall_ns: i64) {
        while !self.is_stopping() && self.now_wall_ns() < wall_ns {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// What all trials of this grid have in common.
pub(crate) fn context(
    grid: &Grid,
    (placement, confinement): (&CpuPlacement, &Confinement),
    run_root: PathBuf,
) -> TrialContext {
    let variants = grid.file.variants.iter().cloned();
    let profiles = grid.variants.iter().map(|(_, profile)| profile.clone());
    TrialContext {
        variants: variants.zip(profiles).collect(),
        services: grid.file.services.clone(),
        service_cpus: placement::of_services(placement),
        named: grid.file.space.named.clone(),
        endpoints: grid.file.endpoints.clone(),
        login: grid.file.login.clone(),
        data: Arc::clone(&grid.data),
        connections: grid.file.connections,
        placement: placement.clone(),
        confinement: confinement.clone(),
        cache_root: cache_root(),
        run_root,
        environment: environment(),
        timeout: REQUEST_TIMEOUT,
        check_limit: CHECK_LIMIT,
    }
}

/// Returns when the user asks for an end.
pub(crate) async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What ends the trials, as what ends a sweep.
pub(crate) fn fault(error: &TrialError) -> Fault {
    Fault {
        code: error.code(),
        message: error.to_string(),
        source: error.source().map(|cause| causes(cause).into()),
    }
}

/// A fault as the program's end.
pub(crate) fn failed(fault: Fault) -> Failure {
    let code = fault.code;
    let failure = Failure::stopped(code, fault.message);
    let failure = match code {
        ErrorCode::OutsideConnection => failure.hint(
            "add the address to `may_reach` if load may reach it, or give the app a local service",
        ),
        ErrorCode::EndpointCheck => failure.hint(
            "ask the path with curl; correct `path` or `expect`, start the app as it needs, or log \
             in first with [login]",
        ),
        ErrorCode::Setup => failure.hint("run the step by hand in `dir`"),
        ErrorCode::Hook => failure.hint("run the command by hand in `dir`, with `env`"),
        ErrorCode::Service => failure.hint(
            "start it by hand in `dir`, as `user`, to see why; its whole log is in logs/ of the study",
        ),
        ErrorCode::ServerStart => failure.hint("start the server by hand in `dir` to see why"),
        ErrorCode::Store => failure.hint("see that the disk of the results has room, then go on"),
        _ => failure,
    };
    match fault.source {
        Some(cause) => failure.because(cause),
        None => failure,
    }
}

fn cache_root() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty());
    let base = base
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir);
    base.join("autotune")
}

/// What can be named in a server's environment; names and values that are not
/// text cannot.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn show(event: &TrialEvent) {
    match event {
        TrialEvent::SetupStep { part, step } => say(&format!("setup of {part}: {step}")),
        TrialEvent::SetupDone { part, took } => {
            say(&format!(
                "setup of {part} done in {}",
                crate::progress::short(*took)
            ));
        }
        TrialEvent::SetupReused { part, cache } => {
            say(&format!("setup of {part}: reused from {}", cache.display()));
        }
        TrialEvent::SetupAwaited { part } => {
            say(&format!(
                "setup of {part}: another program is at it, waiting"
            ));
        }
        TrialEvent::ServiceStarting { service } => say(&format!("starting service {service}")),
        TrialEvent::ServiceReady { service, took } => say(&format!(
            "service {service} is ready, {} after launch",
            crate::progress::short(*took)
        )),
        TrialEvent::Starting { configuration } => say(&format!("checking {configuration}")),
        TrialEvent::Checked {
            configuration,
            boot,
        } => say(&format!(
            "{configuration} answers at every endpoint, {} after launch",
            crate::progress::short(*boot)
        )),
        TrialEvent::Note { text } => say(&format!("note: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the outer cause")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_cause_is_kept() {
        let inner = "x".parse::<u8>().unwrap_err();
        let expected = format!("the outer cause: {inner}");
        let error = TrialError::File {
            what: "read",
            path: PathBuf::from("grid.toml"),
            source: std::io::Error::other(Outer(inner)),
        };
        let fault = fault(&error);
        assert_eq!(fault.message, "cannot read grid.toml");
        let source = fault.source.map(|cause| cause.to_string());
        assert_eq!(source, Some(expected));
        assert!(super::fault(&TrialError::NoPort).source.is_none());
    }
}
