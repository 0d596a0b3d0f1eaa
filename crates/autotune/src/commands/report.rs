//! `autotune report`: all outputs again, from the store.

use std::path::{Path, PathBuf};

use autotune_analysis::analyse;
use autotune_store::{Series, Store};

use crate::commands::sweep::view::{View, present};
use crate::ending;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file;
use crate::study;

/// Make verdict, tables and report of a study again
///
/// Nothing is measured: the same study gives the same files.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A study: its folder, its study.db, or its name below the results folder
    study: String,
    /// The folder of all studies
    #[arg(long, value_name = "FOLDER", default_value = study::DEFAULT_RESULTS)]
    out: PathBuf,
    /// Print the verdict as JSON and nothing else to stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let database = study::find(&args.study, &args.out)?;
    let store = Store::open_read_only(&database).map_err(study::failed)?;
    let meta = store.meta().clone();
    let history = store
        .load_history(Series::With)
        .map_err(study::unreadable)?;
    // The text that the study was made from, not what the file says today.
    let grid = grid_file::from_text(
        study::grid_file(&meta),
        &meta.grid_text,
        meta.placement.cores,
    )?;
    let analysis = analyse(&history, &grid.file.objective);
    let last = store.last_end().map_err(study::unreadable)?;
    let ending = ending::recalled(&history, last.as_ref());
    let folder = database.parent().unwrap_or(Path::new("."));
    let view = View {
        grid: &grid,
        meta: &meta,
        ending: &ending,
    };
    present(folder, &view, &history, &analysis, args.json)
}
