//! `autotune check`: what a night would be like, seen in the evening.

mod json;
mod text;
mod view;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_analysis::requests_to_show;
use autotune_model::{Configuration, Confinement, CpuPlacement, ErrorCode, History, Share};
use autotune_search::{Known, Outlook};
use autotune_sweep::Fault;
use autotune_trial::{TrialError, Verified, connections_wanted};

use crate::awake::Awake;
use crate::budget::{Budget, BudgetArgs};
use crate::commands::sweep::{end_strays, to_check};
use crate::ending;
use crate::enough::{Enough, enough, outlook};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::host_problems::{Problem, Wanted, problems};
use crate::host_state::{self, HostState};
use crate::terminal::{put, say};
use crate::world::{self, RealWorld, stopped};
use crate::{confine, host, placement, signals, study};

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
    confinement: &'a Confinement,
    budget: Duration,
    outlook: Outlook,
    /// Where not one block fits: which budgets would do.
    enough: Option<Enough>,
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
    let placement = placement::place(&grid.file.host, &grid.file.limits)?;
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
    let confinement = confine::find(&grid.file.limits).await?;
    let on = (&placement, &confinement);
    let launched = match launch(&grid, on, (&args.out, stop)).await {
        Err(TrialError::Interrupted) => return Ok(Exit::Interrupted),
        launched => launched.map_err(|error| ending::without_secrets(world::fault(&error), &grid)),
    };
    let (launched, fault) = match launched {
        Ok(launched) => (Some(launched), None),
        Err(fault) => (None, Some(fault)),
    };
    let overhead = launched.as_ref().map(|(_, verified)| verified.overhead);
    let known = Known { overhead };
    let checked = Checked {
        grid: &grid,
        placement: &placement,
        confinement: &confinement,
        budget,
        outlook: outlook(&grid, budget, known),
        enough: enough(&grid, budget, known),
        launched,
        fault: fault.as_ref(),
        problems: judged(&state, &grid, on),
    };
    show(&checked, args.json)?;
    let overridden = checked.overridden();
    match (fault, overridden) {
        (Some(fault), _) => Err(world::failed(fault)),
        (None, Some(why)) => Err(why),
        (None, None) => Ok(Exit::Resolved),
    }
}

/// On which CPUs, and under which limits.
type On<'a> = (&'a CpuPlacement, &'a Confinement);

/// Prepares the servers, starts one of them once and stops it. What was made for
/// that below the folder of results is removed again.
async fn launch(
    grid: &Grid,
    on: On<'_>,
    (results, stop): (&Path, Arc<AtomicBool>),
) -> Result<(Configuration, Verified), TrialError> {
    // A fixed place, so that the next start finds what a killed one left.
    let root = results.join(&grid.file.name).join("check/run");
    let passing = passing(&root);
    let launched = launch_in(grid, on, (root, stop)).await;
    remove(&passing);
    launched
}

/// The folders that are not to stay, innermost first: those of every check, which
/// a killed one may have left, and all above them that are not there yet.
fn passing(root: &Path) -> Vec<PathBuf> {
    // `run`, `check`, and the study's own, which holds more where it was measured.
    let own = root.ancestors().take(3);
    let above = root.ancestors().skip(3);
    let new = above.take_while(|one| !one.as_os_str().is_empty() && !one.exists());
    own.chain(new).map(Path::to_owned).collect()
}

/// Removes those that are empty.
fn remove(folders: &[PathBuf]) {
    for folder in folders {
        match std::fs::remove_dir(folder) {
            Ok(()) => {}
            // A check that failed early has not made all of them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // One that holds something is somebody else's, as are all above it.
            Err(_holds_something) => break,
        }
    }
}

async fn launch_in(
    grid: &Grid,
    on: On<'_>,
    (root, stop): (PathBuf, Arc<AtomicBool>),
) -> Result<(Configuration, Verified), TrialError> {
    let mut world = RealWorld::prepare(grid, on, root, stop).await?;
    let all = grid.configurations();
    let [first, other] = to_check(&all, &History::default());
    let verified = world.verify(first, other).await;
    let ended = world.end().await;
    let (started, verified) = verified?;
    ended?;
    Ok((started.clone(), verified))
}

