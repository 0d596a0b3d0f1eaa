//! The parsed text as tables and values that know their place, with the
//! defaults behind them. What the keys mean is left to the callers.

use std::ops::Range;

use autotune_model::ErrorCode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::fault::{Checked, Faults, GridFault, Reported, did_you_mean, likely};

/// The keys of one kind of table.
pub(crate) struct Keys<'k> {
    /// What may stand here.
    pub(crate) known: &'k [&'k str],
    /// What will be able to stand here, and must not be ignored meanwhile.
    pub(crate) planned: &'k [&'k str],
}

/// A value and the key that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    /// The key, for messages; an element of a list has the list's.
    pub(crate) key: &'a str,
    /// The place of the key.
    pub(crate) key_span: Range<usize>,
    /// The place of the value.
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
    /// False for a value out of the defaults, whose place is elsewhere.
    pub(crate) given: bool,
}

/// A table whose keys were checked.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    /// `[load.open]`, for messages.
    pub(crate) title: String,
    /// Where to point when something is missing.
    pub(crate) span: Range<usize>,
    /// In the order of the text.
    pub(crate) nodes: Vec<Node<'a>>,
    defaults: Option<&'a DeTable<'a>>,
    /// Keys that were probably meant by misspelt ones: not missing as well.
    meant: Vec<(String, Reported)>,
}

impl<'a> Table<'a> {
    /// The whole text. What is missing at its top is pointed at by its end,
    /// where it would be added.
    pub(crate) fn root(table: &'a DeTable<'a>, defaults: &'a DeTable<'a>, end: usize) -> Table<'a> {
        Table {
            title: ROOT.to_owned(),
            span: end..end,
            nodes: nodes(table),
            defaults: Some(defaults),
            meant: Vec::new(),
        }
    }

    /// A table that was left out: every key has its default.
    fn absent(&self, key: &'a str) -> Table<'a> {
        Table {
            title: self.title_of(key),
            span: self.span.clone(),
            nodes: Vec::new(),
            defaults: self.defaults_of(key),
            meant: Vec::new(),
        }
    }

    /// Faults for all keys that do not belong here; the others can be read
    /// all the same.
    pub(crate) fn check_keys(&mut self, keys: &Keys<'_>, faults: &mut Faults) {
        for node in &self.nodes {
            if keys.planned.contains(&node.key) {
                let mut fault = not_supported(&node.key_span, &quoted(node.key));
                if let Some(hint) = instead(node.key) {
                    fault = fault.hint(hint);
                }
                faults.add(fault);
            } else if !keys.known.contains(&node.key) {
                let message = format!("unknown key `{}` in {}", node.key, self.title);
                let code = ErrorCode::GridUnknownKey;
                let mut fault = GridFault::new(code, &node.key_span, message, "no such key");
                fault.hint = did_you_mean(node.key, keys.known.iter().copied());
                let reported = faults.add(fault);
                let meant = likely(node.key, keys.known.iter().copied());
                self.meant
                    .extend(meant.map(|key| (key.to_owned(), reported)));
            }
        }
    }

    /// Whether a key that is not there was misspelt, which is a fault already.
    pub(crate) fn not_misspelt(&self, key: &str) -> Checked<()> {
        let misspelt = self.meant.iter().find(|(meant, _)| meant == key);
        misspelt.map_or(Ok(()), |(_, reported)| Err(*reported))
    }

    /// What stands in the text, without defaults.
    pub(crate) fn given(&self, key: &str) -> Option<Node<'a>> {
        self.nodes.iter().find(|node| node.key == key).cloned()
    }

    /// What stands in the text, or the default.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        self.given(key).or_else(|| {
            let (name, value) = self.defaults?.get_key_value(key)?;
            Some(Node {
                key: name.get_ref(),
                key_span: self.span.clone(),
                span: self.span.clone(),
                value: value.get_ref(),
                given: false,
            })
        })
    }

    /// What stands in the text or the defaults; a fault when there is none.
    pub(crate) fn require(&self, key: &str, hint: &str, faults: &mut Faults) -> Checked<Node<'a>> {
        match self.get(key) {
            Some(node) => Ok(node),
            None => {
                self.not_misspelt(key)?;
                let message = format!("`{key}` is missing in {}", self.title);
                let label = format!("without `{key}`");
                let fault = GridFault::new(ErrorCode::GridMissing, &self.span, message, label);
                Err(faults.add(fault.hint(hint)))
            }
        }
    }

    /// The table under this key with its keys checked; one without entries
    /// where it was left out.
    pub(crate) fn section(
        &self,
        key: &'static str,
        keys: &Keys<'_>,
        faults: &mut Faults,
    ) -> Checked<Table<'a>> {
        match self.given(key) {
            None => Ok(self.absent(key)),
            Some(node) => {
                let mut table = node.table(self.title_of(key), self.defaults_of(key), faults)?;
                table.check_keys(keys, faults);
                Ok(table)
            }
        }
    }

    /// How the table under this key is called: as people head it, or by its key
    /// where it is one of several alike, or stands within a line.
    fn title_of(&self, key: &str) -> String {
        match self.title.strip_prefix('[') {
            None if self.title == ROOT => format!("[{key}]"),
            Some(rest) if !rest.starts_with('[') => {
                format!("[{}.{key}]", rest.trim_end_matches(']'))
            }
            _ => quoted(key),
        }
    }

    /// The defaults of a table below this one.
    pub(crate) fn defaults_of(&self, key: &str) -> Option<&'a DeTable<'a>> {
        self.defaults?.get(key)?.get_ref().as_table()
    }
}

