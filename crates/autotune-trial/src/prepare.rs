//! What is done once before all trials: setup steps by content, versions. Makes
//! the [`Trials`] that check and run configurations.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use autotune_model::{
    Bytes, ConfigId, Confinement, CpuSet, Profile, ServerVariant, Service, VariantName,
};
use autotune_process::{
    Finished, Ipc, Launch, Marker, ProcessError, RunAs, StopSignal, clock, run_to_end,
};
use autotune_server::{
    Behaviour, Command, Http, Place, RenderError, Rendering, Version, behaviour, render_setup,
};

use crate::context::{TrialContext, TrialEvent};
use crate::error::{Part, TrialError};
use crate::facts::Facts;
use crate::folder::TrialFolder;
use crate::logs::{self, LOG_LIMIT_BYTES};
use crate::reach::Reach;
use crate::services::{Prepared as PreparedService, Services, close, has_other_user};
use crate::session::stopped;
use crate::setup::{Building, QUESTION_LIMIT};

/// Checks and runs configurations of the prepared servers.
#[derive(Debug)]
pub struct Trials {
    pub(crate) context: TrialContext,
    pub(crate) variants: BTreeMap<VariantName, Prepared>,
    /// What was found out of a configuration, once.
    pub(crate) facts: BTreeMap<ConfigId, Facts>,
    /// What runs beside the servers, until [`Trials::end`].
    pub(crate) services: Services,
    pub(crate) http: Http,
    pub(crate) marker: Marker,
}

/// A server whose setup steps are done.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) variant: ServerVariant,
    pub(crate) profile: Profile,
    pub(crate) behaviour: Behaviour,
    pub(crate) cache: PathBuf,
    pub(crate) reach: Reach,
    pub(crate) stop: StopSignal,
    /// By name, as printed.
    pub(crate) versions: BTreeMap<String, String>,
    /// The server's own.
    pub(crate) version: Option<Version>,
}

impl Trials {
    /// Runs the setup steps of all servers and services, unless what they build is
    /// there, starts the services and asks for versions. Where that fails or the user
    /// asks for an end, services that were started are ended; dropping the future
    /// kills them.
    ///
    /// # Errors
    /// When a setup step fails, a service does not get ready, one of them is not
    /// described well enough, or the user asks for an end.
    pub async fn prepare(
        context: TrialContext,
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<Self, TrialError> {
        close(&context.run_root, has_other_user(&context.services))?;
        remove_leftovers(&context.run_root)?;
        let mut trials = Self::new(context)?;
        let services = trials.context.services.clone();
        // Setup steps take minutes; the one that runs is ended with the future. That
        // one fails needs no service to be found out.
        let (variants, services) = tokio::select! {
            built = trials.build(&services, on_event) => built?,
            () = stopped(stop) => return Err(TrialError::Interrupted),
        };
        let begun = trials.begin((variants, services), on_event, stop).await;
        match begun {
            Ok(()) => Ok(trials),
            Err(error) => {
                if let Err(second) = trials.services.end().await {
                    tracing::warn!(error = %second, "a service cannot be ended");
                }
                Err(error)
            }
        }
    }

    async fn build<'a>(
        &self,
        services: &'a [Service],
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<(Vec<Prepared>, Vec<PreparedService<'a>>), TrialError> {
        let mut variants = Vec::new();
        for (variant, profile) in self.context.variants.clone() {
            variants.push(self.prepare_one(variant, profile, on_event).await?);
        }
        let services = self.prepare_services(services, on_event).await?;
        Ok((variants, services))
    }

    /// Starts the services, whom the environment of a server may name, and asks for
    /// versions.
    async fn begin(
        &mut self,
        (mut variants, services): (Vec<Prepared>, Vec<PreparedService<'_>>),
        on_event: &mut dyn FnMut(TrialEvent),
        stop: &AtomicBool,
    ) -> Result<(), TrialError> {
        self.start_services(services, on_event, stop).await?;
        tokio::select! {
            asked = self.ask_all_versions(&mut variants) => asked?,
            () = stopped(stop) => return Err(TrialError::Interrupted),
        }
        let named = variants.into_iter();
        self.variants = named.map(|one| (one.variant.name.clone(), one)).collect();
        Ok(())
    }

    async fn ask_all_versions(&self, variants: &mut [Prepared]) -> Result<(), TrialError> {
        for prepared in variants {
            self.ask_versions(prepared).await?;
        }
        Ok(())
    }

    pub(crate) fn new(context: TrialContext) -> Result<Self, TrialError> {
        Ok(Self {
            variants: BTreeMap::new(),
            facts: BTreeMap::new(),
            services: Services::default(),
            http: Http::new()?,
            marker: Marker::for_this_process()?,
            context,
        })
    }

    /// Ends the services, the last one first. Without this they are killed when the
    /// trials are dropped.
    ///
    /// # Errors
    /// When one of them cannot be ended.
    pub async fn end(mut self) -> Result<(), TrialError> {
        self.services.end().await
    }

    pub(crate) fn prepared(&self, name: &VariantName) -> Result<&Prepared, TrialError> {
        let unknown = || TrialError::UnknownVariant {
            variant: name.clone(),
        };
        self.variants.get(name).ok_or_else(unknown)
    }

    async fn prepare_one(
        &self,
        variant: ServerVariant,
        profile: Profile,
        on_event: &mut dyn FnMut(TrialEvent),
    ) -> Result<Prepared, TrialError> {
        let mut prepared = self.describe(variant, profile)?;
        prepared.reach.resolve().await;
        let variant = &prepared.variant;
        let part = Part::Server(variant.name.clone());
        let building = self.building(&part, variant);
        let render = |cache: &Path| render_setup(variant, cache, &self.context.environment);
        prepared.cache = self.set_up(building, &render, on_event).await?;
        Ok(prepared)
    }

    /// What the setup steps of a server build.
    pub(crate) fn building<'a>(
        &'a self,
        part: &'a Part,
        variant: &'a ServerVariant,
    ) -> Building<'a> {
        Building {
            part,
            dir: &variant.dir,
            steps: &variant.setup,
            root: &self.context.cache_root,
            user: None,
        }
    }

