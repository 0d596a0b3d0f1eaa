//! Heat maps: one for each worker class, workers across and threads down, the
//! ratio to the best in each cell.
//!
//! Which parameters those are, the profile says; for a server without such
//! knowledge the first two whole-number parameters that differ are taken.

use std::collections::{BTreeMap, BTreeSet};

use autotune_analysis::{ConfigAnalysis, Standing};
use autotune_model::{ParamName, Value, VariantName};
use plotters::style::text_anchor::HPos;

use crate::chart::{At, Canvas, Chart, Drawn, Look, Paint, draw};
use crate::error::ReportError;
use crate::format::in_unit;
use crate::study::{Study, Unit};

/// A heat map with what it is of.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    /// `gthread`, or several words for several parameters.
    pub(crate) title: String,
    pub(crate) chart: Chart,
    /// Whether a cell stands for several configurations.
    pub(crate) folded: bool,
}

const CELL: (i32, i32) = (88, 56);
const LEFT: i32 = 64;
const TOP: i32 = 8;
const BOTTOM: i32 = 44;
/// Cells beyond this ratio are all of the last colour.
const WORST_SHOWN: f64 = 3.0;

/// The axes of a variant.
struct Axes {
    across: ParamName,
    down: Option<ParamName>,
}

/// Where a cell stands: across, down.
type Place = (i64, i64);

/// Which map: variant, and the values of all words and switches.
type Facet = (VariantName, Vec<(ParamName, Value)>);

/// The maps, by variant and worker class; empty where no parameter is a number.
pub(crate) fn heat_maps(study: &Study<'_>) -> Result<Vec<HeatMap>, ReportError> {
    let mut facets: BTreeMap<Facet, BTreeMap<Place, Vec<&ConfigAnalysis>>> = BTreeMap::new();
    let mut axes: BTreeMap<VariantName, Axes> = BTreeMap::new();
    for config in &study.analysis.configurations {
        let variant = config.configuration.variant();
        let Some(found) = find_axes(study, variant) else {
            continue;
        };
        let facet = (variant.clone(), words(config));
        let cells = facets.entry(facet).or_default();
        cells.entry(place(config, &found)).or_default().push(config);
        axes.insert(variant.clone(), found);
    }
    let mut maps = Vec::new();
    for ((variant, words), cells) in &facets {
        let Some(found) = axes.get(variant) else {
            continue;
        };
        let others = facets.iter().filter(|((other, _), _)| other == variant);
        let across = others.flat_map(|(_, cells)| cells.keys().map(|(across, _)| *across));
        let map = Map {
            study,
            axes: found,
            across: across.collect::<BTreeSet<_>>().into_iter().collect(),
            down: cells
                .keys()
                .map(|(_, down)| *down)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            cells,
        };
        let title = title(variant, words, axes.len() > 1);
        maps.push(HeatMap {
            chart: map.chart(&title)?,
            title,
            folded: cells.values().any(|configs| configs.len() > 1),
        });
    }
    Ok(maps)
}

fn find_axes(study: &Study<'_>, variant: &VariantName) -> Option<Axes> {
    let configs = || {
        let all = study.analysis.configurations.iter();
        all.filter(|config| config.configuration.variant() == variant)
    };
    let profile = study.profile(&configs().next()?.configuration);
    if let Some(across) = profile.and_then(|profile| profile.workers.clone()) {
        return Some(Axes {
            across,
            down: profile.and_then(|profile| profile.threads.clone()),
        });
    }
    let mut values: Vec<(ParamName, BTreeSet<i64>)> = Vec::new();
    for (name, value) in configs().flat_map(|config| config.configuration.values()) {
        let Some(number) = value.as_int() else {
            continue;
        };
        match values.iter_mut().find(|(have, _)| have == name) {
            Some((_, numbers)) => {
                numbers.insert(number);
            }
            None => values.push((name.clone(), BTreeSet::from([number]))),
        }
    }
    let mut differing = values.into_iter().filter(|(_, numbers)| numbers.len() > 1);
    let across = differing.next()?.0;
    Some(Axes {
        across,
        down: differing.next().map(|(name, _)| name),
    })
}

