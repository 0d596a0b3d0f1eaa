//! What a check shows, put together once for text and JSON.

use autotune_model::{ErrorCode, Param};
use autotune_search::Warning;

use crate::commands::check::Checked;
use crate::progress::{short, text};

/// A setting as it is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: String,
    /// `None` where the server does not print it.
    pub(super) value: Option<String>,
    /// The server's own.
    pub(super) default: String,
    /// Whether the grid file names it.
    pub(super) named: bool,
}

/// The settings that the grid file names, and those that are not the server's
/// default, of the configuration that was started.
pub(super) fn settings(checked: &Checked<'_>) -> Vec<Setting> {
    let Some((configuration, verified)) = &checked.launched else {
        return Vec::new();
    };
    let mut variants = checked.grid.variants.iter();
    let profile = variants.find(|(name, _)| name == configuration.variant());
    let params = profile.iter().flat_map(|(_, profile)| &profile.params);
    let setting = |param: &Param| Setting {
        name: param.name.to_string(),
        value: verified.settings.get(param.name.as_str()).cloned(),
        default: param.default.to_string(),
        named: checked.grid.file.space.named.contains(&param.name),
    };
    let is_told = |setting: &Setting| {
        let mut value = setting.value.iter();
        setting.named || value.any(|value| !value.eq_ignore_ascii_case(&setting.default))
    };
    params.map(setting).filter(is_told).collect()
}

/// What a sweep would stop for, or what makes all its trials invalid.
pub(super) struct Against {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) cause: Option<String>,
}

/// `None` where nothing stands against a sweep.
pub(super) fn against(checked: &Checked<'_>) -> Option<Against> {
    let fault = checked.fault.map(|fault| Against {
        code: fault.code,
        message: fault.message.clone(),
        // One line already: `ending::without_secrets` joins causes.
        cause: fault.source.as_ref().map(ToString::to_string),
    });
    let invalid = || {
        Some(Against {
            code: ErrorCode::NothingValid,
            message: checked.invalid()?,
            cause: None,
        })
    };
    fault.or_else(invalid)
}

/// What the pre-flight will find wanting. A budget without room for one block is
/// told by those that have it.
pub(super) fn warnings(checked: &Checked<'_>) -> Vec<String> {
    let warnings = checked.outlook.warnings.iter();
    let told = warnings.map(|warning| match (warning, checked.enough) {
        (Warning::FewBlocks { .. }, Some(enough)) => format!(
            "not one block fits: nothing would be compared; a budget of {} gives one block, of {} \
             a confirmed verdict",
            short(enough.one_block),
            short(enough.confirmed)
        ),
        (warning, _) => text(warning),
    });
    told.collect()
}

/// Whether the length of a trial is a guess: under closed load a quantile takes
/// as long as its requests do, and only the pre-flight shows their rate. Steps say
/// it themselves; users with a fixed number of requests take as long as they take,
/// up to what the file allows.
pub(super) fn length_is_guessed(checked: &Checked<'_>) -> bool {
    let load = &checked.grid.file.load;
    if load.at_most().is_some() {
        return true;
    }
    let is_fixed = load.fixed_length().is_some();
    !is_fixed && checked.outlook.requests.is_none() && checked.outlook.requests_needed.is_some()
}

/// A configuration of the plan.
pub(super) struct Planned<'a> {
    pub(super) label: &'a str,
    /// How many cells of the grid are this one; none where only the baseline is.
    pub(super) cells: usize,
    pub(super) is_baseline: bool,
}

/// Every distinct configuration, in grid order, the baseline among them.
pub(super) fn planned<'a>(checked: &'a Checked<'_>) -> Vec<Planned<'a>> {
    let space = &checked.grid.file.space;
    let baseline = space.baseline.as_ref();
    let is_baseline = |id| baseline.is_some_and(|baseline| baseline.id() == id);
    let pairs = space.configurations.iter().zip(&space.cells_of);
    let mut all: Vec<Planned<'a>> = pairs
        .map(|(configuration, cells)| Planned {
            label: configuration.label().as_str(),
            cells: *cells,
            is_baseline: is_baseline(configuration.id()),
        })
        .collect();
    if !all.iter().any(|one| one.is_baseline) {
        all.extend(baseline.map(|baseline| Planned {
            label: baseline.label().as_str(),
            cells: 0,
            is_baseline: true,
        }));
    }
    all
}

/// The endpoint with the fewest requests.
pub(super) fn rarest<'a>(checked: &'a Checked<'_>) -> &'a str {
    let file = &checked.grid.file;
    let rarest = file.load.rarest(&file.endpoints);
    rarest.map_or("", |(name, _)| name.as_str())
}
