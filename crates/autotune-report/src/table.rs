//! The ranking as rows of text: for the terminal, Markdown and HTML alike.

use autotune_analysis::{ConfigAnalysis, MemoryGrowth, Standing};
use autotune_model::LoadShape;

use crate::format::{NONE, in_unit, memory, one_line, percent_at_most, ratio, share};
use crate::sentences::failures;
use crate::study::{Study, Word, label};

/// A table as data; the caller draws the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The columns, left to right.
    pub columns: Vec<Column>,
    /// Each row has a cell for each column.
    pub rows: Vec<Vec<String>>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What stands at its top.
    pub title: String,
    /// To which side its cells are set.
    pub align: Align,
}

/// To which side a cell is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// What a memory that grows is called; a faster server grows more under closed
/// load, so that only the growth by request can be compared.
pub(crate) const GROWTH: &str = "memory grown per 1,000 requests";

/// Every configuration that was launched, best first; one score column.
pub fn table(study: &Study<'_>) -> Table {
    let metric = study.analysis.metric.to_string();
    let mut columns = vec![
        ("configuration", Align::Left),
        ("ratio to best", Align::Right),
        ("at most worse by", Align::Right),
        (metric.as_str(), Align::Right),
        ("memory", Align::Right),
        ("not completed", Align::Right),
        ("launches", Align::Right),
    ];
    columns.extend(is_closed(study).then_some((GROWTH, Align::Right)));
    columns.push(("standing", Align::Left));
    Table {
        columns: columns
            .into_iter()
            .map(|(title, align)| Column {
                title: title.to_owned(),
                align,
            })
            .collect(),
        rows: study
            .analysis
            .configurations
            .iter()
            .map(|config| row(study, config))
            .collect(),
    }
}

fn is_closed(study: &Study<'_>) -> bool {
    matches!(study.load, LoadShape::Closed(_))
}

fn row(study: &Study<'_>, config: &ConfigAnalysis) -> Vec<String> {
    let none = || NONE.to_owned();
    let unit = study.unit();
    let mut cells = vec![
        label(config).to_owned(),
        config.ratio_to_best.as_ref().map_or_else(none, ratio),
        config.bound_pct.map_or_else(none, percent_at_most),
        config
            .objective
            .map_or_else(none, |objective| in_unit(objective.value, unit)),
        config.memory.map_or_else(none, memory),
        not_completed(config),
        launches(config),
    ];
    cells.extend(is_closed(study).then(|| growth(config).unwrap_or_else(none)));
    cells.push(standing(study, config));
    cells.iter().map(|cell| one_line(cell)).collect()
}

/// As in the sentence on recycling: what rounds to nothing or shrinks is none.
pub(crate) fn growth(config: &ConfigAnalysis) -> Option<String> {
    config.memory_growth.map(mebibytes_grown)
}

/// `0.42 MiB`.
pub(crate) fn mebibytes_grown(growth: MemoryGrowth) -> String {
    if growth.mib_per_1000_requests < 0.005 {
        "0 MiB".to_owned()
    } else {
        format!("{:.2} MiB", growth.mib_per_1000_requests)
    }
}

/// The share of requests that were not completed, over all endpoints.
pub(crate) fn not_completed(config: &ConfigAnalysis) -> String {
    let scheduled = config
        .endpoints
        .iter()
        .map(|endpoint| endpoint.scheduled)
        .sum();
    let lost = config
        .endpoints
        .iter()
        .map(|endpoint| endpoint.not_completed)
        .sum();
    share(lost, scheduled)
}

/// `6`, or `4 of 6` where some could not be compared.
pub(crate) fn launches(config: &ConfigAnalysis) -> String {
    let (measured, telling) = (config.launches.measured, config.launches.telling());
    if measured == telling {
        measured.to_string()
    } else {
        format!("{measured} of {telling}")
    }
}

/// Where it stands, in words; with what runs today and how launches failed.
pub(crate) fn standing(study: &Study<'_>, config: &ConfigAnalysis) -> String {
    let accept = study.objective.accept;
    // After a fault or an interruption nothing is recommended yet.
    let settled = matches!(study.word(), Word::Verdict(_));
    let mut parts = vec![match config.standing {
        Standing::Recommended if settled => "recommended".to_owned(),
        Standing::Recommended => "favourite so far".to_owned(),
        Standing::Tied => "not told from the best".to_owned(),
        Standing::WithinAccept => format!("within {accept}"),
        Standing::Open => "open".to_owned(),
        Standing::Worse => format!("worse than {accept}"),
        Standing::Unranked if config.launches.telling() == 0 => "not measured".to_owned(),
        Standing::Unranked => "ruled out".to_owned(),
    }];
    if config.is_baseline {
        parts.push("runs today".to_owned());
    }
    let failed = failures(config);
    if !failed.is_empty() {
        parts.push(failed);
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn every_launched_configuration_has_a_row() {
        let fixture = Fixture::realistic();
        let table = table(&fixture.study());
        assert_eq!(table.rows.len(), fixture.analysis.configurations.len());
        assert!(
            table
                .rows
                .iter()
                .all(|row| row.len() == table.columns.len())
        );
        assert_eq!(table.rows[0][1], "1.00");
        let overloaded = table
            .rows
            .iter()
            .find(|row| row[0] == "1/1/sync/0/0")
            .unwrap();
        assert_eq!(overloaded[1], "-");
        assert_eq!(overloaded[7], "ruled out; overloaded 6");
    }

    #[test]
    fn closed_load_shows_growth_by_request() {
        let mut fixture = Fixture::realistic();
        fixture.load = LoadShape::closed(5, std::time::Duration::ZERO);
        let table = table(&fixture.study());
        assert_eq!(table.columns[7].title, GROWTH);
        for (row, config) in table.rows.iter().zip(&fixture.analysis.configurations) {
            assert_eq!(row.len(), 9);
            assert_eq!(Some(&row[7]), growth(config).as_ref());
        }
    }

    #[test]
    fn nothing_is_recommended_before_the_end() {
        let mut fixture = Fixture::realistic();
        fixture.ending = crate::Ending::Interrupted;
        let table = table(&fixture.study());
        assert!(table.rows.iter().all(|row| !row[7].contains("recommended")));
    }
}
