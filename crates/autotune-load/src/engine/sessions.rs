//! Requests of sessions and rows in simulated time: what is on the wire, and
//! that every configuration gets the same.

use autotune_model::{DataTable, Endpoint, Hole, LoginSession, Method, Part, Secret, Text};

use super::tests::{check_identity, closed, open};
use crate::plan::LoadPlan;
use crate::plan::tests::endpoint;
use crate::sim::{MS, Reply, Server, simulate};

fn column() -> Part {
    Part::Hole(Hole::Column {
        table: "items".to_owned(),
        column: "name".to_owned(),
    })
}

/// The plan with a form, whose fields are a row and a token, and a page; two
/// people are logged in.
fn shop(plan: LoadPlan) -> LoadPlan {
    let token = Part::Hole(Hole::Value("csrf".to_owned()));
    let fixed = |text: &str| Part::Fixed(text.to_owned());
    let kind = Text::from("application/x-www-form-urlencoded");
    let buy = Endpoint {
        method: Method::Post,
        headers: vec![("Content-Type".to_owned(), kind)],
        body: Some(Text::Holed(vec![
            fixed("name="),
            column(),
            fixed("&csrf="),
            token,
        ])),
        ..endpoint("buy")
    };
    let session = |name: &str| LoginSession {
        values: [("csrf".to_owned(), Secret::new(format!("{name}=")))].into(),
        cookies: vec![
            ("id".to_owned(), Secret::new(name.to_owned())),
            ("lang".to_owned(), Secret::new("en".to_owned())),
        ],
        ..LoginSession::default()
    };
    let items = DataTable {
        name: "items".to_owned(),
        columns: vec!["name".to_owned()],
        rows: ["ä b", "c&d", "e"]
            .map(|name| vec![name.to_owned()])
            .to_vec(),
    };
    LoadPlan {
        endpoints: vec![buy, endpoint("page")],
        sessions: vec![session("ann"), session("bob")],
        data: vec![items].into(),
        ..plan
    }
}

fn sent(plan: &LoadPlan, service_ns: u64) -> Vec<String> {
    let server = Server::new(move |asked| Reply::good(asked.at_ns + service_ns));
    let (record, seen) = simulate(plan, server);
    check_identity(&record);
    assert_eq!(record.total().not_completed(), 0);
    seen.asked.into_iter().map(|asked| asked.text).collect()
}

#[test]
fn cookies_values_and_rows_are_on_the_wire() {
    let sent = sent(&shop(open(100.0, 2)), MS);
    let head = "POST /buy HTTP/1.1\r\nHost: localhost\r\nUser-Agent: autotune\r\nAccept: */*\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n";
    let form = |name: &str, row: &str| {
        let body = format!("name={row}&csrf={name}%3D");
        let length = body.len();
        format!("{head}Cookie: id={name}; lang=en\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let page = |name: &str| {
        format!(
            "GET /page HTTP/1.1\r\nHost: localhost\r\nUser-Agent: autotune\r\nAccept: */*\r\n\
             Cookie: id={name}; lang=en\r\n\r\n"
        )
    };
    let rows = ["%C3%A4+b", "c%26d", "e"];
    let people = ["ann", "bob"];
    let forms = people
        .iter()
        .flat_map(|name| rows.map(|row| form(name, row)));
    let expected: Vec<String> = forms.chain(people.iter().map(|name| page(name))).collect();
    for text in &sent {
        assert!(expected.contains(text), "{text}");
    }
    for text in &expected {
        assert!(sent.contains(text), "never sent: {text}");
    }
    // Each row of the form comes once before any comes again.
    let bodies: Vec<&str> = sent
        .iter()
        .filter_map(|text| text.split_once("name=")?.1.split_once('&'))
        .map(|(row, _)| row)
        .collect();
    for three in bodies.chunks_exact(3) {
        assert!(rows.iter().all(|row| three.contains(row)), "{three:?}");
    }
}

#[test]
fn a_slow_server_gets_the_same_requests_as_a_fast_one() {
    let plan = shop(open(100.0, 2));
    let fast = sent(&plan, MS);
    assert_eq!(fast, sent(&plan, 300 * MS));
    let other = LoadPlan {
        seed: autotune_model::Seed::new(2),
        ..plan
    };
    assert_ne!(fast, sent(&other, MS), "the seed decides");
}

#[test]
fn a_user_asks_the_same_in_the_same_session_however_slow_the_answers() {
    // One user a session, so that a cookie tells who asked.
    let plan = shop(closed(2, 10));
    let by_person = |service_ns| {
        let sent = sent(&plan, service_ns);
        ["id=ann", "id=bob"].map(|cookie| {
            let own = sent.iter().filter(|text| text.contains(cookie));
            own.cloned().collect::<Vec<_>>()
        })
    };
    let (fast, slow) = (by_person(MS), by_person(30 * MS));
    for (fast, slow) in fast.iter().zip(&slow) {
        assert!(slow.len() > 10 && fast.len() > slow.len());
        assert_eq!(&fast[..slow.len()], &slow[..]);
    }
}
