//! `[login]`, `[data]` and the holes of requests. What is broken stands in
//! `broken.cases`, but for what only the data files show.

use autotune_model::{DataTable, EnvValue, Extractor, Hole, Method, Part, Text};

use super::*;

fn text(text: &str) -> Part {
    Part::Fixed(text.to_owned())
}

fn value(name: &str) -> Part {
    Part::Hole(Hole::Value(name.to_owned()))
}

fn column(table: &str, column: &str) -> Part {
    Part::Hole(Hole::Column {
        table: table.to_owned(),
        column: column.to_owned(),
    })
}

#[test]
fn every_key_of_a_login_arrives() {
    let file = good(LOGIN);
    let login = file.login.unwrap();
    assert_eq!(login.sessions, 8);
    let password = EnvValue::FromEnv {
        name: "SHOP_PASSWORD".to_owned(),
        secret: true,
    };
    let values = [
        ("team".to_owned(), EnvValue::Text("red".to_owned())),
        ("password".to_owned(), password),
    ];
    assert_eq!(login.values, values);
    let [first, second] = &login.steps[..] else {
        panic!("{:?}", login.steps);
    };
    assert_eq!(first.method, Method::Get);
    let path = vec![text("/login?team="), value("team")];
    assert_eq!(first.path, Text::Holed(path));
    assert_eq!((&first.body, &first.expect.status[..]), (&None, &[200][..]));
    let marks = Extractor::Between(["value=\"".to_owned(), "\"".to_owned()]);
    let extract = [
        ("csrf".to_owned(), marks),
        ("shop".to_owned(), Extractor::Cookie("shop".to_owned())),
    ];
    assert_eq!(first.extract, extract);
    assert_eq!(
        (second.method, &second.path),
        (Method::Post, &"/login".into())
    );
    let body = vec![
        text("user="),
        column("accounts", "user"),
        text("&password="),
        value("password"),
        text("&csrf="),
        value("csrf"),
    ];
    assert_eq!(second.body, Some(Text::Holed(body)));
    let shop = ("X-Shop".to_owned(), Text::Holed(vec![value("shop")]));
    assert_eq!(second.headers[1], shop);
    assert_eq!(second.expect.status, [302]);
    assert_eq!(second.expect.contains.as_deref(), Some("welcome"));
    let extract = [
        ("token".to_owned(), Extractor::Header("X-Token".to_owned())),
        ("id".to_owned(), Extractor::Json("/user/id".to_owned())),
    ];
    assert_eq!(second.extract, extract);
}

#[test]
fn endpoints_use_what_the_login_gave_and_data() {
    let file = good(LOGIN);
    let item = &file.endpoints[0];
    let path = vec![
        text("/items/"),
        column("items", "id"),
        text("?by="),
        value("id"),
    ];
    assert_eq!(item.path, Text::Holed(path));
    assert_eq!(item.path.to_string(), "/items/{{ items.id }}?by={{ id }}");
    let bearer = Text::Holed(vec![text("Bearer "), value("token")]);
    assert_eq!(item.headers[0].1, bearer);
    let files: Vec<_> = file
        .data
        .iter()
        .map(|data| (data.name.as_str(), data.file.to_str().unwrap()))
        .collect();
    let expected = [
        ("accounts", "/grids/data/accounts.csv"),
        ("items", "/grids/items.csv"),
    ];
    assert_eq!(files, expected);
    let taken = &file.places.requests_from_env;
    assert_eq!((taken.len(), taken[0].0.as_str()), (1, "SHOP_PASSWORD"));
}

#[test]
fn without_a_login_there_is_none() {
    let file = good(LEAST);
    assert_eq!((file.login, file.data), (None, Vec::new()));
    let one = good(&edited(LOGIN, "sessions = 8\n", ""));
    assert_eq!(one.login.unwrap().sessions, 1);
}

fn table(name: &str, columns: &[&str], rows: usize) -> DataTable {
    let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
    DataTable {
        name: name.to_owned(),
        rows: vec![columns.clone(); rows],
        columns,
    }
}

/// The only fault: what stands under the caret, the message and the hint.
fn check(data: &[DataTable], under: &str, words: &str) {
    let faults = good(LOGIN).check_data(data);
    let [fault] = &faults[..] else {
        panic!("{faults:#?}");
    };
    assert_eq!(&LOGIN[fault.span.clone()], under);
    let hint = fault.hint.as_deref().unwrap_or_default();
    let said = format!("{} | {hint}", fault.message);
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_header_holds_no_line_break_out_of_a_row() {
    let grid = edited(LOGIN, "Bearer {{ token }}", "Bearer {{ items.id }}");
    let mut items = table("items", &["id"], 3);
    items.rows[1][0] = "a\r\nX-Admin: 1".to_owned();
    let data = [table("accounts", &["user"], 8), items];
    let faults = good(&grid).check_data(&data);
    let [fault] = &faults[..] else {
        panic!("{faults:#?}");
    };
    assert_eq!(&grid[fault.span.clone()], "\"Bearer {{ items.id }}\"");
    assert_eq!(
        fault.message,
        "the header `Authorization` cannot hold `items.id` of row 2: it has a control character"
    );
}

#[test]
fn what_the_data_files_lack_is_told_where_it_is_used() {
    let accounts = || table("accounts", &["user"], 8);
    let items = |rows| table("items", &["id"], rows);
    // The login's own rows are no further requests.
    let most = [accounts(), items(12_499)];
    assert_eq!(good(LOGIN).check_data(&most), []);
    check(
        &[accounts(), items(12_500)],
        "\"data/accounts.csv\"",
        "100008 different requests, more than 100000",
    );
    check(
        &[table("accounts", &["user"], 7), items(1)],
        "8",
        "8 sessions, but `accounts` has 7 rows | each session",
    );
    check(
        &[accounts(), table("items", &["idd", "name"], 1)],
        "\"/items/{{ items.id }}?by={{ id }}\"",
        "`items` has no column `id` | did you mean `idd`?",
    );
}
