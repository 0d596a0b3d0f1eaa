//! The arguments of `sweep`, validated, with defaults filled in.

use std::path::PathBuf;
use std::time::Duration;

use autotune_model::CpuPlacement;

use crate::budget::Budget;
use crate::commands::sweep::Args;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::placement;

/// What `sweep` is to do.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) grid: Grid,
    pub(super) placement: CpuPlacement,
    pub(super) fresh: bool,
    pub(super) seed: Option<u64>,
    pub(super) results: PathBuf,
    pub(super) json: bool,
    time: Budget,
}

/// Reads and checks.
pub(super) fn read(args: Args) -> Result<Request, Failure> {
    if let Some(name) = args
        .strategy
        .as_deref()
        .filter(|name| *name != "exhaustive")
    {
        return Err(
            Failure::usage(format!("--strategy {name} is not supported yet"))
                .hint("leave it out, or say --strategy exhaustive"),
        );
    }
    let grid = grid_file::load(&args.grid)?;
    let placement = placement::place(&grid.file.host, &grid.file.limits)?;
    Ok(Request {
        time: Budget::read(&args.budget)?,
        placement,
        grid,
        fresh: args.fresh,
        seed: args.seed,
        results: args.out,
        json: args.json,
    })
}

impl Request {
    /// The time that trials may take in all, given what they have taken.
    ///
    /// # Errors
    /// When neither the command nor the grid file says.
    pub(super) fn budget(&self, spent: Duration) -> Result<Duration, Failure> {
        self.time.time(self.grid.file.budget, spent)
    }
}
