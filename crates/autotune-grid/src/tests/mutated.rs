//! Ten thousand grid files that somebody got wrong: the good ones with bytes lost,
//! doubled and swapped, values of another kind, keys and tables where they do not
//! belong. Each is read to its end, and every fault has a place.

use std::ops::Range;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::*;

// A test of the program sees to it that every example stands here.
pub(super) const EXAMPLES: [&str; 11] = [
    include_str!("../../../../grids/django.toml"),
    include_str!("../../../../grids/flask-dev.toml"),
    include_str!("../../../../grids/granian.toml"),
    include_str!("../../../../grids/hypercorn.toml"),
    include_str!("../../../../grids/node.toml"),
    include_str!("../../../../grids/postgres.toml"),
    include_str!("../../../../grids/puma.toml"),
    include_str!("../../../../grids/quickstart.toml"),
    include_str!("../../../../grids/uvicorn.toml"),
    include_str!("../../../../grids/uwsgi.toml"),
    include_str!("../../../../grids/waitress.toml"),
];
/// Half of the wrong ones are made of these.
const WHOLE: [&str; 5] = [FULL, COMMAND, LOGIN, SERVICES, LEAST];
const GRIDS: u32 = 10_000;
/// Any grid file is read in milliseconds; nobody waits so long on a busy machine.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// Values of every kind, also such that no key takes.
const VALUES: [&str; 30] = [
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "99999999999999999999",
    "0.5",
    "-0.0",
    "nan",
    "inf",
    "1e308",
    "true",
    "1979-05-27",
    "07:32:00",
    "\"\"",
    "\" \"",
    "\"x\"",
    "\"5%\"",
    "\"2ms\"",
    "\"8h\"",
    "\"1..=10000\"",
    "\"1..=99999999999999999999\"",
    "\"{{ cores * 99999 }}\"",
    "\"{{ 9223372036854775807 * cores }}\"",
    "\"{{ [1] * 3 }}\"",
    "\"{{ cores }}..={{ cores * 2 }} step 0\"",
    "[]",
    "[[1], [2]]",
    "{}",
    "{ from_env = \"X\", secret = 1 }",
    "['a', 2, true, {}]",
];

/// Splitmix64: the same grid files on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    /// A piece of the text of at most so many bytes, on character boundaries.
    fn piece(&mut self, text: &str, longest: usize) -> Range<usize> {
        let start = text.floor_char_boundary(self.below(text.len() + 1));
        let end = (start + self.below(longest + 1)).min(text.len());
        start..text.ceil_char_boundary(end)
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// One mistake.
fn mistake(text: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let keyed: Vec<usize> = (0..lines.len())
        .filter(|line| lines[*line].contains(" = "))
        .collect();
    let kind = dice.below(9);
    if kind > 3 && keyed.is_empty() {
        return text.to_owned();
    }
    match kind {
        0 => {
            let mut text = text.to_owned();
            text.replace_range(dice.piece(&text.clone(), 6), "");
            return text;
        }
        1 => {
            let piece = dice.piece(text, 40);
            let (before, after) = text.split_at(piece.end);
            return format!("{before}{}{after}", &text[piece]);
        }
        2 => {
            let (first, second) = (dice.piece(text, 8), dice.piece(text, 8));
            let (first, second) = match first.start <= second.start {
                true => (first, second),
                false => (second, first),
            };
            if first.end > second.start {
                return text.to_owned();
            }
            let between = &text[first.end..second.start];
            let (before, after) = (&text[..first.start], &text[second.end..]);
            return format!("{before}{}{between}{}{after}", &text[second], &text[first]);
        }
        3 => {
            let (first, second) = (dice.below(lines.len()), dice.below(lines.len()));
            if !lines.is_empty() {
                lines.swap(first, second);
            }
        }
        4 | 5 => {
            let line = *dice.pick(&keyed);
            let key = lines[line].split(" = ").next().unwrap_or_default();
            lines[line] = format!("{key} = {}", dice.pick(&VALUES));
        }
        6 => {
            let (from, to) = (*dice.pick(&keyed), *dice.pick(&keyed));
            let key = lines[from]
                .split(" = ")
                .next()
                .unwrap_or_default()
                .to_owned();
            let (_, value) = lines[to].split_once(" = ").unwrap_or_default();
            lines[to] = format!("{key} = {value}");
        }
        7 => {
            let (from, to) = (*dice.pick(&keyed), *dice.pick(&keyed));
            let (_, value) = lines[from].split_once(" = ").unwrap_or_default();
            let value = value.to_owned();
            let key = lines[to].split(" = ").next().unwrap_or_default();
            lines[to] = format!("{key} = {value}");
        }
        _ => {
            let line = lines.remove(*dice.pick(&keyed));
            let to = dice.below(lines.len() + 1);
            lines.insert(to, line);
        }
    }
    lines.join("\n")
}

fn mutated(number: u32) -> String {
    let mut dice = Dice(number.into());
    let seeds = [&WHOLE[..], &EXAMPLES[..]];
    let seeds = *dice.pick(&seeds);
    let mut text = (*dice.pick(seeds)).to_owned();
    for _ in 0..=dice.below(3) {
        text = mistake(&text, &mut dice);
    }
    text
}

/// What is wrong with the answer to a text; `None` where nothing is.
fn objection(text: &str) -> Option<String> {
    let faults = read_text(text).err()?;
    if faults.is_empty() {
        return Some("refused without a fault".to_owned());
    }
    let wrong = |fault: &&GridFault| {
        let place = text.get(fault.span.clone());
        let said = !fault.message.is_empty() && !fault.message.ends_with('.');
        place.is_none() || !said || fault.label.is_empty()
    };
    faults.iter().find(wrong).map(|fault| format!("{fault:?}"))
}

#[test]
fn ten_thousand_wrong_grid_files_are_refused_in_their_place() {
    let (send, receive) = channel();
    let reader = std::thread::spawn(move || {
        for number in 0..GRIDS {
            let text = mutated(number);
            let read = read_text(&text).is_ok();
            let objection = objection(&text);
            assert_eq!(objection, None, "grid {number}:\n{text}");
            send.send(read).expect("somebody listens");
        }
    });
    let (mut good, mut number) = (0, 0);
    loop {
        match receive.recv_timeout(HANGS_AFTER) {
            Ok(read) => good += u32::from(read),
            Err(RecvTimeoutError::Timeout) => panic!("grid {number} hangs:\n{}", mutated(number)),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        number += 1;
    }
    let ended = reader.join();
    assert!(ended.is_ok() && number == GRIDS, "a panic at grid {number}");
    // Most are wrong, or nothing is tried here; some mistakes are none.
    assert!((GRIDS / 50..GRIDS / 2).contains(&good), "{good} were good");
}
