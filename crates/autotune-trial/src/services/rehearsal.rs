//! What the start of the services would do, down to the last step before it is
//! done. See the rehearsal of a trial.

use std::path::{Path, PathBuf};

use autotune_model::{Peer, ServiceReady};
use autotune_process::{Launch, StopSignal};
use autotune_server::{Question, Redactor, render_service_setup};

use super::ready::{Asking, path_question};
use super::{ServiceOrders, of_user};
use crate::error::TrialError;
use crate::prepare::Trials;

/// What the start of a service would do.
#[derive(Debug)]
pub struct RehearsedService {
    /// The setup steps.
    pub setup: Vec<Launch>,
    /// The service.
    pub start: Launch,
    /// What is asked until it can be used.
    pub ready: RehearsedReady,
    /// What ends it.
    pub stop: StopSignal,
    /// The first of the peers that it may not have reached.
    pub outside: Option<Peer>,
    /// Takes secrets out of its log.
    pub redactor: Redactor,
    /// What `{{ run }}` and `{{ cache }}` stand for, and its port.
    pub holes: ([PathBuf; 2], u16),
}

/// What is asked until a service can be used.
#[derive(Debug)]
pub enum RehearsedReady {
    /// A command that succeeds.
    Command(Box<Launch>),
    /// A path that is answered with success; the fault of what cannot be asked.
    Path(Result<Question, String>),
    /// A port that takes a connection.
    Port,
}

impl Trials {
    /// Does all but the start for one service after the other, so that what they
    /// name of each other is known.
    pub(crate) async fn rehearse_services(
        &mut self,
        peers: &[Peer],
    ) -> Result<Vec<RehearsedService>, TrialError> {
        let mut all = Vec::new();
        for service in self.context.services.clone() {
            let mut prepared = self.describe_service(&service)?;
            let building = prepared.building();
            let cache = building.cache("")?;
            let of_user = of_user(prepared.user.as_ref());
            let rendering = self.service_rendering(&service, &of_user);
            let render = |cache: &Path| render_service_setup(rendering, cache);
            let setup = self.rehearse_steps(building, (&cache, &render))?;
            prepared.cache = cache;
            let orders = self.service_orders(&prepared)?;
            let asking = Asking {
                service: &service,
                command: orders.commands.ready.as_ref(),
                address: orders.place.address,
                user: prepared.user.as_ref(),
                folder: &orders.folder,
            };
            let ready = self.rehearse_ready(&asking);
            let outside = prepared.reach.first_outside(peers).await.cloned();
            let ServiceOrders {
                place,
                launch,
                commands,
                ..
            } = orders;
            all.push(RehearsedService {
                setup,
                start: launch,
                ready,
                stop: prepared.stop,
                outside,
                redactor: commands.start.redactor,
                holes: (
                    [place.run.clone(), place.cache.clone()],
                    place.address.port(),
                ),
            });
            self.services.places.insert(service.name.clone(), place);
        }
        Ok(all)
    }

    fn rehearse_ready(&self, asking: &Asking<'_>) -> RehearsedReady {
        match (&asking.service.ready, asking.command) {
            (ServiceReady::Path(path), _) => RehearsedReady::Path(path_question(path)),
            (_, Some(command)) => {
                let log = asking.folder.ready_log();
                RehearsedReady::Command(Box::new(self.tool(&asking.tool(command, &log))))
            }
            (_, None) => RehearsedReady::Port,
        }
    }
}
