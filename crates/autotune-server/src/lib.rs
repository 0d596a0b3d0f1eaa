//! What `autotune` knows of servers: the shipped profiles, how a configuration
//! becomes a command line and an environment, when a server is ready, whether
//! its endpoints answer, which settings are in effect, and what its log says.
//!
//! Profiles are data, see the `profiles` folder. Nothing here starts a process
//! or runs a trial; that is `autotune-trial`.

mod check;
mod cookies;
mod environment;
mod events;
mod extract;
mod http;
mod login;
mod redact;
mod render;
mod service;
mod settings;
mod shipped;
mod source;
mod template;
mod version;

pub use check::{CheckFailure, Problem, Whom};
pub use environment::Environment;
pub use events::{EventKind, LogEvent, events};
pub use http::{Answer, Http, HttpError, Question, Readiness};
pub use login::{LoginEnd, LoginPlan, secrets_in};
pub use redact::Redactor;
pub use render::{Command, Rendering, render, render_hooks, render_setup};
pub use service::{ServiceCommands, ServiceRendering, render_service, render_service_setup};
pub use settings::{Mismatch, mismatch, parse_settings};
pub use shipped::{Behaviour, EventRule, Since, behaviour, profile, profiles};
pub use source::{Assignment, assignments, settings_file};
pub use template::{Place, RenderError, ServicePlace};
pub use version::Version;
