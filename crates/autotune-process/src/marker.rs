//! The text in a server's environment by which it is found when every guard has
//! died. Searching for it is left to `strays`.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::ProcessError;
use crate::table::{ProcFs, ProcessTable};

/// The environment variable that holds the marker.
pub const MARKER_VARIABLE: &str = "AUTOTUNE_MARKER";
/// Leads every marker; another layout gets another number.
const PREFIX: &str = "autotune1";

/// Who started a process: pid and start time, since pids are used again, and
/// the PID namespace, since a pid means nothing outside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The pid in its own namespace.
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
    /// Inode of the PID namespace.
    pub namespace: u64,
}

impl Owner {
    /// The process that asks.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn this_process() -> Result<Self, ProcessError> {
        let pid = std::process::id();
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let entry = ProcFs::default()
            .entry(pid)
            .ok_or_else(|| ProcessError::Read {
                path,
                source: io::Error::from(io::ErrorKind::NotFound),
            })?;
        Ok(Self {
            pid,
            start_time: entry.key.start_time,
            namespace: own_namespace()?,
        })
    }
}

/// Inode of the PID namespace that this process lives in.
pub(crate) fn own_namespace() -> Result<u64, ProcessError> {
    let path = Path::new("/proc/self/ns/pid");
    let read = |source| ProcessError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(read)?;
    Ok(std::os::unix::fs::MetadataExt::ino(&metadata))
}

/// Random text that says which program a process belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    owner: Owner,
    text: String,
}

impl Marker {
    /// A new marker for what this process starts.
    ///
    /// # Errors
    /// When `/proc` or `/dev/urandom` cannot be read.
    pub fn for_this_process() -> Result<Self, ProcessError> {
        Self::for_owner(Owner::this_process()?)
    }

    /// A new marker for what this owner starts.
    ///
    /// # Errors
    /// When `/dev/urandom` cannot be read.
    pub fn for_owner(owner: Owner) -> Result<Self, ProcessError> {
        let path = PathBuf::from("/dev/urandom");
        let mut bytes = [0; 12];
        std::fs::File::open(&path)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|source| ProcessError::Read { path, source })?;
        let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let Owner {
            pid,
            start_time,
            namespace,
        } = owner;
        Ok(Self {
            owner,
            text: format!("{PREFIX}:{namespace}:{pid}:{start_time}:{random}"),
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who started what carries it.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Back from [`Marker::as_str`]; `None` for what is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        if parts.next()? != PREFIX {
            return None;
        }
        let namespace = parts.next()?.parse().ok()?;
        let pid = parts.next()?.parse().ok()?;
        let start_time = parts.next()?.parse().ok()?;
        let random = parts.next()?;
        let is_random = !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_random && parts.next().is_none()).then(|| Self {
            owner: Owner {
                pid,
                start_time,
                namespace,
            },
            text: text.to_owned(),
        })
    }

    /// The marker in an environment as `/proc/PID/environ` shows it.
    pub(crate) fn in_environment(environment: &[u8]) -> Option<Self> {
        environment.split(|byte| *byte == 0).find_map(|entry| {
            let value = entry
                .strip_prefix(MARKER_VARIABLE.as_bytes())?
                .strip_prefix(b"=")?;
            Self::parse(std::str::from_utf8(value).ok()?)
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_never_repeats() {
        let one = Marker::for_this_process().expect("proc is readable");
        let two = Marker::for_this_process().expect("proc is readable");
        assert_ne!(one, two);
        assert_eq!(Marker::parse(one.as_str()), Some(one.clone()));
        assert_eq!(one.owner().pid, std::process::id());
    }

    #[test]
    fn strange_texts_are_not_ours() {
        for text in [
            "",
            "autotune1",
            "autotune2:1:2:3:ab",
            "autotune1:1:2:3:",
            "autotune1:1:2:3:xyz",
            "autotune1:1:2:3:ab:cd",
            "autotune1:1:-2:3:ab",
        ] {
            assert_eq!(Marker::parse(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_found_in_an_environment() {
        let found = Marker::in_environment(b"A=1\0AUTOTUNE_MARKER=autotune1:9:2:3:ab\0B=\0");
        let owner = Owner {
            pid: 2,
            start_time: 3,
            namespace: 9,
        };
        assert_eq!(found.map(|marker| marker.owner()), Some(owner));
        assert_eq!(
            Marker::in_environment(b"XAUTOTUNE_MARKER=autotune1:9:2:3:ab\0"),
            None
        );
        assert_eq!(Marker::in_environment(b""), None);
    }
}
