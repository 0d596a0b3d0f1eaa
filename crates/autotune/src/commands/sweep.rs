//! `autotune sweep`: the night.

mod request;
pub(crate) mod view;

use std::path::PathBuf;
use std::time::Duration;

use autotune_analysis::analyse;
use autotune_model::{ErrorCode, History, StopReason};
use autotune_report::Ending;
use autotune_search::{Next, Plan, Procedure};
use autotune_store::Series;
use autotune_sweep::{Ended, Finished, Sweep, SweepError};
use autotune_trial::TrialError;

use crate::commands::sweep::request::Request;
use crate::commands::sweep::view::{View, present};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::progress::{Progress, short};
use crate::study::{self, OpenStudy};
use crate::terminal::say;
use crate::world::{self, RealWorld};
use crate::{host, signals};

/// The folder of all studies, unless another one is named.
pub(crate) const RESULTS: &str = "results";

/// Measure every configuration of a grid file and recommend one
///
/// Interrupted and started again, it goes on where it was; a finished study is
/// not measured again, unless the budget is larger.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The grid file
    grid: PathBuf,
    /// Begin anew; an older study of the same name is renamed, never deleted
    #[arg(long)]
    fresh: bool,
    /// How long trials may take in all, such as 8h or "1h 30m" [default: as in
    /// the grid file]
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Stop by this time of the day, such as 07:00
    #[arg(long, value_name = "HH:MM")]
    until: Option<String>,
    /// How to search; only `exhaustive` is supported yet
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// The seed of all orders and arrival times
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The folder of all studies
    #[arg(long, value_name = "FOLDER", default_value = RESULTS)]
    out: PathBuf,
    /// Print the verdict as JSON and nothing else to stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let request = request::read(args)?;
    let opening = study::Opening {
        results: &request.results,
        fresh: request.fresh,
        seed: request.seed,
        placement: &request.placement,
    };
    let mut study = study::open(&request.grid, &opening)?;
    let meta = study.store.meta().clone();
    let history = study
        .store
        .load_history(Series::Without)
        .map_err(study::failed)?;
    let budget = request.budget(history.time_spent())?;
    let procedure = Procedure::exhaustive(plan(&request.grid, budget, meta.seed));
    announce(&request, &study, budget);
    let finished = measure(&request, &mut study, &procedure, &history).await?;
    let ending = match finished.ended {
        Ended::Done(StopReason::Answered) => Ending::Answered,
        Ended::Done(StopReason::Budget) => Ending::Budget,
        Ended::Done(StopReason::NothingMeasurable) => Ending::NothingMeasurable,
        Ended::Interrupted => Ending::Interrupted,
        Ended::Stopped(fault) => Ending::Stopped {
            code: fault.code,
            fault: fault.to_string(),
        },
    };
    let view = View {
        grid: &request.grid,
        meta: &meta,
        ending: &ending,
    };
    // The reports show what happened within trials, too.
    let history = study
        .store
        .load_history(Series::With)
        .map_err(study::failed)?;
    present(
        &study.folder,
        &view,
        &history,
        &finished.analysis,
        request.json,
    )
}

