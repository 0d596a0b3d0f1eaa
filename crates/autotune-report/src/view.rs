//! What both reports show, as plain texts in the order of the page: the
//! templates only place it. Nothing here is escaped; the page does that.

mod comparison;
mod environment;
mod failures;
mod method;
mod services;
mod time;

use serde::Serialize;

use crate::chart::{control, heat, scatter};
use crate::config_file::{config_file, settings};
use crate::error::ReportError;
use crate::format::{NONE, change, in_unit, percent};
use crate::launch;
use crate::sentences::sentences;
use crate::study::{Study, label};
use crate::table::{Align, table};
use comparison::Comparison;
use failures::{Failures, Log};

/// A name and what stands beside it.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl Pair {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct View {
    name: String,
    word: &'static str,
    exploratory: bool,
    headline: String,
    notes: Vec<String>,
    recommended: Option<String>,
    settings: Option<Settings>,
    comparison: Option<Comparison>,
    ranking: Ranking,
    services: Vec<services::ServiceRow>,
    noise: Noise,
    failures: Failures,
    logs: Vec<Log>,
    not_measured: Vec<String>,
    environment: Vec<Pair>,
    time: Vec<time::TimeRow>,
    method: Vec<String>,
    grid_text: String,
    command: String,
    tool_version: String,
}

#[derive(Debug, Serialize)]
struct Settings {
    file: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct Ranking {
    columns: Vec<RankingColumn>,
    rows: Vec<RankingRow>,
}

#[derive(Debug, Serialize)]
struct RankingColumn {
    title: String,
    right: bool,
}

#[derive(Debug, Serialize)]
struct RankingRow {
    /// For the style of the row: `recommended`, `tied`, `today`, `out` or none.
    class: &'static str,
    cells: Vec<String>,
}

/// What is known of noise and drift.
#[derive(Debug, Serialize)]
struct Noise {
    sentences: Vec<String>,
    preflight: Vec<PreflightRow>,
    metric: String,
}

#[derive(Debug, Serialize)]
struct PreflightRow {
    configuration: String,
    values: String,
    range: String,
}

/// The charts of the HTML report.
#[derive(Debug, Serialize)]
pub(crate) struct Charts {
    heat_maps: Vec<HeatMap>,
    heat_folded: bool,
    scatter: Option<String>,
    scatter_latency: String,
    control: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeatMap {
    title: String,
    svg: String,
}

pub(crate) fn charts(study: &Study<'_>) -> Result<Charts, ReportError> {
    let maps = heat::heat_maps(study)?;
    Ok(Charts {
        heat_folded: maps.iter().any(|map| map.folded),
        heat_maps: maps
            .into_iter()
            .map(|map| HeatMap {
                title: map.title,
                svg: map.chart.svg,
            })
            .collect(),
        scatter: scatter::scatter(study)?.map(|chart| chart.svg),
        scatter_latency: study.latency_name(),
        control: control::control(study)?.map(|chart| chart.svg),
    })
}

pub(crate) fn view(study: &Study<'_>) -> View {
    let mut sentences = sentences(study).into_iter();
    View {
        name: study.name.to_owned(),
        word: study.word().as_str(),
        exploratory: study.recommended().is_some()
            && !study.analysis.verdict.exploratory.is_empty(),
        headline: sentences.next().unwrap_or_default(),
        notes: sentences.collect(),
        recommended: study.recommended().map(|config| label(config).to_owned()),
        settings: settings_to_paste(study),
        comparison: comparison::comparison(study),
        ranking: ranking(study),
        services: services::rows(study),
        noise: noise(study),
        failures: failures::failures(study),
        logs: failures::logs(study),
        not_measured: failures::not_measured(study),
        environment: environment::environment(study),
        time: time::rows(study),
        method: method::method(study),
        grid_text: study.grid_text.to_owned(),
        command: study.command.to_owned(),
        tool_version: study.tool_version.to_owned(),
    }
}

fn settings_to_paste(study: &Study<'_>) -> Option<Settings> {
    let text = settings(study)?.join("\n");
    let file = config_file(study).map_or_else(|| "the server's settings".to_owned(), |file| file.0);
    Some(Settings { file, text })
}

fn ranking(study: &Study<'_>) -> Ranking {
    let table = table(study);
    let columns = table.columns.into_iter();
    let configurations = study.analysis.configurations.iter();
    Ranking {
        columns: columns
            .map(|column| RankingColumn {
                title: column.title,
                right: column.align == Align::Right,
            })
            .collect(),
        rows: configurations
            .zip(table.rows)
            .map(|(config, cells)| RankingRow {
                class: class(study, config),
                cells,
            })
            .collect(),
    }
}

fn class(study: &Study<'_>, config: &autotune_analysis::ConfigAnalysis) -> &'static str {
    use autotune_analysis::Standing;
    match config.standing {
        Standing::Recommended if study.recommended().is_some() => "recommended",
        Standing::Unranked => "out",
        _ if config.is_baseline => "today",
        Standing::Tied => "tied",
        _ => "",
    }
}

fn noise(study: &Study<'_>) -> Noise {
    let mut sentences = Vec::new();
    if let Some(noise) = study.analysis.noise {
        sentences.push(format!(
            "Launches of one configuration differ by {} (median standard deviation over \
             configurations; {} for the steadiest, {} for the least steady).",
            percent(noise.median_pct),
            percent(noise.least_pct),
            percent(noise.most_pct)
        ));
    }
    if let (Some(drift), Some(control)) = (study.analysis.drift, study.control()) {
        let judged = if drift.noticeable {
            "noticeable"
        } else {
            "not noticeable"
        };
        sentences.push(format!(
            "The control {} changed by {} from the first block to the last (95 % interval {} to \
             {}): {judged}.",
            label(control),
            change(drift.total_pct),
            change(drift.low_pct),
            change(drift.high_pct)
        ));
    }
    let preflight = launch::preflight(study)
        .into_iter()
        .map(preflight_row(study))
        .collect();
    Noise {
        sentences,
        preflight,
        metric: launch::name(study),
    }
}

fn preflight_row<'a>(study: &Study<'_>) -> impl Fn((&'a str, Vec<f64>)) -> PreflightRow {
    let unit = launch::unit(study);
    move |(label, values)| {
        let least = values.iter().copied().min_by(f64::total_cmp);
        let most = values.iter().copied().max_by(f64::total_cmp);
        let range = match (least, most) {
            (Some(least), Some(most)) if values.len() > 1 => percent((most / least - 1.0) * 100.0),
            _ => NONE.to_owned(),
        };
        let texts: Vec<String> = values.iter().map(|value| in_unit(*value, unit)).collect();
        PreflightRow {
            configuration: label.to_owned(),
            values: texts.join(", "),
            range,
        }
    }
}
