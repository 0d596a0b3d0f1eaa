//! What is said of services: that the settings wait for one, what to do about that,
//! and where it could not be told.

use autotune_analysis::{ALL_CPUS, Among, DependencyBound, ServiceAnalysis};
use autotune_model::{CpuSet, Service, ServiceName};

use crate::format::{count, list, percent};
use crate::study::{Study, Word, label};

/// A service was the bottleneck: what it used, and how often that was all.
pub(super) fn waits(bound: &DependencyBound, circumstances: &str) -> String {
    let DependencyBound {
        service,
        among,
        waiting,
        of,
    } = bound;
    let who = match (among, waiting == of) {
        (Among::Best, true) => "the best settings wait",
        (Among::Best, false) => "most of the best settings wait",
        (Among::All, true) => "every setting waits",
        (Among::All, false) => "most settings wait",
    };
    let used = service.busy_share.map_or_else(String::new, |share| {
        format!("{}, and ", used(service, share))
    });
    format!(
        "unresolved, service `{}` was the bottleneck: {who} for it ({used}had no CPU time left in {} \
         of their {}), {circumstances}.",
        service.name,
        service.saturated,
        count(u64::from(service.trials), "trial")
    )
}

fn used(service: &ServiceAnalysis, share: f64) -> String {
    let cpus = count(u64::from(service.cpus), "CPU");
    format!("it used {} of its {cpus}", percent(share * 100.0))
}

/// What there is to do where a service was the bottleneck. A larger budget is not.
pub(super) fn less_load(study: &Study<'_>, bound: &DependencyBound) -> String {
    let name = &bound.service.name;
    let ask_less = match gets_more(study, &bound.service) {
        true => {
            format!("Give `{name}` more CPUs (`cpus` of [service.{name}]), let the app ask it less")
        }
        false => format!("Let the app ask `{name}` less"),
    };
    format!(
        "There is no ranking: what tells the settings apart is how they wait. {ask_less}, or send \
         less load, and begin anew with --fresh."
    )
}

/// Whether more CPUs can be given to a service, and would be used: it is kept to
/// some of them, and used them all. One that has a single thread would not use them.
fn gets_more(study: &Study<'_>, service: &ServiceAnalysis) -> bool {
    let named = of_grid(study, &service.name).and_then(|one| one.cpus.as_ref());
    let servers = study
        .measure_trials()
        .filter_map(|trial| trial.server.as_ref());
    let of_machine = servers
        .filter_map(|server| server.host)
        .map(|host| host.cpus)
        .max();
    let has_all = of_machine.is_some_and(|cpus| service.cpus >= cpus);
    let used_all = service.busy_share.is_some_and(|share| share >= ALL_CPUS);
    named.is_some() && used_all && !has_all
}

/// Where a service could run on the server's CPUs, that no setting waited for it is
/// not known: each has what the other one leaves.
pub(super) fn unseen(study: &Study<'_>) -> Option<String> {
    let server = study.recommended()?;
    let shared: Vec<&ServiceAnalysis> = study
        .analysis
        .services
        .iter()
        .filter(|service| {
            let cpus: Option<Option<&CpuSet>> =
                of_grid(study, &service.name).map(|one| one.cpus.as_ref());
            cpus.is_some_and(|cpus| study.placement.server_shares(cpus))
        })
        .collect();
    let told: Vec<String> = shared
        .iter()
        .filter_map(|service| Some((service, service.busy_share?)))
        .map(|(service, share)| format!("`{}`: {}", service.name, used(service, share)))
        .collect();
    if !matches!(study.word(), Word::Verdict(_)) || told.is_empty() {
        return None;
    }
    let server = server.busy_pct.map_or_else(String::new, |busy| {
        format!(
            "; the server with {}: it used {} of its CPUs",
            label(server),
            percent(busy)
        )
    });
    Some(format!(
        "Shared with the server were the CPUs of {}{server}. Which of them waits for the other cannot \
         be told from that; it can where `cpus` of the service and `server_cpus` of [host] have none \
         in common.",
        list(&told)
    ))
}

fn of_grid<'a>(study: &Study<'a>, name: &ServiceName) -> Option<&'a Service> {
    study.services.iter().find(|service| &service.name == name)
}
