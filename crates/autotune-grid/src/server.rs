//! `[server.X]`: one variant of the server with its app. Which parameters it is
//! tried with is left to `grid`; whether its folders exist, to the program.

use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use autotune_model::{ErrorCode, Profile, ServerVariant, VariantName};

use crate::endpoint::ready_path;
use crate::environment;
use crate::fault::{Checked, Faults, GridFault, did_you_mean};
use crate::file::VariantPlaces;
use crate::scalar;
use crate::template::{self, Filled, Holed};
use crate::tree::{Keys, Node, Table, all};

/// Of a server that the profile knows how to start.
pub(crate) const PROFILE_KEYS: Keys<'_> = Keys {
    known: &[
        "profile",
        "app",
        "dir",
        "setup",
        "bin",
        "args",
        "env",
        "fixture",
        "before_trial",
        "after_trial",
        "may_reach",
    ],
    planned: &[],
};
/// Of a server that the grid file says how to start.
pub(crate) const COMMAND_KEYS: Keys<'_> = Keys {
    known: &[
        "profile",
        "command",
        "ready",
        "stop",
        "dir",
        "setup",
        "bin",
        "args",
        "env",
        "fixture",
        "before_trial",
        "after_trial",
        "may_reach",
    ],
    planned: &[],
};
/// Signals that end a server gracefully; KILL is ours when it does not.
pub(crate) const SIGNALS: [&str; 6] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2"];

/// A variant as read, with what later checks need.
pub(crate) struct Server<'a, 'p> {
    pub(crate) name: VariantName,
    pub(crate) name_span: Range<usize>,
    pub(crate) profile: Checked<&'p Profile>,
    pub(crate) variant: Checked<ServerVariant>,
    /// Every text with holes.
    pub(crate) texts: Vec<Holed<'a>>,
    pub(crate) places: VariantPlaces,
}

/// What paths are relative to, and the kinds of servers there are.
pub(crate) struct Known<'p> {
    pub(crate) base: &'p Path,
    pub(crate) profiles: &'p [Profile],
}

/// All variants in the order of the text, at least one.
pub(crate) fn read_all<'a, 'p>(
    root: &Table<'a>,
    known: &Known<'p>,
    faults: &mut Faults,
) -> Checked<Vec<Server<'a, 'p>>> {
    let missing = |span: &Range<usize>| {
        let message = "no server is given";
        let fault = GridFault::new(ErrorCode::GridMissing, span, message, "without [server.X]");
        fault.hint("add [server.NAME] with `profile` and `app`")
    };
    let Some(node) = root.given("server") else {
        root.not_misspelt("server")?;
        return Err(faults.add(missing(&root.span)));
    };
    let servers = node.table("[server]".to_owned(), None, faults)?;
    if servers.nodes.is_empty() {
        return Err(faults.add(missing(&node.span)));
    }
    all(servers.nodes.iter().map(|node| {
        if !scalar::is_name(node.key) {
            let message = format!("a server cannot be called `{}`", node.key);
            let code = ErrorCode::GridValue;
            let fault = GridFault::new(code, &node.key_span, message, "not a name");
            let hint = "letters, digits, `-` and `_`, at most 64, a letter or digit first";
            return Err(faults.add(fault.hint(hint)));
        }
        if !node.value.is_table() {
            let message = format!("`{}` stands where a server's name is expected", node.key);
            let code = ErrorCode::GridValue;
            let fault = GridFault::new(code, &node.key_span, message, "not a server");
            return Err(faults.add(fault.hint("write [server.NAME] above its keys")));
        }
        let title = format!("[server.{}]", node.key);
        let table = node.table(title, root.defaults_of("server"), faults)?;
        Ok(server(node, table, known, faults))
    }))
}

