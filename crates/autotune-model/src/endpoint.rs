//! What is asked of the app, and what a good answer is.

use std::fmt;

use crate::json::JsonExpect;
use crate::text::{Asked, Text};

/// The name of an endpoint, as in `name = "api_1"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(String);

impl EndpointName {
    /// The endpoint with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Unique within a grid file.
    pub name: EndpointName,
    /// How it is asked.
    pub method: Method,
    /// Path and query, beginning with a slash.
    pub path: Text,
    /// Further headers, in the order of the grid file; no name twice, in whatever
    /// case.
    pub headers: Vec<(String, Text)>,
    /// What is sent with it; never with a method that has no body.
    pub body: Option<Text>,
    /// Share of the traffic, and weight in the objective; above zero.
    pub weight: f64,
    /// What makes an answer good.
    pub expect: Expect,
}

/// The method of a request (RFC 9110, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Reads; takes no body here.
    #[default]
    Get,
    /// Asks what is allowed; takes no body here.
    Options,
    /// Does something, each time anew.
    Post,
    /// Replaces.
    Put,
    /// Changes a part.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Get,
        Self::Options,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
    ];

    /// As in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether asking twice is as good as asking once, so that a request may be
    /// sent again when nobody knows whether it arrived (RFC 9110, 9.2.2).
    pub fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }

    /// Whether a request with this method may have a body.
    pub fn takes_body(self) -> bool {
        !matches!(self, Self::Get | Self::Options)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Endpoint {
    /// A plain GET of a path, where 200 is good.
    pub fn get(name: &str, path: &str) -> Self {
        Self {
            name: EndpointName::new(name),
            method: Method::Get,
            path: Text::from(path),
            headers: Vec::new(),
            body: None,
            weight: 1.0,
            expect: Expect {
                status: vec![200],
                contains: None,
                min_bytes: None,
                max_bytes: None,
                json: Vec::new(),
            },
        }
    }

    /// Takes the values that come from the environment out of it.
    ///
    /// # Errors
    /// The name of a variable that is not there.
    pub fn resolve<'e>(
        mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<Self, String> {
        let headers = self.headers.iter_mut().map(|(_, value)| value);
        for text in headers.chain(&mut self.body) {
            text.take(&variable)?;
        }
        Ok(self)
    }

    /// What is asked.
    pub fn asked(&self) -> Asked<'_> {
        Asked {
            method: self.method,
            path: &self.path,
            headers: &self.headers,
            body: self.body.as_ref(),
        }
    }

    /// What must reach neither store, log nor report.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.asked().secrets()
    }
}

/// What makes an answer good. The grid file defines success.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// The statuses that are good.
    pub status: Vec<u16>,
    /// Text that the body must contain.
    pub contains: Option<String>,
    /// The least that a body may have.
    pub min_bytes: Option<u64>,
    /// The most that a body may have; not below the least.
    pub max_bytes: Option<u64>,
    /// What the body must say as JSON, in the order of the grid file; where this is
    /// empty it need not be JSON.
    pub json: Vec<JsonExpect>,
}

impl Expect {
    /// Whether a body of this length is good.
    pub fn fits(&self, bytes: u64) -> bool {
        self.min_bytes.is_none_or(|least| bytes >= least)
            && self.max_bytes.is_none_or(|most| bytes <= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::EnvValue;

    #[test]
    fn values_are_taken_out_of_the_environment_and_secrets_kept() {
        let from = |name: &str, secret| {
            Text::Value(EnvValue::FromEnv {
                name: name.to_owned(),
                secret,
            })
        };
        let endpoint = Endpoint {
            headers: vec![
                ("Authorization".to_owned(), from("TOKEN", true)),
                ("X-Team".to_owned(), from("TEAM", false)),
            ],
            body: Some(from("BODY", true)),
            ..Endpoint::get("a", "/a")
        };
        let all = |name: &str| {
            ["TOKEN", "TEAM", "BODY"]
                .into_iter()
                .find(|one| *one == name)
        };
        let resolved = endpoint.clone().resolve(all).unwrap();
        assert_eq!(resolved.secrets().collect::<Vec<_>>(), ["TOKEN", "BODY"]);
        assert_eq!(resolved.headers[1].1, Text::from("TEAM"));
        let none = |name: &str| (name == "TOKEN").then_some("x");
        assert_eq!(endpoint.resolve(none), Err("TEAM".to_owned()));
    }
}
