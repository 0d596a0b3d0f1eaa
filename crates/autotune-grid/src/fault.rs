//! What can be wrong with a grid file, where, and how faults are collected.
//! Drawing them with file, line and caret is left to the program.

use std::ops::Range;

use autotune_model::ErrorCode;

/// One fault of a grid file, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GridFault {
    /// The kind of fault.
    pub code: ErrorCode,
    /// Where: bytes of the grid file's text, on character boundaries.
    pub span: Range<usize>,
    /// What is wrong: lower-case, no period.
    pub message: String,
    /// Shown under the caret.
    pub label: String,
    /// What to do next, or the likely spelling.
    pub hint: Option<String>,
}

impl GridFault {
    pub(crate) fn new(
        code: ErrorCode,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            code,
            span: span.clone(),
            message: message.into(),
            label: label.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Proof that a fault was collected: only [`Faults::add`] makes one, so a
/// failed check can never leave the list of faults empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported(());

/// The value, or the proof that the reason for its absence is collected.
pub(crate) type Checked<T> = Result<T, Reported>;

/// All faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<GridFault>);

impl Faults {
    pub(crate) fn add(&mut self, fault: GridFault) -> Reported {
        // A value that is checked for two variants is wrong only once.
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
        Reported(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<GridFault> {
        self.0
            .sort_by_key(|fault| (fault.span.start, fault.span.end));
        self.0
    }
}

/// The name that was probably meant, in whatever case.
pub(crate) fn likely<'n>(
    given: &str,
    allowed: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let given = given.to_lowercase();
    allowed
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A hint at the likely spelling, or at all allowed names.
pub(crate) fn did_you_mean<'n>(
    given: &str,
    allowed: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    let allowed: Vec<&str> = allowed.into_iter().collect();
    match likely(given, allowed.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if allowed.is_empty() => None,
        None => Some(format!("possible: {}", in_words(&allowed))),
    }
}

/// `a`, `b` and `c`.
pub(crate) fn in_words(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
