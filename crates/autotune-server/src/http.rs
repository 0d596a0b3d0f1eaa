//! Asks a server over HTTP where load is not the point: is it ready, does an
//! endpoint answer. No proxy, no redirects followed, no connection kept.

use std::net::SocketAddr;
use std::time::Duration;

use autotune_model::text::USER_AGENT;
use autotune_model::{Asked, Filling, Method, Request, Secret, Unfilled};
use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use tokio::time::{Instant, sleep};

/// Bodies are read up to here; what an endpoint must contain stands before it.
const BODY_LIMIT_BYTES: usize = 16 << 20;
/// The pauses between two questions grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(100);
/// An app may answer otherwise while it warms up, but not for ever.
const UNEXPECTED_FOR: Duration = Duration::from_secs(10);

/// A client for single questions.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers. Some hold tokens.
    pub headers: Vec<(String, Secret<String>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// All values of this header.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter();
        let called = headers.filter(move |(one, _)| one.eq_ignore_ascii_case(name));
        called.map(|(_, value)| value.expose().as_str())
    }

    /// The first value of this header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(one, _)| one.eq_ignore_ascii_case(name))?;
        Some(value.expose())
    }

    /// The type of the body, as the server says it.
    pub fn content_type(&self) -> Option<&str> {
        self.header("content-type")
    }

    /// Where it redirects to.
    pub(crate) fn location(&self) -> Option<&str> {
        self.header("location")
    }
}

/// A request and how its path is shown: filled in, it may hold secrets.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is sent.
    pub request: Request,
    /// As in the grid file.
    pub path: String,
}

impl Question {
    /// What is asked, with its holes filled.
    ///
    /// # Errors
    /// When they cannot be.
    pub fn of(asked: Asked<'_>, filling: &Filling<'_>) -> Result<Self, Unfilled> {
        Ok(Self {
            request: asked.fill(filling)?,
            path: asked.path.to_string(),
        })
    }
}

