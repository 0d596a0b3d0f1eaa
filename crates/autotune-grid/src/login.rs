//! `[login]` and `[data.X]`: what requests need that differs from person to
//! person. Reading the data files is left to the program.

use std::ops::Range;
use std::path::{Path, PathBuf};

use autotune_model::{
    DataTable, Endpoint, EnvValue, ErrorCode, Extractor, Hole, LoadShape, Login, LoginStep,
    MAX_VARIANTS,
};

use crate::endpoint;
use crate::environment;
use crate::fault::{Checked, Faults, GridFault, did_you_mean, in_words, likely};
use crate::file::GridFile;
use crate::json;
use crate::message::{self, is_header_value};
use crate::scalar::{is_name, is_variable};
use crate::template::{ColumnUse, Names, plain};
use crate::tree::{Keys, Node, Table, all};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &["sessions", "values", "step"],
    planned: &[],
};
pub(crate) const STEP_KEYS: Keys<'_> = Keys {
    known: &["method", "path", "headers", "body", "expect", "extract"],
    planned: &[],
};
pub(crate) const EXTRACT_KEYS: Keys<'_> = Keys {
    known: &["between", "header", "json", "cookie"],
    planned: &[],
};
pub(crate) const DATA_KEYS: Keys<'_> = Keys {
    known: &["file"],
    planned: &[],
};
/// More people than that log in for longer than a trial is.
pub(crate) const MOST_SESSIONS: i64 = 1_000;

/// A data file that the grid file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSource {
    /// As in `[data.X]`.
    pub name: String,
    /// Absolute.
    pub file: PathBuf,
    /// The value of `file`.
    pub place: Range<usize>,
}

/// What is wrong with a column where the text uses it.
fn unusable(used: &ColumnUse, table: &DataTable) -> Option<GridFault> {
    let fault = |message, label| GridFault::new(ErrorCode::GridValue, &used.place, message, label);
    let Some(place) = table.columns.iter().position(|one| *one == used.column) else {
        let message = format!("`{}` has no column `{}`", used.table, used.column);
        let columns: Vec<&str> = table.columns.iter().map(String::as_str).collect();
        let label = format!("its first line names {}", in_words(&columns));
        let likely = likely(&used.column, columns).map(|name| format!("did you mean `{name}`?"));
        return Some(GridFault {
            hint: likely,
            ..fault(message, label)
        });
    };
    let header = used.header.as_ref()?;
    let fits = |row: &Vec<String>| row.get(place).is_none_or(|value| is_header_value(value));
    let row = table.rows.iter().position(|row| !fits(row))? + 1;
    let message = format!(
        "the header `{header}` cannot hold `{}.{}` of row {row}: it has a control character",
        used.table, used.column
    );
    let hint = "take line breaks and their like out of that row, or send the column in a body";
    Some(fault(message, "used here".to_owned()).hint(hint))
}

impl GridFile {
    /// What is wrong with data files that were read, where the text uses them:
    /// columns that are not there or cannot stand where they are used, too few rows for the sessions, more requests
    /// than can be written before a load.
    pub fn check_data(&self, data: &[DataTable]) -> Vec<GridFault> {
        let mut faults = Faults::default();
        let table = |name: &str| data.iter().find(|table| table.name == name);
        for used in &self.places.columns {
            let Some(table) = table(&used.table) else {
                continue;
            };
            if let Some(fault) = unusable(used, table) {
                faults.add(fault);
            }
        }
        let login = self.login.iter();
        let own: Vec<&str> = login.flat_map(Login::tables).collect();
        let sessions = self
            .login
            .as_ref()
            .map_or(1, |login| login.sessions as usize);
        let place = self.places.sessions.clone().unwrap_or_default();
        for table in own.iter().filter_map(|name| table(name)) {
            if table.rows.len() < sessions {
                let rows = table.rows.len();
                let message = format!("{sessions} sessions, but `{}` has {rows} rows", table.name);
                let fault = GridFault::new(ErrorCode::GridConflict, &place, message, "too many");
                faults.add(fault.hint("each session logs in with a row of its own"));
            }
        }
        let rows_of = |endpoint: &Endpoint| {
            let tables = endpoint.asked().holes().filter_map(|hole| match hole {
                Hole::Column { table, .. } => Some(table.as_str()),
                Hole::Value(_) => None,
            });
            let rows = tables.filter(|name| !own.contains(name)).filter_map(table);
            rows.map(|table| table.rows.len()).max().unwrap_or(1)
        };
        let count: usize = self.endpoints.iter().map(rows_of).sum::<usize>() * sessions;
        if count > MAX_VARIANTS {
            let message = format!(
                "{count} different requests, more than {MAX_VARIANTS}: the rows of each endpoint, \
                 times {sessions} sessions"
            );
            let first = self.data.first().map_or(place, |data| data.place.clone());
            let fault = GridFault::new(ErrorCode::GridValue, &first, message, "too many rows");
            faults.add(fault.hint("shorten the data files, or log fewer sessions in"));
        }
        faults.into_sorted()
    }
}

