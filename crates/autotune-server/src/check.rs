//! Whether an endpoint answers as the grid file says. Pure; asking is `http`.

use std::fmt;

use autotune_model::{
    Endpoint, EndpointName, Expect, JsonFault, Method, Secret, Unfilled, judge_json,
};

use crate::http::{Answer, HttpError};
use crate::redact::Redactor;

const EXCERPT_CHARS: usize = 300;
const FOUND_CHARS: usize = 80;
/// So much of a body is searched for secrets before an excerpt is made of it: a
/// body can have 16 MiB, and a thousand sessions have some ten thousand secrets.
const KEPT_BYTES: usize = 256 << 10;
/// A secret at the end of what is kept is not whole, and stays. This much before
/// the end is never shown, and no secret is that long.
const END_BYTES: usize = 16 << 10;
/// Words in a redirect's target that tell of a login page.
const LOGIN_WORDS: [&str; 8] = [
    "login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "oauth",
];

/// An endpoint, or a step of the login, that does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", whom.with(path))]
pub struct CheckFailure {
    /// Which.
    pub whom: Whom,
    /// What was asked, as in the grid file.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
    /// The beginning of the body, on one line; empty where none came, and until
    /// secrets are taken out of it by [`CheckFailure::clean`].
    pub excerpt: String,
    /// Why no answer came.
    #[source]
    pub source: Option<HttpError>,
    /// What came.
    pub(crate) body: Option<Body>,
}

/// A body, of which an excerpt can be made once it is free of secrets: whatever
/// is cut out of it before may begin or end within one of them.
#[derive(Debug)]
pub(crate) struct Body {
    text: Secret<String>,
    is_whole: bool,
}

impl Body {
    /// What came with this answer.
    pub(crate) fn of(answer: &Answer) -> Self {
        let kept = &answer.body[..answer.body.len().min(KEPT_BYTES)];
        Self {
            text: Secret::new(String::from_utf8_lossy(kept).into_owned()),
            is_whole: kept.len() == answer.body.len(),
        }
    }

    /// Takes secrets out of it.
    fn clean(&mut self, redactor: &Redactor) {
        self.text = Secret::new(redactor.clean(self.text.expose()));
    }

    /// Its beginning, on one line.
    fn excerpt(&self, redactor: &Redactor) -> String {
        let words: Vec<&str> = self.text.expose().split_whitespace().collect();
        // A secret with a space in it may have been broken over two lines.
        let mut line = redactor.clean(&words.join(" "));
        if !self.is_whole {
            let end = line.len().saturating_sub(END_BYTES);
            let end = line.floor_char_boundary(end);
            line.truncate(end);
        }
        match line.char_indices().nth(EXCERPT_CHARS) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    }
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// An endpoint.
    Endpoint {
        /// Which.
        name: EndpointName,
        /// In whose session, counted from 1, where there are several.
        session: Option<usize>,
    },
    /// A step of the login.
    Step {
        /// Counted from 1.
        number: usize,
        /// Whose login, counted from 1, where there are several.
        session: Option<usize>,
        /// How it was asked.
        method: Method,
    },
}

impl Whom {
    fn with(&self, path: &str) -> String {
        match self {
            Self::Endpoint { name, session } => {
                let session = session.map(|session| format!(" in session {session}"));
                let session = session.unwrap_or_default();
                format!("endpoint `{name}`{session} ({path})")
            }
            Self::Step {
                number,
                session,
                method,
            } => {
                let session = session.map(|session| format!(" of session {session}"));
                let session = session.unwrap_or_default();
                format!("login step {number}{session} ({method} {path})")
            }
        }
    }
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// Another status.
    Status {
        /// What came.
        got: u16,
        /// What the grid file expects.
        expected: Vec<u16>,
    },
    /// A redirect that was not expected.
    Redirect {
        /// The status.
        status: u16,
        /// Where to.
        location: String,
        /// Whether that looks like a login page.
        login: bool,
    },
    /// A body that is too short or too long.
    Size {
        /// Its length in bytes.
        got: usize,
        /// What the grid file expects.
        expected: String,
    },
    /// The text is not in the body.
    Lacks {
        /// The text.
        text: String,
    },
    /// The body says something else as JSON than it should, or is none.
    Json(JsonFault),
    /// A value that a step is to take out of the answer is not there.
    Missing {
        /// What came.
        status: u16,
        /// The name of the hole that it would fill.
        name: String,
        /// Where it was looked for, for people.
        place: String,
    },
    /// The request cannot be made.
    Unfilled(Unfilled),
    /// Nothing came.
    NoAnswer,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { got, expected } => {
                let expected: Vec<_> = expected.iter().map(u16::to_string).collect();
                write!(f, "answered {got}, expected {}", expected.join(" or "))
            }
            Self::Redirect {
                status,
                location,
                login: true,
            } => write!(
                f,
                "answered {status}, a redirect to a login page: {location}"
            ),
            Self::Redirect {
                status, location, ..
            } => write!(f, "answered {status}, a redirect to {location}"),
            Self::Size { got, expected } => {
                write!(f, "answered with {got} bytes, expected {expected}")
            }
            Self::Json(fault) => write!(f, "answered {fault}"),
            Self::Lacks { text } => write!(f, "answered without the text `{text}`"),
            Self::Missing {
                status,
                name,
                place,
            } => write!(
                f,
                "answered {status} without `{name}`: there is none {place}"
            ),
            Self::Unfilled(unfilled) => write!(f, "cannot be asked: {unfilled}"),
            Self::NoAnswer => f.write_str("gave no answer"),
        }
    }
}

