//! The whole grid file: all tables read, every fault gathered.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use autotune_model::{
    ConnectionPolicy, CpuSet, Endpoint, ErrorCode, HostLimits, LoadShape, Login, Objective,
    Profile, ServerVariant, Service,
};
use toml::de::{DeTable, Error};

use crate::defaults::DEFAULTS;
use crate::endpoint;
use crate::fault::{Checked, Faults, GridFault};
use crate::goal::{self, Goal};
use crate::grid::{self, Space};
use crate::limits;
use crate::load;
use crate::login::{self, DataSource};
use crate::scalar;
use crate::server::{self, Known, Server};
use crate::service::{self, ServicePlaces};
use crate::template::{ColumnUse, Names};
use crate::tree::{Keys, Table, all};

pub(crate) const KEYS: Keys<'_> = Keys {
    known: &[
        "name",
        "server",
        "service",
        "grid",
        "baseline",
        "data",
        "login",
        "endpoint",
        "load",
        "objective",
        "limits",
        "host",
        "budget",
    ],
    planned: &[],
};

/// A grid file, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct GridFile {
    /// Names the study: letters, digits, `-` and `_`.
    pub name: String,
    /// At least one, in the order of the text.
    pub variants: Vec<ServerVariant>,
    /// What runs beside the server, in the order of the text.
    pub services: Vec<Service>,
    /// Files that fill requests, not yet read.
    pub data: Vec<DataSource>,
    /// How somebody logs in before the load of each trial.
    pub login: Option<Login>,
    /// At least one, in the order of the text.
    pub endpoints: Vec<Endpoint>,
    /// How requests arrive.
    pub load: LoadShape,
    /// How connections are used.
    pub connections: ConnectionPolicy,
    /// What is wanted.
    pub objective: Objective,
    /// What the server may have, as in production.
    pub limits: HostLimits,
    /// Which CPUs are asked for.
    pub host: HostRequest,
    /// How long a sweep may work; `None` where the file does not say.
    pub budget: Option<Duration>,
    /// What is to be compared.
    pub space: Space,
    /// Where the text names what only the program can look at.
    pub places: Places,
}

/// What `[host]` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRequest {
    /// The server's CPUs; `None` where it does not say.
    pub server_cpus: Option<CpuSet>,
    /// The generator's, none of them the server's; `None` where it does not say.
    pub generator_cpus: Option<CpuSet>,
    /// Whether the CPUs are to be kept out of their idle states while trials run.
    pub keep_awake: bool,
}

/// Bytes of the text at which folders, files and variables are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// One for each variant, in the same order.
    pub variants: Vec<VariantPlaces>,
    /// One for each service, in the same order.
    pub services: Vec<ServicePlaces>,
    /// The values of `from_env` in the login and in endpoints.
    pub requests_from_env: Vec<(String, Range<usize>)>,
    /// The value of `sessions`; the whole of `[login]` where it was left out.
    pub sessions: Option<Range<usize>>,
    /// The value of `files` in `[limits]`.
    pub files: Option<Range<usize>>,
    /// The columns of data files that requests use.
    pub columns: Vec<ColumnUse>,
}

/// Where one variant names what only the program can look at. `None` where the
/// key was left out; then `name` is the place to point at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantPlaces {
    /// `X` in `[server.X]`.
    pub name: Range<usize>,
    /// The value of `app`.
    pub app: Option<Range<usize>>,
    /// The value of `dir`.
    pub dir: Option<Range<usize>>,
    /// The value of `bin`.
    pub bin: Option<Range<usize>>,
    /// The value of `fixture`.
    pub fixture: Option<Range<usize>>,
    /// The value of `setup`.
    pub setup: Option<Range<usize>>,
    /// The value of `command`.
    pub command: Option<Range<usize>>,
    /// The values of `from_env` with their places, in the order of the text.
    pub from_env: Vec<(String, Range<usize>)>,
}

/// Reads a grid file. `base` is the absolute folder of the file: relative paths
/// are joined to it and never looked at. `profiles` are the kinds of servers
/// that there are; one without parameters takes `command`. `cores` says how many
/// CPUs the server gets with what `[host]` asks for; `[limits]` may give it less.
///
/// # Errors
/// All faults that were found, at least one, in the order of the text. A text
/// that is not TOML gives only the faults of its syntax.
pub fn read(
    text: &str,
    base: &Path,
    profiles: &[Profile],
    cores: &dyn Fn(&HostRequest) -> usize,
) -> Result<GridFile, Vec<GridFault>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    // The parser recovers by guessing, so later errors may only follow from the
    // first.
    if let Some(error) = errors.first() {
        return Err(vec![syntax(error, text)]);
    }
    let defaults = DeTable::parse(DEFAULTS)
        .expect("the embedded defaults are TOML: every test that reads a grid file reads them");
    let mut faults = Faults::default();
    let mut root = Table::root(tree.get_ref(), defaults.get_ref(), text.len());
    let known = Known { base, profiles };
    root.check_keys(&KEYS, &mut faults);
    match grid_file(&root, &known, cores, &mut faults) {
        Ok(file) if faults.is_empty() => Ok(file),
        _ => Err(faults.into_sorted()),
    }
}