fn server<'a, 'p>(
    node: &Node<'a>,
    mut table: Table<'a>,
    known: &Known<'p>,
    faults: &mut Faults,
) -> Server<'a, 'p> {
    let mut texts = Vec::new();
    let profile = profile(&table, known.profiles, faults);
    let variant = profile.and_then(|profile| {
        check_keys(&mut table, profile, faults);
        let mut reader = Reader {
            table: &table,
            base: known.base,
            texts: &mut texts,
            faults,
        };
        reader.variant(node.key, profile)
    });
    let place = |key: &str| table.given(key).map(|node| node.span);
    Server {
        name: VariantName::new(node.key),
        name_span: node.key_span.clone(),
        profile,
        variant,
        texts,
        places: VariantPlaces {
            name: node.key_span.clone(),
            app: place("app"),
            dir: place("dir"),
            bin: place("bin"),
            fixture: place("fixture"),
            setup: place("setup"),
            command: place("command"),
            from_env: environment::places_in(&table),
        },
    }
}

fn profile<'p>(
    table: &Table<'_>,
    profiles: &'p [Profile],
    faults: &mut Faults,
) -> Checked<&'p Profile> {
    let choices: Vec<(&str, &Profile)> = profiles.iter().map(|p| (p.name.as_str(), p)).collect();
    table
        .require(
            "profile",
            "\"gunicorn\", or \"command\" for any other server",
            faults,
        )?
        .choice(&choices, faults)
}

/// A key of the other kind of server is told apart from a misspelt one.
fn check_keys(table: &mut Table<'_>, profile: &Profile, faults: &mut Faults) {
    let (own, other) = match profile.takes_any_param() {
        true => (COMMAND_KEYS, PROFILE_KEYS),
        false => (PROFILE_KEYS, COMMAND_KEYS),
    };
    table.nodes.retain(|node| {
        let foreign = other.known.contains(&node.key) && !own.known.contains(&node.key);
        if foreign {
            let message = format!("profile \"{}\" has no `{}`", profile.name, node.key);
            let code = ErrorCode::GridConflict;
            let fault = GridFault::new(code, &node.key_span, message, "of another profile");
            let hint = match own.known.contains(&"app") {
                true => "leave it out, or describe the server with profile = \"command\"",
                false => "leave it out, or take the profile of the server",
            };
            faults.add(fault.hint(hint));
        }
        !foreign
    });
    table.check_keys(&own, faults);
}

/// Reads the keys of one variant, or of one service, and gathers its texts with
/// holes.
pub(crate) struct Reader<'r, 'a> {
    pub(crate) table: &'r Table<'a>,
    pub(crate) base: &'r Path,
    pub(crate) texts: &'r mut Vec<Holed<'a>>,
    pub(crate) faults: &'r mut Faults,
}

