//! `autotune schema`: the grid file as a JSON Schema, for editors.

use autotune_model::ErrorCode;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::put;

/// Print the JSON Schema of grid files, for editors
///
/// An editor that knows TOML and JSON Schema completes and checks a grid file
/// whose first line names the schema: #:schema ./grid-file.schema.json
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(Args {}: &Args) -> Result<Exit, Failure> {
    let schema = autotune_grid::schema(&autotune_server::profiles());
    put(&format!("{schema:#}\n")).map_err(|error| {
        Failure::stopped(ErrorCode::Internal, "stdout cannot be written").because(error)
    })?;
    Ok(Exit::Resolved)
}
