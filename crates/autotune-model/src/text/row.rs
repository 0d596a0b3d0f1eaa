//! Which rows of a data file fill the requests of a load, and which the questions
//! before it. Pure; the filling is left to `text`.

/// The last rows of a data file are kept for the questions before a load: one
/// for whether the server is ready, and three rounds in the check before all
/// trials. An app that takes a value only once would refuse it to the load.
const KEPT_ROWS: usize = 4;

/// A row of a data file, by what is asked with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// In a load: counted from the first row, among [`rows_of_load`]; behind the
    /// last of them the first one comes again.
    Load(usize),
    /// Before a load: counted from the last row backwards.
    Question(usize),
}

impl Row {
    /// Where it stands in a file with so many rows; nowhere in an empty one.
    pub(crate) fn of(self, rows: usize) -> Option<usize> {
        match self {
            Self::Load(number) => number.checked_rem(rows_of_load(rows)),
            Self::Question(number) => {
                let back = number.checked_rem(rows)?;
                Some(rows - 1 - back)
            }
        }
    }
}

/// How many of the rows of a data file a load sends, from the first one on: not
/// those of the questions before it, where more rows are left than are kept.
pub fn rows_of_load(rows: usize) -> usize {
    if rows > 2 * KEPT_ROWS {
        rows - KEPT_ROWS
    } else {
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_load_share_no_row_where_there_are_enough() {
        let of = |rows, kind: fn(usize) -> Row| {
            let row = |number| kind(number).of(rows);
            [0, 1, 2, 3, rows].map(row).map(Option::unwrap)
        };
        assert_eq!(of(9, Row::Question), [8, 7, 6, 5, 8]);
        assert_eq!(of(9, Row::Load), [0, 1, 2, 3, 4]);
        assert_eq!([8, 9, 100].map(rows_of_load), [8, 5, 96]);
        // Too few to keep any.
        assert_eq!(of(2, Row::Question), [1, 0, 1, 0, 1]);
        assert_eq!(of(8, Row::Load), [0, 1, 2, 3, 0]);
        assert_eq!(
            [Row::Load(1), Row::Question(1)].map(|row| row.of(0)),
            [None; 2]
        );
    }
}
