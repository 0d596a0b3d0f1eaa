//! What became of users with a fixed number of requests. Pure.

use std::time::Duration;

use autotune_model::{LoadRecord, LoadShape, units::trim};

/// The evidence, where some of the users were not done in time. Like a growing
/// backlog it says that the configuration does not carry the load in the time
/// that there is, and percentiles of the part that was seen are censored.
pub(crate) fn not_done(shape: &LoadShape, users_left: u32) -> Option<String> {
    let (LoadShape::Closed(closed), Some(at_most)) = (shape, shape.at_most()) else {
        return None;
    };
    let each = closed.groups.iter().filter_map(|group| group.who.loops);
    let mut each: Vec<u32> = each.map(|loops| loops.each.get()).collect();
    each.dedup();
    let loops = match each[..] {
        [1] => "loop".to_owned(),
        [each] => format!("{each} loops"),
        _ => "loops".to_owned(),
    };
    let users = shape.most_users().unwrap_or_default();
    let noun = if users == 1 { "user" } else { "users" };
    (users_left > 0).then(|| {
        format!(
            "{users_left} of {users} {noun} had not finished their {loops} after {}",
            time(at_most)
        )
    })
}

/// Why nothing was measured although all users were done.
pub(crate) fn nothing_left(shape: &LoadShape, load: &LoadRecord) -> Option<String> {
    shape.at_most()?;
    let mut windows = load.endpoints.iter().map(|endpoint| endpoint.window);
    windows.all(|window| window.scheduled == 0).then(|| {
        format!(
            "the first user was done before the warm-up of {} was over, so that nothing was \
             measured: set more `loops`",
            time(load.warm_up)
        )
    })
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 60 && seconds % 60 == 0 && time.subsec_nanos() == 0 => {
            format!("{} min", seconds / 60)
        }
        _ => format!("{} s", trim(time.as_secs_f64())),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use autotune_model::{EndpointName, Group, Groups, Levels, Loops, Pause, Think, Users};

    use super::*;
    use crate::outcome::tests::load;

    fn users(count: u32, each: u32, seconds: u64) -> Users {
        Users {
            count: Levels::Constant(count),
            pause: Pause::Think(Think::Fixed(Duration::ZERO)),
            loops: NonZeroU32::new(each).map(|each| Loops {
                each,
                at_most: Duration::from_secs(seconds),
            }),
        }
    }

    fn one(count: u32, each: u32, seconds: u64) -> LoadShape {
        LoadShape::Closed(Groups::one(users(count, each, seconds)))
    }

    #[test]
    fn who_was_not_done_is_said() {
        let check = |shape: &LoadShape, left, expected: Option<&str>| {
            assert_eq!(not_done(shape, left).as_deref(), expected);
        };
        let words = "12 of 50 users had not finished their 100 loops after 10 min";
        check(&one(50, 100, 600), 12, Some(words));
        check(&one(50, 100, 600), 0, None);
        let words = "1 of 1 user had not finished their loop after 90 s";
        check(&one(1, 1, 90), 1, Some(words));
        check(&LoadShape::closed(5, Duration::ZERO), 0, None);
        let group = |name: &str, who| Group {
            endpoints: Some(vec![EndpointName::new(name)]),
            who,
        };
        let groups = LoadShape::Closed(Groups {
            groups: vec![group("a", users(5, 9, 60)), group("b", users(7, 10, 60))],
            ramp: Duration::ZERO,
        });
        let words = "2 of 12 users had not finished their loops after 1 min";
        check(&groups, 2, Some(words));
    }

    #[test]
    fn a_load_that_is_over_before_the_warm_up_measured_nothing() {
        let mut record = load(&[1, 0]);
        record.warm_up = Duration::from_secs(2);
        assert_eq!(nothing_left(&one(5, 9, 60), &record), None);
        record.endpoints[0].window = Default::default();
        let why = nothing_left(&one(5, 9, 60), &record).unwrap();
        assert!(why.contains("before the warm-up of 2 s"), "{why}");
        assert_eq!(
            nothing_left(&LoadShape::closed(5, Duration::ZERO), &record),
            None
        );
    }
}