fn words(config: &ConfigAnalysis) -> Vec<(ParamName, Value)> {
    let values = config.configuration.values().iter();
    values
        .filter(|(_, value)| value.as_int().is_none())
        .cloned()
        .collect()
}

fn place(config: &ConfigAnalysis, axes: &Axes) -> Place {
    let number = |name: &ParamName| config.configuration.value(name).and_then(Value::as_int);
    (
        number(&axes.across).unwrap_or(0),
        axes.down.as_ref().and_then(number).unwrap_or(0),
    )
}

fn title(variant: &VariantName, words: &[(ParamName, Value)], prefixed: bool) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|(name, value)| match value {
            Value::Text(text) => text.clone(),
            Value::Int(_) | Value::Bool(_) => format!("{name}={value}"),
        })
        .collect();
    match (prefixed || words.is_empty(), words.is_empty()) {
        (true, true) => variant.to_string(),
        (true, false) => format!("{variant}: {}", words.join(", ")),
        (false, _) => words.join(", "),
    }
}

struct Map<'a> {
    study: &'a Study<'a>,
    axes: &'a Axes,
    across: Vec<i64>,
    down: Vec<i64>,
    cells: &'a BTreeMap<Place, Vec<&'a ConfigAnalysis>>,
}

impl Map<'_> {
    fn chart(&self, title: &str) -> Result<Chart, ReportError> {
        let width = LEFT + CELL.0 * self.across.len() as i32 + 8;
        let height = TOP + CELL.1 * self.down.len() as i32 + BOTTOM;
        let alt = format!(
            "{title}: ratio to the best by {}{}",
            self.axes.across,
            self.axes
                .down
                .as_ref()
                .map_or_else(String::new, |down| format!(" and {down}"))
        );
        draw(
            (width.unsigned_abs(), height.unsigned_abs()),
            &alt,
            |canvas| {
                self.scales(canvas)?;
                self.empty_places(canvas)?;
                for (&(across, down), configs) in self.cells {
                    self.cell(canvas, self.corner(across, down), configs)?;
                }
                // Frames last, so that no neighbour hides them.
                for (&(across, down), configs) in self.cells {
                    frame(canvas, self.corner(across, down), configs)?;
                }
                Ok(())
            },
        )
    }

    /// Faint frames where the grid has no cell.
    fn empty_places(&self, canvas: &Canvas<'_>) -> Drawn {
        for &across in &self.across {
            for &down in self
                .down
                .iter()
                .filter(|down| !self.cells.contains_key(&(across, **down)))
            {
                let (x, y) = self.corner(across, down);
                let corners = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
                canvas.border(corners, Paint::Faint, 1)?;
            }
        }
        Ok(())
    }

    fn corner(&self, across: i64, down: i64) -> At {
        let column = self
            .across
            .iter()
            .position(|have| *have == across)
            .unwrap_or(0) as i32;
        let row = self.down.iter().position(|have| *have == down).unwrap_or(0) as i32;
        (LEFT + column * CELL.0, TOP + row * CELL.1)
    }

    fn scales(&self, canvas: &Canvas<'_>) -> Drawn {
        let small = Look::new(HPos::Center, 12.0);
        let bottom = TOP + CELL.1 * self.down.len() as i32;
        for across in &self.across {
            let x = self.corner(*across, 0).0 + CELL.0 / 2;
            canvas.text((x, bottom + 12), &across.to_string(), small)?;
        }
        let middle = LEFT + CELL.0 * self.across.len() as i32 / 2;
        canvas.text((middle, bottom + 32), self.axes.across.as_str(), small)?;
        let Some(name) = &self.axes.down else {
            return Ok(());
        };
        for down in &self.down {
            let y = self.corner(0, *down).1 + CELL.1 / 2;
            canvas.text(
                (LEFT - 8, y),
                &down.to_string(),
                Look::new(HPos::Right, 12.0),
            )?;
        }
        canvas.text_upwards((14, TOP + (bottom - TOP) / 2), name.as_str(), small)
    }

    fn cell(&self, canvas: &Canvas<'_>, (x, y): At, configs: &[&ConfigAnalysis]) -> Drawn {
        let inner = [(x + 1, y + 1), (x + CELL.0 - 1, y + CELL.1 - 1)];
        let middle = x + CELL.0 / 2;
        let Some((config, ratio)) = best(configs) else {
            hatch(canvas, inner)?;
            let words = configs.first().map_or("", |config| failed_words(config));
            let look = Look::new(HPos::Center, 11.0).painted(Paint::Rgb(0x2A, 0x2E, 0x33));
            return canvas.text((middle, y + CELL.1 / 2), words, look);
        };
        let (fill, ink) = heat(ratio);
        canvas.area(inner, fill)?;
        let look = Look::new(HPos::Center, 15.0).painted(ink).bold();
        canvas.text((middle, y + 16), &format!("{ratio:.2}"), look)?;
        let small = Look::new(HPos::Center, 10.5).painted(ink);
        canvas.text((middle, y + 32), &self.value(config), small)?;
        canvas.text((middle, y + 46), &note(config, configs.len()), small)
    }

    /// The objective in short ASCII.
    fn value(&self, config: &ConfigAnalysis) -> String {
        let unit = self.study.unit();
        match (config.objective, unit) {
            // The ratio is there already.
            (None, _) | (_, Unit::Ratio) => String::new(),
            (Some(objective), _) => in_unit(objective.value, unit).replace('µ', "u"),
        }
    }
}

