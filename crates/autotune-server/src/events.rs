//! What lines of a server's log mean, by the rules of its profile.

use serde::Deserialize;

use crate::shipped::Behaviour;

/// What a line of the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A worker ends because it served as many requests as it may.
    RestartPlanned,
    /// A worker is ended because it did not answer its watchdog.
    WorkerTimeout,
    /// A worker was killed; for want of memory or after a timeout.
    WorkerKilled,
    /// A worker ended by itself with an error.
    WorkerFailed,
    /// Names the worker class in use. The class is all of `rest`: what a format
    /// of the user's own puts behind it, as JSON does, is cut off.
    WorkerClass,
}

/// One line with a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// What it means.
    pub kind: EventKind,
    /// The worker, as the server numbers it.
    pub pid: Option<u32>,
    /// What follows the text that the line was recognised by.
    pub rest: String,
}

/// The events among these lines, in order.
pub fn events<'a>(
    behaviour: &Behaviour,
    lines: impl IntoIterator<Item = &'a str>,
) -> Vec<LogEvent> {
    lines
        .into_iter()
        .filter_map(|line| event(behaviour, line))
        .collect()
}

fn event(behaviour: &Behaviour, line: &str) -> Option<LogEvent> {
    let rule = behaviour
        .events
        .iter()
        .find(|rule| line.contains(&rule.contains))?;
    let (_, rest) = line.split_once(&rule.contains)?;
    let pid = rule.pid_after.as_ref().and_then(|mark| {
        let (_, after) = line.split_once(mark.as_str())?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    let rest = match rule.kind {
        EventKind::WorkerClass => leading_name(rest),
        _ => rest.trim(),
    };
    Some(LogEvent {
        kind: rule.kind,
        pid,
        rest: rest.to_owned(),
    })
}

/// The dotted name, or `module:Class`, that a text begins with.
fn leading_name(text: &str) -> &str {
    let text = text.trim_start();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped::behaviour;

    fn check(line: &str, expected: Option<(EventKind, Option<u32>, &str)>) {
        let rules = behaviour("gunicorn").expect("shipped");
        let found = event(&rules, line).map(|event| (event.kind, event.pid, event.rest));
        let expected = expected.map(|(kind, pid, rest)| (kind, pid, rest.to_owned()));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn lines_of_gunicorn() {
        use EventKind::*;
        check(
            "[2026-01-01 00:00:00 +0000] [7] [INFO] Autorestarting worker after current request.",
            Some((RestartPlanned, None, "after current request.")),
        );
        check(
            "[…] [1] [CRITICAL] WORKER TIMEOUT (pid:42)",
            Some((WorkerTimeout, Some(42), "(pid:42)")),
        );
        check(
            "[…] [1] [ERROR] Worker (pid:42) was sent SIGKILL! Perhaps out of memory?",
            Some((WorkerKilled, Some(42), "Perhaps out of memory?")),
        );
        check(
            "[…] [1] [ERROR] Worker (pid:42) exited with code 3.",
            Some((WorkerFailed, Some(42), "3.")),
        );
        check(
            "[…] [1] [INFO] Using worker: gthread",
            Some((WorkerClass, None, "gthread")),
        );
        check(
            "[…] [1] [INFO] Using worker: my.workers.Fast_1  ",
            Some((WorkerClass, None, "my.workers.Fast_1")),
        );
        check(
            r#"{"message": "Using worker: gthread", "level": "INFO"}"#,
            Some((WorkerClass, None, "gthread")),
        );
        check(
            "Using worker: gthread [INFO]",
            Some((WorkerClass, None, "gthread")),
        );
        check("[…] [1] [INFO] Booting worker with pid: 42", None);
    }
}
