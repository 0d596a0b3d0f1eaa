//! What runs today beside what is recommended.

use autotune_analysis::{ConfigAnalysis, EndpointEstimate};
use serde::Serialize;

use crate::format::{NONE, change, in_unit, interval, memory, percent, share, time_us};
use crate::study::{Study, Unit, label};
use crate::table::{GROWTH, growth, not_completed};

/// Two columns; one of them may be missing.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    title: String,
    today: Option<String>,
    recommended: Option<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    today: String,
    recommended: String,
    change: String,
}

/// `None` where there is neither.
pub(crate) fn comparison(study: &Study<'_>) -> Option<Comparison> {
    let recommended = study.recommended();
    let today = study.baseline();
    let same = today.zip(recommended).is_some_and(|(a, b)| a.id == b.id);
    let (today, title) = match (today, recommended) {
        (None, None) => return None,
        (Some(_), Some(_)) if same => (None, "Today's setting, which is recommended"),
        (Some(today), Some(_)) => (Some(today), "Today against recommended"),
        (Some(today), None) => (Some(today), "Today's setting"),
        (None, Some(_)) => (None, "The recommended setting"),
    };
    Some(Comparison {
        title: title.to_owned(),
        today: today.map(|config| label(config).to_owned()),
        recommended: recommended.map(|config| label(config).to_owned()),
        rows: rows(study, today, recommended),
    })
}

/// One number of a configuration with its text.
type Cell = Option<(f64, String)>;

fn rows(
    study: &Study<'_>,
    today: Option<&ConfigAnalysis>,
    recommended: Option<&ConfigAnalysis>,
) -> Vec<Row> {
    let both = |name: String, cell: &dyn Fn(&ConfigAnalysis) -> Cell| {
        row(name, today.and_then(cell), recommended.and_then(cell))
    };
    let unit = study.unit();
    let mut rows = vec![both(crate::conditions::objective(study), &|config| {
        objective(config, unit)
    })];
    if unit != Unit::Bytes {
        rows.push(both("peak memory".to_owned(), &|config| {
            config.memory.map(|bytes| (bytes.mib(), memory(bytes)))
        }));
    }
    rows.push(both(GROWTH.to_owned(), &|config| {
        Some((f64::NAN, growth(config)?))
    }));
    rows.push(both("CPU time per request".to_owned(), &|config| {
        let micros = config.cpu_per_request?.as_secs_f64() * 1e6;
        Some((micros, time_us(micros)))
    }));
    rows.push(both("CPUs in use".to_owned(), &|config| {
        config.busy_pct.map(|busy| (busy, percent(busy)))
    }));
    rows.push(both("spread between launches".to_owned(), &|config| {
        config.spread_pct.map(|spread| (spread, percent(spread)))
    }));
    rows.push(both("requests not completed".to_owned(), &|config| {
        Some((f64::NAN, not_completed(config)))
    }));
    rows.push(both("time to the first answer".to_owned(), &|config| {
        let micros = config.boot?.as_secs_f64() * 1e6;
        Some((micros, time_us(micros)))
    }));
    for endpoint in study.endpoints {
        let name = endpoint.name.as_str();
        rows.push(both(format!("{name}: p50 / p95 / p99"), &|config| {
            quantiles(config, name)
        }));
        rows.push(both(format!("{name}: not completed"), &|config| {
            let found = find(config, name)?;
            Some((f64::NAN, share(found.not_completed, found.scheduled)))
        }));
    }
    rows
}

fn objective(config: &ConfigAnalysis, unit: Unit) -> Cell {
    let estimate = config.objective?;
    let text = in_unit(estimate.value, unit);
    let text = match interval(&estimate, unit) {
        Some(interval) => format!("{text} ({interval})"),
        None => text,
    };
    Some((estimate.value, text))
}

fn find<'a>(config: &'a ConfigAnalysis, name: &str) -> Option<&'a EndpointEstimate> {
    config
        .endpoints
        .iter()
        .find(|endpoint| endpoint.name.as_str() == name)
}

/// The change is that of p95.
fn quantiles(config: &ConfigAnalysis, name: &str) -> Cell {
    let endpoint = find(config, name)?;
    let text = [endpoint.p50_us, endpoint.p95_us, endpoint.p99_us]
        .map(|value| value.map_or_else(|| "not attained".to_owned(), |us| time_us(us as f64)))
        .join(" / ");
    Some((endpoint.p95_us.map_or(f64::NAN, |us| us as f64), text))
}

fn row(name: String, today: Cell, recommended: Cell) -> Row {
    let by = match (&today, &recommended) {
        (Some((old, _)), Some((new, _))) => {
            let by = (new / old - 1.0) * 100.0;
            if by.is_finite() {
                change(by)
            } else {
                String::new()
            }
        }
        _ => String::new(),
    };
    let text = |cell: Cell| cell.map_or_else(|| NONE.to_owned(), |(_, text)| text);
    Row {
        name,
        today: text(today),
        recommended: text(recommended),
        change: by,
    }
}
