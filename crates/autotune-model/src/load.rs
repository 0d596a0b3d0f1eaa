//! The shape of the load.

use std::time::Duration;

use crate::units::Rate;

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LoadShape {
    /// Arrivals at a rate, whether or not the server keeps up.
    Open {
        /// Over all endpoints together.
        rate: Rate,
        /// How the arrivals are spread.
        arrivals: Arrivals,
    },
    /// Users who wait for an answer before they ask again.
    Closed(Users),
}

/// How the arrivals of an open load are spread in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Independent of each other, as from many people.
    Poisson,
    /// Evenly spaced.
    Constant,
}

/// The users of a closed load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// In total, at least one.
    pub count: u32,
    /// The pause of each user after an answer.
    pub think: Duration,
}

impl LoadShape {
    /// `open` or `closed`, for reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Closed(_) => "closed",
        }
    }
}
