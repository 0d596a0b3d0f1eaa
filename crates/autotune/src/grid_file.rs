//! The grid file from disk: read, checked, its folders looked at.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use autotune_grid::{GridFault, GridFile, HostRequest};
use autotune_model::{
    Configuration, CpuPlacement, CpuSet, DataTable, ErrorCode, HostLimits, Profile, Service,
    ServiceUser, VariantName,
};
use autotune_process::RunAs;

use crate::confine;
use crate::data_file;
use crate::failure::Failure;
use crate::placement;
use crate::world::environment;

/// A grid file and what it was read from.
#[derive(Debug)]
pub(crate) struct Grid {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// What it says.
    pub(crate) file: GridFile,
    /// Its data files; none where only its text was read.
    pub(crate) data: Arc<[DataTable]>,
    /// The variants with their profiles.
    pub(crate) variants: Vec<(VariantName, Profile)>,
}

impl Grid {
    /// Every distinct configuration, the baseline included.
    pub(crate) fn configurations(&self) -> Vec<Configuration> {
        let mut all = self.file.space.configurations.clone();
        if let Some(baseline) = &self.file.space.baseline
            && !all.iter().any(|one| one.id() == baseline.id())
        {
            all.push(baseline.clone());
        }
        all
    }
}

/// Reads the grid file.
///
/// # Errors
/// When it cannot be read or is wrong.
pub(crate) fn load(path: &Path) -> Result<Grid, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::usage(format!("the grid file {} cannot be read", path.display()))
            .because(error)
            .hint("autotune sweep takes the path of a grid file, such as grids/quickstart.toml")
    };
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    // Where the wanted CPUs are not there, placing them is a fault of its own.
    // What [limits] gives is the reader's to know.
    let none = HostLimits::default();
    let cores =
        |host: &HostRequest| placement::place(host, &none).map_or(1, |placement| placement.cores);
    let mut grid = parse(path, &text, &folder_of(path).map_err(cannot)?, &cores)?;
    let mut faults = missing_paths(&grid.file);
    faults.extend(service_faults(&grid.file));
    take_variables(&mut grid.file, &mut faults);
    confine::check_files(&grid.file, &mut faults);
    let before = faults.len();
    let data = data_file::read_all(&grid.file.data, &mut faults);
    // A file that cannot be read would lack every column.
    if faults.len() == before {
        faults.extend(grid.file.check_data(&data));
    }
    if !faults.is_empty() {
        return Err(wrong(path, &text, faults));
    }
    grid.data = data.into();
    Ok(grid)
}

/// A grid file from the text that a study was made from, for as many CPUs as its
/// server had; its folders need not be there any more.
///
/// # Errors
/// When this version of the program cannot read it.
pub(crate) fn from_text(path: &Path, text: &str, cores: usize) -> Result<Grid, Failure> {
    let folder = folder_of(path).unwrap_or_else(|_| PathBuf::from("/"));
    parse(path, text, &folder, &|_| cores)
}

fn folder_of(path: &Path) -> std::io::Result<PathBuf> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::canonicalize(folder.unwrap_or(Path::new(".")))
}

fn parse(
    path: &Path,
    text: &str,
    folder: &Path,
    cores: &dyn Fn(&HostRequest) -> usize,
) -> Result<Grid, Failure> {
    let profiles = autotune_server::profiles();
    let file = autotune_grid::read(text, folder, &profiles, cores)
        .map_err(|faults| wrong(path, text, faults))?;
    let profile = |name: &str| profiles.iter().find(|one| one.name == name).cloned();
    let variants = file
        .variants
        .iter()
        .filter_map(|variant| Some((variant.name.clone(), profile(&variant.profile)?)))
        .collect();
    Ok(Grid {
        path: path.to_owned(),
        text: text.to_owned(),
        file,
        data: [].into(),
        variants,
    })
}

fn wrong(path: &Path, text: &str, faults: Vec<GridFault>) -> Failure {
    Failure::Grid {
        path: path.to_owned(),
        text: text.to_owned(),
        faults,
    }
}

/// Folders that the grid file names and that are not there.
fn missing_paths(file: &GridFile) -> Vec<GridFault> {
    let mut faults = Vec::new();
    for (variant, places) in file.variants.iter().zip(&file.places.variants) {
        let fixture = variant.fixture.as_deref();
        let named = [
            ("dir", Some(variant.dir.as_path()), &places.dir),
            ("fixture", fixture, &places.fixture),
        ];
        for (key, path, place) in named {
            if let Some(path) = path.filter(|path| !path.is_dir()) {
                faults.push(missing(key, path, place.as_ref().unwrap_or(&places.name)));
            }
        }
    }
    faults
}

