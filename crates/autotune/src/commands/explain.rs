//! `autotune explain`: the longer text behind a code.

mod host;

use autotune_model::ErrorCode;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::host_problems::HostCode;
use crate::terminal::put;

/// Explain a code such as A0104
///
/// Faults are shown with a code in brackets, and so is what `check` finds on this
/// machine. This says what the code stands for, how it comes about and what to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The code, with or without its brackets; all codes are listed where it is left out
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let text = match &args.code {
        None => list(),
        Some(code) => format!("{}\n", parse(code)?.explanation()),
    };
    put(&text).map_err(|error| {
        Failure::stopped(ErrorCode::Internal, "stdout cannot be written").because(error)
    })?;
    Ok(Exit::Resolved)
}

/// Every code with the first line of its text.
fn list() -> String {
    Code::all()
        .map(|code| {
            let first = code.explanation().lines().next().unwrap_or_default();
            format!("{}  {first}\n", code.as_str())
        })
        .collect()
}

/// What there is a text for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// It stops the program.
    Fault(ErrorCode),
    /// It makes a measurement less sure.
    Host(HostCode),
}

impl Code {
    fn all() -> impl Iterator<Item = Self> {
        let faults = ErrorCode::ALL.into_iter().map(Self::Fault);
        faults.chain(HostCode::ALL.into_iter().map(Self::Host))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Fault(code) => code.as_str(),
            Self::Host(code) => code.as_str(),
        }
    }

    fn explanation(self) -> &'static str {
        match self {
            Self::Fault(code) => explanation(code),
            Self::Host(code) => host::explanation(code),
        }
    }
}

fn parse(text: &str) -> Result<Code, Failure> {
    let wanted = text
        .trim()
        .trim_start_matches("error")
        .trim_start_matches("warning")
        .trim_matches(['[', ']', ':']);
    let found = Code::all().find(|code| code.as_str().eq_ignore_ascii_case(wanted));
    found.ok_or_else(|| {
        Failure::usage(format!("there is no code `{text}`"))
            .hint("`autotune explain` without a code lists them all")
    })
}

/// The first line says what it is; then how it comes about and what to do.
fn explanation(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::GridSyntax => GRID_SYNTAX,
        ErrorCode::GridUnknownKey => GRID_UNKNOWN_KEY,
        ErrorCode::GridNotSupported => GRID_NOT_SUPPORTED,
        ErrorCode::GridValue => GRID_VALUE,
        ErrorCode::GridMissing => GRID_MISSING,
        ErrorCode::GridConflict => GRID_CONFLICT,
        ErrorCode::GridPath => GRID_PATH,
        ErrorCode::Setup => SETUP,
        ErrorCode::ServerStart => SERVER_START,
        ErrorCode::EndpointCheck => ENDPOINT_CHECK,
        ErrorCode::OutsideConnection => OUTSIDE_CONNECTION,
        ErrorCode::Hook => HOOK,
        ErrorCode::Service => SERVICE,
        ErrorCode::StudyChanged => STUDY_CHANGED,
        ErrorCode::Store => STORE,
        ErrorCode::HostBusy => HOST_BUSY,
        ErrorCode::Process => PROCESS,
        ErrorCode::NothingValid => NOTHING_VALID,
        ErrorCode::Internal => INTERNAL,
    }
}

const GRID_SYNTAX: &str = "\
The grid file is not TOML.

Only the first such fault is shown, since what comes after it may only follow from it. Often a
quote or a bracket is not closed, or a text stands without quotes: write sync as \"sync\". A table
may be begun only once; a second endpoint is a second [[endpoint]] with two brackets.";

const GRID_UNKNOWN_KEY: &str = "\
The grid file has a key, table or parameter that does not exist.

Unknown keys are refused and never ignored: a misspelt limit would else be no limit. The message
names the likely spelling, or all that is possible there. In [grid] the keys are parameters of the
server's profile; with profile = \"command\" any name is a variable, which the command must use.";

const GRID_NOT_SUPPORTED: &str = "\
The grid file asks for something that is planned and not built yet.

It is refused, because a night without it would measure something else. Leave it out, or do by
hand what it would do: a service can be started before the sweep.";

const GRID_VALUE: &str = "\
A value is of the wrong kind, out of its range, or not what the key takes.