/// The best of the configurations that share a cell.
fn best<'a>(configs: &[&'a ConfigAnalysis]) -> Option<(&'a ConfigAnalysis, f64)> {
    let ratios = configs
        .iter()
        .filter_map(|config| Some((*config, config.ratio_to_best?.value)));
    ratios.min_by(|a, b| a.1.total_cmp(&b.1))
}

fn note(config: &ConfigAnalysis, of: usize) -> String {
    let mark = match config.standing {
        Standing::Recommended => "recommended",
        Standing::Tied => "tied",
        Standing::Unranked if config.launches.telling() == 0 => "not measured",
        Standing::Unranked => "ruled out",
        Standing::WithinAccept | Standing::Open | Standing::Worse => "",
    };
    match (mark, config.is_baseline, of) {
        ("", true, _) => "today".to_owned(),
        ("", false, 1) => String::new(),
        ("", false, of) => format!("best of {of}"),
        (mark, true, _) if mark.len() < 6 => format!("{mark}, today"),
        (mark, _, _) => mark.to_owned(),
    }
}

fn failed_words(config: &ConfigAnalysis) -> &'static str {
    let launches = &config.launches;
    let words = [
        (launches.out_of_memory, "out of memory"),
        (launches.died, "died"),
        (launches.failed_to_start, "no start"),
        (launches.overloaded, "overloaded"),
        (launches.not_attained, "too many errors"),
        (launches.no_statistic, "too little data"),
        (launches.invalid, "invalid"),
    ];
    words
        .iter()
        .find(|(number, _)| *number > 0)
        .map_or("no data", |(_, words)| words)
}

/// A failed cell is told from a slow one by its pattern, not by colour alone.
fn hatch(canvas: &Canvas<'_>, [(x0, y0), (x1, y1)]: [At; 2]) -> Drawn {
    canvas.area([(x0, y0), (x1, y1)], Paint::Rgb(0xC4, 0xC8, 0xCE))?;
    let mut offset = 0;
    while offset < (x1 - x0) + (y1 - y0) {
        // Each stroke runs from the top or right edge to the left or bottom one.
        let (top_x, top_y) = if offset <= x1 - x0 {
            (x0 + offset, y0)
        } else {
            (x1, y0 + offset - (x1 - x0))
        };
        let (low_x, low_y) = if offset <= y1 - y0 {
            (x0, y0 + offset)
        } else {
            (x0 + offset - (y1 - y0), y1)
        };
        canvas.line(
            &[(top_x, top_y), (low_x, low_y)],
            Paint::Rgb(0xAE, 0xB3, 0xBB),
            1,
        )?;
        offset += 9;
    }
    let (middle_y, half) = ((y0 + y1) / 2, 9);
    canvas.area(
        [(x0 + 3, middle_y - half), (x1 - 3, middle_y + half)],
        Paint::Rgb(0xC4, 0xC8, 0xCE),
    )
}

