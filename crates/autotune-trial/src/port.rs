//! A free port for the server, outside the range that outgoing connections take
//! theirs from: otherwise the generator's own sockets could take it, or a
//! readiness probe could connect to itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use crate::error::TrialError;

const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's default where the file cannot be read.
const USUAL_RANGE: RangeInclusive<u16> = 32_768..=60_999;
/// Lower ones belong to well-known services, or to the user's other work.
const LOWEST: u16 = 10_000;

/// A free port on loopback. `start` decides where the search begins, so that
/// two programs seldom meet.
pub(crate) fn free_address(start: u64) -> Result<SocketAddr, TrialError> {
    candidates(&ephemeral_range(), start)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| is_free(*address))
        .ok_or(TrialError::NoPort)
}

/// Whether a server could listen there now. Connections in TIME_WAIT are no
/// hindrance, as for servers, which set SO_REUSEADDR as the standard library
/// does here.
pub(crate) fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

fn ephemeral_range() -> RangeInclusive<u16> {
    std::fs::read_to_string(RANGE_FILE)
        .ok()
        .and_then(|text| parse_range(&text))
        .unwrap_or(USUAL_RANGE)
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse);
    let (low, high) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(low..=high)
}

/// Each port outside the range once, from a starting point on.
fn candidates(ephemeral: &RangeInclusive<u16>, start: u64) -> impl Iterator<Item = u16> + use<> {
    let mut ports: Vec<u16> = (LOWEST..=u16::MAX)
        .filter(|port| !ephemeral.contains(port))
        .collect();
    if !ports.is_empty() {
        let start = start % ports.len() as u64;
        ports.rotate_left(usize::try_from(start).unwrap_or_default());
    }
    ports.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_outgoing_connections_is_left_out() {
        let ports: Vec<_> = candidates(&(32_768..=60_999), 12_345_678_901).collect();
        assert!(ports.iter().all(|port| !(32_768..=60_999).contains(port)));
        assert_eq!(ports.len(), (32_768 - 10_000) + (65_535 - 60_999));
        assert_ne!(ports[0], 10_000, "the start is used");
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
    }

    #[test]
    fn no_port_outside_the_range_is_no_port() {
        assert_eq!(candidates(&(1_024..=65_535), 7).count(), 0);
    }

    #[test]
    fn the_kernels_file_is_read() {
        assert_eq!(parse_range("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!(parse_range("x"), None);
    }

    #[test]
    fn a_port_that_is_listened_on_is_not_free() {
        let first = free_address(1).unwrap();
        let listener = TcpListener::bind(first).unwrap();
        assert!(!is_free(first));
        assert_ne!(free_address(1).unwrap(), first);
        drop(listener);
    }
}
