//! The way around where we may write no group: the user's systemd makes a scope
//! with the limits and starts the supervisor in it. The supervisor is then in it,
//! too, with its few megabytes; the server's namespace of pids could not be told
//! to systemd.

use std::path::{Path, PathBuf};

use autotune_model::HostLimits;

use crate::error::ProcessError;

const PROGRAM: &str = "systemd-run";
/// From this version on a scope can say what becomes of the rest when the kernel
/// kills one of its processes; before, nothing becomes of it.
const HAS_OOM_POLICY: u32 = 253;

/// A scope to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) limits: &'a HostLimits,
    /// Of systemd.
    pub(crate) version: u32,
}

impl Scope<'_> {
    /// The program and the arguments before those of what is to be run.
    pub(crate) fn command(&self) -> Vec<String> {
        let mut command: Vec<String> = [PROGRAM, "--user", "--scope", "--quiet", "--collect"]
            .map(str::to_owned)
            .to_vec();
        let mut property = |text: String| command.extend(["-p".to_owned(), text]);
        if let Some(memory) = self.limits.memory {
            property(format!("MemoryMax={}", memory.get()));
            property("MemorySwapMax=0".to_owned());
        }
        if let Some(cpus) = self.limits.cpus {
            // Systemd takes a percentage with at most two digits after the point.
            let percent = autotune_model::units::trim(f64::from(cpus.thousandths()) / 10.0);
            property(format!("CPUQuota={percent}%"));
        }
        if self.version >= HAS_OOM_POLICY {
            property("OOMPolicy=continue".to_owned());
        }
        command.push("--".to_owned());
        command
    }
}

/// The program of this process as another one finds it: `/proc/self` would be
/// that of systemd's tool.
pub(crate) fn visible_exe(exe: &Path) -> PathBuf {
    match exe.strip_prefix("/proc/self") {
        Ok(rest) => Path::new("/proc")
            .join(std::process::id().to_string())
            .join(rest),
        Err(_not_below_it) => exe.to_owned(),
    }
}

/// The version of the tool that makes scopes.
///
/// # Errors
/// When it is not there or says no version.
pub(crate) async fn systemd_version() -> Result<u32, ProcessError> {
    let none = |what: String| ProcessError::NoScope { what };
    let asked = tokio::process::Command::new(PROGRAM)
        .arg("--version")
        .output();
    let output = asked
        .await
        .map_err(|error| none(format!("cannot be run: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    version_in(&text).ok_or_else(|| none("says no version".to_owned()))
}

/// The version in `systemd 252 (252.30-1)`.
fn version_in(text: &str) -> Option<u32> {
    let number = text.strip_prefix("systemd ")?;
    let end = number.find(|c: char| !c.is_ascii_digit());
    number[..end.unwrap_or(number.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use autotune_model::{Bytes, CpuQuota};

    use super::*;

    #[test]
    fn the_scope_has_the_limits_that_are_set() {
        let check = |memory: Option<u64>, cpus: Option<f64>, version, expected: &str| {
            let limits = HostLimits {
                memory: memory.map(Bytes::new),
                cpus: cpus.and_then(CpuQuota::new),
                files: Some(64),
            };
            let limits = &limits;
            let expected = format!("systemd-run --user --scope --quiet --collect {expected} --");
            assert_eq!(Scope { limits, version }.command().join(" "), expected);
        };
        let memory = "-p MemoryMax=1073741824 -p MemorySwapMax=0";
        check(Some(1 << 30), None, 252, memory);
        check(None, Some(1.5), 252, "-p CPUQuota=150%");
        check(None, Some(0.125), 249, "-p CPUQuota=12.5%");
        let both = format!("{memory} -p CPUQuota=200% -p OOMPolicy=continue");
        check(Some(1 << 30), Some(2.0), 255, &both);
    }

    #[test]
    fn another_process_finds_our_program() {
        let own = format!("/proc/{}/exe", std::process::id());
        assert_eq!(visible_exe(Path::new("/proc/self/exe")), Path::new(&own));
        assert_eq!(visible_exe(Path::new("/bin/x")), Path::new("/bin/x"));
    }

    #[test]
    fn versions_are_read() {
        let check = |text: &str, version| assert_eq!(version_in(text), version);
        check("systemd 252 (252.30-1~deb12u2)\n+PAM", Some(252));
        check("systemd 257~rc1", Some(257));
        check("systemd", None);
        check("bash: systemd-run: not found", None);
    }
}
