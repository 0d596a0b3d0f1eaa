//! The data files of a grid file from disk: CSV, whose first line names the
//! columns.

use std::ops::Range;
use std::path::Path;

use autotune_grid::{DataSource, GridFault};
use autotune_model::{DataTable, ErrorCode};
use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

/// Reads all data files; a fault for each that cannot be used.
pub(crate) fn read_all(sources: &[DataSource], faults: &mut Vec<GridFault>) -> Vec<DataTable> {
    let tables = sources.iter().map(|source| match read(source) {
        Ok(table) => Some(table),
        Err(fault) => {
            faults.push(fault);
            None
        }
    });
    tables.flatten().collect()
}

fn read(source: &DataSource) -> Result<DataTable, GridFault> {
    let broken = |error: &csv::Error| unreadable(source, error);
    let mut reader = ReaderBuilder::new()
        .trim(Trim::Headers)
        .from_path(&source.file)
        .map_err(|error| broken(&error))?;
    let texts = |record: &StringRecord| record.iter().map(str::to_owned).collect::<Vec<_>>();
    let line = |record: &StringRecord| record.position().map(csv::Position::line);
    let columns = texts(reader.headers().map_err(|error| broken(&error))?);
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].contains(column) {
            let what = format!("the column `{column}` is named twice");
            return Err(wrong(source, Some(1), &what));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(&error))?;
        let mut values = columns.iter().zip(&record);
        if let Some((column, _)) = values.find(|(_, value)| is_spaced(value)) {
            return Err(spaced(source, line(&record), column));
        }
        rows.push(texts(&record));
    }
    if rows.is_empty() {
        let what = "there is no row: the first line names the columns, values follow";
        return Err(wrong(source, None, what));
    }
    Ok(DataTable {
        name: source.name.clone(),
        columns,
        rows,
    })
}

/// Whether it begins or ends with a space.
fn is_spaced(value: &str) -> bool {
    value.trim_matches([' ', '\t']) != value
}

/// A space behind a comma is seldom meant, and a login fails of it without a
/// word. In quotes it may be meant, but nobody sees it in a message or a log.
fn spaced(source: &DataSource, line: Option<u64>, column: &str) -> GridFault {
    let what = format!("the value of `{column}` begins or ends with a space");
    let hint = "take it away, within quotes too; a space that is meant can stand around the hole";
    GridFault {
        hint: Some(hint.to_owned()),
        ..wrong(source, line, &what)
    }
}

fn unreadable(source: &DataSource, error: &csv::Error) -> GridFault {
    let line = error.position().map(csv::Position::line);
    match error.kind() {
        ErrorKind::Io(error) => missing(source, error),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let what = format!("{len} values, but the first line names {expected_len} columns");
            wrong(source, line, &what)
        }
        ErrorKind::Utf8 { .. } => wrong(source, line, "the text is not UTF-8"),
        _ => wrong(source, line, &error.to_string()),
    }
}

fn missing(source: &DataSource, error: &std::io::Error) -> GridFault {
    GridFault {
        code: ErrorCode::GridPath,
        span: source.place.clone(),
        message: format!("the data file cannot be read: {error}"),
        label: format!("looked for {}", source.file.display()),
        hint: Some("paths are relative to the folder of the grid file".to_owned()),
    }
}

fn wrong(source: &DataSource, line: Option<u64>, what: &str) -> GridFault {
    let line = line.map(|line| format!(", line {line}"));
    let place = place(&source.file, line.as_deref().unwrap_or_default());
    fault(&source.place, format!("{place}: {what}"))
}

fn place(file: &Path, line: &str) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}{line}")
}

fn fault(span: &Range<usize>, message: String) -> GridFault {
    GridFault {
        code: ErrorCode::GridValue,
        span: span.clone(),
        message,
        label: "this data file".to_owned(),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<DataTable, String> {
        let folder = tempfile::tempdir().unwrap();
        let source = DataSource {
            name: "people".to_owned(),
            file: folder.path().join("people.csv"),
            place: 0..1,
        };
        std::fs::write(&source.file, text).unwrap();
        read(&source).map_err(|fault| fault.message)
    }

    #[test]
    fn the_first_line_names_the_columns() {
        let text = "\u{feff}user, pass\r\nann,\"a ,\"\"b\"\nbob,\n";
        let table = read_text(text.as_bytes()).unwrap();
        assert_eq!(table.columns, ["user", "pass"]);
        assert_eq!(table.rows, [["ann", "a ,\"b"], ["bob", ""]]);
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line() {
        let check = |text: &[u8], expected: &str| {
            let message = read_text(text).unwrap_err();
            assert_eq!(message, format!("people.csv{expected}"));
        };
        let none = ": there is no row: the first line names the columns, values follow";
        check(b"user,pass\n", none);
        check(b"", none);
        check(
            b"user,pass\nann,a\nbob\n",
            ", line 3: 1 values, but the first line names 2 columns",
        );
        check(b"a,b,a\n1,2,3\n", ", line 1: the column `a` is named twice");
        check(b"a\n\xff\n", ", line 2: the text is not UTF-8");
        for row in ["ann, x", "ann,x ", "ann,\t", "ann,\" x\"", "ann, \"x\""] {
            let text = format!("user,pass\nbob,y z\n{row}\n");
            let spaced = ", line 3: the value of `pass` begins or ends with a space";
            check(text.as_bytes(), spaced);
        }
        let absent = DataSource {
            name: "x".to_owned(),
            file: "/nowhere/x.csv".into(),
            place: 0..1,
        };
        assert_eq!(read(&absent).unwrap_err().code, ErrorCode::GridPath);
    }
}