fn syntax(error: &Error, text: &str) -> GridFault {
    let span = error.span().unwrap_or(text.len()..text.len());
    let message = format!("not TOML: {}", error.message());
    let hint = match error.message().contains("duplicate key") {
        true => "a key or table stands only once; put what belongs to it together",
        false => "often a quote or bracket is not closed, or a text stands without quotes",
    };
    GridFault::new(ErrorCode::GridSyntax, &span, message, "here").hint(hint)
}

fn grid_file(
    root: &Table<'_>,
    known: &Known<'_>,
    cores: &dyn Fn(&HostRequest) -> usize,
    faults: &mut Faults,
) -> Checked<GridFile> {
    let name = name(root, faults);
    let servers = server::read_all(root, known, faults);
    let services = service::read_all(root, known.base, faults);
    let mut names = Names::default();
    let data = login::data(root, (known.base, &mut names), faults);
    let login = login::read(root, &mut names, faults);
    let endpoints = endpoint::read_all(root, &mut names, faults);
    let load = load::read(root, endpoints.as_deref().ok(), faults);
    let goal = goal::read(root, faults);
    let limits = limits::read(root, faults);
    let host = goal::host(root, faults);
    let budget = goal::budget(root, faults);
    let (servers, services) = (servers?, services?);
    if let Ok(host) = &host {
        service::check_cpus(&services, host, faults)?;
    }
    let service_names = service::names(&services);
    // Where [host] is wrong the file is refused, whatever the number.
    let cores = host.as_ref().map_or(1, cores);
    let quota = limits.as_ref().ok().and_then(|limits| limits.cpus);
    let cores = quota.map_or(cores, |quota| cores.min(quota.whole()));
    let space = grid::read(root, (&servers, &service_names), cores, faults);
    let (endpoints, space) = (endpoints?, space?);
    let (load, login) = (load?, login?);
    if let Some(login) = &login {
        login::check_users(root, (login, &load.shape), faults)?;
    }
    let mut goal = goal?;
    goal::check_duration(root, (goal.minimize, &load.shape), faults)?;
    let max_latency = goal::max_latency(std::mem::take(&mut goal.max_latency), &endpoints, faults);
    let mut objective = objective(goal, &endpoints, &space, &servers);
    objective.max_latency = max_latency?;
    objective.surge = load.surge;
    let places = Places {
        variants: servers.iter().map(|server| server.places.clone()).collect(),
        services: services.iter().map(|one| one.places.clone()).collect(),
        requests_from_env: [
            login::from_env_places(root),
            endpoint::from_env_places(root),
        ]
        .concat(),
        sessions: login::sessions_place(root),
        files: limits::files_place(root),
        columns: names.columns,
    };
    Ok(GridFile {
        name: name?,
        variants: all(servers.into_iter().map(|server| server.variant))?,
        services: services.into_iter().map(|one| one.service).collect(),
        data: data?,
        login,
        endpoints,
        load: load.shape,
        connections: load.connections,
        objective,
        limits: limits?,
        host: host?,
        budget: budget?,
        space,
        places,
    })
}

fn name(root: &Table<'_>, faults: &mut Faults) -> Checked<String> {
    let node = root.require(
        "name",
        "it names the folder of the results: name = \"blog\"",
        faults,
    )?;
    let name = node.text(faults)?;
    if !scalar::is_name(name) {
        let message = "`name` cannot name a folder";
        let hint = "letters, digits, `-` and `_`, at most 64, a letter or digit first";
        return Err(faults.add(node.fault(message, "not a name").hint(hint)));
    }
    Ok(name.to_owned())
}

fn objective(
    goal: Goal,
    endpoints: &[Endpoint],
    space: &Space,
    servers: &[Server<'_, '_>],
) -> Objective {
    let swept = space.configurations.first().map(|first| first.variant());
    let server = servers.iter().find(|server| Some(&server.name) == swept);
    Objective {
        minimize: goal.minimize,
        over: goal.over,
        max_error_rate: Some(goal.max_error_rate),
        max_latency: Vec::new(),
        max_memory: goal.max_memory,
        surge: None,
        accept: goal.accept,
        min_effect: goal.min_effect,
        weights: endpoints
            .iter()
            .map(|endpoint| (endpoint.name.clone(), endpoint.weight))
            .collect(),
        baseline: space.baseline.clone(),
        workers: server.and_then(|server| server.profile.ok()?.workers.clone()),
    }
}