impl<'a> Reader<'_, 'a> {
    fn variant(&mut self, name: &str, profile: &Profile) -> Checked<ServerVariant> {
        let is_command = profile.takes_any_param();
        let app = if is_command {
            Ok(None)
        } else {
            self.app().map(Some)
        };
        let command = if is_command {
            let hint = "the whole command: command = \"puma -b tcp://{{ host }}:{{ port }}\"";
            let node = self.table.require("command", hint, self.faults);
            node.and_then(|node| self.command(&node, Filled::PerConfiguration))
        } else {
            Ok(Vec::new())
        };
        let ready = self.optional(is_command, "ready", ready_path);
        let stop = self.optional(is_command, "stop", stop);
        let dir = self.dir();
        let fixture = self
            .table
            .get("fixture")
            .map(|node| self.path(&node))
            .transpose();
        let setup = self.commands("setup", Filled::AtSetup);
        // As in `env`: only a command has no other way to be told its variables.
        let filled = match is_command {
            true => Filled::PerConfiguration,
            false => Filled::AtLaunch,
        };
        let before_trial = self.commands("before_trial", filled);
        let after_trial = self.commands("after_trial", filled);
        let bin = self.bin();
        let args = self.args();
        // A command that takes its port from PORT has to be given it; what is cleared
        // is only what this program was started with.
        let cleared = match profile.takes_any_param() {
            true => &[],
            false => &profile.cleared_env[..],
        };
        let of_env = (cleared, filled);
        let env = environment::read(self.table, of_env, self.texts, self.faults);
        let may_reach = self.may_reach();
        Ok(ServerVariant {
            name: VariantName::new(name),
            profile: profile.name.clone(),
            app: app?,
            dir: dir?,
            setup: setup?,
            bin: bin?,
            args: args?,
            command: command?,
            env: env?,
            fixture: fixture?,
            before_trial: before_trial?,
            after_trial: after_trial?,
            may_reach: may_reach?,
            ready: ready?,
            stop: stop?,
        })
    }

    fn app(&mut self) -> Checked<String> {
        let hint = "what the server is told to serve: app = \"module:variable\"";
        let node = self.table.require("app", hint, self.faults)?;
        let app = node.filled_text(self.faults)?;
        template::plain(&node, app, self.faults)?;
        Ok(app.to_owned())
    }

    /// A command as a list of words, or as a text that is split into words.
    pub(crate) fn command(&mut self, node: &Node<'a>, filled: Filled) -> Checked<Vec<String>> {
        let words = match node.value.is_array() {
            true => {
                let words = node.texts(self.faults)?;
                words.into_iter().map(|(_, text)| text.to_owned()).collect()
            }
            false if node.value.is_str() => words(node, self.faults)?,
            false => {
                let fault = node.mismatch("a list of words, or a text");
                return Err(self.faults.add(fault));
            }
        };
        if words
            .first()
            .is_none_or(|program| program.trim().is_empty())
        {
            let message = format!("`{}` names no program", node.key);
            let fault = node.fault(message, "no program");
            return Err(self.faults.add(fault));
        }
        self.hold(node, words.clone(), filled);
        Ok(words)
    }

    fn optional(
        &mut self,
        wanted: bool,
        key: &str,
        read: impl Fn(&Node<'a>, &mut Faults) -> Checked<String>,
    ) -> Checked<Option<String>> {
        let node = self.table.get(key).filter(|_| wanted);
        node.map(|node| read(&node, self.faults)).transpose()
    }

    /// The working directory.
    pub(crate) fn dir(&mut self) -> Checked<PathBuf> {
        let hint = "the folder of the app";
        let node = self.table.require("dir", hint, self.faults)?;
        self.path(&node)
    }

    /// A folder, relative to the grid file.
    fn path(&mut self, node: &Node<'_>) -> Checked<PathBuf> {
        let text = node.filled_text(self.faults)?;
        template::plain(node, text, self.faults)?;
        self.joined(node, text)
    }

    fn joined(&mut self, node: &Node<'_>, text: &str) -> Checked<PathBuf> {
        if text == "~" || text.starts_with("~/") {
            let fault = node.fault("`~` is not replaced by a home folder", "begins with `~`");
            return Err(self.faults.add(fault.hint("write the whole path")));
        }
        // The components leave out `.`, so that `dir = "."` is the folder itself.
        Ok(self.base.join(text).components().collect())
    }

    pub(crate) fn commands(&mut self, key: &str, filled: Filled) -> Checked<Vec<Vec<String>>> {
        let node = self.table.require(key, "a list of commands", self.faults)?;
        let steps = node.texts(self.faults)?;
        all(steps.into_iter().map(|(step, _)| {
            let words = words(&step, self.faults)?;
            if words.is_empty() {
                let fault = step.fault(format!("a command of `{key}` is empty"), "no command");
                return Err(self.faults.add(fault));
            }
            self.hold(&step, words.clone(), filled);
            Ok(words)
        }))
    }

    /// Absolute, unless it begins with a hole, as in `{{ cache }}/venv/bin`.
    fn bin(&mut self) -> Checked<Option<String>> {
        let Some(node) = self.table.get("bin") else {
            return Ok(None);
        };
        let text = node.filled_text(self.faults)?;
        self.hold(&node, vec![text.to_owned()], Filled::AtLaunch);
        if text.starts_with("{{") {
            return Ok(Some(text.to_owned()));
        }
        let path = self.joined(&node, text)?;
        path.into_os_string()
            .into_string()
            .map(Some)
            .map_err(|path| {
                let message = format!("{} is not UTF-8", path.display());
                let code = ErrorCode::GridPath;
                self.faults.add(GridFault::new(
                    code,
                    &node.span,
                    message,
                    "in a folder with this name",
                ))
            })
    }

    fn args(&mut self) -> Checked<Vec<String>> {
        let node = self
            .table
            .require("args", "a list of arguments", self.faults)?;
        let args = node.texts(self.faults)?;
        Ok(args
            .into_iter()
            .map(|(node, text)| {
                self.hold(&node, vec![text.to_owned()], Filled::PerConfiguration);
                text.to_owned()
            })
            .collect())
    }

    pub(crate) fn may_reach(&mut self) -> Checked<Vec<String>> {
        let node = self
            .table
            .require("may_reach", "a list of addresses", self.faults)?;
        let addresses = node.texts(self.faults)?;
        all(addresses.into_iter().map(|(node, text)| {
            if is_address(text) {
                return Ok(text.to_owned());
            }
            let message = format!("\"{text}\" is no address, network or host");
            let fault = node.fault(message, "not an address");
            let hint = "write \"10.0.0.5:5432\", \"10.0.0.0/8\", \"[fd00::1]:5432\" or \"db.example:5432\"";
            Err(self.faults.add(fault.hint(hint)))
        }))
    }

    pub(crate) fn hold(&mut self, node: &Node<'a>, words: Vec<String>, filled: Filled) {
        self.texts.push(Holed {
            node: node.clone(),
            words,
            filled,
        });
    }
}

