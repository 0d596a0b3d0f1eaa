//! One window of the load engine against a server that runs already, for
//! `witness/agree.py`: the figures of service time as JSON on stdout.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, ensure};
use autotune_load::{LoadPlan, run};
use autotune_model::{
    Arrivals, ConnectionPolicy, CpuSet, Endpoint, Histogram, LoadShape, Rate, Seed,
};
use clap::Parser;

/// Sends requests at a constant rate and prints service times by endpoint
#[derive(Debug, Parser)]
struct Args {
    /// Address and port on this machine
    target: SocketAddr,
    /// name=path, one for each endpoint
    #[arg(required = true)]
    endpoints: Vec<String>,
    /// Requests a second over all endpoints
    #[arg(long)]
    rate: f64,
    /// How long requests are sent
    #[arg(long)]
    seconds: u64,
    /// The part at the beginning that does not count
    #[arg(long, default_value_t = 1)]
    warm_up: u64,
    /// For the choice of endpoints
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The CPU of the generator
    #[arg(long)]
    cpu: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let plan = LoadPlan {
        target: args.target,
        host_header: args.target.to_string(),
        endpoints: args
            .endpoints
            .iter()
            .map(|text| endpoint(text))
            .collect::<Result<_, _>>()?,
        sessions: Vec::new(),
        data: [].into(),
        shape: LoadShape::open(Rate::per_second(args.rate)?, Arrivals::Constant),
        connections: ConnectionPolicy::KeepAlive,
        length: Duration::from_secs(args.seconds),
        warm_up: Duration::from_secs(args.warm_up),
        timeout: Duration::from_secs(10),
        pool_limit: 256,
        seed: Seed::new(args.seed),
        cpus: args.cpu.map(|cpu| CpuSet::new([cpu])),
        origin_monotonic_ns: 0,
    };
    let record = run(&plan, &AtomicBool::new(false))?;
    let (mut figures, mut all) = (BTreeMap::new(), Histogram::new());
    for endpoint in &record.endpoints {
        ensure!(
            endpoint.total.not_completed() == 0,
            "{} lost requests",
            endpoint.name
        );
        all.merge(&endpoint.service);
        figures.insert(endpoint.name.as_str(), quantiles(&endpoint.service)?);
    }
    // No endpoint can be called so: a name is never empty.
    figures.insert("", quantiles(&all)?);
    serde_json::to_writer(std::io::stdout(), &figures)?;
    Ok(())
}

fn quantiles(service: &Histogram) -> anyhow::Result<[u64; 2]> {
    let at = |fraction| service.quantile_us(fraction).context("no request");
    Ok([at(0.50)?, at(0.95)?])
}

fn endpoint(text: &str) -> anyhow::Result<Endpoint> {
    let (name, path) = text.split_once('=').context("an endpoint is name=path")?;
    Ok(Endpoint::get(name, path))
}
