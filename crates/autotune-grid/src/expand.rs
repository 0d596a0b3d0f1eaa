//! From axes to distinct configurations: every combination in the order of the
//! grid, brought into canonical form, each behaviour once. Which axes there are
//! is left to `grid`.

use std::collections::BTreeMap;

use autotune_model::{Configuration, Label, ParamName, Profile, Value, VariantName};

/// A cell of the raw grid that was spelled otherwise than it behaves, or twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldedCell {
    /// As the grid spells it.
    pub spelled: String,
    /// The configuration that it is.
    pub into: Label,
    /// Why, in the order in which the reasons applied; at least one.
    pub reasons: Vec<String>,
}

/// A parameter with the values to try.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) name: ParamName,
    /// At least one.
    pub(crate) values: Vec<Value>,
}

/// What is swept of one variant.
#[derive(Clone, Debug)]
pub(crate) struct Sheet<'p> {
    pub(crate) variant: VariantName,
    pub(crate) profile: &'p Profile,
    /// Whether labels lead with the variant's name.
    pub(crate) prefixed: bool,
    pub(crate) axes: Vec<Axis>,
}

impl Sheet<'_> {
    /// How many cells the raw grid has; stays at the largest number.
    pub(crate) fn cells(&self) -> usize {
        let sizes = self.axes.iter().map(|axis| axis.values.len());
        sizes.fold(1, usize::saturating_mul)
    }

    /// The cell with this number; the last axis changes fastest.
    fn cell(&self, number: usize) -> Vec<(ParamName, Value)> {
        let mut rest = number;
        let mut cell: Vec<_> = self
            .axes
            .iter()
            .rev()
            .map(|axis| {
                let value = axis.values[rest % axis.values.len()].clone();
                rest /= axis.values.len();
                (axis.name.clone(), value)
            })
            .collect();
        cell.reverse();
        cell
    }
}

/// What the cells of a grid are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expanded {
    /// Distinct, in grid order.
    pub(crate) configurations: Vec<Configuration>,
    /// How many cells each of them is.
    pub(crate) cells_of: Vec<usize>,
    /// The cells that were folded.
    pub(crate) folded: Vec<FoldedCell>,
}

/// All distinct configurations, and what became of the cells.
pub(crate) fn expand(sheets: &[Sheet<'_>]) -> Expanded {
    let mut places = BTreeMap::new();
    let mut all = Expanded::default();
    for sheet in sheets {
        // Without its folds a profile spells a cell as the grid does.
        let raw = Profile {
            folds: Vec::new(),
            ..sheet.profile.clone()
        };
        for number in 0..sheet.cells() {
            let given = sheet.cell(number);
            let (variant, prefixed) = (&sheet.variant, sheet.prefixed);
            let cell = Configuration::fold(sheet.profile, variant, &given, prefixed);
            let next = all.configurations.len();
            let place = *places.entry(cell.configuration.id()).or_insert(next);
            let is_new = place == next;
            let mut reasons = cell.reasons;
            if !is_new && reasons.is_empty() {
                reasons.push("the grid has it already".to_owned());
            }
            if !reasons.is_empty() {
                let spelled = Configuration::fold(&raw, variant, &given, prefixed);
                all.folded.push(FoldedCell {
                    spelled: spelled.configuration.label().to_string(),
                    into: cell.configuration.label().clone(),
                    reasons,
                });
            }
            if is_new {
                all.configurations.push(cell.configuration);
                all.cells_of.push(0);
            }
            all.cells_of[place] += 1;
        }
    }
    all
}
