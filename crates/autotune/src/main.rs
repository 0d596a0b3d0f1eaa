//! `autotune`: the program. Arguments, wiring, progress, error texts and exit
//! codes; everything else is in the other crates.

mod app_hash;
mod awake;
mod budget;
mod cli;
mod commands;
mod confine;
mod data_file;
mod ending;
mod enough;
#[cfg(test)]
mod examples;
mod exit;
mod failure;
mod grid_file;
mod host;
mod host_problems;
mod host_state;
#[cfg(test)]
mod keys;
mod outputs;
mod placement;
mod progress;
mod signals;
mod study;
mod terminal;
mod world;

fn main() -> std::process::ExitCode {
    // A supervisor is this program run again; it must not see arguments or async.
    if let Some(code) = autotune_process::run_if_asked() {
        return code;
    }
    cli::main()
}
