//! The endpoints of a group and which of them is asked next. Pure.

use autotune_model::EndpointName;

use crate::choice::{ChoiceStream, Weights};
use crate::plan::LoadPlan;

/// The endpoints of a group, with their weights.
#[derive(Debug)]
pub(crate) struct Members {
    /// By the order of the plan.
    endpoints: Box<[u16]>,
    weights: Weights,
}

impl Members {
    /// Those of these names; all of the plan where there are none.
    pub(crate) fn new(names: Option<&[EndpointName]>, plan: &LoadPlan) -> Self {
        let is_in = |name| names.is_none_or(|names| names.contains(name));
        let members = || {
            let all = (0u16..).zip(&plan.endpoints);
            all.filter(|(_, endpoint)| is_in(&endpoint.name))
        };
        Self {
            endpoints: members().map(|(index, _)| index).collect(),
            weights: Weights::new(members().map(|(_, endpoint)| endpoint.weight)),
        }
    }

    /// The endpoint that the next number of the stream points to.
    pub(crate) fn pick(&self, stream: &mut ChoiceStream) -> u16 {
        self.endpoints[usize::from(self.weights.pick(stream))]
    }
}
