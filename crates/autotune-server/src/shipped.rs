//! The shipped profiles, read from the data files that are built in.
//!
//! A data file holds two things: the [`Profile`] that grid, analysis and report
//! are handed, and the [`Behaviour`] that only launching needs.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{
    Condition, ConfigFile, Fold, Param, ParamKind, ParamName, Profile, Recycling, Test, Value,
};
use serde::Deserialize;

use crate::events::EventKind;
use crate::version::Version;

const FILES: [&str; 2] = [
    include_str!("../profiles/gunicorn.toml"),
    include_str!("../profiles/command.toml"),
];

/// What is known of starting, stopping and reading a kind of server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// The program, in the variant's `bin` or on the path; `None` where the
    /// variant gives the whole command.
    pub program: Option<String>,
    /// Parameters whose flag is given even at the default.
    pub always: Vec<ParamName>,
    /// Arguments that set the address; with holes.
    pub bind: Vec<String>,
    /// Arguments that only newer versions know.
    pub since: Vec<Since>,
    /// Arguments that a variant may not give.
    pub reserved: Vec<String>,
    /// Arguments that print the settings in effect instead of serving.
    pub print_settings: Vec<String>,
    /// Arguments that print the program's version.
    pub version: Vec<String>,
    /// Environment variables that are set unless the variant sets them.
    pub env: BTreeMap<String, String>,
    /// The signal that stops gracefully: `TERM`.
    pub stop: String,
    /// How long a graceful stop may take.
    pub grace: Duration,
    /// The setting, in seconds, that takes the place of `grace`.
    pub grace_setting: Option<String>,
    /// The file in the working directory that the server reads by itself.
    pub settings_file: Option<String>,
    /// The setting that names that file when it is another one.
    pub settings_file_setting: Option<String>,
    /// Variables that can set parameters behind the command line's back.
    pub overriding_env: Vec<String>,
    /// A setting that stands for one more child beside the workers.
    pub extra_child_setting: Option<String>,
    /// Other names of a parameter in hooks of the app.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// What lines of the log mean.
    pub events: Vec<EventRule>,
}

impl Behaviour {
    /// Adds parameters to those that are always given, and therefore checked,
    /// as far as the server has them.
    pub fn always_give(&mut self, profile: &Profile, names: &[ParamName]) {
        for name in names {
            if profile.param(name).is_some() && !self.always.contains(name) {
                self.always.push(name.clone());
            }
        }
    }
}

/// Arguments that a version brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first version that knows them.
    pub version: Version,
    /// The arguments.
    pub flags: Vec<String>,
}

/// How a line of the log is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRule {
    /// What it means.
    pub kind: EventKind,
    /// A line with this text is such an event.
    pub contains: String,
    /// The text after which the pid of the worker follows.
    pub pid_after: Option<String>,
}

/// All shipped profiles.
pub fn profiles() -> Vec<Profile> {
    files().map(|file| file.profile()).collect()
}

/// The shipped profile with this name.
pub fn profile(name: &str) -> Option<Profile> {
    files()
        .find(|file| file.name == name)
        .map(|file| file.profile())
}

/// How the servers of this profile are started, stopped and read.
pub fn behaviour(profile: &str) -> Option<Behaviour> {
    files()
        .find(|file| file.name == profile)
        .map(|file| file.launch.behaviour(file.event))
}

