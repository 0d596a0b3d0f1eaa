//! `report.html`: one file that needs no network, no script and no font.

use serde::Serialize;

use crate::error::ReportError;
use crate::page::{Format, Template, fill};
use crate::study::Study;
use crate::view::{Charts, View, charts, view};

const TEMPLATE: Template = Template {
    name: "report.html",
    text: include_str!("../templates/report.html"),
    format: Format::Html,
};
const STYLE: &str = include_str!("../templates/report.css");

#[derive(Serialize)]
struct HtmlPage {
    style: &'static str,
    view: View,
    charts: Charts,
}

/// The report as one HTML file.
///
/// # Errors
/// When a chart cannot be drawn or the template cannot be filled.
pub fn report_html(study: &Study<'_>) -> Result<String, ReportError> {
    let page = HtmlPage {
        style: STYLE,
        view: view(study),
        charts: charts(study)?,
    };
    fill(&TEMPLATE, &page)
}
