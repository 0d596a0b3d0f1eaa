//! Requests as bytes, written once before the load. Leaves the sending to
//! `connection`, and which one is sent to `source`.

use autotune_model::text::{Row, USER_AGENT};
use autotune_model::{
    ConnectionPolicy, DataTable, Endpoint, Expect, Filling, LoginSession, judge_json,
};

use crate::plan::{LoadError, LoadPlan};
use crate::search::Needle;
use crate::spread::{Spread, shuffled};

/// The most bytes that all requests of a load may take.
const MAX_BYTES: usize = 1 << 30;

/// The requests to one endpoint, and what a good answer to them is.
#[derive(Debug)]
pub(crate) struct Request {
    /// What goes over the wire, one for each session and row.
    variants: Box<[Box<[u8]>]>,
    /// What makes an answer good; its text is looked for by `contains`.
    expect: Expect,
    /// What the body must contain.
    pub(crate) contains: Option<Needle>,
    /// Whether it may be sent again when nobody knows whether it arrived.
    pub(crate) is_repeatable: bool,
}

/// All requests of a plan, by endpoint: nothing is written during the load.
pub(crate) fn write_all(plan: &LoadPlan) -> Result<Vec<Request>, LoadError> {
    let data = shuffled(plan);
    let mut bytes = 0;
    let write = |endpoint| write(endpoint, plan, (&data, &mut bytes));
    plan.endpoints.iter().map(write).collect()
}

fn write(
    endpoint: &Endpoint,
    plan: &LoadPlan,
    (data, bytes): (&[DataTable], &mut usize),
) -> Result<Request, LoadError> {
    let nobody = LoginSession::default();
    let spread = Spread::of(endpoint, plan);
    let mut variants = Vec::with_capacity(spread.count());
    for place in 0..spread.count() {
        let (session, row) = spread.place(place);
        let session = plan.sessions.get(session).unwrap_or(&nobody);
        let row = Row::Load(row);
        let filling = Filling { session, data, row };
        let request = wire(endpoint, &filling, plan)?;
        *bytes += request.len();
        if *bytes > MAX_BYTES {
            return Err(LoadError::TooLarge { limit: MAX_BYTES });
        }
        variants.push(request);
    }
    Ok(Request {
        variants: variants.into(),
        is_repeatable: endpoint.method.is_idempotent(),
        expect: endpoint.expect.clone(),
        contains: endpoint.expect.contains.as_deref().map(Needle::new),
    })
}

/// The bytes of one request.
fn wire(
    endpoint: &Endpoint,
    filling: &Filling<'_>,
    plan: &LoadPlan,
) -> Result<Box<[u8]>, LoadError> {
    let filled = endpoint.asked().fill(filling);
    let request = filled.map_err(|source| LoadError::Unfilled {
        endpoint: endpoint.name.clone(),
        source,
    })?;
    let is_line = |text: &str| !text.contains(['\r', '\n', '\0']);
    let mut headers = request.headers.iter();
    if let Some((name, _)) = headers.find(|(name, value)| !is_line(name) || !is_line(value)) {
        return Err(LoadError::Header {
            endpoint: endpoint.name.clone(),
            header: name.escape_debug().to_string(),
        });
    }
    if !request.path.starts_with('/') || !request.path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(LoadError::Path {
            endpoint: endpoint.name.clone(),
            path: endpoint.path.to_string(),
        });
    }
    let connection = match plan.connections {
        // A connection that reaches its limit is closed without a word, as
        // proxies do it.
        ConnectionPolicy::KeepAlive | ConnectionPolicy::Limited(_) => "",
        ConnectionPolicy::PerRequest => "Connection: close\r\n",
    };
    let given = |name: &str| {
        let mut headers = request.headers.iter();
        headers.any(|(one, _)| one.eq_ignore_ascii_case(name))
    };
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    let usual = [
        ("Host", plan.host_header.as_str()),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
    ];
    for (name, value) in usual.into_iter().filter(|(name, _)| !given(name)) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    // A method that may have a body says so when there is none (RFC 9110, 8.6).
    if request.method.takes_body() {
        let length = request.body.as_ref().map_or(0, String::len);
        text.push_str(&format!("Content-Length: {length}\r\n"));
    }
    text.push_str(connection);
    text.push_str("\r\n");
    text.push_str(request.body.as_deref().unwrap_or_default());
    Ok(text.into_bytes().into())
}

impl Request {
    /// The bytes of this variant.
    pub(crate) fn wire(&self, variant: u32) -> &[u8] {
        &self.variants[variant as usize]
    }

