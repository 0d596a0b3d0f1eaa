//! What the tests share: a gunicorn of their own, contexts, configurations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::{
    Arrivals, Configuration, Confinement, ConnectionPolicy, CpuPlacement, Endpoint, EnvValue,
    GeneratorVerdict, LoadShape, Login, ParamName, Rate, Seed, ServerVariant, Service, Stage,
    TrialKey, TrialRecord, TrialSpec, Value, VariantName,
};
use autotune_server::profile;
use autotune_trial::{ServiceCpus, TrialContext, TrialEvent, Trials};
use tempfile::TempDir;

/// A place for one test: an app folder, a fixture, results.
pub(crate) struct Place {
    pub(crate) root: TempDir,
    pub(crate) variant: ServerVariant,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) login: Option<Login>,
    pub(crate) services: Vec<Service>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) check_limit: Duration,
    pub(crate) confinement: Confinement,
    /// What a grid file would name.
    pub(crate) named: Vec<ParamName>,
}

impl Place {
    /// The test app under gunicorn, with these paths as endpoints.
    pub(crate) fn new(paths: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("app");
        std::fs::create_dir_all(root.path().join("fixture")).expect("a folder");
        std::fs::write(root.path().join("fixture/data"), "fresh").expect("written");
        std::fs::create_dir_all(&dir).expect("a folder");
        std::fs::write(dir.join("app.py"), include_str!("app/app.py")).expect("written");
        let variant = ServerVariant {
            name: VariantName::new("gunicorn"),
            profile: "gunicorn".to_owned(),
            app: Some("app:app".to_owned()),
            dir,
            setup: vec![
                words("python3 -m venv {{ cache }}/venv"),
                words("{{ cache }}/venv/bin/pip install -q --disable-pip-version-check gunicorn"),
            ],
            bin: Some("{{ cache }}/venv/bin".to_owned()),
            args: Vec::new(),
            command: Vec::new(),
            env: vec![text("DATA", "{{ run }}/data")],
            fixture: Some(root.path().join("fixture")),
            before_trial: Vec::new(),
            after_trial: Vec::new(),
            may_reach: Vec::new(),
            ready: None,
            stop: None,
        };
        let environment = std::env::vars().collect();
        let endpoints = paths.iter().map(|path| endpoint(path)).collect();
        Self {
            root,
            variant,
            endpoints,
            login: None,
            services: Vec::new(),
            environment,
            check_limit: Duration::from_secs(60),
            confinement: Confinement::default(),
            named: Vec::new(),
        }
    }

    pub(crate) fn app_file(&self, name: &str) -> PathBuf {
        self.variant.dir.join(name)
    }

    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.variant.env.push(text(name, value));
    }

    /// Puts a script before gunicorn; it finds the real one, which the setup
    /// steps built, in the folder `REAL`.
    pub(crate) fn wrapper(&mut self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let bin = self.root.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        std::fs::write(bin.join("gunicorn"), script).expect("written");
        let executable = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("gunicorn"), executable).expect("set");
        self.env("REAL", "{{ cache }}/venv/bin");
        self.variant.bin = Some(bin.display().to_string());
    }

    pub(crate) async fn trials(&self) -> Trials {
        self.prepare(&mut Vec::new()).await
    }

    pub(crate) async fn prepare(&self, events: &mut Vec<TrialEvent>) -> Trials {
        let on_event = &mut |event| events.push(event);
        let prepared = Trials::prepare(self.context(), on_event, &no_stop()).await;
        prepared.expect("prepares")
    }

    pub(crate) fn context(&self) -> TrialContext {
        let profile = profile(&self.variant.profile).expect("shipped");
        TrialContext {
            variants: vec![(self.variant.clone(), profile)],
            services: self.services.clone(),
            service_cpus: ServiceCpus { set: None, most: 2 },
            named: self.named.clone(),
            endpoints: self.endpoints.clone(),
            login: self.login.clone(),
            data: [].into(),
            connections: ConnectionPolicy::KeepAlive,
            placement: CpuPlacement {
                server: None,
                generator: None,
                cores: 1,
            },
            confinement: self.confinement.clone(),
            // Kept between runs of the tests: packages are fetched once.
            cache_root: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            run_root: self.run_root(),
            environment: self.environment.clone(),
            timeout: Duration::from_secs(20),
            check_limit: self.check_limit,
        }
    }

    pub(crate) fn run_root(&self) -> PathBuf {
        self.root.path().join("results/run")
    }

    /// Everything was removed that trials make.
    pub(crate) fn assert_clean(&self) {
        let left: Vec<_> = std::fs::read_dir(self.run_root())
            .expect("a folder")
            .collect();
        assert!(left.is_empty(), "left: {left:?}");
        let app: Vec<_> = std::fs::read_dir(&self.variant.dir)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name != "app.py" && name != "gunicorn.conf.py")
            .collect();
        assert!(app.is_empty(), "written into the app's folder: {app:?}");
    }
}