fn files() -> impl Iterator<Item = File> {
    FILES
        .into_iter()
        .map(|text| toml::from_str(text).expect("built in, and read by a test"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    label_fields: usize,
    workers: Option<String>,
    threads: Option<String>,
    cleared_env: Vec<String>,
    #[serde(default)]
    param: Vec<ParamEntry>,
    #[serde(default)]
    fold: Vec<FoldEntry>,
    recycling: Option<RecyclingEntry>,
    config_file: Option<ConfigFileEntry>,
    launch: LaunchEntry,
    #[serde(default)]
    event: Vec<EventEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParamEntry {
    name: String,
    flag: String,
    default: toml::Value,
    int: Option<IntEntry>,
    word: Option<WordEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntEntry {
    min: i64,
    max: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordEntry {
    known: Vec<String>,
    open: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoldEntry {
    when: Vec<ConditionEntry>,
    set: String,
    to: toml::Value,
    because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionEntry {
    param: String,
    is_one_of: Option<Vec<toml::Value>>,
    above: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecyclingEntry {
    max_requests: String,
    jitter: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFileEntry {
    name: String,
    comment: String,
    setting: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinceEntry {
    version: String,
    flags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventEntry {
    kind: EventKind,
    contains: String,
    pid_after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LaunchEntry {
    program: Option<String>,
    #[serde(default)]
    always: Vec<String>,
    #[serde(default)]
    bind: Vec<String>,
    #[serde(default)]
    since: Vec<SinceEntry>,
    #[serde(default)]
    reserved: Vec<String>,
    #[serde(default)]
    print_settings: Vec<String>,
    #[serde(default)]
    version: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stop: String,
    grace_s: u64,
    grace_setting: Option<String>,
    settings_file: Option<String>,
    settings_file_setting: Option<String>,
    #[serde(default)]
    overriding_env: Vec<String>,
    extra_child_setting: Option<String>,
    #[serde(default)]
    aliases: BTreeMap<String, Vec<String>>,
}

impl File {
    fn profile(&self) -> Profile {
        let name = |text: &String| ParamName::new(text.clone());
        Profile {
            name: self.name.clone(),
            params: self.param.iter().map(ParamEntry::param).collect(),
            label_fields: self.label_fields,
            folds: self.fold.iter().map(FoldEntry::fold).collect(),
            recycling: self.recycling.as_ref().map(|entry| Recycling {
                max_requests: name(&entry.max_requests),
                jitter: name(&entry.jitter),
            }),
            config_file: self.config_file.as_ref().map(|entry| ConfigFile {
                name: entry.name.clone(),
                comment: entry.comment.clone(),
                setting: entry.setting.clone(),
            }),
            workers: self.workers.as_ref().map(name),
            threads: self.threads.as_ref().map(name),
            cleared_env: self.cleared_env.clone(),
        }
    }
}

impl ParamEntry {
    fn param(&self) -> Param {
        let kind = match (&self.int, &self.word) {
            (Some(int), None) => ParamKind::Int {
                min: int.min,
                max: int.max,
            },
            (None, Some(word)) => ParamKind::Word {
                known: word.known.clone(),
                open: word.open,
            },
            _ => ParamKind::Switch,
        };
        Param {
            name: ParamName::new(self.name.clone()),
            kind,
            default: value(&self.default),
            flag: self.flag.clone(),
        }
    }
}

impl FoldEntry {
    fn fold(&self) -> Fold {
        Fold {
            when: self.when.iter().map(ConditionEntry::condition).collect(),
            set: ParamName::new(self.set.clone()),
            to: value(&self.to),
            because: self.because.clone(),
        }
    }
}

impl ConditionEntry {
    fn condition(&self) -> Condition {
        let test = match (&self.is_one_of, self.above) {
            (Some(values), _) => Test::IsOneOf(values.iter().map(value).collect()),
            (None, Some(bound)) => Test::Above(bound),
            (None, None) => Test::IsNoneOf(Vec::new()),
        };
        Condition {
            param: ParamName::new(self.param.clone()),
            test,
        }
    }
}

impl LaunchEntry {
    fn behaviour(self, events: Vec<EventEntry>) -> Behaviour {
        Behaviour {
            program: self.program,
            always: self.always.into_iter().map(ParamName::new).collect(),
            bind: self.bind,
            since: self
                .since
                .into_iter()
                .map(|entry| Since {
                    version: Version::find(&entry.version).expect("built in, and read by a test"),
                    flags: entry.flags,
                })
                .collect(),
            reserved: self.reserved,
            print_settings: self.print_settings,
            version: self.version,
            env: self.env,
            stop: self.stop,
            grace: Duration::from_secs(self.grace_s),
            grace_setting: self.grace_setting,
            settings_file: self.settings_file,
            settings_file_setting: self.settings_file_setting,
            overriding_env: self.overriding_env,
            extra_child_setting: self.extra_child_setting,
            aliases: self.aliases,
            events: events
                .into_iter()
                .map(|entry| EventRule {
                    kind: entry.kind,
                    contains: entry.contains,
                    pid_after: entry.pid_after,
                })
                .collect(),
        }
    }
}

fn value(value: &toml::Value) -> Value {
    match value {
        toml::Value::Integer(number) => Value::Int(*number),
        toml::Value::Boolean(flag) => Value::Bool(*flag),
        other => Value::Text(other.as_str().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autotune_model::{Configuration, VariantName};

    fn label(given: &[(&str, Value)]) -> String {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| (ParamName::from(*name), value.clone()))
            .collect();
        let profile = profile("gunicorn").expect("shipped");
        let folded = Configuration::fold(&profile, &VariantName::new("g"), &given, false);
        folded.configuration.label().to_string()
    }

    #[test]
    fn every_profile_has_a_behaviour() {
        let names: Vec<_> = profiles().into_iter().map(|profile| profile.name).collect();
        assert_eq!(names, ["gunicorn", "command"]);
        assert!(names.iter().all(|name| behaviour(name).is_some()));
        assert!(profile("tomcat").is_none() && behaviour("tomcat").is_none());
    }

    #[test]
    fn conditions_and_folds_name_parameters() {
        for profile in profiles() {
            for fold in &profile.folds {
                assert!(profile.param(&fold.set).is_some(), "{:?}", fold.set);
                for condition in &fold.when {
                    assert!(profile.param(&condition.param).is_some());
                    assert_ne!(condition.test, Test::IsNoneOf(Vec::new()));
                }
            }
        }
    }

    #[test]
    fn the_label_has_five_fields() {
        assert_eq!(label(&[]), "1/1/sync/0/0");
        assert_eq!(
            label(&[
                ("worker_class", "gthread".into()),
                ("workers", 4.into()),
                ("threads", 2.into()),
                ("max_requests", 750.into()),
                ("max_requests_jitter", 500.into()),
            ]),
            "4/2/gthread/750/500"
        );
    }

    #[test]
    fn dead_parameters_take_the_default() {
        let class = |name: &str| ("worker_class", Value::from(name));
        let threads = ("threads", Value::Int(8));
        assert_eq!(label(&[class("sync"), threads.clone()]), "1/8/gthread/0/0");
        assert_eq!(label(&[class("gevent"), threads.clone()]), "1/1/gevent/0/0");
        assert_eq!(
            label(&[class("gunicorn.workers.sync.SyncWorker"), threads.clone()]),
            "1/8/gthread/0/0"
        );
        assert_eq!(
            label(&[class("my.Worker"), threads]),
            "1/8/my.Worker/0/0",
            "an unknown class may use threads"
        );
        assert_eq!(label(&[("max_requests_jitter", 50.into())]), "1/1/sync/0/0");
    }

    #[test]
    fn further_parameters_follow_where_they_live() {
        let keepalive = ("keepalive", Value::Int(75));
        assert_eq!(label(std::slice::from_ref(&keepalive)), "1/1/sync/0/0");
        assert_eq!(
            label(&[("worker_class", "gthread".into()), keepalive]),
            "1/1/gthread/0/0,keepalive=75"
        );
    }
}
