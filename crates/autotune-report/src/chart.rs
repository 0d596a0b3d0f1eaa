//! Charts as SVG text, behind a small canvas of our own: the drawing library
//! can be replaced here alone.
//!
//! Without fonts the library cannot measure text, so charts carry short labels
//! in fixed places, and legends stand in HTML. Lines and words take the colour
//! of the page around them, so that a chart reads on light and dark alike.

pub(crate) mod control;
pub(crate) mod heat;
mod scale;
pub(crate) mod scatter;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::ReportError;

/// A finished chart: an `svg` element that scales to its place.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) svg: String,
}

pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Pixels from the upper left.
pub(crate) type At = (i32, i32);

/// What a stroke or an area is coloured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As the text of the page.
    Ink,
    /// The same, barely visible.
    Faint,
    /// This one, on light and dark.
    Rgb(u8, u8, u8),
}

/// The recommended configuration: blue, apart in lightness from [`TIED`].
pub(crate) const RECOMMENDED: Paint = Paint::Rgb(0x1D, 0x6F, 0xD1);
/// The rest of the tie set.
pub(crate) const TIED: Paint = Paint::Rgb(0x6F, 0xB1, 0xF2);
/// What runs today.
pub(crate) const TODAY: Paint = Paint::Rgb(0xE0, 0x7B, 0x1A);
/// All others.
pub(crate) const OTHER: Paint = Paint::Rgb(0x8A, 0x93, 0x9E);
/// What failed.
pub(crate) const FAILED: Paint = Paint::Rgb(0xC6, 0x3D, 0x3D);

/// Stands for the page's own colour until the text is finished.
const INK: RGBColor = RGBColor(1, 2, 3);

/// How text is set.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) size: f64,
    pub(crate) anchor: HPos,
    pub(crate) paint: Paint,
    pub(crate) bold: bool,
}

impl Look {
    pub(crate) const fn new(anchor: HPos, size: f64) -> Self {
        Self {
            size,
            anchor,
            paint: Paint::Ink,
            bold: false,
        }
    }

    pub(crate) const fn painted(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// A drawing area with the few things that the charts need.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Draws a chart of this size in pixels; `alt` is what it says in words.
pub(crate) fn draw(
    size: (u32, u32),
    alt: &str,
    paint: impl FnOnce(&Canvas<'_>) -> Drawn,
) -> Result<Chart, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let canvas = Canvas { area };
        paint(&canvas)?;
        canvas.area.present()?;
    }
    Ok(Chart {
        svg: finish(&svg, size, alt),
    })
}

/// Lets the chart scale, gives it its words, and the page's own colour.
fn finish(svg: &str, (width, height): (u32, u32), alt: &str) -> String {
    let fixed = format!("width=\"{width}\" height=\"{height}\" viewBox");
    let scaling = format!(
        "class=\"chart\" style=\"width:{width}px\" role=\"img\" aria-label=\"{}\" viewBox",
        crate::page::html_escaped(alt)
    );
    svg.replacen(&fixed, &scaling, 1)
        .replace("#010203", "currentColor")
}

impl Canvas<'_> {
    /// Text whose middle line is at this height.
    pub(crate) fn text(&self, at: At, text: &str, look: Look) -> Drawn {
        let style = if look.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        // The backend divides sizes by this number.
        let font = ("sans-serif", look.size * 1.24, style).into_font();
        let paint = color(look.paint);
        let style = TextStyle::from(font)
            .color(&paint)
            .pos(Pos::new(look.anchor, VPos::Center));
        self.area.draw_text(text, &style, at)
    }

    /// Text that runs upwards, its middle at this place.
    pub(crate) fn text_upwards(&self, at: At, text: &str, look: Look) -> Drawn {
        let font = ("sans-serif", look.size * 1.24).into_font();
        let paint = color(look.paint);
        let style = TextStyle::from(font)
            .color(&paint)
            .pos(Pos::new(look.anchor, VPos::Center))
            .transform(FontTransform::Rotate270);
        self.area.draw_text(text, &style, at)
    }

    pub(crate) fn line(&self, points: &[At], paint: Paint, width: u32) -> Drawn {
        let style = color(paint).stroke_width(width);
        self.area.draw(&PathElement::new(points.to_vec(), style))
    }

    pub(crate) fn area(&self, corners: [At; 2], paint: Paint) -> Drawn {
        self.area
            .draw(&Rectangle::new(corners, color(paint).filled()))
    }

    /// A border of straight lines, since the backend drops the width of a
    /// rectangle's stroke.
    pub(crate) fn border(&self, [(x0, y0), (x1, y1)]: [At; 2], paint: Paint, width: u32) -> Drawn {
        let corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)];
        self.line(&corners, paint, width)
    }

    pub(crate) fn dot(&self, at: At, radius: i32, paint: Paint) -> Drawn {
        self.area
            .draw(&Circle::new(at, radius, color(paint).filled()))
    }

    pub(crate) fn ring(&self, at: At, radius: i32, paint: Paint) -> Drawn {
        self.area
            .draw(&Circle::new(at, radius, color(paint).stroke_width(2)))
    }

    pub(crate) fn diamond(&self, (x, y): At, radius: i32, paint: Paint) -> Drawn {
        let corners = vec![
            (x, y - radius),
            (x + radius, y),
            (x, y + radius),
            (x - radius, y),
        ];
        self.area
            .draw(&Polygon::new(corners, color(paint).filled()))
    }

    pub(crate) fn cross(&self, (x, y): At, radius: i32, paint: Paint) -> Drawn {
        self.line(
            &[(x - radius, y - radius), (x + radius, y + radius)],
            paint,
            2,
        )?;
        self.line(
            &[(x - radius, y + radius), (x + radius, y - radius)],
            paint,
            2,
        )
    }
}

fn color(paint: Paint) -> RGBAColor {
    match paint {
        Paint::Ink => INK.to_rgba(),
        Paint::Faint => INK.mix(0.18),
        Paint::Rgb(red, green, blue) => RGBColor(red, green, blue).to_rgba(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_scales_escapes_and_takes_the_page_s_colour() {
        let chart = draw((200, 100), "a \"<b>\"", |canvas| {
            canvas.text((10, 10), "<script>&", Look::new(HPos::Left, 12.0))?;
            canvas.line(&[(0, 0), (10, 10)], Paint::Faint, 1)
        })
        .unwrap();
        let document = roxmltree::Document::parse(&chart.svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("viewBox"), Some("0 0 200 100"));
        assert_eq!(root.attribute("width"), None);
        assert_eq!(root.attribute("aria-label"), Some("a \"<b>\""));
        let text = document
            .descendants()
            .find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .unwrap();
        assert_eq!(text.text().unwrap().trim(), "<script>&");
        assert_eq!(text.attribute("fill"), Some("currentColor"));
    }
}
