//! What the program would do for a grid file, as texts that can be compared. All of
//! it comes from the functions that a sweep calls, down to the last one before a
//! process is started, a byte is sent or a number is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autotune_analysis::{Analysis, analyse};
use autotune_load::Rehearsed;
use autotune_model::{
    Configuration, Confinement, CpuPlacement, CpuSet, Enforcement, History, LimitMeans,
    LoginSession, Peer, Secret, Seed, Stage, TrialKey, TrialSpec,
};
use autotune_process::Launch;
use autotune_search::{Known, Procedure};
use autotune_server::{Answer, CheckFailure, Http, LoginPlan};
use autotune_trial::{Rehearsal, RehearsedReady, RehearsedService, TrialContext, rehearse};

use super::answers::{self, Listening, answer};
use super::history::history;
use crate::app_hash::identity;
use crate::awake::Awake;
use crate::budget::{Budget, BudgetArgs};
use crate::commands::sweep::plan;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::{placement, study, world};

/// The folder of all results.
pub(super) const RESULTS: &str = "the folder of results";
/// The configurations that are compared, and the first trials.
pub(super) const PLAN: &str = "the plan";
/// What the budget gives.
pub(super) const TIME: &str = "the time of a sweep";
/// Setup steps and the folder of what they build.
pub(super) const SETUP: &str = "the setup steps";
/// What the run folder holds.
pub(super) const FOLDER: &str = "the fresh folder";
/// Command lines, environments, folders, CPUs of the servers.
pub(super) const LAUNCH: &str = "the launch";
/// The commands of `before_trial`.
pub(super) const BEFORE: &str = "the commands before a launch";
/// The commands of `after_trial`.
pub(super) const AFTER: &str = "the commands after a stop";
/// The question whether a server is ready.
pub(super) const READY: &str = "the question whether it is ready";
/// The signal that ends a server.
pub(super) const STOP: &str = "the stop";
/// Which connections are allowed.
pub(super) const REACH: &str = "the allowed connections";
/// The bytes of the login.
pub(super) const LOGIN: &str = "the login";
/// Times, connections and bytes of the load.
pub(super) const WIRE: &str = "the bytes of the load";
/// The CPUs of the load generator.
pub(super) const GENERATOR: &str = "the load generator";
/// What the load engine says of answers.
pub(super) const LOAD_ANSWERS: &str = "the judgement of answers under load";
/// What the check before all trials says of them.
pub(super) const CHECK_ANSWERS: &str = "the judgement of answers in the check";
/// What secrets are taken out of.
pub(super) const LOG: &str = "what is kept of texts";
/// What a study's numbers say.
pub(super) const VERDICT: &str = "the verdict";
/// Idle states.
pub(super) const AWAKE: &str = "the idle states";

/// How long the load is that is looked at.
const LENGTH: Duration = Duration::from_secs(8);
/// So many of its requests.
const REQUESTS: usize = 80;
/// What an answer takes, in nanoseconds.
const SERVICE_NS: u64 = 30_000_000;
/// More than any machine of a developer has: what is asked for can be given.
const CPUS: usize = 8;

/// A folder with all that grid files name.
pub(super) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("app/app.py", "one\n");
        write("other/app.py", "two\n");
        write("app/needs.txt", "flask\n");
        write("other/needs.txt", "flask\n");
        write("seed/rows.db", "rows\n");
        write("more/many.db", "rows\n");
        write(
            "rows.csv",
            "id,user\n1,ann\n2,bob\n3,cid\n4,dot\n5,eve\n6,fay\n",
        );
        write(
            "more.csv",
            "id,user\n11,gus\n12,hal\n13,ida\n14,jim\n15,kay\n16,lee\n",
        );
        write("machine/bound", "");
        write("machine/driver", "some\n");
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

/// What the program would do.
pub(super) struct Effect {
    parts: BTreeMap<&'static str, String>,
    /// What makes a study the same.
    pub(super) identity: String,
}