fn judged(state: &HostState, grid: &Grid, (placement, confinement): On<'_>) -> Vec<Problem> {
    let all = grid.configurations();
    // A trial under the surge opens more of them.
    let most = grid.file.load.surged(grid.file.objective.surge);
    let connections = all.iter().filter_map(|configuration| {
        let mut variants = grid.variants.iter();
        let (_, profile) = variants.find(|(name, _)| name == configuration.variant())?;
        Some(connections_wanted(&most, profile, configuration))
    });
    let wanted = Wanted {
        placement,
        confinement,
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
        let message = self.invalid()?;
        Some(
            Failure::stopped(ErrorCode::NothingValid, message)
                .hint("let the app not set what the grid varies, or leave it out of [grid]"),
        )
    }

    /// Why every trial of the configuration that was started would be invalid.
    fn invalid(&self) -> Option<String> {
        let (configuration, verified) = self.launched.as_ref()?;
        let why = verified.overridden.as_ref()?;
        Some(format!(
            "every trial of {configuration} would be invalid: {why}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: &str = r#"name = "demo"
[server.demo]
profile = "command"
command = "serve --port {{ port }} --n {{ n }}"
[grid]
n = [1, 2]
[login]
sessions = 3
[[login.step]]
path = "/login"
[[login.step]]
method = "POST"
path = "/login"
[[endpoint]]
name = "home"
path = "/"
expect = { status = [200, 304], contains = "hi", min_bytes = 10, max_bytes = 90, json = { "/n" = 5 } }
[load.open]
rate = 20
"#;

    static NO_LIMITS: Confinement = Confinement {
        limits: autotune_model::HostLimits {
            memory: None,
            cpus: None,
            files: None,
        },
        enforcement: autotune_model::Enforcement::NotAsked,
    };

    pub(super) fn grid() -> Grid {
        grid_file::from_text(Path::new("grid.toml"), GRID, 1).unwrap()
    }

    /// The same under this load.
    pub(super) fn loaded(load: &str) -> Grid {
        let text = GRID.replace("[load.open]\nrate = 20\n", load);
        grid_file::from_text(Path::new("grid.toml"), &text, 1).unwrap()
    }

    /// As a check with this budget sees it, without a launch, on a good machine.
    pub(super) fn checked<'a>(
        grid: &'a Grid,
        placement: &'a CpuPlacement,
        minutes: u64,
    ) -> Checked<'a> {
        let budget = Duration::from_secs(60 * minutes);
        let known = Known { overhead: None };
        Checked {
            grid,
            placement,
            confinement: &NO_LIMITS,
            budget,
            outlook: outlook(grid, budget, known),
            enough: enough(grid, budget, known),
            launched: None,
            fault: None,
            problems: Vec::new(),
        }
    }

    pub(super) fn placement() -> CpuPlacement {
        CpuPlacement {
            server: None,
            generator: None,
            cores: 1,
        }
    }

    /// Of a launch in which a setting was overridden.
    pub(super) fn overridden(grid: &Grid) -> (Configuration, Verified) {
        let verified = Verified {
            versions: std::collections::BTreeMap::new(),
            settings: std::collections::BTreeMap::new(),
            boot: Duration::from_secs(1),
            overridden: Some("`n` was asked to be 1 but is 3".to_owned()),
            notes: Vec::new(),
            answers: Vec::new(),
            outside: Vec::new(),
            overhead: Duration::from_secs(3),
            services: Vec::new(),
        };
        let first = grid.configurations().into_iter().next();
        (first.expect("the grid has one"), verified)
    }

    #[test]
    fn what_was_made_goes_again_and_what_was_there_stays() {
        let place = tempfile::tempdir().unwrap();
        let results = place.path().join("a/b/c");
        let root = results.join("night/check/run");
        let made = passing(&root);
        std::fs::create_dir_all(&root).unwrap();
        remove(&made);
        assert!(place.path().exists());
        assert!(!place.path().join("a").exists());
        // Those of a check that was killed; the folder of results was there.
        std::fs::create_dir_all(&root).unwrap();
        remove(&passing(&root));
        assert!(results.exists());
        assert!(!results.join("night").exists());
        // One that was killed before it made the innermost, beside a study.
        std::fs::create_dir_all(results.join("night/check")).unwrap();
        std::fs::write(results.join("night/study"), "").unwrap();
        remove(&passing(&root));
        assert!(!results.join("night/check").exists());
        assert!(results.join("night/study").exists());
    }

    #[test]
    fn a_surge_needs_more_connections_than_the_machine_may_open() {
        let placement = placement();
        let machine = HostState {
            files: 2_000,
            ..crate::host_problems::tests::quiet()
        };
        let told = |load: &str| {
            let grid = loaded(load);
            judged(&machine, &grid, (&placement, &NO_LIMITS)).len()
        };
        let usual = told("[load.open]\nrate = 300\n");
        assert_eq!(told("[load.open]\nrate = 300\nsurge = 3\n"), usual + 1);
    }
}
