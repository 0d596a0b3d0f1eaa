//! How the requests to one endpoint differ: by session and by row of a data
//! file. Pure; writing them is left to `request`, choosing to `source`.

use autotune_model::{DataTable, Endpoint, Hole};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use crate::plan::LoadPlan;

/// The variants of one endpoint: one for each session and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spread {
    sessions: usize,
    rows: usize,
}

impl Spread {
    /// Where several data files are used, the longest one decides: the others
    /// begin anew meanwhile.
    pub(crate) fn of(endpoint: &Endpoint, plan: &LoadPlan) -> Self {
        let is_own = |table: &str| {
            let mut sessions = plan.sessions.iter();
            sessions.any(|session| session.rows.contains_key(table))
        };
        let tables = endpoint.asked().holes().filter_map(|hole| match hole {
            Hole::Column { table, .. } if !is_own(table) => Some(table),
            Hole::Column { .. } | Hole::Value(_) => None,
        });
        let rows = tables.filter_map(|name| {
            let table = plan.data.iter().find(|table| &table.name == name)?;
            Some(table.rows.len())
        });
        Self {
            // Cookies are sent with every request.
            sessions: plan.sessions.len().max(1),
            rows: rows.max().unwrap_or(1).max(1),
        }
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        self.sessions.saturating_mul(self.rows)
    }

    /// How many sessions there are.
    pub(crate) fn sessions(self) -> u64 {
        self.sessions as u64
    }

    /// How many rows there are.
    pub(crate) fn rows(self) -> u64 {
        self.rows as u64
    }

    /// The session and the row of a variant.
    pub(crate) fn place(self, variant: usize) -> (usize, usize) {
        (variant / self.rows, variant % self.rows)
    }

    /// The variant of a session and a row; behind the last of each the first one
    /// comes again.
    pub(crate) fn variant(self, session: u64, row: u64) -> u32 {
        let session = session % self.sessions as u64;
        let variant = session * self.rows as u64 + row % self.rows as u64;
        u32::try_from(variant).expect("a plan with more variants is refused")
    }
}

/// The data files, their rows in the order of the seed; rows that belong to
/// sessions stay where they are.
pub(crate) fn shuffled(plan: &LoadPlan) -> Vec<DataTable> {
    let mut data = plan.data.to_vec();
    for (number, table) in (0..).zip(&mut data) {
        let mut sessions = plan.sessions.iter();
        if !sessions.any(|session| session.rows.contains_key(&table.name)) {
            let seed = plan.seed.derive("rows", &[number]);
            table
                .rows
                .shuffle(&mut Pcg64Mcg::seed_from_u64(seed.value()));
        }
    }
    data
}
