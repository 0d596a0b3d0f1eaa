//! How a sweep ended: from the loop to the store, and from the store to what is
//! shown later.

use std::error::Error as _;

use autotune_model::{DecisionKind, Endpoint, History, Login, StopReason};
use autotune_process::causes;
use autotune_report::Ending;
use autotune_server::Redactor;
use autotune_store::{LastEnd, RunEnd};
use autotune_sweep::{Ended, Fault};

use crate::grid_file::Grid;
use crate::world::environment;

/// How a fault leads over to the log of a server.
const LOG_FOLLOWS: &str = "; the end of its log:";

/// As it is shown and stored: a fault with its causes and without secrets.
pub(crate) fn of(ended: &Ended, grid: &Grid) -> Ending {
    match ended {
        Ended::Done(reason) => done(*reason),
        Ended::Interrupted => Ending::Interrupted,
        Ended::Stopped(fault) => Ending::Stopped {
            code: fault.code,
            fault: redactor(grid).clean(&told(fault)),
        },
    }
}

/// As it is printed.
pub(crate) fn without_secrets(fault: Fault, grid: &Grid) -> Fault {
    let redactor = redactor(grid);
    let source = fault.source.map(|cause| {
        let text = causes(cause.as_ref());
        redactor.clean(&text).into()
    });
    Fault {
        code: fault.code,
        message: redactor.clean(&fault.message),
        source,
    }
}

/// As it is stored.
pub(crate) fn stored(ending: &Ending) -> RunEnd {
    match ending {
        Ending::Answered => RunEnd::Done(StopReason::Answered),
        Ending::Budget => RunEnd::Done(StopReason::Budget),
        Ending::NothingMeasurable => RunEnd::Done(StopReason::NothingMeasurable),
        Ending::Interrupted => RunEnd::Interrupted,
        Ending::Stopped { code, fault } => RunEnd::Stopped {
            code: *code,
            fault: fault.clone(),
        },
    }
}

/// How the last run ended. One that was killed could not say so: what it added
/// to the study after the last end that is stored tells of it.
pub(crate) fn recalled(history: &History, last: Option<&LastEnd>) -> Ending {
    let decisions = history.decisions.len();
    if let Some(last) = last
        && (last.trials, last.decisions) == (history.trials.len(), decisions)
    {
        return match &last.end {
            RunEnd::Done(reason) => done(*reason),
            RunEnd::Interrupted => Ending::Interrupted,
            RunEnd::Stopped { code, fault } => Ending::Stopped {
                code: *code,
                fault: fault.clone(),
            },
        };
    }
    // The procedure had ended, and the run was killed before it could say so; or
    // the study is older than the table of ends.
    let is_new = last.is_none_or(|last| last.decisions < decisions);
    match history.decisions.last().map(|decision| &decision.kind) {
        Some(DecisionKind::Stopped { reason }) if is_new => done(*reason),
        _ => Ending::Interrupted,
    }
}

fn done(reason: StopReason) -> Ending {
    match reason {
        StopReason::Answered => Ending::Answered,
        StopReason::Budget => Ending::Budget,
        StopReason::NothingMeasurable => Ending::NothingMeasurable,
    }
}

/// The first line says what happened and why; what follows is a log.
fn told(fault: &Fault) -> String {
    let text = fault.to_string();
    let Some(cause) = fault.source() else {
        return text;
    };
    let causes = causes(cause);
    match text.split_once('\n') {
        Some((first, log)) => {
            let what = first.strip_suffix(LOG_FOLLOWS).unwrap_or(first);
            format!("{what}: {causes}{LOG_FOLLOWS}\n{log}")
        }
        None => format!("{text}: {causes}"),
    }
}

/// Logs come without secrets already; the words of a program that failed to run
/// may repeat what it was given.
fn redactor(grid: &Grid) -> Redactor {
    let of_servers = grid.file.variants.iter().flat_map(|variant| &variant.env);
    let of_services = grid.file.services.iter().flat_map(|service| &service.env);
    let environment = environment();
    let variable = |name: &str| environment.get(name).map(String::as_str);
    let of_env = of_servers.chain(of_services);
    let of_env = of_env.filter_map(|(_, value)| value.secret(variable));
    let of_endpoints = grid.file.endpoints.iter().flat_map(Endpoint::secrets);
    let of_login = grid.file.login.iter().flat_map(Login::secrets);
    Redactor::new(of_env.chain(of_endpoints).chain(of_login))
}

