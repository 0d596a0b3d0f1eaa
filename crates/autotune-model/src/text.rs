//! Texts of requests: fixed parts and holes, and what fills them. This is the one
//! place where holes are filled, so that the check before all trials and the
//! load send the same bytes.

use std::collections::BTreeMap;
use std::fmt;

use crate::data::DataTable;
use crate::endpoint::Method;
use crate::secret::Secret;
use crate::server::EnvValue;

mod row;

pub use row::{Row, rows_of_load};

/// The most requests that are written before a load, over all endpoints: one for
/// each session and row of a data file.
pub const MAX_VARIANTS: usize = 100_000;

/// Who asks, where the grid file does not say it. The same in the login, the
/// check and the load: there are apps that bind a session to it.
pub const USER_AGENT: &str = "autotune";

/// A path, the value of a header or a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The same for every request.
    Value(EnvValue),
    /// Fixed parts and holes, at least one hole.
    Holed(Vec<Part>),
}

/// A piece of a text with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Fixed(String),
    /// To be filled.
    Hole(Hole),
}

/// What a hole is filled with: `{{ csrf }}`, `{{ accounts.user }}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hole {
    /// A value of the session.
    Value(String),
    /// A column of a data file.
    Column {
        /// The file's name in the grid file.
        table: String,
        /// As its first line says.
        column: String,
    },
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(name) => f.write_str(name),
            Self::Column { table, column } => write!(f, "{table}.{column}"),
        }
    }
}

impl Text {
    /// The text, where it has no holes and needs not be taken from the
    /// environment first.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Value(value) => value.known(),
            Self::Holed(_) => None,
        }
    }

    /// Its holes, in order.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        let parts = match self {
            Self::Value(_) => &[][..],
            Self::Holed(parts) => parts,
        };
        parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(hole),
            Part::Fixed(_) => None,
        })
    }

    /// Takes its value out of the environment, where it comes from there.
    pub(crate) fn take<'e>(
        &mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<(), String> {
        match self {
            Self::Value(value) => value.take(variable),
            Self::Holed(_) => Ok(()),
        }
    }

    fn fill(&self, filling: &Filling<'_>, form: Form) -> Result<String, Unfilled> {
        let parts = match self {
            Self::Value(value) => {
                let known = value.known().map(str::to_owned);
                return known.ok_or(Unfilled::NotTaken);
            }
            Self::Holed(parts) => parts,
        };
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Fixed(fixed) => text.push_str(fixed),
                Part::Hole(hole) => {
                    let value = filling.value(hole);
                    let value = value.ok_or_else(|| Unfilled::Unknown { hole: hole.clone() })?;
                    form.write(value, &mut text);
                }
            }
        }
        Ok(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Value(EnvValue::Text(text.to_owned()))
    }
}

impl From<EnvValue> for Text {
    fn from(value: EnvValue) -> Self {
        Self::Value(value)
    }
}

/// As in the grid file, without secrets.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(EnvValue::Text(text)) => f.write_str(text),
            Self::Value(EnvValue::FromEnv { name, .. }) => write!(f, "(from {name})"),
            Self::Value(EnvValue::Secret(_)) => f.write_str("(secret)"),
            Self::Holed(parts) => parts.iter().try_for_each(|part| match part {
                Part::Fixed(text) => f.write_str(text),
                Part::Hole(hole) => write!(f, "{{{{ {hole} }}}}"),
            }),
        }
    }
}

/// Somebody who is logged in: what the login gave, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginSession {
    /// By the name of the hole.
    pub values: BTreeMap<String, Secret<String>>,
    /// In the order in which they were set; no name twice.
    pub cookies: Vec<(String, Secret<String>)>,
    /// By the name of the table: the row that is this session's own.
    pub rows: BTreeMap<String, usize>,
}

/// What fills the holes of one request.
#[derive(Clone, Copy, Debug)]
pub struct Filling<'a> {
    /// In whose name.
    pub session: &'a LoginSession,
    /// The data files.
    pub data: &'a [DataTable],
    /// The row of every table that is not the session's own.
    pub row: Row,
}

