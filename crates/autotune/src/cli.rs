//! Arguments as typed, and the way into the commands.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{check, explain, report, schema, sweep, trial};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal;

/// Finds the worker settings of your app server, and says how sure it is.
///
/// Exit codes: 0 recommended within `accept` (or what runs today is), 2 wrong
/// arguments or grid file, 3 recommended but not shown to be within `accept`, 4 no
/// configuration meets the limits, 5 stopped by a fault, 130 interrupted.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Sweep(sweep::Args),
    Trial(trial::Args),
    Report(report::Args),
    Explain(explain::Args),
    Schema(schema::Args),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors: clap prints them to stdout.
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Resolved
            };
            drop(error.print());
            return code.into();
        }
    };
    start_log();
    raise_open_files();
    // A panic is a fault of ours; the supervisors end what was started.
    match std::panic::catch_unwind(AssertUnwindSafe(|| run(cli))) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            failure.print();
            failure.exit().into()
        }
        Err(_panic) => {
            terminal::say("error: a fault of autotune itself; what was measured is stored");
            Exit::Stopped.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::stopped(autotune_model::ErrorCode::Internal, "no runtime").because(error)
        })?;
    runtime.block_on(async {
        match cli.command {
            Command::Check(args) => check::run(args).await,
            Command::Sweep(args) => sweep::run(args).await,
            Command::Trial(args) => trial::run(args).await,
            Command::Report(args) => report::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Schema(args) => schema::run(&args),
        }
    })
}

/// What the crates trace goes to stderr when `AUTOTUNE_LOG` asks for it: `warn`,
/// `info`, `debug` or `trace`.
fn start_log() {
    let level = std::env::var("AUTOTUNE_LOG").ok();
    let level = level.and_then(|text| text.parse::<tracing::Level>().ok());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(terminal::has_color())
        .with_max_level(level.unwrap_or(tracing::Level::WARN))
        .init();
}

/// The generator holds a descriptor for each connection: as many as are allowed.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
