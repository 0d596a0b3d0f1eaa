//! What can go wrong while text is made.

use plotters::drawing::DrawingAreaErrorKind;

/// A text that could not be made. None of these depends on the data: each is a
/// fault of a template or of a library.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The verdict does not become JSON.
    #[error("verdict cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The trials do not become CSV.
    #[error("trials cannot be written as CSV")]
    Csv(#[from] csv::Error),
    /// The CSV writer does not finish.
    #[error("trials cannot be written as CSV")]
    CsvFlush(#[from] std::io::Error),
    /// The CSV is no text.
    #[error("trials are not UTF-8")]
    CsvText(#[from] std::string::FromUtf8Error),
    /// A template cannot be filled.
    #[error("template {name} cannot be filled")]
    Template {
        /// The template.
        name: &'static str,
        /// Why.
        #[source]
        source: minijinja::Error,
    },
    /// A chart cannot be drawn.
    #[error("chart cannot be drawn")]
    Chart(#[from] DrawingAreaErrorKind<std::io::Error>),
}