/// Nothing that is HTTP came back.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client cannot be made.
    #[error("HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// No whole answer.
    #[error("no answer from {url}")]
    NoAnswer {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// How waiting for a server ended.
#[derive(Debug)]
pub enum Readiness {
    /// It answered with an expected status.
    Ready {
        /// The status.
        status: u16,
    },
    /// It went on answering with other ones.
    Unexpected {
        /// The last answer.
        last: Answer,
    },
    /// It never answered.
    NoAnswer {
        /// The last attempt.
        last: Option<HttpError>,
    },
}

impl Http {
    /// A client.
    ///
    /// # Errors
    /// When the system does not let one be made.
    pub fn new() -> Result<Self, HttpError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(0)
            .user_agent(USER_AGENT)
            .build()
            .map_err(HttpError::Client)?;
        Ok(Self { client })
    }

    /// Asks once, as the load will: with method, headers and body.
    ///
    /// # Errors
    /// When no whole answer comes within the timeout.
    pub async fn ask(
        &self,
        address: SocketAddr,
        question: &Question,
        timeout: Duration,
    ) -> Result<Answer, HttpError> {
        let asked = &question.request;
        let url = format!("http://{address}{}", asked.path);
        let mut request = self.client.request(method(asked.method), &url);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        // A body brings its length; without one the load says 0 where the method
        // may have a body (RFC 9110, 8.6), so it is said here, too.
        match &asked.body {
            Some(body) if !body.is_empty() => request = request.body(body.clone()),
            _ if asked.method.takes_body() => request = request.header("Content-Length", "0"),
            _ => {}
        }
        let answer = ask(request.timeout(timeout)).await;
        answer.map_err(|source| HttpError::NoAnswer {
            url: format!("http://{address}{}", question.path),
            source: source.without_url(),
        })
    }

    /// Asks this again and again until an expected status comes. Can be dropped
    /// at any time, for example when the server ends.
    pub async fn until_ready(
        &self,
        address: SocketAddr,
        (question, good): (&Question, &[u16]),
        limit: Duration,
    ) -> Readiness {
        let deadline = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        let mut since = None;
        // The last answer, and the last reason for none.
        let (mut other, mut last) = (None, None);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let over = since.is_some_and(|since: Instant| since.elapsed() >= UNEXPECTED_FOR);
            if left.is_zero() || over {
                return match other {
                    Some(last) => Readiness::Unexpected { last },
                    None => Readiness::NoAnswer { last },
                };
            }
            match self.ask(address, question, left).await {
                Ok(answer) if good.contains(&answer.status) => {
                    return Readiness::Ready {
                        status: answer.status,
                    };
                }
                Ok(answer) => {
                    since.get_or_insert_with(Instant::now);
                    other = Some(answer);
                }
                Err(error) => last = Some(error),
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }
}

async fn ask(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let headers = response.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), Secret::new(value))
    });
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_LIMIT_BYTES {
            break;
        }
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers,
        body,
    })
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Options => reqwest::Method::OPTIONS,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autotune_model::text::Row;
    use autotune_model::{Endpoint, LoginSession, Text};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers one connection after the other with these bytes, then is gone.
    async fn serve(answers: Vec<&'static str>) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.expect("a request");
                assert!(request[..read].starts_with(b"GET /x HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.expect("written");
            }
        });
        (address, task)
    }

    const LIMIT: Duration = Duration::from_secs(20);

    const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    const ABSENT: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    const GOOD: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    async fn check(answers: Vec<&'static str>, expected: &[u16], status: u16) {
        let (address, task) = serve(answers).await;
        let http = Http::new().expect("a client");
        let readiness = http
            .until_ready(address, (&question(), expected), LIMIT)
            .await;
        assert!(
            matches!(readiness, Readiness::Ready { status: got } if got == status),
            "{readiness:?}"
        );
        task.await.expect("all were asked");
    }

    fn question() -> Question {
        of(&Endpoint::get("x", "/x"))
    }

    fn of(endpoint: &Endpoint) -> Question {
        let filling = Filling {
            session: &LoginSession::default(),
            data: &[],
            row: Row::Question(0),
        };
        Question::of(endpoint.asked(), &filling).expect("nothing to fill")
    }

    #[tokio::test]
    async fn ready_is_an_answer_with_an_expected_status() {
        check(vec![BUSY, ABSENT, GOOD], &[200, 204], 204).await;
        check(vec![BUSY, GOOD, ABSENT], &[404], 404).await;
    }

    #[tokio::test]
    async fn another_answer_to_the_last_is_told_as_such() {
        // More than are asked for in this time.
        let (address, task) = serve(vec![ABSENT; 1000]).await;
        let http = Http::new().expect("a client");
        let limit = Duration::from_secs(2);
        let readiness = http
            .until_ready(address, (&question(), &[200]), limit)
            .await;
        let is_404 = matches!(&readiness, Readiness::Unexpected { last } if last.status == 404);
        assert!(is_404, "{readiness:?}");
        task.abort();
    }

    #[tokio::test]
    async fn a_redirect_is_shown_and_not_followed() {
        let answer = "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 2\r\n\r\nno";
        let (address, task) = serve(vec![answer]).await;
        let http = Http::new().expect("a client");
        let answer = http.ask(address, &question(), LIMIT).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 302);
        assert_eq!(answer.location(), Some("/login"));
        assert_eq!(answer.body, b"no");
        task.await.expect("asked once");
    }

    #[tokio::test]
    async fn nobody_there_is_told_after_the_limit() {
        let (address, task) = serve(Vec::new()).await;
        task.await.expect("the listener is closed");
        let http = Http::new().expect("a client");
        let limit = Duration::from_millis(30);
        let readiness = http
            .until_ready(address, (&question(), &[200]), limit)
            .await;
        assert!(matches!(readiness, Readiness::NoAnswer { last: Some(_) }));
    }

    /// The request to this endpoint, which ends so, in lower case, and to whom it
    /// was sent.
    async fn sent(endpoint: &Endpoint, end: &'static [u8]) -> (String, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut seen = Vec::new();
            while !seen.ends_with(end) {
                let read = stream.read_buf(&mut seen).await.expect("a request");
                assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
            }
            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.expect("written");
            String::from_utf8(seen).expect("text").to_ascii_lowercase()
        });
        let http = Http::new().expect("a client");
        let answer = http.ask(address, &of(endpoint), LIMIT).await;
        assert_eq!(answer.expect("an answer").status, 201);
        (task.await.expect("asked once"), address)
    }

    #[tokio::test]
    async fn an_endpoint_is_asked_as_the_load_asks_it() {
        let text = |text: &str| Text::from(text);
        let endpoint = Endpoint {
            method: Method::Post,
            headers: vec![
                (
                    "Content-Type".to_owned(),
                    text("application/x-www-form-urlencoded"),
                ),
                ("Host".to_owned(), text("shop.example")),
            ],
            body: Some(text("a=1")),
            ..Endpoint::get("buy", "/x")
        };
        let (seen, _) = sent(&endpoint, b"a=1").await;
        assert!(seen.starts_with("post /x http/1.1\r\n"), "{seen}");
        for line in [
            "content-type: application/x-www-form-urlencoded",
            "host: shop.example",
            "content-length: 3",
        ] {
            assert!(seen.contains(&format!("\r\n{line}\r\n")), "{seen}");
        }
    }

    /// The same lines are expected of the load, in `request` of its crate: an app
    /// may bind a session to them.
    #[tokio::test]
    async fn what_the_grid_file_does_not_say_is_said_as_in_the_load() {
        for method in Method::ALL {
            let endpoint = Endpoint {
                method,
                ..Endpoint::get("a", "/a")
            };
            let (seen, address) = sent(&endpoint, b"\r\n\r\n").await;
            let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
            let first = format!("{method} /a HTTP/1.1").to_ascii_lowercase();
            assert_eq!(lines.remove(0), first);
            lines.sort_unstable();
            let host = format!("host: {address}");
            let mut expected = vec!["accept: */*", host.as_str(), "user-agent: autotune"];
            if method.takes_body() {
                expected.insert(1, "content-length: 0");
            }
            assert_eq!(lines, expected, "{method}");
        }
    }
}
