//! `[service.X]`: what the app needs beside it, such as a database. Whether its
//! folders, CPUs and its user exist, is left to the program.

use std::ops::Range;
use std::path::Path;

use autotune_model::{CpuSet, ErrorCode, Service, ServiceName, ServiceReady, ServiceUser};

use crate::endpoint::ready_path;
use crate::environment;
use crate::fault::{Checked, Faults, GridFault};
use crate::file::HostRequest;
use crate::goal::cpu_set;
use crate::scalar::is_variable;
use crate::server::{Reader, stop};
use crate::template::{self, Filled, Holed, Scope};
use crate::tree::{Keys, Node, Table, all};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &[
        "start",
        "ready",
        "stop",
        "user",
        "cpus",
        "dir",
        "setup",
        "env",
        "may_reach",
    ],
    planned: &[],
};
pub(crate) const USER_KEYS: Keys<'_> = Keys {
    known: &["when_root"],
    planned: &[],
};
/// A name is part of holes, `{{ service.NAME.port }}`, and of names of files.
const LONGEST_NAME: usize = 64;

/// A service as read, with what later checks need.
pub(crate) struct ServiceRead<'a> {
    pub(crate) service: Service,
    pub(crate) places: ServicePlaces,
    texts: Vec<Holed<'a>>,
}

/// Where a service names what only the program can look at. `None` where the key
/// was left out; then `name` is the place to point at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePlaces {
    /// `X` in `[service.X]`.
    pub name: Range<usize>,
    /// The value of `dir`.
    pub dir: Option<Range<usize>>,
    /// The value of `cpus`.
    pub cpus: Option<Range<usize>>,
    /// The value of `user`.
    pub user: Option<Range<usize>>,
    /// The value of `start`.
    pub start: Option<Range<usize>>,
    /// The values of `from_env` with their places, in the order of the text.
    pub from_env: Vec<(String, Range<usize>)>,
}

/// All services in the order of the text; none where there is no such table.
pub(crate) fn read_all<'a>(
    root: &Table<'a>,
    base: &Path,
    faults: &mut Faults,
) -> Checked<Vec<ServiceRead<'a>>> {
    let Some(node) = root.given("service") else {
        return Ok(Vec::new());
    };
    let table = node.table("[service]".to_owned(), None, faults)?;
    let services = all(table.nodes.iter().map(|node| {
        check_name(node, faults)?;
        let title = format!("[service.{}]", node.key);
        let mut table = node.table(title, root.defaults_of("service"), faults)?;
        table.check_keys(&KEYS, faults);
        service(node, &table, base, faults)
    }))?;
    let names = names(&services);
    all(services.iter().enumerate().map(|(place, service)| {
        let (before, later) = names.split_at(place);
        check_texts(service, (before, later), faults)
    }))?;
    Ok(services)
}

