//! All that is decided before a server is launched: its fresh folder, its address,
//! its command line and environment, the commands around it. Starts nothing.

use std::net::SocketAddr;
use std::time::Duration;

use autotune_model::{Bytes, Configuration};
use autotune_process::{Ipc, Launch, clock};
use autotune_server::{Redactor, render, render_hooks};

use crate::error::TrialError;
use crate::folder::TrialFolder;
use crate::hooks::Hooks;
use crate::logs::LOG_LIMIT_BYTES;
use crate::port::free_address;
use crate::prepare::{Prepared, Trials};

const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// One launch, ready to be made.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) folder: TrialFolder,
    pub(crate) address: SocketAddr,
    /// Takes all secrets out of texts that are known before a login.
    pub(crate) redactor: Redactor,
    pub(crate) before: Hooks,
    pub(crate) launch: Launch,
    pub(crate) after: Hooks,
}

impl Trials {
    /// What launches a configuration in a fresh folder on a free port. The axis of
    /// the trial's times begins at `origin_ns`.
    pub(crate) fn orders(
        &self,
        prepared: &Prepared,
        configuration: &Configuration,
        origin_ns: u64,
    ) -> Result<Orders, TrialError> {
        let fixture = prepared.variant.fixture.as_deref();
        let folder = TrialFolder::make(&self.context.run_root, fixture)?;
        let address = free_address(clock::monotonic_ns())?;
        let place = self.place(prepared, &folder, address);
        let rendering = self.rendering(prepared, &place);
        let command =
            render(&rendering, configuration).map_err(|source| prepared.render_error(source))?;
        let hooks = |key, commands: &[Vec<String>]| {
            let commands = render_hooks(&rendering, configuration, commands);
            commands
                .map(|commands| Hooks { key, commands })
                .map_err(|source| prepared.render_error(source))
        };
        let before = hooks("before_trial", &prepared.variant.before_trial)?;
        let after = hooks("after_trial", &prepared.variant.after_trial)?;
        let redactor = command.redactor.with(self.context.secrets());
        let launch = Launch {
            argv: command.argv,
            env: command.env,
            dir: prepared.variant.dir.clone(),
            log: folder.log(),
            log_limit: Bytes::new(LOG_LIMIT_BYTES),
            cpus: self.context.placement.server.clone(),
            confinement: self.context.confinement.clone(),
            user: None,
            ipc: Ipc::Shared,
            marker: self.marker.clone(),
            sample_every: Some(SAMPLE_EVERY),
            origin_monotonic_ns: origin_ns,
        };
        Ok(Orders {
            folder,
            address,
            redactor,
            before,
            launch,
            after,
        })
    }
}