impl Effect {
    /// Of the grid file with this text.
    pub(super) fn of(text: &str, place: &Place) -> Result<Self, String> {
        let path = place.path("grid.toml");
        fs::write(&path, text).unwrap();
        let grid = grid_file::load(&path).map_err(|failure| match failure {
            Failure::Grid { faults, .. } => {
                let why: Vec<String> = faults.into_iter().map(|one| one.message).collect();
                format!("no grid file: {}", why.join("; "))
            }
            failure => format!("{failure:?}"),
        })?;
        let cpus = CpuSet::new(0..CPUS);
        let placement = placement::decide(&grid.file.host, &cpus, None).unwrap();
        let mut parts = BTreeMap::new();
        let results = place.path("results");
        parts.insert(
            RESULTS,
            study::folder(&results, &grid).display().to_string(),
        );
        parts.insert(AWAKE, idle_states(&grid, place));
        of_sweep(&grid, &mut parts);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(of_trials(&grid, (&placement, place), &mut parts));
        let root = place.root.path().display().to_string();
        for text in parts.values_mut() {
            *text = text.replace(&root, "<place>");
        }
        Ok(Self {
            parts,
            identity: identity(&grid, &results).unwrap(),
        })
    }

    /// The parts that are not the same.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<&'static str> {
        let names = self.parts.keys();
        names
            .copied()
            .filter(|name| self.parts[name] != other.parts[name])
            .collect()
    }
}

/// What is written to the kernel's file, in a folder that stands for it.
fn idle_states(grid: &Grid, place: &Place) -> String {
    let (bound, driver) = (place.path("machine/bound"), place.path("machine/driver"));
    fs::write(&bound, "").unwrap();
    let awake = Awake::hold_by(grid.file.host.keep_awake, &bound, &driver);
    format!("{:?}, {}", fs::read(&bound).unwrap(), awake.fact())
}

/// What is computed for a sweep and from its numbers.
fn of_sweep(grid: &Grid, parts: &mut BTreeMap<&'static str, String>) {
    let budget = Budget::read(&BudgetArgs::default()).unwrap();
    let budget = budget.time(grid.file.budget, Duration::ZERO).unwrap();
    let procedure = Procedure::exhaustive(plan(grid, budget, Seed::new(1)));
    let labels = grid.configurations().into_iter();
    let labels: Vec<String> = labels.map(|one| one.label().to_string()).collect();
    parts.insert(PLAN, labels.join("\n"));
    let none = History::default();
    let analysis = analyse(&none, &grid.file.objective);
    let outlook = procedure.outlook(Known { overhead: None });
    let next = procedure.next(&none, &analysis);
    parts.insert(TIME, format!("{outlook:?}\n{next:?}"));
    let known = (&grid.file.endpoints[..], &grid.file.load);
    let history = history(&grid.configurations(), known);
    let analysis = analyse(&history, &grid.file.objective);
    parts.insert(VERDICT, verdict(&analysis));
}

/// Without what the analysis only repeats of the objective.
fn verdict(analysis: &Analysis) -> String {
    let verdict = &analysis.verdict;
    let mut text = format!("{:?} {:?}\n", verdict.word, verdict.tie_set);
    for one in &analysis.configurations {
        let limits = one.limits.iter();
        let limits = limits.map(|limit| (&limit.limit, &limit.endpoint, limit.state));
        let limits: Vec<_> = limits.collect();
        writeln!(
            text,
            "{} {:?} {:?} {:?} {:?} {limits:?}",
            one.configuration, one.objective, one.bound_pct, one.standing, one.feasibility
        )
        .unwrap();
    }
    text
}

/// What is started and sent, for each configuration.
async fn of_trials(
    grid: &Grid,
    (placement, place): (&CpuPlacement, &Place),
    parts: &mut BTreeMap<&'static str, String>,
) {
    let confinement = Confinement {
        limits: grid.file.limits.clone(),
        enforcement: Enforcement::By(LimitMeans::Cgroup),
    };
    let known = (placement, &confinement);
    let mut context = world::context(grid, known, place.path("results/run"));
    context.cache_root = place.path("cache");
    let listening = Listening::start().await;
    let http = Http::new().unwrap();
    let (sessions, login) = log_in(&context, &http, listening.address).await;
    for (number, configuration) in grid.configurations().iter().enumerate() {
        let spec = spec(grid, configuration);
        let peers = peers();
        let known = (&sessions[..], &peers[..]);
        let rehearsal = rehearse(context.clone(), &spec, known).await.unwrap();
        let mut found = of_trial(&rehearsal);
        if number == 0 {
            found.push((READY, ready(&http, &rehearsal, listening.address).await));
            found.extend(of_load((&rehearsal, grid), &listening.asked()));
        }
        for (name, text) in found {
            let text = normal(&text, &rehearsal);
            // Not the label: it would differ by itself.
            writeln!(parts.entry(name).or_default(), "{number}: {text}").unwrap();
        }
    }
    parts.insert(LOGIN, format!("{:#?} {login}", listening.asked()));
}

