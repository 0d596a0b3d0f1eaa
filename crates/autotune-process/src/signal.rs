//! The signals that stop a server, and how a process ended. Sending and waiting
//! are left to the supervisor.

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal;

/// A signal that asks a server to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// `SIGTERM`.
    Term,
    /// `SIGINT`.
    Int,
    /// `SIGQUIT`.
    Quit,
    /// `SIGHUP`.
    Hup,
    /// `SIGUSR1`.
    Usr1,
    /// `SIGUSR2`.
    Usr2,
    /// `SIGKILL`: nothing is asked.
    Kill,
}

/// A text that names no signal a server can be stopped by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown stop signal `{0}`; possible are TERM, INT, QUIT, HUP, USR1, USR2, KILL")]
pub struct UnknownSignal(pub String);

impl StopSignal {
    const ALL: [Self; 7] = [
        Self::Term,
        Self::Int,
        Self::Quit,
        Self::Hup,
        Self::Usr1,
        Self::Usr2,
        Self::Kill,
    ];

    /// Without the leading `SIG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Kill => "KILL",
        }
    }

    pub(crate) fn number(self) -> Signal {
        match self {
            Self::Term => Signal::SIGTERM,
            Self::Int => Signal::SIGINT,
            Self::Quit => Signal::SIGQUIT,
            Self::Hup => Signal::SIGHUP,
            Self::Usr1 => Signal::SIGUSR1,
            Self::Usr2 => Signal::SIGUSR2,
            Self::Kill => Signal::SIGKILL,
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for StopSignal {
    type Err = UnknownSignal;

    /// `TERM` or `SIGTERM`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        Self::ALL
            .into_iter()
            .find(|signal| signal.as_str() == name)
            .ok_or_else(|| UnknownSignal(text.to_owned()))
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    /// Whether it ended by itself with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_with_and_without_prefix() {
        for signal in StopSignal::ALL {
            assert_eq!(signal.as_str().parse(), Ok(signal));
            assert_eq!(format!("sig{signal}").parse(), Ok(signal));
        }
        assert_eq!(
            "STOP".parse::<StopSignal>(),
            Err(UnknownSignal("STOP".to_owned()))
        );
        assert!("".parse::<StopSignal>().is_err());
    }

    #[test]
    fn names_and_numbers_agree() {
        for signal in StopSignal::ALL {
            assert_eq!(signal.number().as_str(), format!("SIG{signal}"));
        }
    }

    #[test]
    fn ends_are_written_for_people() {
        assert_eq!(ExitStatus::Code(3).to_string(), "exit 3");
        assert_eq!(ExitStatus::Signal(9).to_string(), "signal 9");
    }
}