/// `[data.X]`, and their names.
pub(crate) fn data(
    root: &Table<'_>,
    (base, names): (&Path, &mut Names),
    faults: &mut Faults,
) -> Checked<Vec<DataSource>> {
    let Some(node) = root.given("data") else {
        return Ok(Vec::new());
    };
    let table = node.table("[data]".to_owned(), None, faults)?;
    all(table.nodes.iter().map(|node| {
        names.tables.push(node.key.to_owned());
        if !is_name(node.key) {
            let message = format!("no data file can be called `{}`", node.key);
            let code = ErrorCode::GridValue;
            let fault = GridFault::new(code, &node.key_span, message, "not a name");
            let hint = "letters, digits, `-` and `_`, at most 64, a letter or digit first";
            return Err(faults.add(fault.hint(hint)));
        }
        let mut table = node.table(format!("[data.{}]", node.key), None, faults)?;
        table.check_keys(&DATA_KEYS, faults);
        let file = table.require("file", "for example file = \"accounts.csv\"", faults)?;
        let path = file.filled_text(faults)?;
        plain(&file, path, faults)?;
        Ok(DataSource {
            name: node.key.to_owned(),
            file: base.join(path),
            place: file.span.clone(),
        })
    }))
}

/// `[login]`, and what can be named behind it.
pub(crate) fn read(
    root: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Option<Login>> {
    if root.given("login").is_none() {
        root.not_misspelt("login")?;
        return Ok(None);
    }
    let login = root.section("login", &KEYS, faults)?;
    let sessions = login
        .require("sessions", "for example sessions = 8", faults)
        .and_then(|node| {
            let count = node.int((1, MOST_SESSIONS), faults)?;
            u32::try_from(count).map_err(|why| faults.add(node.fault(why.to_string(), "too many")))
        });
    let values = values(&login, names, faults);
    let steps = steps(&login, names, faults);
    Ok(Some(Login {
        sessions: sessions?,
        values: values?,
        steps: steps?,
    }))
}

/// In closed load each user has one session: more would log in for nothing.
pub(crate) fn check_users(
    root: &Table<'_>,
    (login, load): (&Login, &LoadShape),
    faults: &mut Faults,
) -> Checked<()> {
    let Some(users) = load.most_users() else {
        return Ok(());
    };
    if login.sessions <= users {
        return Ok(());
    }
    let message = format!("more sessions than the {users} users of the load");
    let place = sessions_place(root).unwrap_or_default();
    let fault = GridFault::new(ErrorCode::GridConflict, &place, message, "too many");
    Err(faults.add(fault.hint("each user has one session: give at most as many as users")))
}

/// Where `sessions` stands, or `[login]` without it.
pub(crate) fn sessions_place(root: &Table<'_>) -> Option<Range<usize>> {
    let login = root.given("login")?;
    let table = login.value.as_table();
    let sessions = table.and_then(|table| table.get("sessions"));
    Some(sessions.map_or(login.span, |sessions| sessions.span()))
}

/// The values of `from_env` in `[login]` with their places.
pub(crate) fn from_env_places(root: &Table<'_>) -> Vec<(String, Range<usize>)> {
    let login = root.given("login");
    let login = login.as_ref().and_then(|login| login.value.as_table());
    let Some(login) = login else {
        return Vec::new();
    };
    let values = login
        .get("values")
        .and_then(|values| values.get_ref().as_table());
    let values = values.into_iter().flat_map(|values| values.values());
    let mut places = environment::from_env_places(values.map(|value| value.get_ref()));
    let steps = login
        .get("step")
        .and_then(|steps| steps.get_ref().as_array());
    places.extend(endpoint::places_in(steps.into_iter().flatten()));
    places
}

fn values(
    login: &Table<'_>,
    names: &mut Names,
    faults: &mut Faults,
) -> Checked<Vec<(String, EnvValue)>> {
    let Some(node) = login.given("values") else {
        return Ok(Vec::new());
    };
    let defaults = login.defaults_of("values");
    let table = node.table("`values`".to_owned(), defaults, faults)?;
    all(table.nodes.iter().map(|node| {
        names.values.push(node.key.to_owned());
        name(node, faults)?;
        let value = message::plain_value(node, defaults, faults)?;
        Ok((node.key.to_owned(), value))
    }))
}

/// What can stand in a hole.
fn name(node: &Node<'_>, faults: &mut Faults) -> Checked<()> {
    if is_variable(node.key) {
        return Ok(());
    }
    let message = format!("no hole can be called `{}`", node.key);
    let code = ErrorCode::GridValue;
    let fault = GridFault::new(code, &node.key_span, message, "not a name");
    Err(faults.add(fault.hint("letters, digits and `_`, a letter first")))
}

fn steps(login: &Table<'_>, names: &mut Names, faults: &mut Faults) -> Checked<Vec<LoginStep>> {
    let hint = "add [[login.step]] with `path`";
    // The defaults have a `step` too: only the text counts here.
    let Some(node) = login.given("step") else {
        login.not_misspelt("step")?;
        let message = "the login has no step";
        let code = ErrorCode::GridMissing;
        let fault = GridFault::new(code, &login.span, message, "without [[login.step]]");
        return Err(faults.add(fault.hint(hint)));
    };
    if node.value.is_table() {
        let fault = node.fault("steps are a list of tables", "one table");
        return Err(faults.add(fault.hint("write [[login.step]] with two brackets")));
    }
    let given = names.values.len();
    all(node.filled_list(faults)?.into_iter().map(|item| {
        let defaults = login.defaults_of("step");
        let mut table = item.table("[[login.step]]".to_owned(), defaults, faults)?;
        table.check_keys(&STEP_KEYS, faults);
        step(&table, (names, given), faults)
    }))
}

/// What a step takes out of its answer can be used from the next step on.
fn step(
    table: &Table<'_>,
    (names, given): (&mut Names, usize),
    faults: &mut Faults,
) -> Checked<LoginStep> {
    let request = endpoint::request(table, names, faults);
    let expect = endpoint::expect(table, faults);
    let extract = extract(table, (names, given), faults);
    let request = request?;
    Ok(LoginStep {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        expect: expect?,
        extract: extract?,
    })
}

fn extract(
    step: &Table<'_>,
    (names, given): (&mut Names, usize),
    faults: &mut Faults,
) -> Checked<Vec<(String, Extractor)>> {
    let Some(node) = step.given("extract") else {
        return Ok(Vec::new());
    };
    let table = node.table("`extract`".to_owned(), None, faults)?;
    all(table.nodes.iter().map(|node| {
        let key = node.key.to_owned();
        if names.values[..given].contains(&key) {
            let message = format!("`{key}` is among `values` already");
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.key_span, message, "the name is taken");
            return Err(faults.add(fault));
        }
        names.values.push(key.clone());
        name(node, faults)?;
        Ok((key, extractor(node, faults)?))
    }))
}

