//! `report.md`: short enough for a pull request.

use serde::Serialize;

use crate::error::ReportError;
use crate::page::{Format, Template, fenced, fill};
use crate::study::Study;
use crate::view::{View, view};

const TEMPLATE: Template = Template {
    name: "report.md",
    text: include_str!("../templates/report.md"),
    format: Format::Markdown,
};

#[derive(Serialize)]
struct MarkdownPage {
    view: View,
    /// Finished code blocks.
    settings: String,
    command: String,
}

/// The report as Markdown.
///
/// # Errors
/// When the template cannot be filled.
pub fn report_md(study: &Study<'_>) -> Result<String, ReportError> {
    let settings = crate::config_file::settings(study).unwrap_or_default();
    let page = MarkdownPage {
        view: view(study),
        settings: fenced(&settings.join("\n")),
        command: fenced(study.command),
    };
    fill(&TEMPLATE, &page)
}
