//! `autotune sweep`: the night.

mod request;
pub(crate) mod view;

use std::path::PathBuf;
use std::time::Duration;

use autotune_analysis::{Analysis, analyse};
use autotune_model::{Configuration, Confinement, ErrorCode, History, Outcome};
use autotune_report::Ending;
use autotune_search::{Next, Plan, Procedure};
use autotune_store::Series;
use autotune_sweep::{Ended, Finished, Sweep, SweepError};
use autotune_trial::TrialError;

use crate::awake::Awake;
use crate::budget::BudgetArgs;
use crate::commands::sweep::request::Request;
use crate::commands::sweep::view::{View, present};
use crate::ending;
use crate::enough::check_room;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::progress::{Progress, short};
use crate::study::{self, OpenStudy};
use crate::terminal::say;
use crate::world::{self, RealWorld};
use crate::{confine, host, signals};

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
    #[command(flatten)]
    budget: BudgetArgs,
    /// How to search; only `exhaustive` is supported yet
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// The seed of all orders and arrival times
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The folder of all studies
    #[arg(long, value_name = "FOLDER", default_value = study::DEFAULT_RESULTS)]
    out: PathBuf,
    /// Print the verdict as JSON and nothing else to stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let request = request::read(args)?;
    // Before an older study is put aside, too. One that is there may be finished.
    let database = study::folder(&request.results, &request.grid).join(study::DATABASE);
    if request.fresh || !database.exists() {
        check_room(&request.grid, request.budget(Duration::ZERO)?)?;
    }
    let awake = Awake::hold(request.grid.file.host.keep_awake);
    // Before a study is opened: --fresh would rename the folder of a sweep that
    // is at work in it.
    let _lock = host::lock()?;
    // A study remembers whether its limits are kept.
    let confinement = confine::find(&request.grid.file.limits).await?;
    let opening = study::Opening {
        results: &request.results,
        fresh: request.fresh,
        seed: request.seed,
        placement: &request.placement,
        confinement: &confinement,
        awake: &awake,
    };
    let mut study = study::open(&request.grid, &opening)?;
    let history = study
        .store
        .load_history(Series::Without)
        .map_err(study::unreadable)?;
    let budget = request.budget(history.time_spent())?;
    let procedure = Procedure::exhaustive(plan(&request.grid, budget, study.store.meta().seed));
    announce(&request, &study, budget);
    awake.announce();
    confine::announce(&confinement);
    let finished = measure((&request, &confinement), &mut study, &procedure, history).await?;
    let ending = ending::of(&finished.ended, &request.grid);
    let kept = keep_end(&mut study, &ending);
    let shown = show(&request, &study, &finished, &ending);
    match (finished.ended, shown) {
        (Ended::Stopped(fault), shown) => {
            // The fault is what matters; what came of it is said, too.
            for failure in [kept.err(), shown.err()].into_iter().flatten() {
                failure.print();
            }
            let fault = ending::without_secrets(fault, &request.grid);
            Err(world::failed(fault))
        }
        (_, shown) => kept.and(shown),
    }
}

fn keep_end(study: &mut OpenStudy, ending: &Ending) -> Result<(), Failure> {
    let end = ending::stored(ending);
    let stored = study.store.append_end(&end, host::now_wall_ns());
    stored.map_err(|error| {
        let what = "how the sweep ended cannot be kept";
        Failure::stopped(ErrorCode::Store, what).because(error)
    })
}

/// Writes and prints what there is, however the sweep ended.
fn show(
    request: &Request,
    study: &OpenStudy,
    finished: &Finished,
    ending: &Ending,
) -> Result<Exit, Failure> {
    let view = View {
        grid: &request.grid,
        meta: study.store.meta(),
        ending,
    };
    // The reports show what happened within trials, too; where the store fails,
    // what the sweep knows is enough for a verdict.
    let whole = match study.store.load_history(Series::With) {
        Ok(history) => history,
        Err(error) if matches!(finished.ended, Ended::Stopped(_)) => {
            study::unreadable(error).print();
            finished.history.clone()
        }
        Err(error) => return Err(study::unreadable(error)),
    };
    present(
        &study.folder,
        &view,
        &whole,
        &finished.analysis,
        request.json,
    )
}