fn spec(grid: &Grid, configuration: &Configuration) -> TrialSpec {
    TrialSpec {
        key: TrialKey {
            stage: Stage::Measure,
            block: 0,
            position: 0,
        },
        attempt: 0,
        configuration: configuration.clone(),
        load: grid.file.load.clone(),
        length: LENGTH,
        warm_up: LENGTH / 10,
        seed: Seed::new(1),
    }
}

/// Connections beyond this machine.
fn peers() -> Vec<Peer> {
    let peer = |address: &str| Peer {
        address: address.parse().unwrap(),
        protocol: "tcp".to_owned(),
        pid: 1,
    };
    vec![peer("203.0.113.7:443"), peer("198.51.100.1:5432")]
}

/// Logs all sessions in, and how that ended.
async fn log_in(
    context: &TrialContext,
    http: &Http,
    address: SocketAddr,
) -> (Vec<LoginSession>, String) {
    let mut sessions = Vec::new();
    let mut ends = String::new();
    let Some(login) = &context.login else {
        return (sessions, ends);
    };
    let data = &context.data;
    let plan = LoginPlan { login, data };
    for number in plan.numbers() {
        let end = http.login(address, (plan, number), LENGTH).await;
        let failure = end.failure.map(|failure| failure.to_string());
        let secrets: Vec<&str> = end
            .secrets
            .iter()
            .map(|one| one.expose().as_str())
            .collect();
        writeln!(ends, "session {number}: {failure:?}, secret {secrets:?}").unwrap();
        sessions.push(end.session);
    }
    (sessions, ends)
}

async fn ready(http: &Http, rehearsal: &Rehearsal, address: SocketAddr) -> String {
    match &rehearsal.ready {
        Ok((question, good)) => {
            let answer = http.ask(address, question, LENGTH).await.unwrap();
            let request = &question.request;
            let (method, path) = (&request.method, &request.path);
            let (headers, body) = (&request.headers, &request.body);
            let status = answer.status;
            format!("{method} {path} {headers:?} {body:?}, good are {good:?}, seen {status}")
        }
        Err(why) => why.clone(),
    }
}

fn of_trial(rehearsal: &Rehearsal) -> Vec<(&'static str, String)> {
    let all = |launches: &[Launch]| {
        let texts: Vec<String> = launches.iter().map(launch).collect();
        texts.join("\n")
    };
    let [_, cache] = &rehearsal.holes;
    let setup = all(&rehearsal.setup);
    let services = rehearsal.services.iter().flat_map(of_service);
    let of_server = vec![
        (SETUP, format!("{setup} {}", cache.display())),
        (FOLDER, format!("{:?}", rehearsal.folder)),
        (LAUNCH, launch(&rehearsal.server)),
        (BEFORE, all(&rehearsal.before)),
        (AFTER, all(&rehearsal.after)),
        (STOP, debug(&rehearsal.stop)),
        (REACH, debug(&rehearsal.outside)),
        (GENERATOR, debug(&rehearsal.load.cpus)),
    ];
    of_server.into_iter().chain(services).collect()
}