/// From the study as it is to its end.
async fn measure(
    request: &Request,
    study: &mut OpenStudy,
    procedure: &Procedure,
    history: &History,
) -> Result<Finished, Failure> {
    let objective = &request.grid.file.objective;
    let analysis = analyse(history, objective);
    if let Next::Done(reason) = procedure.next(history, &analysis)
        && history.decisions.last().is_some()
    {
        say("this study is finished: the verdict is made again, nothing is measured");
        return Ok(Finished {
            ended: Ended::Done(reason),
            history: history.clone(),
            analysis,
        });
    }
    let stop = signals::listen()?;
    let _lock = host::lock()?;
    end_strays()?;
    let runs = study.folder.join("run");
    let prepared = RealWorld::prepare(&request.grid, &request.placement, runs, stop).await;
    let mut world = match prepared {
        Ok(world) => world,
        Err(error) => return ended_before(request, study, error),
    };
    if history.trials.is_empty() {
        let all = &procedure.plan().configurations;
        match world.verify(&all[0], &all[all.len() - 1]).await {
            Ok(verified) => {
                let told = verified.notes.iter().chain(&verified.overridden);
                told.for_each(|note| say(&format!("note: {note}")));
            }
            Err(error) => return ended_before(request, study, error),
        }
    }
    let mut progress = Progress::default();
    let owner = host::name();
    let mut sweep = Sweep {
        store: &mut study.store,
        procedure,
        objective,
        owner: &owner,
    };
    let finished = sweep
        .run(&mut world, &mut |event| progress.show(&event))
        .await;
    finished.map_err(|SweepError::Store(error)| study::failed(error))
}

/// A sweep that ends before its next trial also leaves its files; a fault is
/// said in full.
fn ended_before(
    request: &Request,
    study: &OpenStudy,
    error: TrialError,
) -> Result<Finished, Failure> {
    let history = study
        .store
        .load_history(Series::With)
        .map_err(study::failed)?;
    let analysis = analyse(&history, &request.grid.file.objective);
    if let TrialError::Interrupted = error {
        return Ok(Finished {
            ended: Ended::Interrupted,
            history,
            analysis,
        });
    }
    let ending = Ending::Stopped {
        code: error.code(),
        fault: error.to_string(),
    };
    let view = View {
        grid: &request.grid,
        meta: study.store.meta(),
        ending: &ending,
    };
    present(&study.folder, &view, &history, &analysis, request.json)?;
    Err(world::failed(error))
}

/// Ends what earlier runs of this program left when they were killed.
///
/// # Errors
/// When that cannot be done.
pub(crate) fn end_strays() -> Result<(), Failure> {
    let ended = autotune_process::end_strays().map_err(|error| {
        Failure::stopped(
            ErrorCode::Process,
            "left-overs of an earlier sweep cannot be ended",
        )
        .because(error)
    })?;
    if !ended.is_empty() {
        say(&format!(
            "ended {} processes that an earlier sweep left",
            ended.len()
        ));
    }
    Ok(())
}

fn plan(grid: &Grid, budget: Duration, seed: autotune_model::Seed) -> Plan {
    let file = &grid.file;
    let weights = || file.endpoints.iter().map(|endpoint| endpoint.weight);
    let rarest = weights().fold(f64::INFINITY, f64::min) / weights().sum::<f64>();
    Plan {
        configurations: grid.configurations(),
        baseline: file
            .space
            .baseline
            .as_ref()
            .map(autotune_model::Configuration::id),
        seed,
        budget,
        load: file.load,
        metric: file.objective.minimize,
        rarest_endpoint: autotune_model::Share::new(rarest)
            .expect("weights are checked to be positive, and there is an endpoint"),
    }
}

fn announce(request: &Request, study: &OpenStudy, budget: Duration) {
    let space = &request.grid.file.space;
    let count = request.grid.configurations().len();
    say(&format!(
        "{}: {count} configurations ({} cells in the grid{}), budget {}, results in {}",
        request.grid.file.name,
        space.cells,
        if space.baseline.is_some() {
            ", and what runs today"
        } else {
            ""
        },
        short(budget),
        study.folder.display()
    ));
    let placement = &request.placement;
    match (&placement.server, &placement.generator) {
        (Some(server), Some(generator)) => {
            say(&format!(
                "server on CPU {server}, generator on CPU {generator}"
            ));
        }
        (Some(server), None) => say(&format!("server on CPU {server}, generator not pinned")),
        (None, Some(generator)) => say(&format!("generator on CPU {generator}, server not pinned")),
        (None, None) => say(&format!(
            "nothing is pinned: server and generator share {} CPUs",
            placement.cores
        )),
    }
}
