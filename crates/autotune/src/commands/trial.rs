//! `autotune trial`: one configuration, measured and shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_model::{
    Configuration, LoadShape, Outcome, Seed, ServiceRecord, Stage, TrialKey, TrialRecord, TrialSpec,
};
use autotune_report::{connections_in_words, load_in_words};
use autotune_search::trial_length;
use autotune_sweep::{Fault, RunTrial};
use autotune_trial::TrialError;

use crate::awake::Awake;
use crate::commands::sweep::end_strays;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::progress::short;
use crate::terminal::{put, say};
use crate::world::{self, RealWorld};
use crate::{confine, ending, host, placement, signals, study};

/// How long a load is of which nobody says it.
const DEFAULT_SECONDS: u64 = 20;

/// Measure one configuration and show what came of it
///
/// The server is started, loaded as the grid file says and stopped. The result
/// is printed and kept nowhere; the log of a server that failed is kept in
/// results/NAME/trial/logs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The grid file
    grid: PathBuf,
    /// As in 4/1/gthread/750/500
    #[arg(value_name = "CONFIG")]
    configuration: String,
    /// How many seconds requests are sent, 20 where it is left out; the first tenth
    /// does not count, and a ramp comes before. Steps have their own length, and loops end a load
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(2..=86_400))]
    seconds: Option<u64>,
    /// The seed of the order and the arrival times
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let grid = grid_file::load(&args.grid)?;
    let placement = placement::place(&grid.file.host, &grid.file.limits)?;
    let configuration = configuration(&grid, &args.configuration)?;
    let (length, warm_up) = times(&grid.file.load, args.seconds)?;
    let stop = signals::listen()?;
    let _lock = host::lock()?;
    let awake = Awake::hold(grid.file.host.keep_awake);
    awake.announce();
    end_strays()?;
    let confinement = confine::find(&grid.file.limits).await?;
    confine::announce(&confinement);
    // A fixed place, so that the next start finds what a killed one left.
    let root = Path::new(study::DEFAULT_RESULTS)
        .join(&grid.file.name)
        .join("trial/run");
    let mut world = match RealWorld::prepare(&grid, (&placement, &confinement), root, stop).await {
        Ok(world) => world,
        Err(TrialError::Interrupted) => return Ok(Exit::Interrupted),
        Err(error) => return Err(failed(world::fault(&error), &grid)),
    };
    let spec = TrialSpec {
        key: TrialKey {
            stage: Stage::Measure,
            block: 0,
            position: 0,
        },
        attempt: 0,
        configuration,
        load: grid.file.load.clone(),
        length,
        warm_up,
        seed: Seed::new(args.seed),
    };
    let record = world.run(&spec).await;
    let ended = world.end().await;
    let record = record.map_err(|fault| failed(fault, &grid))?;
    ended.map_err(|error| failed(world::fault(&error), &grid))?;
    put(&text(&grid, &record)).map_err(|error| {
        Failure::stopped(
            autotune_model::ErrorCode::Internal,
            "stdout cannot be written",
        )
        .because(error)
    })?;
    Ok(match record.outcome {
        Outcome::Measured => Exit::Resolved,
        Outcome::Interrupted => Exit::Interrupted,
        Outcome::Invalid { .. } | Outcome::Aborted { .. } => Exit::Stopped,
        _ => Exit::Infeasible,
    })
}

/// What is printed of a fault.
fn failed(fault: Fault, grid: &Grid) -> Failure {
    world::failed(ending::without_secrets(fault, grid))
}

/// How long the load is, and the part of it that does not count.
fn times(load: &LoadShape, seconds: Option<u64>) -> Result<(Duration, Duration), Failure> {
    let given = match (load.fixed_length(), load.unseen_length()) {
        (Some(_), _) => Some("the steps of the load decide how long it is"),
        (None, Some(_)) => Some("the load ends when its users have made their loops"),
        (None, None) => None,
    };
    if let Some(what) = given.filter(|_| seconds.is_some()) {
        return Err(Failure::usage(what).hint("leave out --seconds"));
    }
    let wanted = Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    Ok(trial_length(load, wanted))
}

/// The configuration that the argument means.
fn configuration(grid: &Grid, text: &str) -> Result<Configuration, Failure> {
    let folded = grid.file.configuration(text, &autotune_server::profiles());
    let folded = folded.map_err(|error| {
        let hint = error.hint();
        let failure = Failure::usage(format!("`{text}` is no configuration")).because(error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    for reason in &folded.reasons {
        say(&format!("note: read as {}: {reason}", folded.configuration));
    }
    Ok(folded.configuration)
}

/// A service beside the server.
fn service(record: &ServiceRecord) -> String {
    let memory = record
        .memory_peak
        .map_or_else(|| "-".to_owned(), |memory| memory.to_string());
    let cpu = record.cpu.map_or_else(|| "-".to_owned(), short);
    let share = autotune_analysis::busy_share(record);
    let busy = share.map_or_else(String::new, |share| {
        format!(", {:.0} % of its CPUs ({})", share * 100.0, record.cpus)
    });
    let bound = match autotune_analysis::is_saturated(record) {
        true => "; it had no CPU time left",
        false => "",
    };
    format!(
        "service {}: memory peak {memory}, cpu {cpu}{busy}{bound}",
        record.name
    )
}

/// What came of it, line by line.
fn text(grid: &Grid, record: &TrialRecord) -> String {
    let mut lines = vec![format!(
        "{}: {}, {}, {}",
        record.spec.configuration,
        record.outcome.as_str(),
        load_in_words(&record.spec.load),
        connections_in_words(grid.file.connections)
    )];
    lines.extend(record.outcome.detail().map(|detail| format!("  {detail}")));
    if let Some(load) = &record.load {
        lines.push(String::new());
        lines.push(format!(
            "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "endpoint (ms)", "requests", "p50", "p95", "p99", "max", "failed"
        ));
        for endpoint in &load.endpoints {
            let lost = endpoint.window.not_completed();
            let at = |fraction| match endpoint.response.quantile_with_infinite_us(fraction, lost) {
                Some(us) => format!("{:.1}", us as f64 / 1000.0),
                None => "-".to_owned(),
            };
            lines.push(format!(
                "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
                endpoint.name,
                endpoint.window.scheduled,
                at(0.50),
                at(0.95),
                at(0.99),
                at(1.0),
                lost
            ));
            let failures = endpoint.failures.iter().filter(|(_, count)| **count > 0);
            lines.extend(failures.map(|(class, count)| format!("    {count} x {class}")));
        }
        lines.push(String::new());
        if record.spec.load.at_most().is_some() {
            lines.push(format!(
                "load: {} requests in {}",
                load.total().scheduled,
                short(load.length)
            ));
        }
        lines.push(format!("generator: {:?}", load.generator.verdict));
    }
    if let Some(server) = &record.server {
        let show = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), short);
        let memory = server
            .memory_peak
            .map_or_else(|| "-".to_owned(), |memory| memory.to_string());
        lines.push(format!(
            "server: memory peak {memory}, cpu {}, boot {}, stop {}, {} restarts, ended with {}",
            show(server.cpu),
            show(server.boot),
            show(server.stop),
            server.restarts,
            server.exit.as_deref().unwrap_or("-")
        ));
        lines.extend(server.services.iter().map(service));
        let versions: Vec<String> = server
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        lines.push(format!("versions: {}", versions.join(", ")));
    }
    lines.join("\n") + "\n"
}
