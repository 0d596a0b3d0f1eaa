//! The arguments of `sweep`, validated, with defaults filled in.

use std::path::PathBuf;
use std::time::Duration;

use autotune_model::CpuPlacement;
use jiff::civil::Time;
use jiff::{SignedDuration, ZonedDateTime};

use crate::commands::sweep::Args;
use crate::failure::Failure;
use crate::grid_file::{self, Grid};
use crate::placement;

/// What `sweep` is to do.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) grid: Grid,
    pub(super) placement: CpuPlacement,
    pub(super) fresh: bool,
    pub(super) seed: Option<u64>,
    pub(super) results: PathBuf,
    pub(super) json: bool,
    asked: Option<Duration>,
    until: Option<Time>,
}

/// Reads and checks.
pub(super) fn read(args: Args) -> Result<Request, Failure> {
    if let Some(name) = args
        .strategy
        .as_deref()
        .filter(|name| *name != "exhaustive")
    {
        return Err(
            Failure::usage(format!("--strategy {name} is not supported yet"))
                .hint("leave it out, or say --strategy exhaustive"),
        );
    }
    let grid = grid_file::load(&args.grid)?;
    let placement = placement::place(&grid.file.host)?;
    Ok(Request {
        asked: args.budget.as_deref().map(duration).transpose()?,
        until: args.until.as_deref().map(time_of_day).transpose()?,
        placement,
        grid,
        fresh: args.fresh,
        seed: args.seed,
        results: args.out,
        json: args.json,
    })
}

impl Request {
    /// The time that trials may take in all, given what they have taken.
    ///
    /// # Errors
    /// When neither the command nor the grid file says.
    pub(super) fn budget(&self, spent: Duration) -> Result<Duration, Failure> {
        let budget = self.asked.or(self.grid.file.budget).ok_or_else(|| {
            Failure::usage("there is no budget")
                .hint("add [budget] time = \"8h\" to the grid file, or say --budget 8h")
        })?;
        let Some(until) = self.until else {
            return Ok(budget);
        };
        let left = until_next(&ZonedDateTime::now(), until)?;
        Ok(budget.min(spent + left))
    }
}

fn duration(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        Failure::usage(format!("`{text}` is no duration above zero"))
            .hint("write it as 8h, 45m or \"1h 30m\"")
    };
    let parsed: SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| wrong().because(error))?;
    Duration::try_from(parsed)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(wrong)
}

fn time_of_day(text: &str) -> Result<Time, Failure> {
    text.parse().map_err(|error: jiff::Error| {
        Failure::usage(format!("`{text}` is no time of the day"))
            .because(error)
            .hint("write it as 07:00")
    })
}

/// From now to the next local instant at this time of the day, right across
/// clock changes.
fn until_next(now: &ZonedDateTime, time: Time) -> Result<Duration, Failure> {
    let out_of_range =
        |error: jiff::Error| Failure::usage("--until is out of range").because(error);
    let today = now.with().time(time).build().map_err(out_of_range)?;
    let next = if &today > now {
        today
    } else {
        let tomorrow = now.tomorrow().map_err(out_of_range)?;
        tomorrow.with().time(time).build().map_err(out_of_range)?
    };
    Ok(Duration::try_from(now.duration_until(&next)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_as_people_write_them() {
        assert_eq!(duration("8h").unwrap(), Duration::from_secs(28_800));
        assert_eq!(duration("1h 30m").unwrap(), Duration::from_secs(5400));
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err());
        assert!(time_of_day("25:00").is_err());
        let now: ZonedDateTime = "2026-03-28T23:00[Europe/Berlin]".parse().unwrap();
        let seven = time_of_day("07:00").unwrap();
        // The clock goes forward in that night: seven hours, not eight.
        assert_eq!(
            until_next(&now, seven).unwrap(),
            Duration::from_secs(7 * 3600)
        );
    }
}