impl<'a> Filling<'a> {
    fn value(&self, hole: &Hole) -> Option<&'a str> {
        match hole {
            Hole::Value(name) => {
                let value = self.session.values.get(name)?;
                Some(value.expose())
            }
            Hole::Column { table, column } => {
                let own = self.session.rows.get(table).copied();
                let table = self.data.iter().find(|one| &one.name == table)?;
                let row = own.or_else(|| self.row.of(table.rows.len()))?;
                table.value(row, column)
            }
        }
    }
}

/// What is asked, with holes.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: &'a Text,
    /// Further headers.
    pub headers: &'a [(String, Text)],
    /// What is sent with it.
    pub body: Option<&'a Text>,
}

/// A request without holes. It may hold secrets anywhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Further headers, the session's cookies among them.
    pub headers: Vec<(String, String)>,
    /// What is sent with it.
    pub body: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(…)")
    }
}

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// Nothing is there for a hole.
    #[error("nothing fills `{hole}`")]
    Unknown {
        /// Which hole.
        hole: Hole,
    },
    /// A value of the environment was not taken in.
    #[error("a value was not taken from the environment")]
    NotTaken,
    /// A value would end the header.
    #[error(
        "a value holds a line break or another control character, which the header `{header}` cannot"
    )]
    Header {
        /// Its name.
        header: String,
    },
}

impl<'a> Asked<'a> {
    /// All texts, in no particular order.
    pub fn texts(self) -> impl Iterator<Item = &'a Text> {
        let headers = self.headers.iter().map(|(_, value)| value);
        std::iter::once(self.path).chain(headers).chain(self.body)
    }

    /// All holes.
    pub fn holes(self) -> impl Iterator<Item = &'a Hole> {
        self.texts().flat_map(Text::holes)
    }

    /// What must reach neither store, log nor report, whoever asks.
    pub fn secrets(self) -> impl Iterator<Item = &'a str> {
        self.texts().filter_map(|text| match text {
            Text::Value(EnvValue::Secret(secret)) => Some(secret.expose().as_str()),
            Text::Value(EnvValue::Text(_) | EnvValue::FromEnv { .. }) | Text::Holed(_) => None,
        })
    }

    /// The request. Values are percent-encoded in a path or query, encoded as a
    /// form's in a body of that type, escaped in JSON, and stand as they are
    /// anywhere else. The session's cookies follow those of a `Cookie` header,
    /// which go before the session's of the same name.
    ///
    /// # Errors
    /// When a hole has no value, or a header cannot hold its.
    pub fn fill(self, filling: &Filling<'_>) -> Result<Request, Unfilled> {
        let path = self.path.fill(filling, Form::Url)?;
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, value) in self.headers {
            let text = value.fill(filling, Form::Raw)?;
            let fits = text.chars().all(|c| c == '\t' || !c.is_control());
            if !fits && !matches!(value, Text::Value(_)) {
                let header = name.clone();
                return Err(Unfilled::Header { header });
            }
            headers.push((name.clone(), text));
        }
        let form = Form::of(&headers);
        let body = self.body.map(|body| body.fill(filling, form)).transpose()?;
        add_cookies(&mut headers, &filling.session.cookies);
        Ok(Request {
            method: self.method,
            path,
            headers,
            body,
        })
    }
}

