//! How the requests to one endpoint differ: by session and by row of a data
//! file. Pure; writing them is left to `request`, choosing to `source`.

use autotune_model::text::rows_of_load;
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
            Some(rows_of_load(table.rows.len()))
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

    /// How many rows there are for the load.
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

/// The data files, their rows in the order of the seed. Rows that belong to
/// sessions stay where they are, and so do the last ones, where they are kept for
/// the questions before the load.
pub(crate) fn shuffled(plan: &LoadPlan) -> Vec<DataTable> {
    let mut data = plan.data.to_vec();
    for (number, table) in (0..).zip(&mut data) {
        let mut sessions = plan.sessions.iter();
        if !sessions.any(|session| session.rows.contains_key(&table.name)) {
            let seed = plan.seed.derive("rows", &[number]);
            let count = rows_of_load(table.rows.len());
            table.rows[..count].shuffle(&mut Pcg64Mcg::seed_from_u64(seed.value()));
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use autotune_model::text::Row;
    use autotune_model::{Filling, LoginSession, Part, Seed, Text};

    use super::*;
    use crate::plan::tests::{endpoint, plan};

    fn table(name: &str, count: usize) -> DataTable {
        DataTable {
            name: name.to_owned(),
            columns: vec!["id".to_owned()],
            rows: (0..count).map(|id| vec![id.to_string()]).collect(),
        }
    }

    fn with_rows(data: Vec<DataTable>, seed: u64) -> LoadPlan {
        let holes = data.iter().flat_map(|table| {
            let column = Hole::Column {
                table: table.name.clone(),
                column: "id".to_owned(),
            };
            [Part::Fixed("/".to_owned()), Part::Hole(column)]
        });
        let endpoint = Endpoint {
            path: Text::Holed(holes.collect()),
            ..endpoint("a")
        };
        LoadPlan {
            endpoints: vec![endpoint],
            data: data.into(),
            seed: Seed::new(seed),
            ..plan()
        }
    }

    /// The paths of all requests of a load.
    fn paths(plan: &LoadPlan) -> Vec<String> {
        let (spread, data) = (Spread::of(&plan.endpoints[0], plan), shuffled(plan));
        let path = |place| {
            let (_, row) = spread.place(place);
            path(plan, &data, Row::Load(row))
        };
        (0..spread.count()).map(path).collect()
    }

    fn path(plan: &LoadPlan, data: &[DataTable], row: Row) -> String {
        let nobody = LoginSession::default();
        let session = plan.sessions.first().unwrap_or(&nobody);
        let filling = Filling { session, data, row };
        plan.endpoints[0].asked().fill(&filling).unwrap().path
    }

    #[test]
    fn the_load_sends_no_row_that_a_question_before_it_has_sent() {
        for seed in 0..20 {
            let plan = with_rows(vec![table("items", 12)], seed);
            let load = paths(&plan);
            let asked = (0..4).map(|number| path(&plan, &plan.data, Row::Question(number)));
            let asked: BTreeSet<String> = asked.collect();
            let all: BTreeSet<String> = load.iter().cloned().chain(asked.clone()).collect();
            assert_eq!((load.len(), asked.len(), all.len()), (8, 4, 12), "{seed}");
        }
    }

    #[test]
    fn of_few_rows_the_load_sends_all() {
        let sent = |rows| {
            let paths = paths(&with_rows(vec![table("items", rows)], 1));
            BTreeSet::from_iter(paths).len()
        };
        assert_eq!([1, 2, 8, 9].map(sent), [1, 2, 8, 5]);
    }

    #[test]
    fn the_longest_file_decides_and_each_keeps_its_own_rows_back() {
        let plan = with_rows(vec![table("a", 20), table("b", 10)], 1);
        let load = paths(&plan);
        let second: BTreeSet<&str> = load
            .iter()
            .filter_map(|path| path.split('/').nth(2))
            .collect();
        assert_eq!((load.len(), second.len()), (16, 6));
        assert!(second.iter().all(|id| id.parse::<u8>().unwrap() < 6));
    }

    #[test]
    fn rows_of_sessions_are_not_kept_back() {
        let mut plan = with_rows(vec![table("people", 20)], 1);
        let of = |row| LoginSession {
            rows: [("people".to_owned(), row)].into(),
            ..LoginSession::default()
        };
        plan.sessions = vec![of(19)];
        assert_eq!(paths(&plan), ["/19"]);
    }
}
