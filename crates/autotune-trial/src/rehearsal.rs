//! What a trial would do, down to the last step before it is done: for tests that
//! look at a whole grid file. The same functions as in a trial; only the setup
//! steps are not run, so that the server's version is not known.

use std::fs;
use std::path::{Path, PathBuf};

use autotune_load::LoadPlan;
use autotune_model::{LoginSession, Peer, TrialSpec};
use autotune_process::{Launch, StopSignal, clock};
use autotune_server::{Question, Redactor, render_setup};

use crate::context::TrialContext;
use crate::error::{Part, TrialError};
use crate::facts::Facts;
use crate::hooks::Hooks;
use crate::orders::Orders;
use crate::prepare::{Prepared, Trials};
use crate::services::RehearsedService;
use crate::session::readiness;

/// What a trial would do.
#[derive(Debug)]
pub struct Rehearsal {
    /// The services, in the order in which they would be started.
    pub services: Vec<RehearsedService>,
    /// The setup steps.
    pub setup: Vec<Launch>,
    /// The commands of `before_trial`.
    pub before: Vec<Launch>,
    /// The server.
    pub server: Launch,
    /// What the fresh folder holds, by path below it.
    pub folder: Vec<PathBuf>,
    /// What `{{ run }}` and `{{ cache }}` stand for.
    pub holes: [PathBuf; 2],
    /// What is asked until it is ready, and which statuses mean that it is. The
    /// fault of what cannot be asked.
    pub ready: Result<(Question, Vec<u16>), String>,
    /// What ends it.
    pub stop: StopSignal,
    /// The commands of `after_trial`.
    pub after: Vec<Launch>,
    /// Takes secrets out of what is kept.
    pub redactor: Redactor,
    /// What would be sent to it.
    pub load: LoadPlan,
    /// The first of the peers that it may not have reached.
    pub outside: Option<Peer>,
}

/// What the trial `spec` would do with these people logged in, and what would be
/// said of these connections.
///
/// # Errors
/// As in a trial.
pub async fn rehearse(
    context: TrialContext,
    spec: &TrialSpec,
    (sessions, peers): (&[LoginSession], &[Peer]),
) -> Result<Rehearsal, TrialError> {
    let mut trials = Trials::new(context)?;
    let services = trials.rehearse_services(peers).await?;
    for (variant, profile) in trials.context.variants.clone() {
        let mut prepared = trials.describe(variant, profile)?;
        let name = prepared.variant.name.clone();
        let part = Part::Server(name.clone());
        prepared.cache = trials.building(&part, &prepared.variant).cache("")?;
        trials.variants.insert(name, prepared);
    }
    let configuration = &spec.configuration;
    let prepared = trials.prepared(configuration.variant())?;
    let origin_ns = clock::monotonic_ns();
    let orders = trials.orders(prepared, configuration, origin_ns)?;
    let asking = trials.asking(configuration, &Facts::default());
    let ready = readiness(&asking, prepared.variant.ready.as_deref());
    let run = orders.folder.run();
    let mut folder = Vec::new();
    list(&run, &run, &mut folder).map_err(TrialError::file("read folder", &run))?;
    let outside = prepared.reach.first_outside(peers).await;
    Ok(Rehearsal {
        services,
        setup: setup(&trials, prepared)?,
        before: around(&trials, (prepared, &orders), &orders.before),
        after: around(&trials, (prepared, &orders), &orders.after),
        folder,
        holes: [run, prepared.cache.clone()],
        ready: ready.map_err(|failure| failure.to_string()),
        stop: prepared.stop,
        redactor: orders.redactor,
        load: trials.plan(spec, (orders.address, sessions), origin_ns),
        outside: outside.cloned(),
        server: orders.launch,
    })
}

fn setup(trials: &Trials, prepared: &Prepared) -> Result<Vec<Launch>, TrialError> {
    let (variant, cache) = (&prepared.variant, &prepared.cache);
    let part = Part::Server(variant.name.clone());
    let building = trials.building(&part, variant);
    let render = |cache: &Path| render_setup(variant, cache, &trials.context.environment);
    trials.rehearse_steps(building, (cache, &render))
}

fn around(trials: &Trials, (prepared, orders): (&Prepared, &Orders), hooks: &Hooks) -> Vec<Launch> {
    let log = orders.folder.hook_log();
    let launch = |command| trials.tool(&prepared.question(command, &log));
    hooks.commands.iter().map(launch).collect()
}

fn list(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, found)?;
        } else {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    found.sort();
    Ok(())
}
