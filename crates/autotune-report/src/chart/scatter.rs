//! Memory against latency: every configuration a point, the recommended, the
//! tie set and what runs today marked, and the line of those that no other
//! configuration beats in both.

use autotune_analysis::{ConfigAnalysis, Feasibility, Standing};
use plotters::style::text_anchor::HPos;

use crate::chart::scale::Scale;
use crate::chart::{
    At, Canvas, Chart, Drawn, FAILED, Look, OTHER, Paint, RECOMMENDED, TIED, TODAY, draw,
};
use crate::error::ReportError;
use crate::format::{one_line, time_us};
use crate::study::{Study, Unit, label};

const SIZE: (i32, i32) = (780, 430);
const LEFT: i32 = 74;
const RIGHT: i32 = 20;
/// Leaves a strip for what has a memory but no latency.
const TOP: i32 = 52;
const STRIP: i32 = 24;
const BOTTOM: i32 = 56;
/// About the width of a character of a label, for keeping labels apart.
const CHAR: i32 = 6;
const LABEL_SIZE: f64 = 11.0;

struct Point<'a> {
    config: &'a ConfigAnalysis,
    memory_mib: f64,
    latency_us: Option<f64>,
}

/// `None` where memory or latency was measured for no configuration.
pub(crate) fn scatter(study: &Study<'_>) -> Result<Option<Chart>, ReportError> {
    let points = points(study);
    let memories: Vec<f64> = points.iter().map(|point| point.memory_mib).collect();
    let latencies: Vec<f64> = points.iter().filter_map(|point| point.latency_us).collect();
    let across = Scale::over(&memories, [LEFT, SIZE.0 - RIGHT]);
    let up = Scale::over(&latencies, [SIZE.1 - BOTTOM, TOP]);
    let (Some(across), Some(up)) = (across, up) else {
        return Ok(None);
    };
    let plot = Plot {
        study,
        points,
        across,
        up,
    };
    let alt = format!(
        "Memory against {} of every configuration",
        study.latency_name()
    );
    let size = (SIZE.0.unsigned_abs(), SIZE.1.unsigned_abs());
    draw(size, &alt, |canvas| plot.paint(canvas)).map(Some)
}

fn points<'a>(study: &Study<'a>) -> Vec<Point<'a>> {
    let all = study.analysis.configurations.iter();
    all.filter_map(|config| {
        let failed = matches!(config.feasibility, Feasibility::Infeasible(_));
        let latency_us = study
            .latency_us(config)
            .filter(|_| config.launches.measured > 0);
        (latency_us.is_some() || failed).then(|| {
            Some(Point {
                config,
                memory_mib: config.memory?.mib(),
                latency_us,
            })
        })?
    })
    .collect()
}

struct Plot<'a> {
    study: &'a Study<'a>,
    points: Vec<Point<'a>>,
    across: Scale,
    up: Scale,
}

