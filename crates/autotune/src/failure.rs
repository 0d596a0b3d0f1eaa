//! What ends the program early, and the one place that prints it.

use std::error::Error;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use autotune_grid::GridFault;
use autotune_model::ErrorCode;

use crate::exit::Exit;
use crate::terminal;

/// What ends the program early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The grid file is wrong: every fault with its place.
    Grid {
        /// The file.
        path: PathBuf,
        /// What it says.
        text: String,
        /// What is wrong with it.
        faults: Vec<GridFault>,
    },
    /// Anything else.
    Other {
        /// Whose fault it is.
        exit: Exit,
        /// Which kind, where it has one.
        code: Option<ErrorCode>,
        /// What happened.
        message: String,
        /// What to do next.
        hint: Option<String>,
        /// Why.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl Failure {
    /// A wrong argument or grid file.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Other {
            exit: Exit::Usage,
            code: None,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// A fault that stops the program.
    pub(crate) fn stopped(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Other {
            exit: Exit::Stopped,
            code: Some(code),
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// With its cause.
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        if let Self::Other { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }

    /// With the next action.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Other { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Grid { .. } => Exit::Usage,
            Self::Other { exit, .. } => *exit,
        }
    }

    /// To stderr.
    pub(crate) fn print(&self) {
        match self {
            Self::Grid { path, text, faults } => {
                faults
                    .iter()
                    .for_each(|fault| terminal::say(&draw(path, text, fault)));
                let files = path.display();
                let count = faults.len();
                let noun = if count == 1 { "fault" } else { "faults" };
                terminal::say(&format!("{count} {noun} in {files}; nothing was started"));
                if let Some(fault) = faults.first() {
                    terminal::say(&format!("`autotune explain {}` says more", fault.code));
                }
            }
            Self::Other {
                code,
                message,
                hint,
                source,
                ..
            } => {
                let code = code.map(|code| format!("[{code}]")).unwrap_or_default();
                terminal::say(&format!("error{code}: {message}"));
                print_causes(
                    source
                        .as_deref()
                        .map(|source| source as &(dyn Error + 'static)),
                );
                if let Some(hint) = hint {
                    terminal::say(&format!("hint: {hint}"));
                }
            }
        }
    }
}

fn print_causes(first: Option<&(dyn Error + 'static)>) {
    let mut causes = Vec::new();
    let mut next = first;
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    match causes.as_slice() {
        [] => {}
        [only] => terminal::say(&format!("Caused by: {only}")),
        several => {
            terminal::say("Caused by:");
            for (number, cause) in several.iter().enumerate() {
                terminal::say(&format!("  {}: {cause}", number + 1));
            }
        }
    }
}

/// With file, line and caret.
fn draw(path: &Path, text: &str, fault: &GridFault) -> String {
    let path = path.display().to_string();
    let annotation = AnnotationKind::Primary
        .span(fault.span.clone())
        .label(&fault.label);
    let snippet = Snippet::source(text).path(&path).annotation(annotation);
    let title = Level::ERROR
        .primary_title(&fault.message)
        .id(fault.code.as_str());
    let mut group = title.element(snippet);
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(hint));
    }
    let renderer = if terminal::has_color() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group]).to_string()
}