impl<'a> Node<'a> {
    /// A fault of this value.
    pub(crate) fn fault(&self, message: impl Into<String>, label: impl Into<String>) -> GridFault {
        GridFault::new(ErrorCode::GridValue, &self.span, message, label)
    }

    /// A fault because the value is of another kind: `wanted` is `a text`.
    pub(crate) fn mismatch(&self, wanted: &str) -> GridFault {
        let message = format!("`{}` takes {wanted}, not {}", self.key, kind(self.value));
        let mut fault = self.fault(message, format!("takes {wanted}"));
        fault.hint = self.other_form(wanted).map(|form| format!("write {form}"));
        fault
    }

    /// The value in the form that is wanted, where it only lacks its brackets or
    /// quotes, or has quotes too many.
    fn other_form(&self, wanted: &str) -> Option<String> {
        let plain = match self.value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(flag) => flag.to_string(),
            _ => return None,
        };
        let is_text = self.value.is_str();
        let is_number = plain.parse::<i64>().is_ok();
        let amount = plain.parse::<f64>().ok();
        let amount = amount.filter(|amount| amount.is_finite() && *amount >= 0.0 && !is_text);
        match wanted {
            "a text" | "a text or { from_env = \"NAME\" }" => {
                Some(format!("it in quotes: \"{plain}\""))
            }
            "a list" if is_text && !is_number => Some(format!("it in brackets: [{plain:?}]")),
            "a list" => Some(format!("it in brackets: [{plain}]")),
            "true or false" if ["true", "false"].contains(&plain.as_str()) => {
                Some(format!("it without quotes: {plain}"))
            }
            "true or false" => Some("true or false".to_owned()),
            "a table" if self.key == "expect" && is_number => {
                Some(format!("{{ status = [{plain}] }}"))
            }
            _ if wanted.starts_with("a time as a text") => amount.map(|_| {
                format!(
                    "it as \"{plain}ms\" or \"{plain}s\": without a unit nobody knows what is \
                     meant"
                )
            }),
            _ if wanted.starts_with("a percentage as a text") => amount.map(|amount| {
                // A share as a fraction is what most mean by a number below one.
                let percent = if amount < 1.0 { amount * 100.0 } else { amount };
                format!("\"{}%\"", autotune_model::units::trim(percent))
            }),
            _ if is_text && is_number && wanted.contains(" number") => {
                Some(format!("it without quotes: {plain}"))
            }
            _ => None,
        }
    }

    pub(crate) fn text(&self, faults: &mut Faults) -> Checked<&'a str> {
        let text = self
            .value
            .as_str()
            .ok_or_else(|| faults.add(self.mismatch("a text")))?;
        // Neither an argument nor an environment variable can hold it.
        if text.contains('\0') {
            let message = format!("`{}` holds a zero byte", self.key);
            return Err(faults.add(self.fault(message, "zero byte")));
        }
        Ok(text)
    }

    /// A text that is not empty.
    pub(crate) fn filled_text(&self, faults: &mut Faults) -> Checked<&'a str> {
        let text = self.text(faults)?;
        if text.trim().is_empty() {
            let message = format!("`{}` is empty", self.key);
            return Err(faults.add(self.fault(message, "empty")));
        }
        Ok(text)
    }

    pub(crate) fn bool(&self, faults: &mut Faults) -> Checked<bool> {
        self.value
            .as_bool()
            .ok_or_else(|| faults.add(self.mismatch("true or false")))
    }

    /// A whole number; `None` for another kind of value.
    pub(crate) fn as_int(&self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// A whole number within these bounds.
    pub(crate) fn int(&self, bounds: (i64, i64), faults: &mut Faults) -> Checked<i64> {
        let (min, max) = bounds;
        let wanted = format!("a whole number from {min} to {max}");
        match self.as_int() {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            None if !self.value.is_integer() => Err(faults.add(self.mismatch(&wanted))),
            _ => {
                let message = format!("`{}` is {wanted}", self.key);
                Err(faults.add(self.fault(message, "out of range")))
            }
        }
    }

    /// A finite number above zero.
    pub(crate) fn positive(&self, faults: &mut Faults) -> Checked<f64> {
        let number: Option<f64> = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(_) => self.as_int().map(|number| number as f64),
            _ => return Err(faults.add(self.mismatch("a number above zero"))),
        };
        number
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| {
                let message = format!("`{}` is a finite number above zero", self.key);
                faults.add(self.fault(message, "not a number above zero"))
            })
    }

    /// The elements of a list.
    pub(crate) fn list(&self, faults: &mut Faults) -> Checked<Vec<Node<'a>>> {
        match self.value.as_array() {
            Some(array) => Ok(array.iter().map(|value| self.element(value)).collect()),
            None => Err(faults.add(self.mismatch("a list"))),
        }
    }

    /// The elements of a list with at least one.
    pub(crate) fn filled_list(&self, faults: &mut Faults) -> Checked<Vec<Node<'a>>> {
        let list = self.list(faults)?;
        if list.is_empty() {
            let message = format!("`{}` lists nothing", self.key);
            let fault = self.fault(message, "empty list");
            return Err(faults.add(fault.hint("list at least one value, or leave the key out")));
        }
        Ok(list)
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, faults: &mut Faults) -> Checked<Vec<(Node<'a>, &'a str)>> {
        let list = self.list(faults)?;
        all(list.into_iter().map(|node| {
            let text = node.text(faults)?;
            Ok((node, text))
        }))
    }

    /// One of these words.
    pub(crate) fn choice<T: Clone>(
        &self,
        choices: &[(&str, T)],
        faults: &mut Faults,
    ) -> Checked<T> {
        let text = self.text(faults)?;
        let choice = choices.iter().find(|(name, _)| *name == text);
        choice.map(|(_, value)| value.clone()).ok_or_else(|| {
            let message = format!("`{}` cannot be `{text}`", self.key);
            let mut fault = self.fault(message, "no such choice");
            fault.hint = did_you_mean(text, choices.iter().map(|(name, _)| *name));
            faults.add(fault)
        })
    }

    /// The value as a table, its keys not yet checked.
    pub(crate) fn table(
        &self,
        title: String,
        defaults: Option<&'a DeTable<'a>>,
        faults: &mut Faults,
    ) -> Checked<Table<'a>> {
        let Some(table) = self.value.as_table() else {
            return Err(faults.add(self.mismatch("a table")));
        };
        Ok(Table {
            title,
            span: self.span.clone(),
            nodes: nodes(table),
            defaults,
            meant: Vec::new(),
        })
    }

    fn element(&self, value: &'a Spanned<DeValue<'a>>) -> Node<'a> {
        Node {
            key: self.key,
            key_span: self.key_span.clone(),
            span: if self.given {
                value.span()
            } else {
                self.span.clone()
            },
            value: value.get_ref(),
            given: self.given,
        }
    }
}

