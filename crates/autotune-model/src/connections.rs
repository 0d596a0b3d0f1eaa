//! How the client uses connections.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// How connections are used: it decides sync against gthread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPolicy {
    /// Connections stay open, as behind a proxy with keep-alive.
    KeepAlive,
    /// A connection for each request.
    PerRequest,
    /// Connections stay open up to a limit, at which the client closes them.
    Limited(KeepLimits),
}

/// When a client closes a connection that it keeps; at least one limit is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepLimits {
    answers: Option<NonZeroU32>,
    idle: Option<Duration>,
}

impl KeepLimits {
    /// After so many answers, or unused for so long; `None` without a limit.
    pub fn new(answers: Option<NonZeroU32>, idle: Option<Duration>) -> Option<Self> {
        (answers.is_some() || idle.is_some()).then_some(Self { answers, idle })
    }

    /// After so many answers.
    pub fn answers(&self) -> Option<NonZeroU32> {
        self.answers
    }

    /// Unused for so long.
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }
}

impl ConnectionPolicy {
    /// How many answers come over one connection at most.
    pub fn most_answers(&self) -> Option<NonZeroU32> {
        match self {
            Self::KeepAlive => None,
            Self::PerRequest => Some(NonZeroU32::MIN),
            Self::Limited(limits) => limits.answers,
        }
    }

    /// How long a connection may be unused.
    pub fn most_idle(&self) -> Option<Duration> {
        match self {
            Self::KeepAlive | Self::PerRequest => None,
            Self::Limited(limits) => limits.idle,
        }
    }
}

/// For identities and lines of output: `keep-alive`, `per-request`,
/// `reconnect-every-100 idle-60s`.
impl fmt::Display for ConnectionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepAlive => f.write_str("keep-alive"),
            Self::PerRequest => f.write_str("per-request"),
            Self::Limited(limits) => {
                if let Some(answers) = limits.answers {
                    write!(f, "reconnect-every-{answers}")?;
                }
                if limits.answers.is_some() && limits.idle.is_some() {
                    f.write_str(" ")?;
                }
                limits
                    .idle
                    .map_or(Ok(()), |idle| write!(f, "idle-{idle:?}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_its_limits_and_a_text_of_its_own() {
        let limited = |answers, idle| {
            let answers = NonZeroU32::new(answers);
            KeepLimits::new(answers, idle).map(ConnectionPolicy::Limited)
        };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(limited(0, None), None);
        let check = |policy: ConnectionPolicy, answers, idle, text| {
            assert_eq!(policy.most_answers().map_or(0, NonZeroU32::get), answers);
            assert_eq!(policy.most_idle(), idle);
            assert_eq!(policy.to_string(), text);
        };
        check(ConnectionPolicy::KeepAlive, 0, None, "keep-alive");
        check(ConnectionPolicy::PerRequest, 1, None, "per-request");
        check(limited(9, None).unwrap(), 9, None, "reconnect-every-9");
        check(limited(0, minute).unwrap(), 0, minute, "idle-60s");
        check(
            limited(9, minute).unwrap(),
            9,
            minute,
            "reconnect-every-9 idle-60s",
        );
    }
}
