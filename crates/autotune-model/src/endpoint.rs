//! What is asked of the app, and what a good answer is.

use std::fmt;

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
    /// Path and query, beginning with a slash.
    pub path: String,
    /// Share of the traffic, and weight in the objective; above zero.
    pub weight: f64,
    /// What makes an answer good.
    pub expect: Expect,
}

/// What makes an answer good. The grid file defines success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The statuses that are good.
    pub status: Vec<u16>,
    /// Text that the body must contain.
    pub contains: Option<String>,
}

/// How connections are used: it decides sync against gthread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPolicy {
    /// Connections stay open, as behind a proxy with keep-alive.
    KeepAlive,
    /// A connection for each request.
    PerRequest,
}

impl ConnectionPolicy {
    /// As in the grid file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::PerRequest => "per-request",
        }
    }
}
