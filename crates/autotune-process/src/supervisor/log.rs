//! Keeps the server's log from filling the disk. A limit on file sizes would also
//! hit the app's database, and a pipe could block the server, so the file is
//! begun anew when it has grown too large; it was opened for appending.

use std::fs::File;
use std::io;

/// A log with a limit.
#[derive(Debug)]
pub(crate) struct BoundedLog {
    file: File,
    limit: u64,
    dropped: u64,
    truncations: u32,
}

impl BoundedLog {
    pub(crate) fn new(file: File, limit: u64) -> Self {
        Self {
            file,
            limit,
            dropped: 0,
            truncations: 0,
        }
    }

    /// Begins anew where the limit is exceeded. What is written between looking
    /// and truncating is lost to the count of bytes.
    pub(crate) fn enforce(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length > self.limit {
            self.file.set_len(0)?;
            self.dropped = self.dropped.saturating_add(length);
            self.truncations = self.truncations.saturating_add(1);
        }
        Ok(())
    }

    /// Sends what this process writes to standard error there.
    pub(crate) fn show_faults(&self) -> io::Result<()> {
        Ok(nix::unistd::dup2_stderr(&self.file)?)
    }

    /// Bytes written in all.
    pub(crate) fn bytes(&self) -> io::Result<u64> {
        Ok(self.dropped.saturating_add(self.file.metadata()?.len()))
    }

    /// How often it was begun anew.
    pub(crate) fn truncations(&self) -> u32 {
        self.truncations
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn it_is_begun_anew_above_the_limit_and_everything_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut writer = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a file");
        let mut log = BoundedLog::new(writer.try_clone().expect("a copy"), 10);
        writer.write_all(b"0123456789").expect("written");
        log.enforce().expect("readable");
        assert_eq!(log.truncations(), 0);
        writer.write_all(b"x").expect("written");
        log.enforce().expect("readable");
        assert_eq!(log.truncations(), 1);
        writer.write_all(b"after").expect("written");
        assert_eq!(std::fs::read(&path).expect("readable"), b"after");
        assert_eq!(log.bytes().expect("readable"), 16);
    }
}
