//! What a study shows at its end: files, table, headline, exit code.

use std::collections::BTreeMap;
use std::path::Path;

use autotune_analysis::Analysis;
use autotune_model::{ErrorCode, History, Seed};
use autotune_report::{Align, Ending, Planned, Study, Table};
use autotune_store::StudyMeta;
use comfy_table::{CellAlignment, presets};

use crate::confine;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::outputs;
use crate::study;
use crate::terminal::{put, say};

/// What does not follow from the history.
pub(crate) struct View<'a> {
    /// What was asked.
    pub(crate) grid: &'a Grid,
    /// Where and with what it was made.
    pub(crate) meta: &'a StudyMeta,
    /// How it ended.
    pub(crate) ending: &'a Ending,
}

/// Writes the files and prints the result.
///
/// # Errors
/// When something cannot be made or written.
pub(crate) fn present(
    folder: &Path,
    view: &View<'_>,
    history: &History,
    analysis: &Analysis,
    json: bool,
) -> Result<Exit, Failure> {
    let (planned, versions) = (planned(view.grid), versions(history));
    let command = command(view);
    let confinement = confine::recalled(&view.grid.file.limits, view.meta);
    let shown = Study {
        name: &view.meta.name,
        history,
        analysis,
        objective: &view.grid.file.objective,
        variants: &view.grid.variants,
        endpoints: &view.grid.file.endpoints,
        services: &view.grid.file.services,
        load: &view.grid.file.load,
        connections: view.grid.file.connections,
        placement: &view.meta.placement,
        confinement: &confinement,
        ending: view.ending,
        host: &view.meta.host,
        versions: &versions,
        tool_version: &view.meta.tool_version,
        grid_text: &view.meta.grid_text,
        planned: &planned,
        command: &command,
    };
    outputs::write(folder, &shown, history)?;
    say(&format!("report: {}", folder.join("report.html").display()));
    let text = if json {
        autotune_report::verdict_json(&shown).map_err(|error| {
            Failure::stopped(ErrorCode::Internal, "the verdict cannot be made").because(error)
        })?
    } else {
        let mut text = format!("{}\n\n", draw(&autotune_report::table(&shown)));
        text.push_str(&autotune_report::headline(&shown));
        text.push('\n');
        if let Some(line) = autotune_report::recommended_line(&shown) {
            text.push_str(&line);
            text.push('\n');
        }
        text
    };
    put(&text).map_err(|error| {
        Failure::stopped(ErrorCode::Internal, "stdout cannot be written").because(error)
    })?;
    Ok(Exit::of(view.ending, analysis.verdict.word))
}

/// What to type to go on: the same from `sweep` and from `report`, so it is made
/// from what the study holds of itself.
fn command(view: &View<'_>) -> String {
    let mut words = vec![
        "autotune".to_owned(),
        "sweep".to_owned(),
        view.grid.path.display().to_string(),
    ];
    let results = study::fact(view.meta, study::RESULTS);
    if let Some(results) = results.filter(|results| *results != study::DEFAULT_RESULTS) {
        words.extend(["--out".to_owned(), results.to_owned()]);
    }
    if view.meta.seed != Seed::new(study::DEFAULT_SEED) {
        words.extend(["--seed".to_owned(), view.meta.seed.value().to_string()]);
    }
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// As lines of text.
pub(crate) fn draw(table: &Table) -> String {
    let mut drawn = comfy_table::Table::new();
    drawn.load_style(presets::NOTHING);
    drawn.set_header(table.columns.iter().map(|column| column.title.as_str()));
    for row in &table.rows {
        drawn.add_row(row);
    }
    for (column, drawn) in table.columns.iter().zip(drawn.column_iter_mut()) {
        drawn.set_cell_alignment(match column.align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        });
    }
    let lines: Vec<String> = drawn
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// What was to be measured, for people.
pub(crate) fn planned(grid: &Grid) -> Planned {
    let folded = grid.file.space.folded.iter().map(|cell| {
        format!(
            "{} is {}: {}",
            cell.spelled,
            cell.into,
            cell.reasons.join("; ")
        )
    });
    let dropped = grid.file.space.dropped.iter();
    let dropped = dropped.map(|cell| match cell.spelled == cell.configuration.as_str() {
        true => format!("{}: not {}", cell.spelled, cell.constraint),
        false => format!(
            "{} is {}: not {}",
            cell.spelled, cell.configuration, cell.constraint
        ),
    });
    Planned {
        configurations: grid.configurations().len(),
        cells: grid.file.space.cells,
        folded: folded.collect(),
        dropped: dropped.collect(),
        named: grid.file.space.named.clone(),
    }
}

/// Versions that trials recorded. A study does not go on under other ones.
fn versions(history: &History) -> BTreeMap<String, String> {
    let servers = history
        .trials
        .iter()
        .filter_map(|trial| trial.server.as_ref());
    servers.flat_map(|server| server.versions.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("grids/blog.toml", "grids/blog.toml"),
            ("my grids/a.toml", "'my grids/a.toml'"),
            ("it's", "'it'\\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
