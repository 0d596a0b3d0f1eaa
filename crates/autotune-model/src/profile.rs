//! What is known of a kind of server, as data: its parameters, which of them
//! are dead when, how it recycles workers and how its configuration file looks.
//!
//! The instances are shipped by `autotune-server`; grid, analysis and report
//! are handed them and know no server by name.

use crate::value::{ParamName, Value};

/// A kind of server.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// As in `profile = "gunicorn"`.
    pub name: String,
    /// The parameters in the order of the label. For `command` this is empty:
    /// every key of the grid is a parameter.
    pub params: Vec<Param>,
    /// How many of the first parameters make the slash label
    /// (`4/1/gthread/750/500`: five); the rest follow as `,name=value`. Zero
    /// for a server that is labelled by `name=value` alone.
    pub label_fields: usize,
    /// Applied in order until nothing changes.
    pub folds: Vec<Fold>,
    /// The parameters that recycle workers, if the server can.
    pub recycling: Option<Recycling>,
    /// The file that a team puts the recommendation into.
    pub config_file: Option<ConfigFile>,
    /// The parameter that counts worker processes, for "fewer workers".
    pub workers: Option<ParamName>,
    /// The parameter that counts threads of a worker, for concurrency.
    pub threads: Option<ParamName>,
    /// Environment variables that would override a parameter; cleared.
    pub cleared_env: Vec<String>,
}

impl Profile {
    /// The parameter with this name.
    pub fn param(&self, name: &ParamName) -> Option<&Param> {
        self.params.iter().find(|param| &param.name == name)
    }

    /// Whether every grid key is a parameter (the `command` profile).
    pub fn takes_any_param(&self) -> bool {
        self.params.is_empty()
    }
}

/// One parameter of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// As in the grid file.
    pub name: ParamName,
    /// What it may be set to.
    pub kind: ParamKind,
    /// What the server does when it is not set.
    pub default: Value,
    /// The command-line flag, for example `--max-requests`.
    pub flag: String,
}

/// The values that a parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamKind {
    /// A whole number within these bounds, both included.
    Int {
        /// The least.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// One of these words; with `open`, also any dotted path to a class.
    Word {
        /// The words that the server knows.
        known: Vec<String>,
        /// Whether a dotted path is allowed too.
        open: bool,
    },
    /// A switch whose flag is given or left out.
    Switch,
}

/// When all conditions hold, a parameter takes another value: the server would
/// behave as if it had been so. Two spellings of one behaviour become one.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// All must hold.
    pub when: Vec<Condition>,
    /// What is set.
    pub set: ParamName,
    /// To which value.
    pub to: Value,
    /// Why, for people: `threads mean nothing to gevent`.
    pub because: String,
}

/// A test of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Which.
    pub param: ParamName,
    /// What must hold.
    pub test: Test,
}

/// What may be asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal to one of these.
    IsOneOf(Vec<Value>),
    /// Equal to none of these.
    IsNoneOf(Vec<Value>),
    /// A number above this one.
    Above(i64),
}

impl Test {
    /// Whether the value passes.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::IsOneOf(values) => values.contains(value),
            Self::IsNoneOf(values) => !values.contains(value),
            Self::Above(bound) => value.as_int().is_some_and(|number| number > *bound),
        }
    }
}

/// The parameters that end a worker after so many requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Recycling {
    /// Requests until a worker ends; 0 is never.
    pub max_requests: ParamName,
    /// The largest random addition to it.
    pub jitter: ParamName,
}

/// How a configuration is written for production.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigFile {
    /// The name of the file: `gunicorn.conf.py`.
    pub name: String,
    /// What begins a comment line.
    pub comment: String,
    /// A parameter's line: `{name} = {value}`, with text values quoted.
    pub setting: String,
}
