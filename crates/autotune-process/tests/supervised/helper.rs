//! Programs that tests start: one that launches a server and hangs, one that
//! says how it is isolated.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use autotune_process::{IsolationRequest, StopSignal, find_means};

use crate::confined;
use crate::loss::STUBBORN;
use crate::support::{Bench, PATIENCE, wait};

/// Launches the stubborn server, says marker and pids, and hangs.
pub(crate) const LAUNCH: &str = "helper-launch";
/// Launches a server, says its isolation and stops it.
pub(crate) const ISOLATION: &str = "helper-isolation";

/// Says by what the limits are kept.
pub(crate) const MEANS: &str = "helper-means";

pub(crate) fn name(isolation: IsolationRequest) -> &'static str {
    match isolation {
        IsolationRequest::Auto => "auto",
        IsolationRequest::Off => "off",
    }
}

pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [LAUNCH, isolation, folder] => launch_and_hang(isolation, folder.as_ref()),
        [ISOLATION] => say_isolation(),
        [MEANS] => say_means(),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn launch_and_hang(isolation: &str, folder: &Path) {
    let isolation = match isolation {
        "off" => IsolationRequest::Off,
        _ => IsolationRequest::Auto,
    };
    wait(async {
        let mut bench = Bench::new(isolation, STUBBORN);
        if let Some(confinement) = confined::confinement(&confined::limits()).await {
            bench.launch.confinement = confinement;
        }
        // This process is killed and cannot remove a folder of its own.
        bench.launch.log = folder.join("log");
        let server = bench.start_ready().await;
        bench.logged("daemon").await;
        let marker = bench.launch.marker.clone();
        bench.launch.dir = folder.to_owned();
        drop(bench);
        println!("{marker} {} {}", server.supervisor_pid(), server.pid());
        std::io::stdout().flush().expect("a reader");
        // Ends at the latest when the test that started it is long over.
        tokio::time::sleep(PATIENCE * 4).await;
        drop(server);
    });
}

fn say_means() {
    let limits = confined::limits();
    let found = wait(find_means(&limits)).expect("a supervisor can be run");
    match (found.means(), found.refusal()) {
        (Some(means), _) => println!("kept by {means}"),
        (None, reason) => println!("not kept: {}", reason.unwrap_or_default()),
    }
}

fn say_isolation() {
    wait(async {
        let bench = Bench::new(IsolationRequest::Auto, "echo ready; exec sleep 300");
        let mut server = bench.start_ready().await;
        let (sample, _) = server.sample_now().await.expect("a sample");
        let memory = sample.processes.first().and_then(|process| process.pss);
        let report = server
            .stop(StopSignal::Term, PATIENCE)
            .await
            .expect("a report");
        println!(
            "{} {} {}",
            server.isolation(),
            memory.is_some(),
            report.killed
        );
    });
}