fn words(node: &Node<'_>, faults: &mut Faults) -> Checked<Vec<String>> {
    let text = node.text(faults)?;
    template::split_words(text).ok_or_else(|| {
        let message = format!("a quote in `{}` is not closed", node.key);
        faults.add(node.fault(message, "cannot be split into words"))
    })
}

pub(crate) fn stop(node: &Node<'_>, faults: &mut Faults) -> Checked<String> {
    let text = node.text(faults)?;
    if SIGNALS.contains(&text) {
        return Ok(text.to_owned());
    }
    let message = format!("`stop` cannot be `{text}`");
    let mut fault = node.fault(message, "not a signal that stops gracefully");
    fault.hint = did_you_mean(text.strip_prefix("SIG").unwrap_or(text), SIGNALS);
    Err(faults.add(fault))
}

/// An address, a network or a host name, each with or without a port; an IPv6
/// address with a port is in brackets.
fn is_address(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let (name, port_is_good) = match (text.strip_prefix('['), text.split_once(':')) {
        (Some(rest), _) => match rest.split_once(']') {
            Some((name, port)) => {
                let port = port.strip_prefix(':').map(is_port);
                return is_network(name) && (port == Some(true) || rest.ends_with(']'));
            }
            None => return false,
        },
        // More than one colon is an IPv6 address without a port.
        (None, Some((_, rest))) if rest.contains(':') => return is_network(text),
        (None, Some((name, port))) => (name, is_port(port)),
        (None, None) => (text, true),
    };
    let is_host_char = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let is_host = !name.is_empty() && name.chars().all(is_host_char);
    port_is_good && (is_host || is_network(name))
}

fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let bits: Option<u8> = bits.parse().ok();
    match (address.parse::<IpAddr>(), bits) {
        (Ok(IpAddr::V4(_)), Some(bits)) => bits <= 32,
        (Ok(IpAddr::V6(_)), Some(bits)) => bits <= 128,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in [
            "10.0.0.5",
            "10.0.0.5:5432",
            "10.0.0.0/8",
            "10.0.0.0/8:5432",
            "fd00::1",
            "fd00::/8",
            "[fd00::1]",
            "[fd00::1]:5432",
            "db",
            "db.example:5432",
        ] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "",
            ":5432",
            "db:",
            "db:x",
            "db:0",
            "db:99999",
            "10.0.0.0/33",
            "fd00::/129",
            "[fd00::1",
            "[fd00::1]5432",
            "[db]:1",
            "http://db",
            "a b",
            "10.0.0.0/x",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }
}
