//! Real servers under a real supervisor, under load. The first run fetches
//! gunicorn with pip; without Python or network the tests of gunicorn are passed
//! over, with a message, unless `CI=true`.

#![expect(clippy::print_stdout, reason = "a test says why it is passed over")]

mod command;
mod gunicorn;
mod hooks;
mod limits;
mod services;
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test that runs in a runtime of its own.
macro_rules! trial {
    ($module:ident :: $name:ident) => {
        Trial::test(
            concat!(stringify!($module), "::", stringify!($name)),
            || {
                in_runtime($module::$name());
                Ok(())
            },
        )
    };
}

fn main() -> ExitCode {
    if let Some(code) = autotune_process::run_if_asked() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Each starts several processes; more at a time only make all of them late.
    arguments.test_threads = Some(2);
    let mut trials = vec![
        trial!(command::any_server_can_be_measured),
        trial!(command::a_program_that_is_not_there_fails_to_start),
        trial!(command::a_server_that_never_listens_stops_the_check_in_time),
        trial!(command::a_server_that_is_not_ready_where_it_is_asked_stops_the_check),
        trial!(command::setup_runs_once_by_content_and_failures_show_what_was_printed),
        trial!(hooks::they_run_around_every_launch),
        trial!(hooks::one_that_fails_stops_the_trials),
        trial!(hooks::what_one_prints_of_the_login_is_hidden),
        trial!(hooks::a_server_that_cannot_be_run_is_cleaned_up_after_too),
        trial!(hooks::a_stop_ends_the_command_that_runs),
    ];
    trials.extend([
        trial!(limits::a_server_that_leaks_is_out_of_memory),
        trial!(limits::a_server_that_is_killed_otherwise_died),
        trial!(limits::a_server_that_does_not_fit_is_said_to_by_the_check),
        trial!(services::one_that_never_rests_is_recorded_as_busy),
        trial!(services::those_that_run_are_ended_when_a_later_one_fails_and_its_log_is_kept),
        trial!(services::a_stop_while_one_is_started_ends_those_that_run),
    ]);
    let of_gunicorn = [
        trial!(gunicorn::a_trial_is_measured_and_leaves_nothing),
        trial!(gunicorn::recycled_workers_are_counted),
        trial!(gunicorn::a_hook_that_forces_workers_makes_it_invalid_and_still_runs),
        trial!(gunicorn::a_plain_line_is_weaker_than_the_command_line),
        trial!(gunicorn::a_default_that_the_grid_names_is_stronger_than_the_app),
        trial!(gunicorn::a_wrapper_that_forces_workers_is_named),
        trial!(gunicorn::what_is_wrong_with_an_app_shows_in_seconds),
        trial!(gunicorn::a_connection_beyond_this_machine_stops_everything),
        trial!(gunicorn::a_connection_that_lasts_one_answer_is_seen_in_the_check),
        trial!(gunicorn::a_hook_that_changes_a_setting_unseen_makes_it_invalid),
        trial!(gunicorn::more_than_the_server_can_do_is_an_overload),
        trial!(gunicorn::a_server_that_dies_under_load_is_a_finding),
        trial!(gunicorn::a_stop_ends_the_trial_early_and_cleanly),
        trial!(gunicorn::a_stop_is_heeded_while_settings_are_asked_for),
        trial!(gunicorn::a_class_that_cannot_be_loaded_fails_to_start),
    ];
    let has_gunicorn = arguments.list || in_runtime(support::fetch_gunicorn());
    trials.extend(
        of_gunicorn
            .into_iter()
            .map(|trial| trial.with_ignored_flag(!has_gunicorn)),
    );
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn in_runtime<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(work)
}