impl CheckFailure {
    /// Judges what came back from an endpoint; `None` when it is good.
    pub fn judge(endpoint: &Endpoint, result: Result<Answer, HttpError>) -> Option<Self> {
        let (problem, body, source) = match result {
            Ok(answer) => {
                let problem = Problem::of(&endpoint.expect, &answer)?;
                (problem, Some(Body::of(&answer)), None)
            }
            Err(error) => (Problem::NoAnswer, None, Some(error)),
        };
        Some(Self {
            problem,
            source,
            body,
            ..Self::unfilled(endpoint, Unfilled::NotTaken)
        })
    }

    /// An endpoint that cannot be asked.
    pub fn unfilled(endpoint: &Endpoint, why: Unfilled) -> Self {
        Self {
            whom: Whom::Endpoint {
                name: endpoint.name.clone(),
                session: None,
            },
            path: endpoint.path.to_string(),
            problem: Problem::Unfilled(why),
            excerpt: String::new(),
            source: None,
            body: None,
        }
    }

    /// Tells in whose session the endpoint was asked; sessions are counted from 0.
    pub fn in_session(&mut self, number: usize) {
        if let Whom::Endpoint { session, .. } = &mut self.whom {
            *session = Some(number + 1);
        }
    }

    /// Takes secrets out of what the server said, and shows the beginning of it.
    pub fn clean(&mut self, redactor: &Redactor) {
        if let Some(body) = &mut self.body {
            body.clean(redactor);
            self.excerpt = body.excerpt(redactor);
        }
        match &mut self.problem {
            Problem::Redirect { location, .. } => *location = redactor.clean(location),
            Problem::Json(JsonFault::Differs {
                found: Some(found), ..
            }) => *found = shortened(redactor.clean(found)),
            _ => {}
        }
    }
}

impl Problem {
    /// What is wrong with this answer, if anything is.
    pub(crate) fn of(expect: &Expect, answer: &Answer) -> Option<Self> {
        if !expect.status.contains(&answer.status) {
            return Some(match answer.location() {
                Some(location) if (300..400).contains(&answer.status) => Self::Redirect {
                    status: answer.status,
                    location: location.to_owned(),
                    login: is_login(location),
                },
                _ => Self::Status {
                    got: answer.status,
                    expected: expect.status.clone(),
                },
            });
        }
        if !expect.fits(answer.body.len() as u64) {
            return Some(Self::Size {
                got: answer.body.len(),
                expected: size(expect),
            });
        }
        let lacks = expect.contains.as_ref().filter(|text| {
            let found = |part: &[u8]| part == text.as_bytes();
            !text.is_empty() && !answer.body.windows(text.len()).any(found)
        });
        if let Some(text) = lacks {
            return Some(Self::Lacks { text: text.clone() });
        }
        judge_json(&expect.json, &answer.body).map(Self::Json)
    }
}

