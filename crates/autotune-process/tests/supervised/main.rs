//! Real processes under a real supervisor, with and without a PID namespace.
//!
//! This program is its own supervisor, so it has its own `main`; it is also the
//! program that some tests start in order to kill it.

#![expect(
    clippy::print_stdout,
    reason = "a test says why it is passed over, and a helper what was started"
)]

mod confined;
mod end;
mod helper;
mod life;
mod loss;
mod support;
mod tools;
mod user;

use std::process::ExitCode;

use autotune_process::IsolationRequest::{Auto, Off};
use libtest_mimic::{Arguments, Trial};
use support::Case;

fn main() -> ExitCode {
    if let Some(code) = autotune_process::run_if_asked() {
        return code;
    }
    if let Some(code) = helper::run_if_asked() {
        return code;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, case) in [
        life::CASES,
        end::CASES,
        loss::CASES,
        confined::CASES,
        user::CASES,
    ]
    .concat()
    {
        trials.push(trial(format!("namespace::{name}"), case, Auto));
        trials.push(trial(format!("leash::{name}"), case, Off));
    }
    for (name, case) in tools::CASES.iter().copied() {
        trials.push(trial(name.to_owned(), case, Auto));
    }
    let programs = tools::Programs::write();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(programs);
    conclusion.exit_code()
}

fn trial(name: String, case: Case, isolation: autotune_process::IsolationRequest) -> Trial {
    Trial::test(name, move || {
        case(isolation);
        Ok(())
    })
}
