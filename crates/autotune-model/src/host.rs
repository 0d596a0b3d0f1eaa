//! The machine that the trials run on.

use std::fmt;

/// A set of CPUs by number, ascending and without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuSet(Vec<usize>);

impl CpuSet {
    /// The set of these CPUs.
    pub fn new(cpus: impl IntoIterator<Item = usize>) -> Self {
        let mut cpus: Vec<_> = cpus.into_iter().collect();
        cpus.sort_unstable();
        cpus.dedup();
        Self(cpus)
    }

    /// The numbers, ascending.
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&texts.join(","))
    }
}

/// Which CPUs the server and the generator run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuPlacement {
    /// The server's CPUs; `None` where nothing is pinned.
    pub server: Option<CpuSet>,
    /// The generator's; `None` where nothing is pinned.
    pub generator: Option<CpuSet>,
    /// How many CPUs the server gets: least of its set, quota and affinity.
    pub cores: usize,
}

impl CpuPlacement {
    /// Whether a service that names these CPUs may run on those of the server. One
    /// that names none may run on all but the generator's.
    pub fn server_shares(&self, service: Option<&CpuSet>) -> bool {
        match (&self.server, service) {
            (Some(server), Some(service)) => {
                let mut of_service = service.as_slice().iter();
                of_service.any(|cpu| server.as_slice().contains(cpu))
            }
            _ => true,
        }
    }
}

/// What the report says of the machine; read once at the start of a study.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Pairs of name and text, in the order to be shown.
    pub facts: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_pinned_may_run_anywhere() {
        let on = |server: Option<CpuSet>| CpuPlacement {
            server,
            generator: None,
            cores: 1,
        };
        let (first, second) = (CpuSet::new([0]), CpuSet::new([1]));
        let both = CpuSet::new([0, 1]);
        assert!(on(None).server_shares(Some(&first)));
        assert!(on(Some(first.clone())).server_shares(None));
        assert!(on(Some(first.clone())).server_shares(Some(&both)));
        assert!(!on(Some(first)).server_shares(Some(&second)));
    }
}