/// What the start of a service would do.
fn of_service(service: &RehearsedService) -> Vec<(&'static str, String)> {
    let ready = match &service.ready {
        RehearsedReady::Command(command) => launch(command),
        RehearsedReady::Path(question) => debug(question),
        RehearsedReady::Port => "its port".to_owned(),
    };
    let setup: Vec<String> = service.setup.iter().map(launch).collect();
    let ([run, cache], port) = &service.holes;
    // All that its log could hold.
    let env = service.start.env.iter();
    let env: Vec<&str> = env.map(|(_, value)| value.expose().as_str()).collect();
    let parts = [
        (LOG, service.redactor.clean(&env.join("\n"))),
        (SETUP, format!("{} {}", setup.join("\n"), cache.display())),
        (LAUNCH, launch(&service.start)),
        (READY, ready),
        (STOP, debug(&service.stop)),
        (REACH, debug(&service.outside)),
    ];
    // The fresh folder and the port are others each time.
    let normal = |text: String| {
        text.replace(&run.display().to_string(), "<run of the service>")
            .replace(&port.to_string(), "<port of the service>")
    };
    parts
        .into_iter()
        .map(|(name, text)| (name, normal(text)))
        .collect()
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// All of a launch but what no grid file decides. A new field has to be named here.
fn launch(launch: &Launch) -> String {
    let Launch {
        argv,
        env,
        dir,
        log: _,
        log_limit: _,
        cpus,
        confinement,
        user,
        ipc: _,
        marker: _,
        sample_every: _,
        origin_monotonic_ns: _,
    } = launch;
    let env: Vec<(&str, &str)> = env
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose().as_str()))
        .collect();
    let dir = dir.display();
    format!("{argv:?} in {dir} as {user:?} on {cpus:?} under {confinement:?} with {env:?}")
}

fn of_load(
    (rehearsal, grid): (&Rehearsal, &Grid),
    asked: &[String],
) -> [(&'static str, String); 4] {
    let plan = &rehearsal.load;
    let Rehearsed { sent, record } = autotune_load::rehearse(plan, SERVICE_NS, answer);
    let mut wire = String::new();
    for one in sent.iter().take(REQUESTS) {
        let (at_ms, connection) = (one.at_ns / 1_000_000, one.connection);
        // Apart, so that a time never looks like a port, whose digits are taken out.
        let rest_us = one.at_ns / 1000 % 1000;
        let text = &one.text;
        writeln!(
            wire,
            "{at_ms} ms {rest_us} us, connection {connection}: {text}"
        )
        .unwrap();
    }
    let (mut loaded, mut checked) = (String::new(), String::new());
    for (endpoint, load) in grid.file.endpoints.iter().zip(&record.endpoints) {
        let answer = canned(endpoint.path.to_string().starts_with("/gone"));
        let check = CheckFailure::judge(endpoint, Ok(answer)).map(|why| why.to_string());
        let (name, failures) = (&load.name, &load.failures);
        writeln!(loaded, "{name}: {failures:?}").unwrap();
        writeln!(checked, "{name}: {check:?}").unwrap();
    }
    // All that a log or an error text could hold.
    let env = rehearsal.server.env.iter();
    let env = env.map(|(_, value)| value.expose().as_str());
    let sent = sent.iter().map(|one| &one.text).chain(asked);
    let texts: Vec<&str> = env.chain(sent.map(String::as_str)).collect();
    let log = rehearsal.redactor.clean(&texts.join("\n"));
    [
        (WIRE, wire),
        (LOAD_ANSWERS, loaded),
        (CHECK_ANSWERS, checked),
        (LOG, log),
    ]
}

/// What the check before all trials sees of the same app.
fn canned(gone: bool) -> Answer {
    let text = String::from_utf8(answer(if gone { "GET /gone" } else { "GET /" })).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    Answer {
        status: if gone { answers::GONE } else { 200 },
        headers: headers
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

/// Without what differs from one run to the next.
fn normal(text: &str, rehearsal: &Rehearsal) -> String {
    let [run, _] = &rehearsal.holes;
    let shown = |path: &Path| path.display().to_string();
    let address = rehearsal.load.target;
    let mut text = text.to_owned();
    // A server may name them.
    for service in &rehearsal.services {
        let ([run, _], port) = &service.holes;
        text = text
            .replace(&shown(run), "<run of a service>")
            .replace(&port.to_string(), "<port of a service>");
    }
    text.replace(&shown(run), "<run>")
        .replace(&address.to_string(), "<address>")
        .replace(&address.port().to_string(), "<port>")
}
