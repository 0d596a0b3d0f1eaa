//! The only place that prints: data to stdout, everything else to stderr.

use std::io::{IsTerminal, Write};

/// Whether messages may be coloured.
pub(crate) fn has_color() -> bool {
    std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal()
}

/// A message for people, to stderr. A closed stderr is no reason to stop
/// measuring.
pub(crate) fn say(text: &str) {
    let written = writeln!(std::io::stderr().lock(), "{text}");
    drop(written);
}

/// Data, to stdout.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn put(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
