//! What is found out of a configuration once: the settings in effect, and
//! whether the app overrides one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use autotune_model::{Configuration, Secret};
use autotune_process::ProcessError;
use autotune_server::{Command, mismatch, parse_settings, render};

use crate::error::TrialError;
use crate::folder::TrialFolder;
use crate::overrides::{AppSettings, changed_by_hook, explain, overridden_lines};
use crate::port::free_address;
use crate::prepare::{Question, Trials};

/// The app is imported after the settings were printed; one that takes longer
/// is not waited for.
const SETTINGS_LIMIT: Duration = Duration::from_secs(10);

/// What was found out of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// By name, without secrets.
    pub(crate) settings: BTreeMap<String, String>,
    /// The app's own file.
    pub(crate) app: AppSettings,
    /// A setting that is not in effect as asked, for people.
    pub(crate) overridden: Option<String>,
    /// What the user should know, for people.
    pub(crate) notes: Vec<String>,
}

impl Trials {
    /// The facts of a configuration, found out at the first call.
    pub(crate) async fn facts(
        &mut self,
        configuration: &Configuration,
    ) -> Result<Facts, TrialError> {
        if let Some(facts) = self.facts.get(&configuration.id()) {
            return Ok(facts.clone());
        }
        let facts = self.find_facts(configuration).await?;
        self.facts.insert(configuration.id(), facts.clone());
        Ok(facts)
    }

    async fn find_facts(&self, configuration: &Configuration) -> Result<Facts, TrialError> {
        let prepared = self.prepared(configuration.variant())?;
        // In a folder of its own: importing the app may change its files.
        let fixture = prepared.variant.fixture.as_deref();
        let folder = TrialFolder::make(&self.context.run_root, fixture)?;
        let address = free_address(autotune_process::clock::monotonic_ns())?;
        let place = self.place(prepared, &folder, address);
        let command = render(&self.rendering(prepared, &place), configuration)
            .map_err(|source| prepared.render_error(source))?;
        let mut facts = Facts::default();
        let argv = command.redactor.clean(&command.argv.join(" "));
        if !prepared.behaviour.print_settings.is_empty() {
            facts.settings = self
                .print_settings(&command, (configuration, &folder))
                .await?;
        }
        facts.settings.insert("argv".to_owned(), argv);
        facts.app = AppSettings::read(prepared, &facts.settings);
        let judged = (&prepared.profile, &prepared.behaviour);
        facts.overridden = mismatch(judged, configuration, &facts.settings)
            .map(|mismatch| explain(prepared, &facts.app, &mismatch))
            .or_else(|| changed_by_hook(prepared, &facts.app, configuration));
        facts.notes = overridden_lines(prepared, &facts.app, configuration);
        for (number, note) in facts.notes.iter().enumerate() {
            facts
                .settings
                .insert(format!("note {}", number + 1), note.clone());
        }
        Ok(facts)
    }

    /// The settings as the server prints them; empty where it cannot be run,
    /// which its launch will show.
    async fn print_settings(
        &self,
        command: &Command,
        (configuration, folder): (&Configuration, &TrialFolder),
    ) -> Result<BTreeMap<String, String>, TrialError> {
        let prepared = self.prepared(configuration.variant())?;
        let mut command = command.clone();
        command
            .argv
            .extend(prepared.behaviour.print_settings.iter().cloned());
        // Python keeps what it prints to a file until it ends, and one that is
        // ended early would lose it.
        let unbuffered = ("PYTHONUNBUFFERED".to_owned(), Secret::new("1".to_owned()));
        command.env.push(unbuffered);
        let question = Question {
            command: &command,
            dir: &prepared.variant.dir,
            log: &folder.log(),
            cpus: self.context.placement.server.as_ref(),
            user: None,
        };
        match self.run_tool(&question, SETTINGS_LIMIT).await {
            Ok((_, output)) => {
                let mut settings = parse_settings(&output);
                // Hooks that the app does not define: `<OnExit.on_exit()>`.
                settings.retain(|_, value| !(value.starts_with('<') && value.contains('.')));
                Ok(settings)
            }
            Err(TrialError::Process(ProcessError::Launch { .. })) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}
