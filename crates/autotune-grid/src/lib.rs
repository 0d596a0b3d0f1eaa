//! Grid file text to checked space; space to canonical configurations.
//!
//! The text is parsed into a tree that keeps the place of every key and value
//! (`tree`), walked by hand, and every fault is collected with its place, so
//! that one look shows all that is wrong. Nothing here touches a file, a clock
//! or the environment: whether a folder exists is for the program to say, and
//! [`Places`] tells it where to point.

mod defaults;
mod fault;

mod scalar;
mod tree;

mod param;
mod template;

mod endpoint;
mod environment;
mod goal;
mod json;
mod limits;
mod load;
mod login;
mod message;
mod server;
mod service;

mod number;

mod axis;
mod constraint;
mod expand;
mod grid;

mod file;
mod schema;
mod spelling;

pub use constraint::DroppedCell;
pub use defaults::DEFAULTS;
pub use expand::FoldedCell;
pub use fault::GridFault;
pub use file::{GridFile, HostRequest, Places, VariantPlaces, read};
pub use grid::{MAX_CELLS, Space};
pub use login::DataSource;
pub use schema::schema;
pub use service::ServicePlaces;
pub use spelling::{ConfigTextError, parse_configuration};
pub use template::ColumnUse;

#[cfg(test)]
mod tests;
