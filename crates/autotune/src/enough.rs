//! What a budget gives, and which would do where one has no room for a block.

use std::time::Duration;

use autotune_analysis::compare::FIRST_LOOK;
use autotune_model::Seed;
use autotune_search::{Known, Outlook, Procedure};

use crate::commands::sweep::plan;
use crate::failure::Failure;
use crate::grid_file::Grid;
use crate::progress::short;
use crate::study;

/// Budgets that would do where this one has room for no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enough {
    /// Something is compared.
    pub(crate) one_block: Duration,
    /// So many blocks that the verdict is a confirmed one.
    pub(crate) confirmed: Duration,
}

/// What a sweep of this grid will be like.
pub(crate) fn outlook(grid: &Grid, budget: Duration, known: Known) -> Outlook {
    let seed = Seed::new(study::DEFAULT_SEED);
    Procedure::exhaustive(plan(grid, budget, seed)).outlook(known)
}

/// `None` where a block fits.
pub(crate) fn enough(grid: &Grid, budget: Duration, known: Known) -> Option<Enough> {
    let now = outlook(grid, budget, known);
    (now.blocks == 0).then(|| enough_of(grid, &now, known))
}

fn enough_of(grid: &Grid, now: &Outlook, known: Known) -> Enough {
    let of = |blocks: u32| {
        // Trials of the comparison are as short as can be here, while those of the
        // pre-flight get longer with the budget, up to their limit.
        let others = now.block * blocks + now.surge;
        let mut least = now.preflight + others;
        loop {
            let next = outlook(grid, least, known).preflight + others;
            if next <= least {
                break in_minutes(least);
            }
            // A second more than that, so that it ends soon.
            least = next + Duration::from_secs(1);
        }
    };
    Enough {
        one_block: of(1),
        confirmed: of(FIRST_LOOK),
    }
}

/// Whether a sweep can compare anything where steps or a ramp say how long a trial
/// is. A load without them fits itself into a budget as far as that can be done.
///
/// # Errors
/// When not one block fits, even if a launch took no time beside its load: nothing
/// would come of a pre-flight that takes all of the budget.
pub(crate) fn check_room(grid: &Grid, budget: Duration) -> Result<(), Failure> {
    let load = &grid.file.load;
    let longer = match (load.fixed_length(), load.ramp()) {
        (Some(_), _) => "shorter steps",
        (None, Duration::ZERO) => return Ok(()),
        (None, _) => "a shorter ramp",
    };
    let at_best = Known {
        overhead: Some(Duration::ZERO),
    };
    let now = outlook(grid, budget, at_best);
    if now.blocks > 0 {
        return Ok(());
    }
    let usual = Known { overhead: None };
    let enough = enough_of(grid, &outlook(grid, budget, usual), usual);
    let message = format!(
        "not one block fits into a budget of {}, as a trial takes {} of load: nothing would be \
         compared",
        short(budget),
        short(now.length)
    );
    Err(Failure::usage(message).hint(format!(
        "a budget of {} gives one block, of {} a confirmed verdict; {longer} or fewer \
         configurations need less",
        short(enough.one_block),
        short(enough.confirmed)
    )))
}

/// Whole minutes that are enough.
fn in_minutes(time: Duration) -> Duration {
    Duration::from_secs((time.as_secs() / 60 + 1) * 60)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::exit::Exit;
    use crate::grid_file;

    fn grid(load: &str) -> Grid {
        let text = format!(
            "name = \"demo\"\n[server.demo]\nprofile = \"command\"\ncommand = \"serve \
             --port {{{{ port }}}} --n {{{{ n }}}}\"\n[grid]\nn = [1, 2]\n[[endpoint]]\nname = \
             \"home\"\npath = \"/\"\n[load.open]\n{load}\n"
        );
        grid_file::from_text(Path::new("grid.toml"), &text, 1).unwrap()
    }

    #[test]
    fn the_budgets_that_are_named_are_enough() {
        for load in ["rate = 20", "rate = 20\nramp = \"1m\""] {
            let grid = grid(load);
            let known = Known { overhead: None };
            let named = enough(&grid, Duration::from_secs(10), known).expect("no block fits");
            assert!(outlook(&grid, named.one_block, known).blocks >= 1);
            assert!(outlook(&grid, named.confirmed, known).blocks >= FIRST_LOOK);
            assert_eq!(enough(&grid, named.one_block, known), None);
            // And hardly more than that.
            let less = named.confirmed - Duration::from_secs(90);
            assert!(outlook(&grid, less, known).blocks < FIRST_LOOK, "{named:?}");
        }
    }

    #[test]
    fn a_sweep_that_could_compare_nothing_is_refused() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let refused = |load: &str, budget| {
            let failure = check_room(&grid(load), budget).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            let Failure::Other { message, hint, .. } = failure else {
                panic!("{failure:?}");
            };
            (message, hint.unwrap())
        };
        // Two probes twice, and a block of two: six trials of ten minutes.
        let steps = "steps = [{ rate = 5, for = \"5m\" }, { rate = 9, for = \"5m\" }]";
        let (message, hint) = refused(steps, minutes(59));
        assert!(
            message.contains("a budget of 59 min 0 s, as a trial takes 10 min 0 s"),
            "{message}"
        );
        assert!(
            hint.contains("a budget of 61 min 0 s gives one block"),
            "{hint}"
        );
        assert!(hint.contains("shorter steps"), "{hint}");
        assert!(check_room(&grid(steps), minutes(60)).is_ok());
        let (_, hint) = refused("rate = 5\nramp = \"10m\"", minutes(30));
        assert!(hint.contains("a shorter ramp"), "{hint}");
        // What is short whatever the budget fits as well as it can.
        assert!(check_room(&grid("rate = 5"), minutes(0)).is_ok());
    }
}
