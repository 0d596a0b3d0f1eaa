//! The control over the blocks: does the machine change meanwhile?

use plotters::style::text_anchor::HPos;

use crate::chart::scale::Scale;
use crate::chart::{Canvas, Chart, Drawn, Look, OTHER, Paint, RECOMMENDED, draw};
use crate::error::ReportError;
use crate::format::in_unit;
use crate::launch;
use crate::study::{Study, Unit};

const SIZE: (i32, i32) = (780, 220);
const LEFT: i32 = 74;
const RIGHT: i32 = 20;
const TOP: i32 = 14;
const BOTTOM: i32 = 50;
/// More labels than this under the axis would touch.
const MOST_LABELS: usize = 20;

/// `None` with fewer than two blocks of the control.
pub(crate) fn control(study: &Study<'_>) -> Result<Option<Chart>, ReportError> {
    let values = launch::control_by_block(study);
    let heights: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let Some(up) = Scale::over(&heights, [SIZE.1 - BOTTOM, TOP]).filter(|_| values.len() > 1)
    else {
        return Ok(None);
    };
    let name = format!("{} of the control", launch::name(study));
    let size = (SIZE.0.unsigned_abs(), SIZE.1.unsigned_abs());
    let unit = launch::unit(study);
    draw(size, &format!("{name} in each block"), |canvas| {
        axis(canvas, up, unit)?;
        blocks(canvas, &values, up)
    })
    .map(Some)
}

fn axis(canvas: &Canvas<'_>, up: Scale, unit: Unit) -> Drawn {
    let (right, bottom) = (SIZE.0 - RIGHT, SIZE.1 - BOTTOM);
    for tick in up.ticks() {
        let y = up.px(tick);
        canvas.line(&[(LEFT, y), (right, y)], Paint::Faint, 1)?;
        let text = match unit {
            Unit::Micros | Unit::Seconds | Unit::Ratio => {
                super::scatter::ascii_time(if unit == Unit::Seconds {
                    tick * 1e6
                } else {
                    tick
                })
            }
            Unit::Bytes => in_unit(tick, unit),
        };
        canvas.text((LEFT - 8, y), &text, Look::new(HPos::Right, 12.0))?;
    }
    canvas.border([(LEFT, TOP), (right, bottom)], Paint::Faint, 1)?;
    canvas.text(
        ((LEFT + right) / 2, bottom + 36),
        "block",
        Look::new(HPos::Center, 12.0),
    )
}

fn blocks(canvas: &Canvas<'_>, values: &[(u32, f64)], up: Scale) -> Drawn {
    let width = SIZE.0 - RIGHT - LEFT;
    let slot = |index: usize| {
        let part = (index as f64 + 0.5) / values.len() as f64;
        LEFT + (f64::from(width) * part).round() as i32
    };
    let every = values.len().div_ceil(MOST_LABELS);
    let points: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(index, (_, value))| (slot(index), up.px(*value)))
        .collect();
    canvas.line(&points, OTHER, 1)?;
    for (index, (block, _)) in values.iter().enumerate() {
        canvas.dot(points[index], 4, RECOMMENDED)?;
        if index % every == 0 {
            // People count from one.
            let text = (block + 1).to_string();
            let at = (slot(index), SIZE.1 - BOTTOM + 14);
            canvas.text(at, &text, Look::new(HPos::Center, 12.0))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, texts};

    #[test]
    fn shows_every_block() {
        let fixture = Fixture::realistic();
        let chart = control(&fixture.study()).unwrap().unwrap();
        let texts = texts(&chart.svg);
        assert!(
            ["1", "6", "block"]
                .iter()
                .all(|text| texts.contains(&(*text).to_owned()))
        );
    }
}