/// What services name and this machine does not have: folders, CPUs, users.
fn service_faults(file: &GridFile) -> Vec<GridFault> {
    let mut faults = Vec::new();
    let allowed = placement::allowed().ok();
    // What cannot be placed is a fault of its own.
    let placement = placement::place(&file.host, &file.limits).ok();
    let cpus = allowed.zip(placement);
    for (service, places) in file.services.iter().zip(&file.places.services) {
        let or_name = |place: &Option<Range<usize>>| place.clone().unwrap_or(places.name.clone());
        if !service.dir.is_dir() {
            faults.push(missing("dir", &service.dir, &or_name(&places.dir)));
        }
        let known = cpus.as_ref();
        faults.extend(known.and_then(|(allowed, placement)| {
            cpu_fault(service, (allowed, placement), or_name(&places.cpus))
        }));
        let user = match &service.user {
            ServiceUser::Own => None,
            ServiceUser::WhenRoot(name) => nix::unistd::geteuid().is_root().then_some(name),
            ServiceUser::Always(name) => Some(name),
        };
        if let Some(error) = user.and_then(|name| RunAs::find(name).err()) {
            faults.push(GridFault {
                code: ErrorCode::GridValue,
                span: or_name(&places.user),
                message: error.to_string(),
                label: "nobody to run it as".to_owned(),
                hint: Some(
                    "{ when_root = \"NAME\" } names a user that is needed only where root runs \
                     the sweep"
                        .to_owned(),
                ),
            });
        }
    }
    faults
}

/// The fault of a service that asks for a CPU that is not there, or is the load
/// generator's, also where that was decided unasked.
fn cpu_fault(
    service: &Service,
    (allowed, placement): (&CpuSet, &CpuPlacement),
    span: Range<usize>,
) -> Option<GridFault> {
    let name = &service.name;
    let wanted = || service.cpus.iter().flat_map(CpuSet::as_slice);
    let missing = wanted().find(|cpu| !allowed.as_slice().contains(cpu));
    let generator = placement.generator.as_ref();
    let generator = generator.map_or(&[][..], CpuSet::as_slice);
    let taken = wanted().find(|cpu| generator.contains(cpu));
    let (message, label, hint) = match (missing, taken) {
        (Some(cpu), _) => (
            format!("there is no CPU {cpu} for [service.{name}]"),
            "not a CPU of this process",
            format!("take CPUs out of {allowed}, or leave `cpus` out"),
        ),
        (None, Some(cpu)) => (
            format!("CPU {cpu} of [service.{name}] is the load generator's"),
            "the service would slow down what measures",
            "name others, leave `cpus` out, or give the generator another one with \
             `generator_cpus` of [host]"
                .to_owned(),
        ),
        (None, None) => return None,
    };
    Some(GridFault {
        code: ErrorCode::GridValue,
        span,
        message,
        label: label.to_owned(),
        hint: Some(hint),
    })
}

/// Takes what endpoints and the login take from the environment. A fault for each
/// variable that is named anywhere in the grid file and is not there.
fn take_variables(file: &mut GridFile, faults: &mut Vec<GridFault>) {
    let variables = environment();
    let places = &file.places;
    let of_servers = places.variants.iter().flat_map(|places| &places.from_env);
    let of_services = places.services.iter().flat_map(|places| &places.from_env);
    let all = of_servers.chain(of_services);
    for (name, span) in all.chain(&places.requests_from_env) {
        if !variables.contains_key(name) {
            faults.push(GridFault {
                code: ErrorCode::GridMissing,
                span: span.clone(),
                message: format!("the environment has no variable `{name}`"),
                label: "taken from here".to_owned(),
                hint: Some(format!("set it where autotune is started: export {name}=…")),
            });
        }
    }
    let variable = |name: &str| variables.get(name).map(String::as_str);
    let endpoints = std::mem::take(&mut file.endpoints).into_iter();
    // A missing one is among the faults.
    let endpoints = endpoints.filter_map(|one| one.resolve(variable).ok());
    file.endpoints = endpoints.collect();
    let login = file.login.take();
    file.login = login.and_then(|login| login.resolve(variable).ok());
}

fn missing(key: &str, path: &Path, span: &Range<usize>) -> GridFault {
    GridFault {
        code: ErrorCode::GridPath,
        span: span.clone(),
        message: format!("`{key}` names a folder that is not there"),
        label: format!("looked for {}", path.display()),
        hint: Some("paths are relative to the folder of the grid file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_keeps_off_cpus_that_are_not_there_or_the_generators() {
        let grid = |cpus: &str| {
            format!(
                "name = \"x\"\n[service.db]\nstart = \"serve {{{{ port }}}}\"\ncpus = {cpus}\n\
                 [server.app]\nprofile = \"command\"\ncommand = \"serve {{{{ port }}}} {{{{ n }}}}\"\n\
                 [grid]\nn = 1\n[[endpoint]]\nname = \"home\"\npath = \"/\"\n[load.open]\nrate = 10\n\
                 [objective]\nminimize = \"p95\"\n"
            )
        };
        let four = CpuSet::new(0..4);
        let check = |cpus: &str, expected: Option<&str>| {
            let text = grid(cpus);
            let grid = from_text(Path::new("/grid.toml"), &text, 1).unwrap();
            let [service] = &grid.file.services[..] else {
                panic!("one service");
            };
            // Unasked, with four CPUs the generator has the last one.
            let placement = placement::decide(&grid.file.host, &four, None).unwrap();
            let fault = cpu_fault(service, (&four, &placement), 3..7);
            let told = fault.map(|fault| (fault.message, fault.span));
            assert_eq!(told, expected.map(|text| (text.to_owned(), 3..7)), "{cpus}");
        };
        check("[0, 1]", None);
        check(
            "[2, 3]",
            Some("CPU 3 of [service.db] is the load generator's"),
        );
        check("[3, 9]", Some("there is no CPU 9 for [service.db]"));
    }
}
