//! Codes of faults: short, stable names that a longer text can be looked up by.

use std::fmt;

/// A fault that a user can meet. The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorCode {
    /// The grid file is not TOML.
    GridSyntax,
    /// A key that the grid file does not have.
    GridUnknownKey,
    /// A key of the design that is not built yet.
    GridNotSupported,
    /// A value of the wrong kind or out of range.
    GridValue,
    /// Something that must be there is missing.
    GridMissing,
    /// Parts of the grid file contradict each other.
    GridConflict,
    /// A file or folder that the grid file names is not there.
    GridPath,
    /// A setup step failed.
    Setup,
    /// A command that runs around each trial failed.
    Hook,
    /// A service does not get ready, or ended while it was needed.
    Service,
    /// The server does not start.
    ServerStart,
    /// An endpoint does not answer as expected.
    EndpointCheck,
    /// The app connects to an address that it may not reach.
    OutsideConnection,
    /// The results folder belongs to another grid or app.
    StudyChanged,
    /// The store cannot be read or written.
    Store,
    /// Another sweep runs on this host.
    HostBusy,
    /// Processes cannot be started or ended.
    Process,
    /// Trial after trial was invalid: generator, host or app are at fault.
    NothingValid,
    /// A fault of `autotune` itself.
    Internal,
}

impl ErrorCode {
    /// All codes.
    pub const ALL: [Self; 19] = [
        Self::GridSyntax,
        Self::GridUnknownKey,
        Self::GridNotSupported,
        Self::GridValue,
        Self::GridMissing,
        Self::GridConflict,
        Self::GridPath,
        Self::Setup,
        Self::ServerStart,
        Self::EndpointCheck,
        Self::OutsideConnection,
        Self::Hook,
        Self::Service,
        Self::StudyChanged,
        Self::Store,
        Self::HostBusy,
        Self::Process,
        Self::NothingValid,
        Self::Internal,
    ];

    /// As shown: `A0101`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GridSyntax => "A0101",
            Self::GridUnknownKey => "A0102",
            Self::GridNotSupported => "A0103",
            Self::GridValue => "A0104",
            Self::GridMissing => "A0105",
            Self::GridConflict => "A0106",
            Self::GridPath => "A0107",
            Self::Setup => "A0201",
            Self::ServerStart => "A0202",
            Self::EndpointCheck => "A0203",
            Self::OutsideConnection => "A0204",
            Self::Hook => "A0205",
            Self::Service => "A0206",
            Self::StudyChanged => "A0301",
            Self::Store => "A0302",
            Self::HostBusy => "A0303",
            Self::Process => "A0304",
            Self::NothingValid => "A0305",
            Self::Internal => "A0901",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_codes_are_the_same() {
        let texts: std::collections::BTreeSet<_> =
            ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
    }
}
