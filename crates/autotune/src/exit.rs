//! Exit codes, the same for every command.

use std::process::ExitCode;

use autotune_analysis::VerdictWord;
use autotune_report::Ending;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Recommended within `accept`, what runs today included; or done.
    Resolved = 0,
    /// Wrong arguments or a wrong grid file.
    Usage = 2,
    /// Recommended, but not shown to be within `accept`.
    Unresolved = 3,
    /// No configuration meets the limits.
    Infeasible = 4,
    /// A fault ended it; it is named.
    Stopped = 5,
    /// The user ended it; the same command goes on.
    Interrupted = 130,
}

impl Exit {
    /// The code of a sweep's end.
    pub(crate) fn of(ending: &Ending, word: VerdictWord) -> Self {
        match (ending, word) {
            (Ending::Interrupted, _) => Self::Interrupted,
            (Ending::Stopped { .. }, _) => Self::Stopped,
            (_, VerdictWord::Recommended | VerdictWord::KeepCurrent) => Self::Resolved,
            (_, VerdictWord::Unresolved) => Self::Unresolved,
            (_, VerdictWord::Infeasible) => Self::Infeasible,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_as_documented() {
        let codes = [
            Exit::Resolved,
            Exit::Usage,
            Exit::Unresolved,
            Exit::Infeasible,
            Exit::Stopped,
            Exit::Interrupted,
        ];
        assert_eq!(codes.map(|exit| exit as u8), [0, 2, 3, 4, 5, 130]);
        assert_eq!(
            Exit::of(&Ending::Budget, VerdictWord::KeepCurrent),
            Exit::Resolved
        );
        assert_eq!(
            Exit::of(&Ending::Interrupted, VerdictWord::Recommended),
            Exit::Interrupted
        );
    }
}