fn frame(canvas: &Canvas<'_>, (x, y): At, configs: &[&ConfigAnalysis]) -> Drawn {
    let standing = best(configs).map(|(config, _)| config.standing);
    let width = match standing {
        Some(Standing::Recommended) => 4,
        Some(Standing::Tied) => 2,
        _ => return Ok(()),
    };
    canvas.border(
        [(x + 2, y + 2), (x + CELL.0 - 2, y + CELL.1 - 2)],
        Paint::Ink,
        width,
    )
}

/// Teal at the best, over sand, to rust at [`WORST_SHOWN`] and beyond; with the
/// colour of text that reads on it. Lightness falls towards both ends, and teal
/// and rust stay apart for eyes that do not tell red from green.
fn heat(ratio: f64) -> (Paint, Paint) {
    const STOPS: [[f64; 3]; 3] = [
        [31.0, 122.0, 109.0],
        [236.0, 220.0, 170.0],
        [178.0, 62.0, 40.0],
    ];
    let share = (ratio.max(1.0).ln() / WORST_SHOWN.ln()).clamp(0.0, 1.0);
    let (from, to, part) = if share < 0.5 {
        (STOPS[0], STOPS[1], share * 2.0)
    } else {
        (STOPS[1], STOPS[2], share * 2.0 - 1.0)
    };
    let mixed = [0, 1, 2].map(|i| from[i] + (to[i] - from[i]) * part);
    let luminance = 0.299 * mixed[0] + 0.587 * mixed[1] + 0.114 * mixed[2];
    let ink = if luminance > 135.0 {
        Paint::Rgb(0x1A, 0x1D, 0x21)
    } else {
        Paint::Rgb(255, 255, 255)
    };
    let [red, green, blue] = mixed.map(|part| part.round() as u8);
    (Paint::Rgb(red, green, blue), ink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, texts};

    #[test]
    fn a_map_for_each_worker_class_marks_what_failed() {
        let fixture = Fixture::realistic();
        let maps = heat_maps(&fixture.study()).unwrap();
        let titles: Vec<&str> = maps.iter().map(|map| map.title.as_str()).collect();
        assert_eq!(titles, ["gevent", "gthread", "sync"]);
        let of = |title: &str| {
            texts(
                &maps
                    .iter()
                    .find(|map| map.title == title)
                    .unwrap()
                    .chart
                    .svg,
            )
        };
        assert!(of("sync").contains(&"overloaded".to_owned()));
        assert!(of("gthread").contains(&"recommended".to_owned()));
        assert!(of("gthread").contains(&"threads".to_owned()));
    }

    #[test]
    fn cells_shared_by_several_show_the_best() {
        let mut fixture = Fixture::realistic();
        fixture.recycle();
        let maps = heat_maps(&fixture.study()).unwrap();
        assert!(maps.iter().any(|map| map.folded));
    }

    #[test]
    fn a_server_without_workers_is_mapped_by_what_differs() {
        let mut fixture = Fixture::realistic();
        for (_, profile) in &mut fixture.variants {
            profile.workers = None;
            profile.threads = None;
        }
        let maps = heat_maps(&fixture.study()).unwrap();
        assert!(texts(&maps[0].chart.svg).contains(&"workers".to_owned()));
    }

    #[test]
    fn text_reads_on_every_colour() {
        for step in 0..=40 {
            let (Paint::Rgb(r, g, b), Paint::Rgb(ink, _, _)) = heat(1.0 + f64::from(step) * 0.1)
            else {
                panic!("heat is a colour");
            };
            let light = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
            assert!((light - f64::from(ink)).abs() > 95.0, "step {step}");
        }
    }
}
