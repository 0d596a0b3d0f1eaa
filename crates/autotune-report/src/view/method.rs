//! How the verdict was reached, in plain words with the numbers of this study.

use autotune_model::{Metric, Over};

use crate::format::{confidence, count};
use crate::study::Study;

pub(crate) fn method(study: &Study<'_>) -> Vec<String> {
    let mut lines = vec![blocks(study), objective(study), bound(study), choice(study)];
    let overloaded = match study.load.at_most() {
        None => "its backlog grew as long as it was loaded",
        Some(_) => "its users were not done with their loops in time",
    };
    lines.push(format!(
        "A request that failed, timed out or was never sent counts as infinitely slow; where too \
         many did, a percentile is \"not attained\" instead of a number. An overloaded \
         configuration has no percentiles: {overloaded}."
    ));
    if study.load.at_most().is_some() {
        lines.push(
            "Percentiles are over the time from the warm-up until the first user was done, in \
             which all were asking."
                .to_owned(),
        );
    }
    lines
}

fn blocks(study: &Study<'_>) -> String {
    format!(
        "Every trial launches the server afresh, loads it and stops it. Trials run in blocks: each \
         block holds every configuration once, in random order and under the same requests. \
         Configurations are compared within blocks only, so that a machine that gets slower \
         overnight does not decide. This study has {}.",
        count(u64::from(study.analysis.complete_blocks), "complete block")
    )
}

fn objective(study: &Study<'_>) -> String {
    let metric = match study.analysis.metric {
        Metric::Memory => {
            return "The score is the peak memory of all processes of the server, relative to the \
                    best."
                .to_owned();
        }
        Metric::Cpu => {
            return "The score is the server's CPU time per request, relative to the best."
                .to_owned();
        }
        Metric::Duration => {
            return "The score is the time from the start of the load to its last answer, relative \
                    to the best. A request that failed is one of those that its user makes, so \
                    that the limit on errors guards this time."
                .to_owned();
        }
        metric @ (Metric::Mean | Metric::Latency(_)) => metric,
    };
    let over = match study.analysis.over {
        Over::Geomean => {
            "combined over endpoints by the geometric mean with the weights of the grid file: 10 % \
             slower counts alike at every endpoint"
        }
        Over::Worst => "taken at the endpoint where it is worst against the control",
        Over::Pooled => "taken over the requests of all endpoints together",
    };
    format!(
        "The score is {metric} of response time, from the moment a request was due to the end of \
         its answer, {over}; it is shown relative to the best."
    )
}

fn bound(study: &Study<'_>) -> String {
    format!(
        "\"At most worse by\" is an upper bound that holds with {} confidence for all \
         configurations at once, whichever of them is the best in truth. Intervals in brackets are \
         95 % intervals of one configuration alone.",
        confidence(study.analysis.confidence)
    )
}

fn choice(study: &Study<'_>) -> String {
    let objective = study.objective;
    format!(
        "Among the configurations shown within {} of the best, one whose limits are shown to hold \
         and of whose launches none failed is preferred, then the least memory, then the smallest spread between launches, then the \
         fewest changes from today's setting, then the fewest workers. Differences under {} are \
         not worth resolving.",
        objective.accept, objective.min_effect
    )
}
