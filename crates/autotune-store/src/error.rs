//! What can go wrong with a study on disk. A store failure ends a sweep: the
//! records are the product.

use std::path::PathBuf;

use autotune_model::TrialKey;
use autotune_model::histogram::HistogramError;

/// A study that cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A study is already there.
    #[error("{} exists already", path.display())]
    Exists {
        /// Its database.
        path: PathBuf,
    },
    /// There is no study.
    #[error("no study at {}", path.display())]
    Missing {
        /// Where its database would be.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a study of autotune", path.display())]
    NotAStudy {
        /// The file.
        path: PathBuf,
    },
    /// The study was written by a newer program. It is read, never written.
    #[error(
        "{} has format {found}, written by a newer autotune; this one knows formats up to \
         {known} and only reads it", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// Something was to be written to a study opened for reading only.
    #[error("{} is open for reading only", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The trial is stored already, and differently. The stored one stays.
    #[error("trial {key}, attempt {attempt} is stored already with other content")]
    OtherRecord {
        /// Which trial.
        key: TrialKey,
        /// Which attempt.
        attempt: u32,
    },
    /// The decision is stored already, and differently. The stored one stays.
    #[error("decision {number} is stored already with other content")]
    OtherDecision {
        /// Which.
        number: u32,
    },
    /// Decisions are numbered without gaps.
    #[error("decision {number} is out of turn: the next one is {next}")]
    DecisionGap {
        /// The number given.
        number: u32,
        /// The number that would be next.
        next: u32,
    },
    /// The database failed, or holds what cannot be understood.
    #[error("cannot {doing} in {}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What was being done, for example `record a trial`.
        doing: &'static str,
        /// Why.
        #[source]
        source: Fault,
    },
    /// A file or folder failed.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was being done, for example `rename`.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Why an access to the database failed.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database itself.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A JSON column.
    #[error("stored text is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// A histogram column.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// A compressed column.
    #[error("series cannot be packed or unpacked")]
    Zlib(#[source] std::io::Error),
    /// A value that no version of this program writes.
    #[error("stored {what} `{found}` has no meaning")]
    Unknown {
        /// The kind of value: `outcome`.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A configuration whose parts do not make the identity stored with it.
    #[error("the stored configuration `{label}` does not match its identity")]
    Identity {
        /// How it is written.
        label: String,
    },
    /// A number that is not possible for its quantity.
    #[error("stored quantity is not possible")]
    Range(#[from] autotune_model::units::OutOfRange),
    /// A duration of more than 292 years.
    #[error("a duration of {} s cannot be stored", .0.as_secs())]
    TooLong(std::time::Duration),
}