/// All values, or the proof that one failed; every one is looked at.
pub(crate) fn all<T>(items: impl Iterator<Item = Checked<T>>) -> Checked<Vec<T>> {
    let mut result = Ok(Vec::new());
    for item in items {
        match (item, &mut result) {
            (Ok(value), Ok(values)) => values.push(value),
            (Err(reported), _) => result = Err(reported),
            (Ok(_), Err(_)) => {}
        }
    }
    result
}

/// What the top of the text is called.
const ROOT: &str = "the grid file";

/// `thing` is what the user wrote, for example `` `constraints` `` or `a range`.
pub(crate) fn not_supported(span: &Range<usize>, thing: &str) -> GridFault {
    let message = format!("{thing} is not supported yet");
    GridFault::new(
        ErrorCode::GridNotSupported,
        span,
        message,
        "not supported yet",
    )
    .hint("leave it out; what is not supported is refused, so that nothing is ignored")
}

/// What can be had already where a key is not there yet.
fn instead(key: &str) -> Option<&'static str> {
    Some(match key {
        "connections" => {
            "leave it out; constraints under [grid], such as \"workers * threads <= 80\", bound them"
        }
        "loops" | "at_most" => {
            "leave it out; in trials of one length a faster server is asked more often"
        }
        "uptime" => "leave it out; max_memory under [objective] limits what a trial may take",
        _ => return None,
    })
}

pub(crate) fn quoted(key: &str) -> String {
    format!("`{key}`")
}

/// The parser sorts keys; people read them in the order of the text.
fn nodes<'a>(table: &'a DeTable<'a>) -> Vec<Node<'a>> {
    let mut nodes: Vec<Node<'a>> = table
        .iter()
        .map(|(key, value)| Node {
            key: key.get_ref(),
            key_span: key.span(),
            span: value.span(),
            value: value.get_ref(),
            given: true,
        })
        .collect();
    nodes.sort_by_key(|node| node.key_span.start);
    nodes
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