    /// A server before its setup steps: it has no folder and no version yet.
    pub(crate) fn describe(
        &self,
        variant: ServerVariant,
        profile: Profile,
    ) -> Result<Prepared, TrialError> {
        let part = Part::Server(variant.name.clone());
        let mut behaviour = behaviour(&profile.name).ok_or_else(|| TrialError::Render {
            part: part.clone(),
            source: RenderError::UnknownProfile {
                profile: profile.name.clone(),
            },
        })?;
        behaviour.always_give(&profile, &self.context.named);
        let signal = variant.stop.as_ref().unwrap_or(&behaviour.stop);
        let stop = signal.parse().map_err(|source| TrialError::StopSignal {
            part: part.clone(),
            source,
        })?;
        let reach = Reach::parse(&variant.may_reach).map_err(|entry| TrialError::MayReach {
            part: part.clone(),
            entry,
        })?;
        Ok(Prepared {
            variant,
            profile,
            behaviour,
            cache: PathBuf::new(),
            reach,
            stop,
            versions: BTreeMap::new(),
            version: None,
        })
    }

    /// Asks the server's program and its Python. A program that cannot be run
    /// is no error here: that the server does not start will be.
    async fn ask_versions(&self, prepared: &mut Prepared) -> Result<(), TrialError> {
        let Some(program) = prepared.behaviour.program.clone() else {
            return Ok(());
        };
        let python = match prepared.variant.bin {
            Some(_) => "python",
            None => "python3",
        };
        let folder = TrialFolder::make(&self.context.run_root, None)?;
        for (name, program, arguments) in [
            (
                program.as_str(),
                program.as_str(),
                prepared.behaviour.version.clone(),
            ),
            ("python", python, vec!["--version".to_owned()]),
        ] {
            let place = self.place(prepared, &folder, (Ipv4Addr::LOCALHOST, 0).into());
            let command = self
                .rendering(prepared, &place)
                .tool(program, &arguments)
                .map_err(|source| prepared.render_error(source))?;
            let log = folder.log().with_extension(name);
            let dir = &prepared.variant.dir;
            let question = Question {
                command: &command,
                dir,
                log: &log,
                cpus: None,
                user: None,
            };
            match self.run_tool(&question, QUESTION_LIMIT).await {
                Ok((_, output)) => {
                    if let Some(version) = Version::find(&output) {
                        prepared
                            .versions
                            .insert(name.to_owned(), version.to_string());
                        if name != "python" {
                            prepared.version = Some(version);
                        }
                    }
                }
                Err(TrialError::Process(ProcessError::Launch { source, .. })) => {
                    tracing::debug!(program, error = %source, "no version");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn place(
        &self,
        prepared: &Prepared,
        folder: &TrialFolder,
        address: SocketAddr,
    ) -> Place {
        Place {
            cache: prepared.cache.clone(),
            run: folder.run(),
            address,
            cores: self.context.placement.cores,
            services: self.services.places(),
        }
    }

    pub(crate) fn rendering<'a>(
        &'a self,
        prepared: &'a Prepared,
        place: &'a Place,
    ) -> Rendering<'a> {
        Rendering {
            variant: &prepared.variant,
            profile: &prepared.profile,
            behaviour: &prepared.behaviour,
            place,
            version: prepared.version.as_ref(),
            inherited: &self.context.environment,
        }
    }

    pub(crate) fn tool(&self, question: &Question<'_>) -> Launch {
        Launch {
            argv: question.command.argv.clone(),
            env: question.command.env.clone(),
            dir: question.dir.to_owned(),
            log: question.log.to_owned(),
            log_limit: Bytes::new(LOG_LIMIT_BYTES),
            cpus: question.cpus.cloned(),
            confinement: Confinement::default(),
            user: question.user.cloned(),
            ipc: Ipc::Shared,
            marker: self.marker.clone(),
            sample_every: None,
            origin_monotonic_ns: clock::monotonic_ns(),
        }
    }

    /// Runs a command to its end and gives what it printed.
    pub(crate) async fn run_tool(
        &self,
        question: &Question<'_>,
        limit: Duration,
    ) -> Result<(Finished, String), TrialError> {
        let before = logs::length(question.log);
        let finished = run_to_end(&self.tool(question), limit).await?;
        let output = logs::read_from(question.log, before, &question.command.redactor);
        Ok((finished, output))
    }
}

/// A command that is run to its end.
pub(crate) struct Question<'a> {
    pub(crate) command: &'a Command,
    pub(crate) dir: &'a Path,
    pub(crate) log: &'a Path,
    pub(crate) cpus: Option<&'a CpuSet>,
    /// Whom it runs as, where that is another user.
    pub(crate) user: Option<&'a RunAs>,
}

impl Prepared {
    /// A command around a trial, as it is run.
    pub(crate) fn question<'a>(&'a self, command: &'a Command, log: &'a Path) -> Question<'a> {
        Question {
            command,
            dir: &self.variant.dir,
            log,
            cpus: None,
            user: None,
        }
    }

    pub(crate) fn render_error(&self, source: RenderError) -> TrialError {
        TrialError::Render {
            part: Part::Server(self.variant.name.clone()),
            source,
        }
    }
}

/// How a command ended, for people.
pub(crate) fn end(finished: &Finished) -> String {
    if finished.timed_out {
        return format!("no end after {} s", finished.took.as_secs());
    }
    finished
        .exit
        .map_or_else(|| "an unknown status".to_owned(), |exit| exit.to_string())
}

/// Run folders of a program that was killed. Its processes were ended before.
pub(crate) fn remove_leftovers(run_root: &Path) -> Result<(), TrialError> {
    let entries = match fs::read_dir(run_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(TrialError::file("read folder", run_root)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(TrialError::file("read folder", run_root))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("trial-") || name.starts_with("service-") {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(TrialError::file("remove folder", path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_run_folders_are_removed_at_the_start() {
        let place = tempfile::tempdir().unwrap();
        let run_root = place.path().join("run");
        remove_leftovers(&run_root).unwrap();
        fs::create_dir_all(run_root.join("trial-abc/run")).unwrap();
        fs::create_dir_all(run_root.join("mine")).unwrap();
        remove_leftovers(&run_root).unwrap();
        assert!(!run_root.join("trial-abc").exists());
        assert!(run_root.join("mine").exists());
    }
}
