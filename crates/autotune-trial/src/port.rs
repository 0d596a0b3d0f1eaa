//! A free port for the server, outside the range that outgoing connections take
//! theirs from: otherwise the generator's own sockets could take it, or a
//! readiness probe could connect to itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use crate::error::TrialError;

const RANGE_FILE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's default where the file cannot be read.
const USUAL_RANGE: RangeInclusive<u16> = 32_768..=60_999;
/// Lower ones belong to well-known services, or to the user's other work; they
/// are taken only where no other is left.
const LOWEST: u16 = 10_000;
/// Below this only root may listen.
const LOWEST_OF_ALL: u16 = 1_024;

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

/// Each port once: those outside the range, then lower ones, then, on a machine
/// that was tuned to use nearly all of them for outgoing connections, those
/// within it. Each part begins at a starting point of its own.
fn candidates(ephemeral: &RangeInclusive<u16>, start: u64) -> impl Iterator<Item = u16> + use<> {
    let outside = |from, to| (from..=to).filter(|port| !ephemeral.contains(port));
    let parts: [Vec<u16>; 3] = [
        outside(LOWEST, u16::MAX).collect(),
        outside(LOWEST_OF_ALL, LOWEST - 1).collect(),
        ephemeral
            .clone()
            .filter(|port| *port >= LOWEST_OF_ALL)
            .collect(),
    ];
    parts.into_iter().flat_map(move |mut ports| {
        if !ports.is_empty() {
            let start = start % ports.len() as u64;
            ports.rotate_left(usize::try_from(start).unwrap_or_default());
        }
        ports
    })
}

/// Whether a connection to this port could be given the same port for its own
/// end, and so be connected to itself while nobody listens.
pub(crate) fn may_meet_itself(address: SocketAddr) -> bool {
    ephemeral_range().contains(&address.port())
}

/// Whether anybody listens on this port, found out without a connection.
pub(crate) fn is_listened_on(port: u16) -> bool {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .any(|text| lists_listener(&text, port))
}

fn lists_listener(table: &str, port: u16) -> bool {
    const LISTENING: &str = "0A";
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit_once(':'));
        let local = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        local == Some(port) && fields.nth(1) == Some(LISTENING)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_outgoing_connections_is_left_out() {
        let ports: Vec<_> = candidates(&(32_768..=60_999), 12_345_678_901).collect();
        let high = (32_768 - 10_000) + (65_535 - 60_999);
        let first = &ports[..high];
        assert!(first.iter().all(|port| !(32_768..=60_999).contains(port)));
        assert!(first.iter().all(|port| *port >= 10_000));
        assert!(ports[high..high + 8_976].iter().all(|port| *port < 10_000));
        assert_ne!(ports[0], 10_000, "the start is used");
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(distinct.len(), ports.len());
    }

    #[test]
    fn a_machine_that_is_tuned_for_many_connections_has_ports_too() {
        let low = candidates(&(9_000..=65_535), 7).next();
        assert!(low.is_some_and(|port| (1_024..9_000).contains(&port)));
        let within = candidates(&(1_024..=65_535), 7).next();
        assert_eq!(within, Some(1_031));
        assert!(candidates(&(1..=65_535), 0).all(|port| port >= 1_024));
    }

    #[test]
    fn listeners_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000\n";
        assert!(lists_listener(table, 0x1F90));
        assert!(!lists_listener(table, 0x1F91));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_listened_on(listener.local_addr().unwrap().port()));
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
