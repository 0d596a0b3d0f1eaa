//! How long a sweep may work: what the command says, else the grid file, cut at
//! a time of the day.

use std::time::Duration;

use jiff::civil::Time;
use jiff::{SignedDuration, ZonedDateTime};

use crate::failure::Failure;

/// The arguments that say it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BudgetArgs {
    /// How long trials may take in all, such as 8h or "1h 30m" [default: as in
    /// the grid file]
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Stop by this time of the day, such as 07:00
    #[arg(long, value_name = "HH:MM")]
    until: Option<String>,
}

/// The same, checked.
#[derive(Debug)]
pub(crate) struct Budget {
    asked: Option<Duration>,
    until: Option<Time>,
}

impl Budget {
    /// Checks the arguments.
    ///
    /// # Errors
    /// When one of them is no time.
    pub(crate) fn read(args: &BudgetArgs) -> Result<Self, Failure> {
        Ok(Self {
            asked: args.budget.as_deref().map(duration).transpose()?,
            until: args.until.as_deref().map(time_of_day).transpose()?,
        })
    }

    /// The time that trials may take in all, given the grid file's budget and what
    /// they have taken.
    ///
    /// # Errors
    /// When neither the command nor the grid file says.
    pub(crate) fn time(
        &self,
        of_grid: Option<Duration>,
        spent: Duration,
    ) -> Result<Duration, Failure> {
        let budget = self.asked.or(of_grid).ok_or_else(|| {
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