impl Plot<'_> {
    fn paint(&self, canvas: &Canvas<'_>) -> Drawn {
        self.axes(canvas)?;
        self.frontier(canvas)?;
        for point in &self.points {
            self.whiskers(canvas, point)?;
        }
        // The marked ones last, so that they lie above the others.
        let marked = |point: &&Point<'_>| rank(point.config) < PLAIN;
        let (marked, plain): (Vec<_>, Vec<_>) = self.points.iter().partition(marked);
        for point in plain.into_iter().chain(marked) {
            self.mark(canvas, point)?;
        }
        self.labels(canvas)
    }

    fn axes(&self, canvas: &Canvas<'_>) -> Drawn {
        let (right, bottom) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);
        for tick in self.across.ticks() {
            let x = self.across.px(tick);
            canvas.line(&[(x, TOP), (x, bottom)], Paint::Faint, 1)?;
            canvas.text(
                (x, bottom + 14),
                &number(tick),
                Look::new(HPos::Center, 12.0),
            )?;
        }
        for tick in self.up.ticks() {
            let y = self.up.px(tick);
            canvas.line(&[(LEFT, y), (right, y)], Paint::Faint, 1)?;
            canvas.text(
                (LEFT - 8, y),
                &ascii_time(tick),
                Look::new(HPos::Right, 12.0),
            )?;
        }
        canvas.border([(LEFT, TOP), (right, bottom)], Paint::Faint, 1)?;
        let look = Look::new(HPos::Center, 12.0);
        let memory = if self.across.is_log() {
            "peak memory, MiB (log)"
        } else {
            "peak memory, MiB"
        };
        canvas.text(((LEFT + right) / 2, bottom + 38), memory, look)?;
        let log = if self.up.is_log() { " (log)" } else { "" };
        let latency = format!("{}{log}", self.study.latency_name());
        canvas.text_upwards((14, (TOP + bottom) / 2), &latency, look)?;
        if self.points.iter().any(|point| point.latency_us.is_none()) {
            let look = Look::new(HPos::Left, 11.0).painted(FAILED);
            canvas.text((LEFT, 10), "overloaded or failed: no latency", look)?;
        }
        Ok(())
    }

    fn at(&self, point: &Point<'_>) -> At {
        let y = point
            .latency_us
            .map_or(TOP - STRIP + 6, |latency| self.up.px(latency));
        (self.across.px(point.memory_mib), y)
    }

    /// The step line of those that none beats in both memory and latency.
    fn frontier(&self, canvas: &Canvas<'_>) -> Drawn {
        let mut feasible: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter(|point| point.config.feasibility == Feasibility::Feasible)
            .filter_map(|point| Some((point.memory_mib, point.latency_us?)))
            .collect();
        feasible.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut steps: Vec<At> = Vec::new();
        let mut best = f64::INFINITY;
        for (memory, latency) in feasible {
            if latency < best {
                let x = self.across.px(memory);
                steps.extend(steps.last().copied().map(|(_, y)| (x, y)));
                steps.push((x, self.up.px(latency)));
                best = latency;
            }
        }
        if steps.len() > 1 {
            canvas.line(&steps, OTHER, 1)
        } else {
            Ok(())
        }
    }

    /// The interval of the objective, where that is what is shown.
    fn whiskers(&self, canvas: &Canvas<'_>, point: &Point<'_>) -> Drawn {
        let objective = point
            .config
            .objective
            .filter(|_| self.study.unit() == Unit::Micros);
        let Some((Some(low), Some(high))) = objective.map(|value| (value.low, value.high)) else {
            return Ok(());
        };
        let (x, _) = self.at(point);
        canvas.line(
            &[(x, self.up.px(low)), (x, self.up.px(high))],
            paint(point.config),
            1,
        )
    }

    fn mark(&self, canvas: &Canvas<'_>, point: &Point<'_>) -> Drawn {
        let at = self.at(point);
        let config = point.config;
        if config.feasibility != Feasibility::Feasible {
            canvas.cross(at, 5, FAILED)?;
        } else if config.is_baseline {
            canvas.diamond(at, 8, paint(config))?;
        } else {
            canvas.dot(at, if rank(config) < PLAIN { 6 } else { 4 }, paint(config))?;
        }
        match (config.standing, config.is_baseline) {
            (Standing::Recommended, _) => canvas.ring(at, 11, RECOMMENDED),
            (_, true) if config.feasibility != Feasibility::Feasible => canvas.ring(at, 9, TODAY),
            _ => Ok(()),
        }
    }

    /// Labels where there is room, those that matter first.
    fn labels(&self, canvas: &Canvas<'_>) -> Drawn {
        let mut order: Vec<&Point<'_>> = self.points.iter().collect();
        order.sort_by_key(|point| rank(point.config));
        let marks: Vec<Zone> = order
            .iter()
            .map(|point| Zone::around(self.at(point), 6))
            .collect();
        let mut taken: Vec<Zone> = Vec::new();
        for (index, point) in order.iter().enumerate() {
            let text = one_line(label(point.config));
            let places = places(self.at(point), text.chars().count() as i32);
            let free = places.iter().find(|(_, _, zone)| {
                let mut others = marks
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index);
                zone.is_inside()
                    && !taken.iter().any(|other| other.meets(zone))
                    && !others.any(|(_, other)| other.meets(zone))
            });
            if let Some((at, anchor, zone)) = free {
                taken.push(*zone);
                let look = Look::new(*anchor, LABEL_SIZE);
                let bold = point.config.standing == Standing::Recommended;
                canvas.text(*at, &text, if bold { look.bold() } else { look })?;
            }
        }
        Ok(())
    }
}

