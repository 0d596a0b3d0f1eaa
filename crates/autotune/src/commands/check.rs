//! `autotune check`: what a night would be like, seen in the evening.

mod json;
mod text;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_analysis::requests_to_show;
use autotune_model::{Configuration, CpuPlacement, ErrorCode, History, Seed, Share};
use autotune_search::{Known, Outlook, Procedure};
use autotune_sweep::Fault;
use autotune_trial::{TrialError, Verified, connections_wanted};

use crate::awake::Awake;
use crate::budget::{Budget, BudgetArgs};
use crate::commands::sweep::{end_strays, plan, to_check};
use crate::ending;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::host_problems::{Problem, Wanted, problems};
use crate::host_state::{self, HostState};
use crate::terminal::{put, say};
use crate::world::{self, RealWorld, stopped};
use crate::{host, placement, signals, study};

/// Say what a sweep would do, and what stands against it
///
/// The setup steps are run, one configuration is started, every endpoint is asked,
/// and the server is stopped. Shown are the plan, the answers, the settings in
/// effect, the time that is needed, and what on this machine would spoil the
/// measurement. No load is sent, and no study is opened.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The grid file
    grid: PathBuf,
    #[command(flatten)]
    budget: BudgetArgs,
    /// The folder of all studies
    #[arg(long, value_name = "FOLDER", default_value = study::DEFAULT_RESULTS)]
    out: PathBuf,
    /// Print one JSON document and nothing else to stdout
    #[arg(long)]
    json: bool,
}

/// All that is shown.
struct Checked<'a> {
    grid: &'a Grid,
    placement: &'a CpuPlacement,
    budget: Duration,
    outlook: Outlook,
    /// The configuration that was started, and what was found; `None` where a
    /// fault came before.
    launched: Option<(Configuration, Verified)>,
    fault: Option<&'a Fault>,
    problems: Vec<Problem>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let budget = Budget::read(&args.budget)?;
    let grid = grid_file::load(&args.grid)?;
    let placement = placement::place(&grid.file.host)?;
    let budget = budget.time(grid.file.budget, Duration::ZERO)?;
    let stop = signals::listen()?;
    let _lock = host::lock()?;
    let awake = Awake::hold(grid.file.host.keep_awake);
    end_strays()?;
    say("looking at this machine");
    // Before the server starts, whose work is not that of others.
    let state = tokio::select! {
        state = host_state::read(&awake, &args.out) => state?,
        () = stopped(&stop) => return Ok(Exit::Interrupted),
    };
    let launched = match launch(&grid, &placement, (&args.out, stop)).await {
        Err(TrialError::Interrupted) => return Ok(Exit::Interrupted),
        launched => launched.map_err(|error| ending::without_secrets(world::fault(&error), &grid)),
    };
    let (launched, fault) = match launched {
        Ok(launched) => (Some(launched), None),
        Err(fault) => (None, Some(fault)),
    };
    let overhead = launched.as_ref().map(|(_, verified)| verified.overhead);
    let seed = Seed::new(study::DEFAULT_SEED);
    let procedure = Procedure::exhaustive(plan(&grid, budget, seed));
    let checked = Checked {
        grid: &grid,
        placement: &placement,
        budget,
        outlook: procedure.outlook(Known { overhead }),
        launched,
        fault: fault.as_ref(),
        problems: judged(&state, &grid, &placement),
    };
    show(&checked, args.json)?;
    let overridden = checked.overridden();
    match (fault, overridden) {
        (Some(fault), _) => Err(world::failed(fault)),
        (None, Some(why)) => Err(why),
        (None, None) => Ok(Exit::Resolved),
    }
}

/// Prepares the servers, starts one of them once and stops it. What was made for
/// that below the folder of results is removed again.
async fn launch(
    grid: &Grid,
    placement: &CpuPlacement,
    (results, stop): (&Path, Arc<AtomicBool>),
) -> Result<(Configuration, Verified), TrialError> {
    // A fixed place, so that the next start finds what a killed one left.
    let root = results.join(&grid.file.name).join("check/run");
    let up = root.ancestors().take(4);
    let made: Vec<PathBuf> = up.filter(|one| !one.exists()).map(Path::to_owned).collect();
    let launched = launch_in(grid, placement, (root, stop)).await;
    for folder in made {
        // One that holds something is somebody else's by now, as are all above it.
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    launched
}

async fn launch_in(
    grid: &Grid,
    placement: &CpuPlacement,
    (root, stop): (PathBuf, Arc<AtomicBool>),
) -> Result<(Configuration, Verified), TrialError> {
    let mut world = RealWorld::prepare(grid, placement, root, stop).await?;
    let all = grid.configurations();
    let [first, other] = to_check(&all, &History::default());
    let (started, verified) = world.verify(first, other).await?;
    Ok((started.clone(), verified))
}

fn judged(state: &HostState, grid: &Grid, placement: &CpuPlacement) -> Vec<Problem> {
    let all = grid.configurations();
    let connections = all.iter().filter_map(|configuration| {
        let mut variants = grid.variants.iter();
        let (_, profile) = variants.find(|(name, _)| name == configuration.variant())?;
        Some(connections_wanted(&grid.file.load, profile, configuration))
    });
    let wanted = Wanted {
        placement,
        connections: connections.max().unwrap_or(0),
    };
    problems(state, wanted)
}

fn show(checked: &Checked<'_>, json: bool) -> Result<(), Failure> {
    let text = match json {
        true => json::document(checked)?,
        false => text::page(checked),
    };
    put(&text).map_err(|error| {
        Failure::stopped(ErrorCode::Internal, "stdout cannot be written").because(error)
    })
}

/// What it takes to show that the limit on errors holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ErrorRate {
    limit: Share,
    /// Requests of an endpoint without a failure; `None` where none would do.
    requests: Option<u64>,
    /// In how many blocks the rarest endpoint has so many.
    blocks: Option<u64>,
}

impl Checked<'_> {
    fn error_rate(&self) -> Option<ErrorRate> {
        let limit = self.grid.file.objective.max_error_rate?;
        let requests = requests_to_show(limit);
        let each = self.outlook.requests.filter(|each| *each > 0);
        Some(ErrorRate {
            limit,
            requests,
            blocks: requests.zip(each).map(|(all, each)| all.div_ceil(each)),
        })
    }

    /// A night whose every trial is invalid is not worth its time.
    fn overridden(&self) -> Option<Failure> {
        let (configuration, verified) = self.launched.as_ref()?;
        let why = verified.overridden.as_ref()?;
        let message = format!("every trial of {configuration} would be invalid: {why}");
        Some(
            Failure::stopped(ErrorCode::NothingValid, message)
                .hint("let the app not set what the grid varies, or leave it out of [grid]"),
        )
    }
}
