//! The format of the database: what marks a file as ours, the migrations, and
//! the settings of a connection. What is in the tables, the other files know.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::Fault;

/// The `application_id` of a study: `ATUN` in ASCII.
const APPLICATION_ID: i64 = 0x4154_554e;

/// Format N is what the first N of these make. A migration, once released, is
/// never edited; it only adds tables and columns.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
];

/// Longer than any transaction of ours takes on a slow disk.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// The newest format that this program knows.
pub(crate) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// The format of a database; `None` where it is no study at all.
pub(crate) fn format_of(connection: &Connection) -> Result<Option<u32>, Fault> {
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if application != APPLICATION_ID {
        return Ok(None);
    }
    Ok(Some(connection.pragma_query_value(
        None,
        "user_version",
        |row| row.get(0),
    )?))
}

/// Makes an empty database a study in the newest format.
pub(crate) fn found(connection: &mut Connection) -> Result<(), Fault> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection)
}

/// Brings a study into the newest format, in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    migrate_with(connection, MIGRATIONS)
}

fn migrate_with(connection: &mut Connection, migrations: &[&str]) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, sql) in (1i64..).zip(migrations).skip(done) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Settings for a connection that writes: a commit survives a loss of power.
/// A trial takes minutes, so the sync costs nothing.
pub(crate) fn prepare_for_writing(connection: &Connection) -> Result<(), Fault> {
    prepare_for_reading(connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Settings for every connection.
pub(crate) fn prepare_for_reading(connection: &Connection) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [&str; 3] = [
        "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);",
        "ALTER TABLE a ADD COLUMN y TEXT;",
        "UPDATE a SET y = 'third';",
    ];

    fn version(connection: &Connection) -> u32 {
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn only_the_migrations_that_are_missing_run() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_with(&mut connection, &STEPS[..1]).unwrap();
        assert_eq!(version(&connection), 1);
        // The first step would fail if it ran again.
        migrate_with(&mut connection, &STEPS).unwrap();
        migrate_with(&mut connection, &STEPS).unwrap();
        assert_eq!(version(&connection), 3);
        let y: String = connection
            .query_row("SELECT y FROM a", [], |row| row.get(0))
            .unwrap();
        assert_eq!(y, "third");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_old_format() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_with(&mut connection, &STEPS[..1]).unwrap();
        let broken = [STEPS[0], STEPS[1], "no SQL"];
        assert!(migrate_with(&mut connection, &broken).is_err());
        assert_eq!(version(&connection), 1);
        assert!(connection.prepare("SELECT y FROM a").is_err());
    }

    #[test]
    fn settings_are_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("x.db")).unwrap();
        prepare_for_writing(&connection).unwrap();
        let text = |name| {
            connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(text("journal_mode").unwrap(), "wal".to_owned().into());
        // 2 is FULL.
        assert_eq!(text("synchronous").unwrap(), 2.into());
        assert_eq!(text("foreign_keys").unwrap(), 1.into());
        assert_eq!(text("busy_timeout").unwrap(), 20_000.into());
    }
}