/// Ranks from this one on are not marked.
const PLAIN: u8 = 3;

fn rank(config: &ConfigAnalysis) -> u8 {
    match (config.standing, config.is_baseline) {
        (Standing::Recommended, _) => 0,
        (_, true) => 1,
        (Standing::Tied, false) => 2,
        (Standing::WithinAccept, false) => PLAIN,
        (Standing::Open, false) => PLAIN + 1,
        (Standing::Worse, false) => PLAIN + 2,
        (Standing::Unranked, false) => PLAIN + 3,
    }
}

fn paint(config: &ConfigAnalysis) -> Paint {
    match (config.standing, config.is_baseline) {
        (Standing::Recommended, _) => RECOMMENDED,
        (_, true) => TODAY,
        (Standing::Tied, false) => TIED,
        _ => OTHER,
    }
}

/// A part of the chart that something covers.
#[derive(Clone, Copy)]
struct Zone {
    from: At,
    to: At,
}

impl Zone {
    fn around((x, y): At, radius: i32) -> Self {
        Self {
            from: (x - radius, y - radius),
            to: (x + radius, y + radius),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.from.0 < other.to.0
            && other.from.0 < self.to.0
            && self.from.1 < other.to.1
            && other.from.1 < self.to.1
    }

    fn is_inside(&self) -> bool {
        self.from.0 >= LEFT
            && self.to.0 <= SIZE.0
            && self.from.1 >= 18
            && self.to.1 <= SIZE.1 - BOTTOM
    }
}

/// Right of a point, left of it, above and below.
fn places((x, y): At, chars: i32) -> [(At, HPos, Zone); 4] {
    let width = chars * CHAR;
    let zone = |from_x: i32, middle: i32| Zone {
        from: (from_x, middle - 7),
        to: (from_x + width, middle + 7),
    };
    let beside = 14;
    [
        ((x + beside, y), HPos::Left, zone(x + beside, y)),
        ((x - beside, y), HPos::Right, zone(x - beside - width, y)),
        ((x, y - 18), HPos::Center, zone(x - width / 2, y - 18)),
        ((x, y + 18), HPos::Center, zone(x - width / 2, y + 18)),
    ]
}

/// A tick without needless decimals.
fn number(value: f64) -> String {
    autotune_model::units::trim(value)
}

/// The library measures bytes, not letters: `us` instead of a letter of two.
pub(super) fn ascii_time(value_us: f64) -> String {
    let text = time_us(value_us).replace('µ', "u");
    match text.split_once(' ') {
        // `10.0 ms` and `2.00 s` are round: they need no decimals on an axis.
        Some((number, unit)) if number.contains('.') => {
            format!(
                "{} {unit}",
                number.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, texts};

    #[test]
    fn marks_the_recommended_and_what_failed() {
        let fixture = Fixture::realistic();
        let chart = scatter(&fixture.study()).unwrap().unwrap();
        let texts = texts(&chart.svg);
        for text in [
            "1/8/gthread/0/0",
            "3/1/sync/0/0",
            "overloaded or failed: no latency",
        ] {
            assert!(texts.contains(&text.to_owned()), "{text} in {texts:?}");
        }
    }

    #[test]
    fn is_left_out_where_nothing_was_measured() {
        let mut fixture = Fixture::realistic();
        for config in &mut fixture.analysis.configurations {
            config.memory = None;
        }
        assert!(scatter(&fixture.study()).unwrap().is_none());
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!(ascii_time(10_000.0), "10 ms");
        assert_eq!(ascii_time(12_500.0), "12.5 ms");
        assert_eq!(ascii_time(200_000.0), "200 ms");
        assert_eq!(ascii_time(500.0), "500 us");
    }
}
