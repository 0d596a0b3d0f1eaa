//! Whether an endpoint answers as the grid file says. Pure; asking is `http`.

use std::fmt;

use autotune_model::{Endpoint, EndpointName};

use crate::http::{Answer, HttpError};

const EXCERPT_CHARS: usize = 300;
/// Words in a redirect's target that tell of a login page.
const LOGIN_WORDS: [&str; 8] = [
    "login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "oauth",
];

/// An endpoint that does not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("endpoint `{endpoint}` ({path}) {problem}")]
pub struct CheckFailure {
    /// Which.
    pub endpoint: EndpointName,
    /// What was asked.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
    /// The beginning of the body, on one line; empty where none came.
    pub excerpt: String,
    /// Why no answer came.
    #[source]
    pub source: Option<HttpError>,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The text is not in the body.
    Lacks {
        /// The text.
        text: String,
    },
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
            Self::Lacks { text } => write!(f, "answered without the text `{text}`"),
            Self::NoAnswer => f.write_str("gave no answer"),
        }
    }
}

impl CheckFailure {
    /// Judges what came back from an endpoint; `None` when it is good.
    pub fn judge(endpoint: &Endpoint, result: Result<Answer, HttpError>) -> Option<Self> {
        let (problem, excerpt, source) = match result {
            Ok(answer) => (problem(endpoint, &answer)?, excerpt(&answer.body), None),
            Err(error) => (Problem::NoAnswer, String::new(), Some(error)),
        };
        Some(Self {
            endpoint: endpoint.name.clone(),
            path: endpoint.path.clone(),
            problem,
            excerpt,
            source,
        })
    }
}

fn problem(endpoint: &Endpoint, answer: &Answer) -> Option<Problem> {
    let expect = &endpoint.expect;
    if !expect.status.contains(&answer.status) {
        return Some(match &answer.location {
            Some(location) if (300..400).contains(&answer.status) => Problem::Redirect {
                status: answer.status,
                location: location.clone(),
                login: is_login(location),
            },
            _ => Problem::Status {
                got: answer.status,
                expected: expect.status.clone(),
            },
        });
    }
    let text = expect.contains.as_ref()?;
    let found = text.is_empty()
        || answer
            .body
            .windows(text.len())
            .any(|part| part == text.as_bytes());
    (!found).then(|| Problem::Lacks { text: text.clone() })
}

fn is_login(location: &str) -> bool {
    let location = location.to_ascii_lowercase();
    LOGIN_WORDS.iter().any(|word| location.contains(word))
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * EXCERPT_CHARS)]).into_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autotune_model::Expect;

    fn check(status: u16, location: Option<&str>, body: &str) -> Option<String> {
        let endpoint = Endpoint {
            expect: Expect {
                status: vec![200, 201],
                contains: Some("total".to_owned()),
            },
            ..Endpoint::get("a", "/a")
        };
        let answer = Answer {
            status,
            location: location.map(str::to_owned),
            body: body.into(),
            ..Answer::default()
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
    }

    #[test]
    fn the_excerpt_is_one_short_line() {
        assert_eq!(
            excerpt(b"<h1>\n  Not   Found\r\n</h1>"),
            "<h1> Not Found </h1>"
        );
        assert_eq!(excerpt("ä".repeat(400).as_bytes()).chars().count(), 301);
    }
}
