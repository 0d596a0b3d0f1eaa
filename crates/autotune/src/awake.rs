//! Keeps the CPUs out of their idle states while trials run.
//!
//! A server that is loaded as in production sleeps between requests, and so does
//! its CPU: it is clocked down, its caches go cold, on a virtual machine it is
//! given to others. How deep it slept decides what the next request costs, and
//! that differs from one minute to the next by more than most settings do. Linux
//! takes an upper bound for the time that a CPU may need to wake up, for as long
//! as a file is open (kernel documentation, "PM Quality Of Service Interface");
//! with a bound of zero it waits without sleeping. When this program ends,
//! however it ends, the file is closed and the machine is as before.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::terminal::say;

/// Takes the bound in microseconds, as four bytes in the machine's order.
const LATENCY_BOUND: &str = "/dev/cpu_dma_latency";
/// Names what puts the CPUs to sleep; `none` where the kernel cannot.
const IDLE_DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// The CPUs stay awake until this is dropped, where that is possible.
#[derive(Debug)]
pub(crate) struct Awake {
    state: State,
    /// The bound holds while it is open.
    _bound: Option<File>,
}

/// Why the CPUs cannot be kept awake, and what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    pub(crate) remedy: &'static str,
}

#[derive(Debug)]
enum State {
    /// No idle states while this is held.
    Held,
    /// The grid file wants them as they are.
    NotAsked,
    /// The kernel knows of none that it could leave out.
    NoDriver,
    /// This process may not, or the machine has no such file.
    Refused(io::Error),
}

impl Awake {
    /// Keeps the CPUs awake, if that is asked for.
    pub(crate) fn hold(asked: bool) -> Self {
        Self::hold_by(asked, Path::new(LATENCY_BOUND), Path::new(IDLE_DRIVER))
    }

    pub(crate) fn hold_by(asked: bool, bound: &Path, driver: &Path) -> Self {
        let without = |state| Self {
            state,
            _bound: None,
        };
        if !asked {
            return without(State::NotAsked);
        }
        // Where the kernel has no idle driver the bound is taken and ignored.
        let driver = std::fs::read_to_string(driver);
        if driver.is_ok_and(|name| name.trim() == "none") {
            return without(State::NoDriver);
        }
        let opened = OpenOptions::new().write(true).open(bound);
        let written = opened.and_then(|mut file| {
            file.write_all(&0i32.to_ne_bytes())?;
            Ok(file)
        });
        match written {
            Ok(file) => Self {
                state: State::Held,
                _bound: Some(file),
            },
            Err(error) => without(State::Refused(error)),
        }
    }

    /// Why the CPUs cannot be kept awake although that is asked for.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match &self.state {
            State::Refused(error) => Some(Refusal {
                why: format!("{LATENCY_BOUND}: {error}"),
                remedy: remedy(error),
            }),
            State::Held | State::NotAsked | State::NoDriver => None,
        }
    }

    /// For the facts of the machine in the report.
    pub(crate) fn fact(&self) -> String {
        match &self.state {
            State::Held => "none during trials".to_owned(),
            State::NotAsked => "as the machine has them (keep_awake = false)".to_owned(),
            State::NoDriver => "not the system's to decide (no idle driver)".to_owned(),
            State::Refused(error) => {
                format!("as the machine has them ({LATENCY_BOUND}: {error})")
            }
        }
    }

    /// Tells the user what is not as the grid file asks.
    pub(crate) fn announce(&self) {
        match &self.state {
            State::Held => say("the CPUs are kept awake meanwhile (idle states held off)"),
            State::NotAsked | State::NoDriver => {}
            State::Refused(error) => {
                say(&format!(
                    "note: CPU idle states cannot be held off ({LATENCY_BOUND}: {error}); \
                     launches will differ more from each other"
                ));
                say(&format!("hint: {}", remedy(error)));
            }
        }
    }
}

/// A container has no such file unless it is given one; then root helps nothing.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "start the container with `--device /dev/cpu_dma_latency`; where there is no such \
             file outside either, say keep_awake = false under [host]"
        }
        _ => {
            "run autotune as root, or give your user write access to that file; to measure \
             without, say keep_awake = false under [host]"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a file for the bound and an idle driver of this name.
    fn machine(driver: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bound"), "").unwrap();
        std::fs::write(folder.path().join("driver"), driver).unwrap();
        folder
    }

    fn hold(asked: bool, folder: &Path) -> Awake {
        Awake::hold_by(asked, &folder.join("bound"), &folder.join("driver"))
    }

    #[test]
    fn a_bound_of_zero_microseconds_is_written_where_it_is_asked_for() {
        let machine = machine("intel_idle\n");
        let bound = || std::fs::read(machine.path().join("bound")).unwrap();
        let left_alone = hold(false, machine.path());
        assert!(matches!(left_alone.state, State::NotAsked));
        assert_eq!(bound(), b"");
        let held = hold(true, machine.path());
        assert!(matches!(held.state, State::Held));
        assert_eq!(bound(), [0; 4]);
        assert_eq!(held.fact(), "none during trials");
    }

    #[test]
    fn a_machine_that_cannot_says_why() {
        let without_driver = machine("none\n");
        let fact = hold(true, without_driver.path()).fact();
        assert!(fact.contains("no idle driver"), "{fact}");
        let without_file = machine("acpi_idle\n");
        std::fs::remove_file(without_file.path().join("bound")).unwrap();
        let refused = hold(true, without_file.path());
        let fact = refused.fact();
        assert!(fact.contains("No such file"), "{fact}");
        let refusal = refused.refusal().unwrap();
        assert!(refusal.why.contains("No such file"), "{refusal:?}");
        assert!(refusal.remedy.contains("--device"), "{refusal:?}");
        let denied = remedy(&io::ErrorKind::PermissionDenied.into());
        assert!(denied.contains("as root"), "{denied}");
    }
}