    /// Whether this status is a good one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        self.expect.status.contains(&status)
    }

    /// Whether a body of this length is a good one.
    /// Whether the body is looked into once it is whole, and so must be kept.
    pub(crate) fn wants_json(&self) -> bool {
        !self.expect.json.is_empty()
    }

    /// Whether a body that was kept says what it must.
    pub(crate) fn says(&self, body: &[u8]) -> bool {
        judge_json(&self.expect.json, body).is_none()
    }

    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.expect.fits(bytes)
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::{EnvValue, Hole, Method, Part, Secret, Text};

    use super::*;
    use crate::plan::tests::{endpoint, plan};

    /// All variants of the only endpoint.
    pub(crate) fn texts(plan: &LoadPlan) -> Vec<String> {
        let request = write_all(plan).unwrap().remove(0);
        let texts = request.variants.iter();
        texts
            .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
            .collect()
    }

    fn only(endpoint: Endpoint, connections: ConnectionPolicy) -> LoadPlan {
        LoadPlan {
            host_header: "localhost:8000".to_owned(),
            endpoints: vec![endpoint],
            connections,
            ..plan()
        }
    }

    #[test]
    fn the_policy_decides_the_connection_header() {
        let wire = |policy| texts(&only(endpoint("a"), policy)).remove(0);
        let kept = "GET /a HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: autotune\r\nAccept: */*\r\n\r\n";
        assert_eq!(wire(ConnectionPolicy::KeepAlive), kept);
        assert!(wire(ConnectionPolicy::PerRequest).ends_with("\r\nConnection: close\r\n\r\n"));
    }

    #[test]
    fn method_headers_and_body_are_on_the_wire() {
        let text = |text: &str| Text::from(text);
        let endpoint = Endpoint {
            method: Method::Post,
            headers: vec![
                ("content-type".to_owned(), text("application/json")),
                ("host".to_owned(), text("shop.example")),
                (
                    "Authorization".to_owned(),
                    EnvValue::Secret(Secret::new("Bearer x".to_owned())).into(),
                ),
            ],
            body: Some(text("{\"a\": \"ä\"}")),
            ..endpoint("a")
        };
        let wire = |endpoint: &Endpoint| {
            texts(&only(endpoint.clone(), ConnectionPolicy::PerRequest)).remove(0)
        };
        let expected = "POST /a HTTP/1.1\r\nUser-Agent: autotune\r\nAccept: */*\r\n\
            content-type: application/json\r\nhost: shop.example\r\n\
            Authorization: Bearer x\r\nContent-Length: 11\r\nConnection: close\r\n\r\n\
            {\"a\": \"ä\"}";
        assert_eq!(wire(&endpoint), expected);
        let empty = Endpoint {
            body: None,
            headers: Vec::new(),
            ..endpoint
        };
        assert!(wire(&empty).contains("\r\nContent-Length: 0\r\n"));
    }

    /// The same lines are expected of the login and the check, in `http` of the
    /// server's crate: an app may bind a session to them.
    #[test]
    fn what_the_grid_file_does_not_say_is_said_as_in_the_check() {
        for method in Method::ALL {
            let endpoint = Endpoint {
                method,
                ..endpoint("a")
            };
            let text = texts(&only(endpoint, ConnectionPolicy::KeepAlive)).remove(0);
            let text = text.to_ascii_lowercase();
            let mut lines: Vec<&str> = text.trim_end().split("\r\n").collect();
            let first = format!("{method} /a HTTP/1.1").to_ascii_lowercase();
            assert_eq!(lines.remove(0), first);
            lines.sort_unstable();
            let mut expected = vec![
                "accept: */*",
                "host: localhost:8000",
                "user-agent: autotune",
            ];
            if method.takes_body() {
                expected.insert(1, "content-length: 0");
            }
            assert_eq!(lines, expected, "{method}");
        }
    }

    #[test]
    fn only_what_is_as_good_twice_may_be_sent_twice() {
        let is_repeatable = |method| {
            let endpoint = Endpoint {
                method,
                ..endpoint("a")
            };
            let plan = only(endpoint, ConnectionPolicy::KeepAlive);
            write_all(&plan).unwrap()[0].is_repeatable
        };
        for method in Method::ALL {
            let once = [Method::Post, Method::Patch].contains(&method);
            assert_eq!(is_repeatable(method), !once, "{method}");
        }
    }

    #[test]
    fn every_session_and_row_has_a_request_of_its_own() {
        let hole = |hole| Text::Holed(vec![Part::Fixed("/".to_owned()), Part::Hole(hole)]);
        let column = Hole::Column {
            table: "items".to_owned(),
            column: "id".to_owned(),
        };
        let session = |name: &str| LoginSession {
            values: [("csrf".to_owned(), Secret::new(format!("t{name}")))].into(),
            cookies: vec![("id".to_owned(), Secret::new(name.to_owned()))],
            ..LoginSession::default()
        };
        let token = hole(Hole::Value("csrf".to_owned()));
        let with_row = Endpoint {
            path: hole(column),
            headers: vec![("X-Token".to_owned(), token)],
            ..endpoint("a")
        };
        let items = DataTable {
            name: "items".to_owned(),
            columns: vec!["id".to_owned()],
            rows: ["1", "2", "3"].map(|id| vec![id.to_owned()]).to_vec(),
        };
        let mut plan = LoadPlan {
            sessions: vec![session("ann"), session("bob")],
            data: vec![items].into(),
            ..only(with_row, ConnectionPolicy::KeepAlive)
        };
        let part = |text: &str| {
            let lines: Vec<&str> = text.split("\r\n").collect();
            let head = lines[0].split(' ').nth(1).unwrap();
            format!("{head} {}, {}", lines[4], lines[5])
        };
        let all: Vec<String> = texts(&plan).iter().map(|text| part(text)).collect();
        let mut sorted = all.clone();
        sorted.sort();
        let one = |row, name| format!("/{row} X-Token: /t{name}, Cookie: id={name}");
        let expected = ["1", "2", "3"].map(|row| [one(row, "ann"), one(row, "bob")]);
        assert_eq!(sorted, expected.concat());
        assert_eq!(
            all,
            texts(&plan).iter().map(|t| part(t)).collect::<Vec<_>>()
        );
        // Without holes there is one for each session.
        plan.endpoints[0] = endpoint("a");
        assert_eq!(texts(&plan).len(), 2);
        plan.sessions.clear();
        assert_eq!(texts(&plan).len(), 1);
    }
}
