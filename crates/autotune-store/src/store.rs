//! The store's verbs: each is one transaction on the study's database.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use autotune_model::{Decision, History, TrialKey, TrialRecord, TrialSpec};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::claims::{self, Claim, Lease};
use crate::decisions::{self, Appended};
use crate::ends::{self, LastEnd, RunEnd};
use crate::error::{Fault, StoreError};
use crate::files::{create_folder, discard, move_into_place};
use crate::meta::{self, StudyMeta};
use crate::rows::Place;
use crate::schema;
use crate::series::TrialSeries;
use crate::trials::{self, Recorded};

/// An open study.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    meta: StudyMeta,
    access: Access,
}

/// Whether a history is loaded with its per-second data. No verdict needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// With them; the records are as they were handed in.
    With,
    /// Without: `seconds`, `outstanding` and `samples` are empty.
    Without,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Write,
    Read,
    /// The file has this newer format: only read, whatever was asked for.
    Newer(u32),
}

impl Store {
    /// Creates a study and its folder. A study that is killed while it is
    /// created is not there afterwards.
    ///
    /// # Errors
    /// When there is a file at the path, or it cannot be written.
    pub fn create(path: &Path, meta: &StudyMeta) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists {
                path: path.to_owned(),
            });
        }
        create_folder(path)?;
        let draft = with_suffix(path, ".new");
        for suffix in ["", "-wal", "-shm", "-journal"] {
            discard(&with_suffix(&draft, suffix))?;
        }
        found(&draft, meta).map_err(|source| database(&draft, "create a study", source))?;
        move_into_place(&draft, path)?;
        Self::open(path)
    }

    /// Opens a study to read and write it, and brings an older format up to
    /// date. A newer format can be read; whatever would write to it is refused
    /// with [`StoreError::Newer`].
    ///
    /// # Errors
    /// When there is no study, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_for(path, Access::Write)
    }

    /// Opens a study to read it, also while another process writes it. An older
    /// format is read as it is: later ones only add to it.
    ///
    /// # Errors
    /// When there is no study, or it cannot be read.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::open_for(path, Access::Read)
    }

    fn open_for(path: &Path, wanted: Access) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Missing {
                path: path.to_owned(),
            });
        }
        let failed = |source| database(path, "open the study", source);
        let mut connection = connect(path, wanted).map_err(failed)?;
        let format = schema::format_of(&connection).map_err(failed)?;
        let Some(format) = format else {
            return Err(StoreError::NotAStudy {
                path: path.to_owned(),
            });
        };
        let known = schema::newest();
        let access = match wanted {
            _ if format > known => Access::Newer(format),
            _ => wanted,
        };
        if access == Access::Write {
            schema::prepare_for_writing(&connection).map_err(failed)?;
            schema::migrate(&mut connection).map_err(failed)?;
        } else {
            connection
                .pragma_update(None, "query_only", true)
                .map_err(|source| failed(source.into()))?;
        }
        let meta = meta::load_meta(&connection).map_err(failed)?;
        let meta = meta.ok_or_else(|| StoreError::NotAStudy {
            path: path.to_owned(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            connection,
            meta,
            access,
        })
    }

    /// What the study is.
    pub fn meta(&self) -> &StudyMeta {
        &self.meta
    }

    /// The database.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks for a trial. The owner's own claim is granted again; another
    /// owner's is not before its lease has ended.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn claim(&mut self, spec: &TrialSpec, lease: &Lease) -> Result<Claim, StoreError> {
        self.write("claim a trial", |transaction, study| {
            claims::claim(transaction, study, spec, lease)
        })
    }

    /// Stores a finished trial, whole or not at all. When this returns, the
    /// record survives a loss of power. The same record may be stored again.
    ///
    /// # Errors
    /// [`StoreError::OtherRecord`] when another record has its key and attempt,
    /// or when the database cannot be written.
    pub fn record(&mut self, record: &TrialRecord) -> Result<(), StoreError> {
        let recorded = self.write("record a trial", |transaction, study| {
            trials::record(transaction, study, record)
        })?;
        match recorded {
            Recorded::Stored => Ok(()),
            Recorded::OtherIsStored => Err(StoreError::OtherRecord {
                key: record.spec.key,
                attempt: record.spec.attempt,
            }),
        }
    }

    /// All trials by key and attempt, and all decisions by number, as of one
    /// moment.
    ///
    /// # Errors
    /// When the database cannot be read, or holds what has no meaning.
    pub fn load_history(&self, series: Series) -> Result<History, StoreError> {
        let study = &self.meta.name;
        self.read("load the history", |connection| {
            let mut trials = trials::load_trials(connection, study)?;
            if series == Series::With {
                for trial in &mut trials {
                    let place = Place::new(study, trial.spec.key, trial.spec.attempt);
                    trials::load_series(connection, &place)?.put_into(trial);
                }
            }
            Ok(History {
                trials,
                decisions: decisions::load_decisions(connection, study)?,
            })
        })
    }

    /// The per-second data of one trial; `None` where it is not stored.
    ///
    /// # Errors
    /// When the database cannot be read, or holds what has no meaning.
    pub fn series_of(
        &self,
        key: TrialKey,
        attempt: u32,
    ) -> Result<Option<TrialSeries>, StoreError> {
        let study = &self.meta.name;
        self.read("load the series of a trial", |connection| {
            if !trials::is_stored(connection, study, (key, attempt))? {
                return Ok(None);
            }
            trials::load_series(connection, &Place::new(study, key, attempt)).map(Some)
        })
    }

    /// Stores a decision. The same decision may be stored again.
    ///
    /// # Errors
    /// [`StoreError::OtherDecision`] when another one has its number,
    /// [`StoreError::DecisionGap`] when it is not the next one, or when the
    /// database cannot be written.
    pub fn append_decision(&mut self, decision: &Decision) -> Result<(), StoreError> {
        let number = decision.number;
        let appended = self.write("store a decision", |transaction, study| {
            decisions::append(transaction, study, decision)
        })?;
        match appended {
            Appended::Stored => Ok(()),
            Appended::OtherIsStored => Err(StoreError::OtherDecision { number }),
            Appended::Gap { next } => Err(StoreError::DecisionGap { number, next }),
        }
    }

    /// Stores how a run of the sweep has ended. The same end of the same study
    /// is stored once.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn append_end(&mut self, end: &RunEnd, now_wall_ns: i64) -> Result<(), StoreError> {
        self.write("store how the sweep ended", |transaction, study| {
            ends::append(transaction, study, (end, now_wall_ns))
        })
    }

    /// How the last run that was not killed has ended, if there was one.
    ///
    /// # Errors
    /// When the database cannot be read, or holds what has no meaning.
    pub fn last_end(&self) -> Result<Option<LastEnd>, StoreError> {
        let study = &self.meta.name;
        self.read("load how the sweep ended", |connection| {
            ends::load_last(connection, study)
        })
    }

    fn write<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        match self.access {
            Access::Write => {}
            Access::Read => {
                return Err(StoreError::ReadOnly {
                    path: self.path.clone(),
                });
            }
            Access::Newer(found) => {
                return Err(StoreError::Newer {
                    path: self.path.clone(),
                    found,
                    known: schema::newest(),
                });
            }
        }
        let study = &self.meta.name;
        let run = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction, study)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|source| database(&self.path, doing, source))
    }

    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let run = || {
            // One moment for all queries, while another process may write.
            let transaction = self.connection.unchecked_transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|source| database(&self.path, doing, source))
    }
}

/// Makes the whole database; closing the connection leaves one file.
fn found(path: &Path, meta: &StudyMeta) -> Result<(), Fault> {
    let mut connection = Connection::open(path)?;
    schema::prepare_for_writing(&connection)?;
    schema::found(&mut connection)?;
    let transaction = connection.transaction()?;
    meta::insert_meta(&transaction, meta)?;
    transaction.commit()?;
    connection
        .close()
        .map_err(|(_connection, source)| Fault::Sqlite(source))
}

fn connect(path: &Path, access: Access) -> Result<Connection, Fault> {
    let flags = match access {
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Access::Read | Access::Newer(_) => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    schema::prepare_for_reading(&connection)?;
    Ok(connection)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn database(path: &Path, doing: &'static str, source: Fault) -> StoreError {
    StoreError::Database {
        path: path.to_owned(),
        doing,
        source,
    }
}
