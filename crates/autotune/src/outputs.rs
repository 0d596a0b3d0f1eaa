//! The files of a study, written whole from what there is.

use std::path::Path;

use autotune_model::{ErrorCode, History};
use autotune_report::Study;
use autotune_store::write_whole;

use crate::failure::Failure;

/// Writes verdict, tables and report into the study's folder. The reports show
/// what the history holds; with series they show more.
///
/// # Errors
/// When a text cannot be made or a file cannot be written.
pub(crate) fn write(folder: &Path, study: &Study<'_>, history: &History) -> Result<(), Failure> {
    let made = |error: autotune_report::ReportError| {
        Failure::stopped(ErrorCode::Internal, "the report cannot be made").because(error)
    };
    let mut files = vec![
        (
            "verdict.json".to_owned(),
            autotune_report::verdict_json(study).map_err(made)?,
        ),
        (
            "trials.csv".to_owned(),
            autotune_report::trials_csv(history).map_err(made)?,
        ),
        (
            "report.md".to_owned(),
            autotune_report::report_md(study).map_err(made)?,
        ),
        (
            "report.html".to_owned(),
            autotune_report::report_html(study).map_err(made)?,
        ),
    ];
    let config_file = autotune_report::config_file(study);
    let profiles = study.variants.iter().map(|(_, profile)| profile);
    let possible = profiles.filter_map(|profile| Some(profile.config_file.as_ref()?.name.as_str()));
    let written = config_file.as_ref().map(|(name, _)| name.as_str());
    for name in possible.filter(|name| Some(*name) != written) {
        remove(&folder.join(name))?;
    }
    files.extend(config_file);
    for (name, text) in files {
        write_whole(&folder.join(name), text.as_bytes()).map_err(|error| {
            Failure::stopped(ErrorCode::Store, "the report cannot be written").because(error)
        })?;
    }
    Ok(())
}

/// A configuration file that an earlier verdict left and that nothing is
/// recommended in any more would be taken into production.
fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let what = format!("{} is out of date and cannot be removed", path.display());
            Err(Failure::stopped(ErrorCode::Store, what).because(error))
        }
        _ => Ok(()),
    }
}
