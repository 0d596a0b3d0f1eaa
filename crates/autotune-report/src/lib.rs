//! From an analysis to HTML, Markdown, charts, tables and configuration files.
//!
//! Every output is a pure function of a [`Study`]: the same study gives the same
//! bytes. Nothing here judges; what is recommended and why, the analysis says.
//! Writing files and printing is left to the program.

mod chart;
mod conditions;
mod config_file;
mod error;
mod format;
mod html;
mod launch;
mod markdown;
mod page;
mod sentences;
mod study;
mod table;
mod trials;
mod verdict;
mod view;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use conditions::{connections_in_words, given as given_limits, load_in_words};
pub use config_file::config_file;
pub use error::ReportError;
pub use html::report_html;
pub use markdown::report_md;
pub use sentences::{headline, recommended_line};
pub use study::{Ending, Planned, Study, Word};
pub use table::{Align, Column, Table, table};
pub use trials::trials_csv;
pub use verdict::{HostLimitsRecord, verdict_json};