fn add_cookies(headers: &mut Vec<(String, String)>, cookies: &[(String, Secret<String>)]) {
    let mut names = headers.iter();
    let own = names.position(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let given = own.map_or("", |place| headers[place].1.as_str());
    let is_given = |name: &str| {
        let mut pairs = given.split(';').filter_map(|pair| pair.split_once('='));
        pairs.any(|(one, _)| one.trim() == name)
    };
    let further = cookies.iter().filter(|(name, _)| !is_given(name));
    let pair = |(name, value): &(String, Secret<String>)| format!("{name}={}", value.expose());
    let further = further.map(pair).collect::<Vec<_>>().join("; ");
    if further.is_empty() {
        return;
    }
    match own {
        Some(place) => headers[place].1.push_str(&format!("; {further}")),
        None => headers.push(("Cookie".to_owned(), further)),
    }
}

/// All spellings under which a value may turn up after it was filled in, no
/// two of them the same.
pub fn encodings(value: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for form in [Form::Raw, Form::Url, Form::Urlencoded, Form::Json] {
        let mut text = String::new();
        form.write(value, &mut text);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

/// How a value is written where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Raw,
    /// Percent-encoded, all but the unreserved characters (RFC 3986, 2.3).
    Url,
    /// `application/x-www-form-urlencoded` (WHATWG URL, 5.2).
    Urlencoded,
    /// Within the quotes of a JSON string (RFC 8259, 7).
    Json,
}

impl Form {
    /// By the type of the body.
    fn of(headers: &[(String, String)]) -> Self {
        let mut headers = headers.iter();
        let given = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let kind = given.and_then(|(_, value)| value.split(';').next());
        match kind.unwrap_or_default().trim().to_ascii_lowercase() {
            kind if kind == "application/x-www-form-urlencoded" => Self::Urlencoded,
            kind if kind == "application/json" || kind.ends_with("+json") => Self::Json,
            _ => Self::Raw,
        }
    }

    fn write(self, value: &str, to: &mut String) {
        match self {
            Self::Raw => to.push_str(value),
            Self::Url => percent(value, b"-._~", to),
            Self::Urlencoded => {
                let mut words = value.split(' ');
                percent(words.next().unwrap_or_default(), b"*-._", to);
                for word in words {
                    to.push('+');
                    percent(word, b"*-._", to);
                }
            }
            Self::Json => value.chars().for_each(|c| match c {
                '"' => to.push_str("\\\""),
                '\\' => to.push_str("\\\\"),
                c if c < ' ' => to.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => to.push(c),
            }),
        }
    }
}

fn percent(value: &str, kept: &[u8], to: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holed(before: &str, hole: Hole, after: &str) -> Text {
        Text::Holed(vec![
            Part::Fixed(before.to_owned()),
            Part::Hole(hole),
            Part::Fixed(after.to_owned()),
        ])
    }

    fn csrf() -> Hole {
        Hole::Value("csrf".to_owned())
    }

    fn name() -> Hole {
        Hole::Column {
            table: "people".to_owned(),
            column: "name".to_owned(),
        }
    }

    fn session(csrf: &str) -> LoginSession {
        LoginSession {
            values: [("csrf".to_owned(), Secret::new(csrf.to_owned()))].into(),
            ..LoginSession::default()
        }
    }

    fn people() -> [DataTable; 1] {
        let rows = ["Ann", "Bo B", "Zoë"].map(|name| vec![name.to_owned()]);
        let columns = vec!["name".to_owned()];
        [DataTable {
            name: "people".to_owned(),
            columns,
            rows: rows.to_vec(),
        }]
    }

    /// The body of this type with this value, and the path.
    fn check(kind: &str, value: &str, body: &str, path: &str) {
        let headers = [("content-TYPE".to_owned(), Text::from(kind))];
        let asked = Asked {
            method: Method::Post,
            path: &holed("/x/", csrf(), "?a=1"),
            headers: &headers,
            body: Some(&holed("<", csrf(), ">")),
        };
        let session = session(value);
        let filling = Filling {
            session: &session,
            data: &[],
            row: Row::Load(0),
        };
        let request = asked.fill(&filling).unwrap();
        assert_eq!(request.body.as_deref(), Some(body));
        assert_eq!(request.path, path);
    }

    #[test]
    fn values_are_written_as_their_place_needs() {
        let all = "a b&c=é\"\\/+\n~*";
        let path = "/x/a%20b%26c%3D%C3%A9%22%5C%2F%2B%0A~%2A?a=1";
        let form = "<a+b%26c%3D%C3%A9%22%5C%2F%2B%0A%7E*>";
        let json = "<a b&c=é\\\"\\\\/+\\u000a~*>";
        let raw = "<a b&c=é\"\\/+\n~*>";
        check("application/x-www-form-urlencoded", all, form, path);
        check(
            "Application/X-WWW-Form-Urlencoded; charset=utf-8",
            all,
            form,
            path,
        );
        check("application/json", all, json, path);
        check("application/vnd.api+json;v=1", all, json, path);
        check("text/plain", all, raw, path);
        check("text/plain", "abc", "<abc>", "/x/abc?a=1");
    }

    #[test]
    fn a_value_is_known_in_all_its_spellings() {
        assert_eq!(encodings("abc-1"), ["abc-1"]);
        assert_eq!(
            encodings("a b\""),
            ["a b\"", "a%20b%22", "a+b%22", "a b\\\""]
        );
    }

    #[test]
    fn rows_follow_the_request_unless_they_are_the_sessions_own() {
        let (path, data) = (holed("/", name(), ""), people());
        let asked = Asked {
            method: Method::Get,
            path: &path,
            headers: &[],
            body: None,
        };
        let of = |session: &LoginSession, row| {
            let (data, row) = (&data[..], Row::Load(row));
            let filling = Filling { session, data, row };
            asked.fill(&filling).unwrap().path
        };
        let nobody = LoginSession::default();
        let rows = [0, 1, 2, 3].map(|row| of(&nobody, row));
        assert_eq!(rows, ["/Ann", "/Bo%20B", "/Zo%C3%AB", "/Ann"]);
        let own = LoginSession {
            rows: [("people".to_owned(), 1)].into(),
            ..LoginSession::default()
        };
        assert_eq!([0, 2].map(|row| of(&own, row)), ["/Bo%20B", "/Bo%20B"]);
    }

    #[test]
    fn cookies_follow_those_of_the_request() {
        let path = Text::from("/");
        let cookie = |name: &str| (name.to_owned(), Secret::new(format!("{name}1")));
        let session = LoginSession {
            cookies: vec![cookie("a"), cookie("b")],
            ..LoginSession::default()
        };
        let of = |headers: &[(String, Text)]| {
            let asked = Asked {
                method: Method::Get,
                path: &path,
                headers,
                body: None,
            };
            let filling = Filling {
                session: &session,
                data: &[],
                row: Row::Load(0),
            };
            asked.fill(&filling).unwrap().headers
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of(&[]), [header("Cookie", "a=a1; b=b1")]);
        let own = [("cookie".to_owned(), Text::from("c=3"))];
        assert_eq!(of(&own), [header("cookie", "c=3; a=a1; b=b1")]);
        // No cookie is sent twice: servers differ in which of them counts.
        let same = [("Cookie".to_owned(), Text::from("c=3;b = 4"))];
        assert_eq!(of(&same), [header("Cookie", "c=3;b = 4; a=a1")]);
        let all = [("Cookie".to_owned(), Text::from("b=4; a="))];
        assert_eq!(of(&all), [header("Cookie", "b=4; a=")]);
    }

    #[test]
    fn what_cannot_be_filled_is_named_without_its_value() {
        let fault = |asked: Asked<'_>, session: &LoginSession| {
            let filling = Filling {
                session,
                data: &people(),
                row: Row::Load(0),
            };
            asked.fill(&filling).unwrap_err().to_string()
        };
        let (path, unknown) = (Text::from("/"), holed("/", csrf(), ""));
        let header = [("X-Token".to_owned(), holed("", csrf(), ""))];
        let asked = Asked {
            method: Method::Get,
            path: &unknown,
            headers: &[],
            body: None,
        };
        let nobody = LoginSession::default();
        assert_eq!(fault(asked, &nobody), "nothing fills `csrf`");
        let asked = Asked {
            path: &path,
            headers: &header,
            ..asked
        };
        let text = fault(asked, &session("s3cret\r\nX: y"));
        assert!(text.contains("`X-Token`") && !text.contains("s3cret"));
        let shown = format!("{:?}{}", session("s3cret"), unknown);
        assert!(shown.ends_with("/{{ csrf }}") && !shown.contains("s3cret"));
    }
}
