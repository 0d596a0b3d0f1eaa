//! A server variant: `[server.X]` of the grid file, checked.

use std::path::PathBuf;

use crate::id::VariantName;
use crate::secret::Secret;

/// One server with its app, before any parameter is chosen.
///
/// Texts may hold holes of the template syntax (`{{ cache }}`, `{{ run }}`,
/// `{{ port }}`, `{{ host }}`, `{{ cores }}` and, in `command`, the parameters);
/// they are filled at launch.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerVariant {
    /// As in `[server.X]`.
    pub name: VariantName,
    /// The name of the profile.
    pub profile: String,
    /// gunicorn: the app, `module:callable`.
    pub app: Option<String>,
    /// Absolute: the server's working directory.
    pub dir: PathBuf,
    /// Steps that build what the server needs, once by content; each already
    /// split into words.
    pub setup: Vec<Vec<String>>,
    /// The folder of the server's program.
    pub bin: Option<String>,
    /// Further arguments, after the app's own and before the parameters.
    pub args: Vec<String>,
    /// `command` profile: the whole command, split into words.
    pub command: Vec<String>,
    /// Environment variables to set, in the order of the grid file.
    pub env: Vec<(String, EnvValue)>,
    /// Absolute: a folder that is copied into `{{ run }}` before each trial.
    pub fixture: Option<PathBuf>,
    /// Commands that run before the server of each trial starts, each already
    /// split into words.
    pub before_trial: Vec<Vec<String>>,
    /// Commands that run after the server of each trial has stopped.
    pub after_trial: Vec<Vec<String>>,
    /// Addresses beyond loopback that the app may connect to.
    pub may_reach: Vec<String>,
    /// The path that is asked until the server is ready; the first endpoint's
    /// where none is given.
    pub ready: Option<String>,
    /// The signal that stops the server gracefully: `TERM`.
    pub stop: Option<String>,
}

/// A text that the grid file gives or takes from the environment: the value of
/// an environment variable, of a header, or a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// A text, with holes.
    Text(String),
    /// Taken from the environment that `autotune` runs in.
    FromEnv {
        /// The name of the variable there.
        name: String,
        /// Whether the value must reach neither store, log nor report.
        secret: bool,
    },
    /// A value that was taken in and is secret.
    Secret(Secret<String>),
}

impl EnvValue {
    /// Takes the value out of the environment, where it comes from there. The
    /// fault is the name of a variable that is not there.
    pub(crate) fn take<'e>(
        &mut self,
        variable: impl Fn(&str) -> Option<&'e str>,
    ) -> Result<(), String> {
        if let Self::FromEnv { name, secret } = self {
            let text = variable(name).ok_or_else(|| name.clone())?.to_owned();
            *self = match secret {
                true => Self::Secret(Secret::new(text)),
                false => Self::Text(text),
            };
        }
        Ok(())
    }

    /// The text, where it must reach neither store, log nor report.
    pub fn secret<'a>(&'a self, variable: impl Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::Text(_) | Self::FromEnv { secret: false, .. } => None,
            Self::FromEnv { name, secret: true } => variable(name),
            Self::Secret(text) => Some(text.expose()),
        }
    }

    /// The text, where it needs not be taken from the environment first.
    pub fn known(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Secret(secret) => Some(secret.expose()),
            Self::FromEnv { .. } => None,
        }
    }
}