The message says what the key takes. Percentages and times are texts with a unit (\"5%\", \"2ms\",
\"8h\"), counts are numbers without quotes, ranges are texts (\"1..=8\"), and an expression stands
between double braces (\"{{ cores * 2 + 1 }}\"), where `cores` is how many CPUs the server gets.";

const GRID_MISSING: &str = "\
Something that must be there is missing.

That is a key without a default, a variable of a command without a value in [baseline], the port
in a command, the type of a body, or an environment variable that `from_env` names. All defaults
stand in the file defaults.toml of the source; what is not in it must be given.";

const GRID_CONFLICT: &str = "\
Two parts of the grid file contradict each other.

For example: `args` sets a parameter that [grid] sets too, so that labels would lie; two endpoints
have one name; a CPU belongs to server and generator; a GET request has a body; the constraints
leave no configuration. The message names the part that comes second; change either.";

const GRID_PATH: &str = "\
A folder that the grid file names is not there.

Paths are relative to the folder of the grid file, not to where autotune is started. The message
says where it was looked for.";

const SETUP: &str = "\
A setup step failed.

Setup steps run once, in `dir`, with the environment of autotune, each split into words and
started without a shell. The end of what the step printed is shown; the whole of it is in a file
beside the cache folder, whose name ends in .log. Run the step by hand in `dir`. A step that
failed is tried again at the next start.";

const SERVER_START: &str = "\
The server did not start, or was never ready.

It ended before it answered, or it did not answer with the expected status within half a minute.
The end of its log is shown. Often the app is not importable from `dir`, `bin` names another
virtual environment, or a service that the app needs does not run. Start the server by hand in
`dir` with the same environment. Ready is asked at the first endpoint, or at the path `ready`.";

const ENDPOINT_CHECK: &str = "\
An endpoint, or a step of the login, does not answer as the grid file expects.

Before any load somebody logs in, if the grid file has a [login], every endpoint is asked and its
answer checked, so that no night measures an error page. The message shows status and beginning of
the body. A step of the login that answers 200 instead of a redirect has mostly shown the form
again: a wrong password, or a token that was taken from the wrong place. A redirect of an endpoint
to a login page means that it needs a [login], or `headers` with a token; a 404 that `path` is
wrong, and paths with a slash at the end are others than those without; a missing text that
`contains` is wrong, or that the app found no data.";

const OUTSIDE_CONNECTION: &str = "\
The app connects to an address beyond this machine.

Load on the app becomes load on whatever it asks: a payment service, a production database. So
the sweep stops, before the load if the check sees it. Give the app a service on this machine, or
allow the address: may_reach = [\"10.0.0.5:5432\", \"db.example:5432\", \"10.0.0.0/8\"].";

const HOOK: &str = "\
A command of `before_trial` or `after_trial` failed.

They run in `dir` with the environment of the server, each split into words and started without a
shell, before every launch and after every stop. A trial on data that was not restored would
measure something else, so the first failure stops the sweep. The end of what the command printed
is shown. The commands of a key may take ten minutes together. After Ctrl-C or a kill
`after_trial` does not run, so
`before_trial` must manage with what a trial left.";

const SERVICE: &str = "\
A service does not get ready, or ended while it was needed.

What [service.NAME] describes is started before the first server and has to run until the last trial
is over; without it nothing that is measured means anything. The trial around its end is not stored.
The end of its log is shown, the whole log is kept as logs/service-NAME.log in the folder of the
study. Start it by hand in `dir`, as the user that it names. `start` must stay in the foreground: a
program that puts itself into the background has ended for autotune. What is to be ready within a
minute needs its slow part in `setup`. Then the same command goes on where it stopped.";

const STUDY_CHANGED: &str = "\
The results folder belongs to another grid, app or machine state.

Trials are compared only with trials of the same app under the same load. When the grid file (all
but budget and may_reach), a source file of the app, the fixture, the CPUs, the seed, or the
version of server or Python changes, it is another study. `--fresh` begins it and renames the old
folder; nothing is deleted. `--out` keeps both side by side.";

const STORE: &str = "\
The study cannot be read or written.

The record is the product, so the sweep stops when it cannot be kept; what was measured before is
safe. Look for a full disk, a folder that may not be written, or a study of a newer version of
autotune, which can be read by that version only.";

const HOST_BUSY: &str = "\
Another sweep or trial runs on this machine.

Two at a time would measure each other. Wait for it or end it with Ctrl-C; it goes on later with
the same command. The lock is held by the running program, so none is left behind by a killed one.";

const PROCESS: &str = "\
Processes cannot be started, watched or ended.

The system refused something that every trial needs: a new process, a port, a look into /proc.
The cause is shown. Often a limit of the user or container is too low (ulimit -u, ulimit -n), or
/proc is not mounted.";

const NOTHING_VALID: &str = "\
Trial after trial said nothing of the settings.

Either the last ones were all invalid: the machine was too busy for the load generator to keep
its times, or the app overrides what the grid sets. Or launches fail that worked before: something
that the app needs is gone. The last reason is shown. End what runs beside the sweep, give server
and generator CPUs of their own under [host], or lower the rate; then the same command goes on.";

const INTERNAL: &str = "\
A fault of autotune itself.

What was measured is stored, and the same command goes on. Please report it with the message, the
grid file and the version.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::all() {
            let (text, code) = (code.explanation(), code.as_str());
            let (first, rest) = text.split_once("\n\n").expect("a line, then more");
            assert!(
                first.ends_with('.') && !first.contains('\n'),
                "{code}: {first}"
            );
            assert!(rest.len() > 100, "{code}: {rest}");
            assert!(
                text.lines().all(|line| line.chars().count() <= 100),
                "{code}"
            );
            assert!(seen.insert(text), "{code} has the text of another one");
        }
        assert_eq!(list().lines().count(), Code::all().count());
    }

    #[test]
    fn codes_are_found_as_they_are_shown() {
        for text in ["A0104", "a0104", "[A0104]", "error[A0104]:"] {
            let found = parse(text).expect("there is such a code");
            assert_eq!(found, Code::Fault(ErrorCode::GridValue), "{text}");
        }
        let found = parse("warning[H0101]").expect("there is such a code");
        assert_eq!(found, Code::Host(HostCode::FewCpus));
        assert!(parse("A9999").is_err());
        assert!(parse("").is_err());
    }
}