/// From the study as it is to its end.
async fn measure(
    (request, confinement): (&Request, &Confinement),
    study: &mut OpenStudy,
    procedure: &Procedure,
    history: History,
) -> Result<Finished, Failure> {
    let objective = &request.grid.file.objective;
    let analysis = analyse(&history, objective);
    let next = procedure.next(&history, &analysis);
    let unmeasured = |ended| {
        Ok(Finished {
            ended,
            history: history.clone(),
            analysis: analysis.clone(),
        })
    };
    if let Next::Done(reason) = next
        && history.decisions.last().is_some()
    {
        say("this study is finished: the verdict is made again, nothing is measured");
        return unmeasured(Ended::Done(reason));
    }
    let stop = signals::listen()?;
    end_strays()?;
    let runs = study.folder.join("run");
    let on = (&request.placement, confinement);
    let prepared = RealWorld::prepare(&request.grid, on, runs, stop).await;
    let mut world = match prepared {
        Ok(world) => world,
        Err(error) => return unmeasured(ended_before(&error)),
    };
    let known = (history, analysis);
    let measured = measure_in(&mut world, (request, study), procedure, known).await;
    // Whatever came of it, the services end, and before the study is shown.
    let ended = world.end().await;
    let mut finished = measured?;
    if let Err(error) = ended
        && !matches!(finished.ended, Ended::Stopped(_))
    {
        finished.ended = Ended::Stopped(world::fault(&error));
    }
    Ok(finished)
}

/// The check before all trials, and the trials.
async fn measure_in(
    world: &mut RealWorld,
    (request, study): (&Request, &mut OpenStudy),
    procedure: &Procedure,
    (history, analysis): (History, Analysis),
) -> Result<Finished, Failure> {
    let [first, other] = to_check(&procedure.plan().configurations, &history);
    match world.verify(first, other).await {
        Ok((started, verified)) => {
            let present = (started.variant(), &verified.versions);
            study::check_versions(&study.folder, &history, present)?;
            let told = verified.notes.iter().chain(&verified.overridden);
            told.for_each(|note| say(&format!("note: {note}")));
        }
        Err(error) => {
            return Ok(Finished {
                ended: ended_before(&error),
                history,
                analysis,
            });
        }
    }
    let objective = &request.grid.file.objective;
    let mut progress = Progress::default();
    let owner = host::identity();
    let mut sweep = Sweep {
        store: &mut study.store,
        procedure,
        objective,
        owner: &owner,
    };
    let finished = sweep.run(world, &mut |event| progress.show(&event)).await;
    finished.map_err(|SweepError::Store(error)| study::unreadable(error))
}

/// Which configurations are launched to see that the app is there: those that were
/// measured the most recently, else the first and the last of the grid. One that
/// cannot work must not keep a study from going on.
pub(crate) fn to_check<'a>(all: &'a [Configuration], history: &History) -> [&'a Configuration; 2] {
    let measured = history.trials.iter().rev();
    let measured = measured.filter(|trial| trial.outcome == Outcome::Measured);
    let known = measured.filter_map(|trial| {
        let id = trial.spec.configuration.id();
        all.iter().find(|one| one.id() == id)
    });
    let mut chosen: Vec<&Configuration> = Vec::new();
    for one in known.chain([&all[0], &all[all.len() - 1]]) {
        if !chosen.iter().any(|other| other.id() == one.id()) {
            chosen.push(one);
        }
    }
    [chosen[0], chosen.get(1).unwrap_or(&chosen[0])]
}

fn ended_before(error: &TrialError) -> Ended {
    match error {
        TrialError::Interrupted => Ended::Interrupted,
        _ => Ended::Stopped(world::fault(error)),
    }
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

/// What a sweep of this grid is built from.
pub(crate) fn plan(grid: &Grid, budget: Duration, seed: autotune_model::Seed) -> Plan {
    let file = &grid.file;
    let (_, rarest) = file
        .load
        .rarest(&file.endpoints)
        .expect("there is an endpoint, each in a group, with weights above zero");
    Plan {
        configurations: grid.configurations(),
        baseline: file
            .space
            .baseline
            .as_ref()
            .map(autotune_model::Configuration::id),
        seed,
        budget,
        load: file.load.clone(),
        surge: file.objective.surge,
        metric: file.objective.minimize,
        rarest_endpoint: rarest,
    }
}

fn announce(request: &Request, study: &OpenStudy, budget: Duration) {
    let space = &request.grid.file.space;
    let count = request.grid.configurations().len();
    say(&format!(
        "{}: {count} configurations ({} cells in the grid{}{}), budget {}, results in {}",
        request.grid.file.name,
        space.cells,
        match space.dropped.len() {
            0 => String::new(),
            dropped => format!(", {dropped} left out by constraints"),
        },
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