fn extractor(node: &Node<'_>, faults: &mut Faults) -> Checked<Extractor> {
    let table = node.table(format!("`{}`", node.key), None, faults)?;
    let [place] = &table.nodes[..] else {
        let ways = in_words(EXTRACT_KEYS.known);
        let message = format!("`{}` is taken from one place: {ways}", node.key);
        let fault = node.fault(message, "not one place");
        return Err(faults.add(fault.hint("for example { between = [\"value=\\\"\", \"\\\"\"] }")));
    };
    match place.key {
        "between" => between(place, faults),
        "header" => Ok(Extractor::Header(place.filled_text(faults)?.to_owned())),
        "cookie" => Ok(Extractor::Cookie(place.filled_text(faults)?.to_owned())),
        "json" => {
            let pointer = place.text(faults)?;
            json::pointer(pointer, place.fault(json::NO_POINTER, "no pointer"), faults)
                .map(Extractor::Json)
        }
        other => {
            let message = format!("unknown key `{other}` in {}", table.title);
            let code = ErrorCode::GridUnknownKey;
            let mut fault = GridFault::new(code, &place.key_span, message, "no such key");
            fault.hint = did_you_mean(other, EXTRACT_KEYS.known.iter().copied());
            Err(faults.add(fault))
        }
    }
}

fn between(node: &Node<'_>, faults: &mut Faults) -> Checked<Extractor> {
    let list = node.list(faults)?;
    let [before, after] = &list[..] else {
        let message = "`between` takes two texts: the one before the value and the one after it";
        return Err(faults.add(node.fault(message, "not two texts")));
    };
    let text = |node: &Node<'_>, faults: &mut Faults| match node.text(faults)? {
        "" => Err(faults.add(node.fault("the empty text is everywhere", "empty"))),
        text => Ok(text.to_owned()),
    };
    let (before, after) = (text(before, faults), text(after, faults));
    Ok(Extractor::Between([before?, after?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_that_there_are_are_named() {
        let text = r#"name = "a"
[server.g]
profile = "gunicorn"
app = "app:app"
[grid]
[data.people]
file = "people.csv"
[[endpoint]]
name = "home"
path = "/{{ people.usr }}/{{ people.age }}"
[load.closed]
users = 1
"#;
        let base = Path::new("/grids");
        let file = crate::read(text, base, &crate::tests::profiles(), &|_| 4);
        let file = file.expect("a good grid file");
        let people = DataTable {
            name: "people".to_owned(),
            columns: vec!["user".to_owned(), "password".to_owned()],
            rows: vec![vec!["ann".to_owned(), "x".to_owned()]],
        };
        let faults = file.check_data(&[people]);
        let said = |fault: &GridFault| (fault.message.clone(), fault.hint.clone());
        let labels: Vec<&str> = faults.iter().map(|fault| fault.label.as_str()).collect();
        assert_eq!(labels, ["its first line names `user` and `password`"; 2]);
        let expected = [
            ("`people` has no column `usr`", Some("did you mean `user`?")),
            ("`people` has no column `age`", None),
        ];
        let expected = expected.map(|(said, hint)| (said.to_owned(), hint.map(str::to_owned)));
        assert_eq!(faults.iter().map(said).collect::<Vec<_>>(), expected);
    }
}