/// A value that was found may be a whole document.
fn shortened(text: String) -> String {
    match text.char_indices().nth(FOUND_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// For people.
fn size(expect: &Expect) -> String {
    match (expect.min_bytes, expect.max_bytes) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "any number".to_owned(),
    }
}

fn is_login(location: &str) -> bool {
    let location = location.to_ascii_lowercase();
    LOGIN_WORDS.iter().any(|word| location.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, location: Option<&str>, body: &str) -> Option<String> {
        let endpoint = Endpoint {
            expect: Expect {
                status: vec![200, 201],
                contains: Some("total".to_owned()),
                min_bytes: Some(3),
                max_bytes: Some(20),
                json: Vec::new(),
            },
            ..Endpoint::get("a", "/a")
        };
        let answer = Answer {
            status,
            headers: location
                .map(|location| ("location".to_owned(), Secret::new(location.to_owned())))
                .into_iter()
                .collect(),
            body: body.into(),
        };
        CheckFailure::judge(&endpoint, Ok(answer)).map(|failure| failure.to_string())
    }

    #[test]
    fn good_answers() {
        assert_eq!(check(200, None, "the total is 3"), None);
        assert_eq!(check(201, Some("/else"), "total"), None);
    }

    #[test]
    fn bad_answers_are_named() {
        let said = |text: &str| Some(format!("endpoint `a` (/a) {text}"));
        assert_eq!(
            check(404, None, "total"),
            said("answered 404, expected 200 or 201")
        );
        assert_eq!(
            check(302, Some("/accounts/Login?next=/a"), ""),
            said("answered 302, a redirect to a login page: /accounts/Login?next=/a")
        );
        assert_eq!(
            check(301, Some("/a/"), ""),
            said("answered 301, a redirect to /a/")
        );
        assert_eq!(
            check(200, None, "no sum"),
            said("answered without the text `total`")
        );
        assert_eq!(
            check(200, None, "no"),
            said("answered with 2 bytes, expected 3 to 20")
        );
        assert_eq!(
            check(200, None, "the total is much more"),
            said("answered with 22 bytes, expected 3 to 20")
        );
    }

    /// What is said of this body where 5 is expected at `/data/id`.
    fn of_json(body: &str, secrets: &[&str]) -> Option<String> {
        let mut endpoint = Endpoint::get("a", "/a");
        endpoint.expect.json = vec![autotune_model::JsonExpect {
            pointer: "/data/id".to_owned(),
            wanted: autotune_model::JsonWanted::Int(5),
        }];
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
        };
        let mut failure = CheckFailure::judge(&endpoint, Ok(answer))?;
        failure.clean(&Redactor::new(secrets.iter().copied()));
        Some(failure.to_string())
    }

    #[test]
    fn what_json_says_is_compared_and_shown_without_secrets() {
        let said = |text: &str| Some(format!("endpoint `a` (/a) answered {text}"));
        let expected = "expected 5 at /data/id";
        let data = |found: &str| format!("{{\"data\": {{\"id\": {found}}}}}");
        assert_eq!(of_json(&data("5"), &[]), None);
        assert_eq!(
            of_json(&data("6"), &[]),
            said(&format!("with 6, {expected}"))
        );
        assert_eq!(
            of_json("{}", &[]),
            said(&format!("with nothing, {expected}"))
        );
        let secret = of_json(&data("\"my hunter2\""), &["hunter2"]);
        assert_eq!(secret, said(&format!("with \"my (secret)\", {expected}")));
        // A secret where a long value is cut is hidden before.
        let long = data(&format!("\"{}hunter2\"", "x".repeat(75)));
        let long = of_json(&long, &["hunter2"]).expect("another value");
        assert!(!long.contains('h') || !long.contains("hun"), "{long}");
        assert!(long.len() < 200, "{long}");
        let html = of_json("<html>", &[]).expect("no JSON");
        assert!(
            html.contains("answered with a body that is no JSON"),
            "{html}"
        );
    }

    /// A failure of an endpoint that answered with this body.
    fn failure(body: &str) -> CheckFailure {
        let answer = Answer {
            status: 500,
            headers: Vec::new(),
            body: body.into(),
        };
        CheckFailure::judge(&Endpoint::get("a", "/a"), Ok(answer)).expect("500 is no good answer")
    }

    fn excerpt(body: &str, secrets: &[&str]) -> String {
        let mut failure = failure(body);
        failure.clean(&Redactor::new(secrets.iter().copied()));
        failure.excerpt
    }

    #[test]
    fn the_excerpt_is_one_short_line() {
        assert_eq!(
            excerpt("<h1>\n  Not   Found\r\n</h1>", &[]),
            "<h1> Not Found </h1>"
        );
        assert_eq!(excerpt(&"ä".repeat(400), &[]).chars().count(), 301);
    }

    #[test]
    fn a_secret_at_the_edge_of_the_excerpt_is_not_cut_but_hidden() {
        for before in 280..=300 {
            let body = format!("{}hunter2 and more", "x".repeat(before));
            let shown = excerpt(&body, &["hunter2"]);
            assert!(!shown.contains('h'), "{before}: {shown}");
        }
        // At the edge of what is kept of a long body, which is short on one line.
        let end = "x".repeat(KEPT_BYTES - 3);
        for body in [
            format!("{}hunter2", " ".repeat(KEPT_BYTES - 3)),
            format!("a b{}hunter2", " ".repeat(KEPT_BYTES - 6)),
            format!("{end}hunter2"),
        ] {
            assert!(!excerpt(&body, &["hunter2"]).contains('h'));
        }
    }

    #[test]
    fn a_secret_with_spaces_is_hidden_however_they_are_shown() {
        let secrets = ["p  ss w\nrd", "one two"];
        let shown = excerpt("is p  ss w\nrd, is one\n  two", &secrets);
        assert_eq!(shown, "is (secret), is (secret)");
    }

    #[test]
    fn what_came_is_not_shown_before_it_is_clean_or_later_again() {
        let mut failure = failure("hunter2");
        assert_eq!(failure.excerpt, "");
        assert!(!format!("{failure:?}").contains("hunter2"));
        failure.clean(&Redactor::new(["hunter2"]));
        failure.clean(&Redactor::new([]));
        assert_eq!(failure.excerpt, "(secret)");
    }

    #[test]
    fn a_failure_names_the_session() {
        let mut failure = failure("");
        failure.in_session(2);
        let said = "endpoint `a` in session 3 (/a) answered 500, expected 200";
        assert_eq!(failure.to_string(), said);
    }
}
