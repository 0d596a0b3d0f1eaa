//! What `autotune` knows of servers: the shipped profiles, how a configuration
//! becomes a command line and an environment, when a server is ready, whether
//! its endpoints answer, which settings are in effect, and what its log says.
//!
//! Profiles are data, see the `profiles` folder. Nothing here starts a process
//! or runs a trial; that is `autotune-trial`.

mod check;
mod environment;
mod events;
mod http;
mod redact;
mod render;
mod settings;
mod shipped;
mod source;
mod template;
mod version;

pub use check::{CheckFailure, Problem};
pub use environment::Environment;
pub use events::{EventKind, LogEvent, events};
pub use http::{Answer, Http, HttpError, Readiness};
pub use redact::Redactor;
pub use render::{Command, Rendering, render, render_hooks, render_setup};
pub use settings::{Mismatch, mismatch, parse_settings};
pub use shipped::{Behaviour, EventRule, Since, behaviour, profile, profiles};
pub use source::{Assignment, assignments, settings_file};
pub use template::{Place, RenderError};
pub use version::Version;