#[cfg(test)]
mod tests {
    use autotune_model::{Decision, ErrorCode};

    use super::*;

    fn history(reasons: &[StopReason]) -> History {
        let numbered = (0..).zip(reasons);
        let decisions = numbered.map(|(number, reason)| Decision {
            number,
            kind: DecisionKind::Stopped { reason: *reason },
        });
        History {
            trials: Vec::new(),
            decisions: decisions.collect(),
        }
    }

    fn last(ending: &Ending, decisions: usize) -> LastEnd {
        LastEnd {
            end: stored(ending),
            trials: 0,
            decisions,
        }
    }

    #[test]
    fn an_end_comes_back_as_it_was() {
        let stopped = Ending::Stopped {
            code: ErrorCode::Setup,
            fault: "a step failed".to_owned(),
        };
        for ending in [
            Ending::Answered,
            Ending::Budget,
            Ending::NothingMeasurable,
            Ending::Interrupted,
            stopped,
        ] {
            let last = last(&ending, 0);
            assert_eq!(recalled(&history(&[]), Some(&last)), ending);
        }
    }

    #[test]
    fn a_killed_run_is_told_by_what_it_added() {
        let answered = [StopReason::Answered];
        let budget = last(&Ending::Budget, 1);
        let more = LastEnd {
            trials: 7,
            ..budget.clone()
        };
        // The study has other trials than the end knew of, but no new decision.
        let one = history(&[StopReason::Budget]);
        assert_eq!(recalled(&one, Some(&more)), Ending::Interrupted);
        let two = history(&[StopReason::Budget, StopReason::Answered]);
        assert_eq!(recalled(&two, Some(&budget)), Ending::Answered);
        // Studies of the first format have no ends.
        assert_eq!(recalled(&history(&answered), None), Ending::Answered);
        assert_eq!(recalled(&history(&[]), None), Ending::Interrupted);
    }

    #[test]
    fn secrets_reach_neither_store_nor_screen() {
        let text = r#"name = "demo"
[server.demo]
profile = "command"
dir = "."
command = "serve --port {{ port }} --n {{ n }}"
env = { TOKEN = { from_env = "PATH", secret = true } }
[grid]
n = [1]
[login]
values = { key = { from_env = "KEY", secret = true } }
[[login.step]]
path = "/login?key={{ key }}"
[[endpoint]]
name = "home"
path = "/"
[load.open]
rate = 20
[budget]
time = "1h"
"#;
        let path = std::path::Path::new("grid.toml");
        let mut grid = crate::grid_file::from_text(path, text, 1).unwrap();
        let secret = std::env::var("PATH").unwrap();
        let key = "a key of the login";
        let login = grid.file.login.take().unwrap();
        grid.file.login = Some(login.resolve(|_| Some(key)).unwrap());
        let fault = || Fault {
            code: ErrorCode::Process,
            message: format!("cannot run {secret}"),
            source: Some(format!("no file {secret} for {key}").into()),
        };
        let Ending::Stopped { fault: kept, .. } = of(&Ended::Stopped(fault()), &grid) else {
            panic!("it was stopped");
        };
        assert_eq!(kept, "cannot run (secret): no file (secret) for (secret)");
        let shown = without_secrets(fault(), &grid);
        assert_eq!(told(&shown), kept);
    }

    #[test]
    fn causes_stand_before_the_log() {
        let fault = |message: &str| Fault {
            code: ErrorCode::Process,
            message: message.to_owned(),
            source: Some("no memory".into()),
        };
        assert_eq!(told(&fault("it failed")), "it failed: no memory");
        assert_eq!(
            told(&fault("it failed; the end of its log:\n  bye")),
            "it failed: no memory; the end of its log:\n  bye"
        );
    }
}
