//! Data files: rows that requests are filled with.

use std::fmt;

/// A data file, read: at least one row, each with a value for each column.
#[derive(Clone, PartialEq, Eq)]
pub struct DataTable {
    /// As in `[data.X]`.
    pub name: String,
    /// As the first line of the file says; no name twice.
    pub columns: Vec<String>,
    /// In the order of the file.
    pub rows: Vec<Vec<String>>,
}

impl DataTable {
    /// The value in this row; behind the last row the first one comes again.
    pub fn value(&self, row: usize, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|one| one == column)?;
        let row = self.rows.get(row.checked_rem(self.rows.len())?)?;
        row.get(place).map(String::as_str)
    }
}

/// Passwords may be in it.
impl fmt::Debug for DataTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataTable({}, {} rows)", self.name, self.rows.len())
    }
}