pub(crate) fn names(services: &[ServiceRead<'_>]) -> Vec<ServiceName> {
    services
        .iter()
        .map(|one| one.service.name.clone())
        .collect()
}

/// The generator must not run where a service does.
pub(crate) fn check_cpus(
    services: &[ServiceRead<'_>],
    host: &HostRequest,
    faults: &mut Faults,
) -> Checked<()> {
    let Some(generator) = &host.generator_cpus else {
        return Ok(());
    };
    all(services.iter().map(|one| {
        let cpus = one.service.cpus.iter().flat_map(CpuSet::as_slice);
        let mut shared = cpus.filter(|cpu| generator.as_slice().contains(cpu));
        let Some((cpu, place)) = shared.next().zip(one.places.cpus.as_ref()) else {
            return Ok(());
        };
        let name = &one.service.name;
        let message = format!("CPU {cpu} is both the generator's and that of [service.{name}]");
        let code = ErrorCode::GridConflict;
        let fault = GridFault::new(code, place, message, "overlaps `generator_cpus`");
        let hint = "the service would slow down what measures; name others";
        Err(faults.add(fault.hint(hint)))
    }))
    .map(drop)
}

fn check_name(node: &Node<'_>, faults: &mut Faults) -> Checked<()> {
    if !is_variable(node.key) || node.key.len() > LONGEST_NAME {
        let message = format!("a service cannot be called `{}`", node.key);
        let code = ErrorCode::GridValue;
        let fault = GridFault::new(code, &node.key_span, message, "not a name");
        let hint = "letters, digits and `_`, at most 64, no digit first: it stands in holes such \
                    as {{ service.db.port }}";
        return Err(faults.add(fault.hint(hint)));
    }
    if !node.value.is_table() {
        let message = format!("`{}` stands where a service's name is expected", node.key);
        let code = ErrorCode::GridValue;
        let fault = GridFault::new(code, &node.key_span, message, "not a service");
        return Err(faults.add(fault.hint("write [service.NAME] above its keys")));
    }
    Ok(())
}

fn service<'a>(
    node: &Node<'a>,
    table: &Table<'a>,
    base: &Path,
    faults: &mut Faults,
) -> Checked<ServiceRead<'a>> {
    let mut texts = Vec::new();
    let mut reader = Reader {
        table,
        base,
        texts: &mut texts,
        faults,
    };
    let hint = "the whole command: start = \"redis-server --port {{ port }} --dir {{ run }}\"";
    let start = table
        .require("start", hint, reader.faults)
        .and_then(|node| reader.command(&node, Filled::OfService));
    let ready = match table.get("ready") {
        Some(node) => ready(&mut reader, &node),
        None => Ok(ServiceReady::Port),
    };
    let stop = table
        .require("stop", "a signal", reader.faults)
        .and_then(|node| stop(&node, reader.faults));
    let user = match table.get("user") {
        Some(node) => user(&node, reader.faults),
        None => Ok(ServiceUser::Own),
    };
    let cpus = table.get("cpus");
    let cpus = cpus.map(|node| cpu_set(&node, reader.faults)).transpose();
    let dir = reader.dir();
    let setup = reader.commands("setup", Filled::AtSetup);
    let may_reach = reader.may_reach();
    let of_env = (&[][..], Filled::OfService);
    let env = environment::read(table, of_env, reader.texts, reader.faults);
    let place = |key: &str| table.given(key).map(|node| node.span);
    Ok(ServiceRead {
        service: Service {
            name: ServiceName::new(node.key),
            start: start?,
            ready: ready?,
            stop: stop?,
            user: user?,
            cpus: cpus?,
            env: env?,
            dir: dir?,
            setup: setup?,
            may_reach: may_reach?,
        },
        places: ServicePlaces {
            name: node.key_span.clone(),
            dir: place("dir"),
            cpus: place("cpus"),
            user: place("user"),
            start: place("start"),
            from_env: environment::places_in(table),
        },
        texts,
    })
}

/// A text that begins with a slash is a path; a command is a list of words, or a
/// text that does not.
fn ready<'a>(reader: &mut Reader<'_, 'a>, node: &Node<'a>) -> Checked<ServiceReady> {
    let text = node.value.as_str();
    if text.is_some_and(|text| text.starts_with('/')) {
        return ready_path(node, reader.faults).map(ServiceReady::Path);
    }
    let command = reader.command(node, Filled::OfService);
    command.map(ServiceReady::Command)
}

/// `"postgres"`, or `{ when_root = "postgres" }`.
fn user(node: &Node<'_>, faults: &mut Faults) -> Checked<ServiceUser> {
    if !node.value.is_table() {
        let name = node.filled_text(faults)?;
        template::plain(node, name, faults)?;
        return Ok(ServiceUser::Always(name.to_owned()));
    }
    let mut table = node.table("`user`".to_owned(), None, faults)?;
    table.check_keys(&USER_KEYS, faults);
    let hint = "the user where root runs the sweep: { when_root = \"postgres\" }";
    let node = table.require("when_root", hint, faults)?;
    let name = node.filled_text(faults)?;
    template::plain(&node, name, faults)?;
    Ok(ServiceUser::WhenRoot(name.to_owned()))
}

/// Every hole must be filled, and where the port tells that the service is ready,
/// it must have been told to the service.
fn check_texts(
    read: &ServiceRead<'_>,
    (before, later): (&[ServiceName], &[ServiceName]),
    faults: &mut Faults,
) -> Checked<()> {
    let scope = Scope {
        params: &[],
        services: before,
        later,
    };
    let used = all(read
        .texts
        .iter()
        .map(|text| template::check(text, scope, faults)))?;
    let asks_port = !matches!(read.service.ready, ServiceReady::Command(_));
    if asks_port && !used.iter().any(|names| names.contains("port")) {
        let message = format!(
            "[service.{}] is not told where to listen",
            read.service.name
        );
        let span = read.places.start.as_ref().unwrap_or(&read.places.name);
        let fault = GridFault::new(ErrorCode::GridMissing, span, message, "without the port");
        let hint = "write {{ port }} in `start` or `env`, or give a command as `ready`";
        return Err(faults.add(fault.hint(hint)));
    }
    Ok(())
}