pub(crate) fn words(text: &str) -> Vec<String> {
    // Holes of these tests stand at the beginning and hold no quotes.
    let text = text.replace("{{ cache }}", "\0");
    text.split(' ')
        .map(|word| word.replace('\0', "{{ cache }}"))
        .collect()
}

fn text(name: &str, value: &str) -> (String, EnvValue) {
    (name.to_owned(), EnvValue::Text(value.to_owned()))
}

fn endpoint(path: &str) -> Endpoint {
    Endpoint::get(path.trim_start_matches('/'), path)
}

/// A configuration of the place's server.
pub(crate) fn configuration(place: &Place, given: &[(&str, Value)]) -> Configuration {
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| (ParamName::from(*name), value.clone()))
        .collect();
    let profile = profile(&place.variant.profile).expect("shipped");
    Configuration::fold(&profile, &place.variant.name, &given, false).configuration
}

/// A short trial of this configuration.
pub(crate) fn spec(configuration: Configuration) -> TrialSpec {
    TrialSpec {
        key: TrialKey {
            stage: Stage::Measure,
            block: 0,
            position: 0,
        },
        attempt: 0,
        configuration,
        load: LoadShape::open(
            Rate::per_second(40.0).expect("above zero"),
            Arrivals::Constant,
        ),
        length: Duration::from_secs(3),
        warm_up: Duration::from_secs(1),
        seed: Seed::new(1),
    }
}

pub(crate) fn no_stop() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(false))
}

/// Runs the setup steps once. Whether the tests of gunicorn can run; with
/// `CI=true` they must.
pub(crate) async fn fetch_gunicorn() -> bool {
    let place = Place::new(&["/hello"]);
    match Trials::prepare(place.context(), &mut |_| (), &no_stop()).await {
        Ok(_) => true,
        Err(error) if std::env::var("CI").as_deref() != Ok("true") => {
            println!("skipped: the tests of gunicorn, which could not be fetched: {error}");
            false
        }
        Err(error) => panic!("gunicorn could not be fetched: {error}"),
    }
}

/// Runs a trial as a sweep would: one that the generator spoiled, because the
/// machine was busy, says nothing and is tried again, a few times.
pub(crate) async fn run(trials: &mut Trials, spec: &TrialSpec) -> TrialRecord {
    let mut spec = spec.clone();
    loop {
        let record = trials.run(&spec, &no_stop()).await.expect("a record");
        let verdict = record.load.as_ref().map(|load| &load.generator.verdict);
        let spoiled =
            matches!(verdict, Some(GeneratorVerdict::Invalid(_))) && record.outcome.says_nothing();
        if !spoiled || spec.attempt >= 7 {
            return record;
        }
        println!(
            "{} is tried again: {:?}",
            spec.configuration, record.outcome
        );
        spec.attempt += 1;
    }
}
