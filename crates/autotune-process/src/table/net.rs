//! Reads `/proc/PID/net/{tcp,tcp6,udp,udp6}` and says which connections lead
//! beyond loopback. Who holds them is left to `sample`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The protocols whose connections are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A socket that has another side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    pub(crate) protocol: Protocol,
    pub(crate) remote: SocketAddr,
    pub(crate) inode: u64,
}

/// The connections of one file that lead beyond loopback, in any state that has
/// another side, so that one that is only being tried is seen too. Sockets
/// without inode belong to no process any more.
pub(crate) fn beyond_loopback(text: &str, protocol: Protocol) -> Vec<Connection> {
    text.lines()
        .skip(1)
        .filter_map(|line| connection(line, protocol))
        .filter(|connection| connection.inode != 0 && is_outside(connection.remote.ip()))
        .collect()
}

fn connection(line: &str, protocol: Protocol) -> Option<Connection> {
    // sl local remote st tx:rx tr:when retrnsmt uid timeout inode …
    let mut fields = line.split_ascii_whitespace();
    let remote = address(fields.nth(2)?)?;
    let inode = fields.nth(6)?.parse().ok()?;
    Some(Connection {
        protocol,
        remote,
        inode,
    })
}

/// An address as the kernel prints it: 32-bit words in the byte order of the
/// machine, the port most significant digit first.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !words.is_ascii() {
        return None;
    }
    let mut bytes = Vec::with_capacity(16);
    for begin in (0..words.len()).step_by(8) {
        let word = u32::from_str_radix(words.get(begin..begin + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn is_outside(ip: IpAddr) -> bool {
    !ip.is_loopback() && !ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
        retrnsmt   uid  timeout inode\n";

    fn remotes(lines: &[&str]) -> Vec<(String, u64)> {
        let text = format!("{HEAD}{}\n", lines.join("\n"));
        beyond_loopback(&text, Protocol::Tcp)
            .iter()
            .map(|connection| (connection.remote.to_string(), connection.inode))
            .collect()
    }

    fn line(remote: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: 0100007F:1F90 {remote} {state} 00000000:00000000 00:00000000 00000000     \
             0        0 {inode} 1 0000000000000000 100 0 0 10 0"
        )
    }

    fn check(remote: &str, expected: Option<&str>) {
        let found = remotes(&[&line(remote, "01", 42)]);
        let expected: Vec<_> = expected
            .map(|text| (text.to_owned(), 42))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{remote}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn hex_addresses_are_read() {
        check("010200C0:1538", Some("192.0.2.1:5432"));
        check("0100007F:1538", None);
        check("0801007F:1538", None);
        check("00000000:0000", None);
        check(
            "B80D0120000000000000000001000000:0050",
            Some("[2001:db8::1]:80"),
        );
        check("00000000000000000000000001000000:0050", None);
        check("00000000000000000000000000000000:0000", None);
        // IPv4 within IPv6 is judged as IPv4.
        check(
            "0000000000000000FFFF0000010200C0:0050",
            Some("192.0.2.1:80"),
        );
        check("0000000000000000FFFF00000100007F:0050", None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn any_state_with_another_side_counts() {
        let syn_sent = line("010200C0:0050", "02", 8);
        let listening = line("00000000:0000", "0A", 9);
        let nobodys = line("010200C0:0050", "06", 0);
        let found = remotes(&[&syn_sent, &listening, &nobodys]);
        assert_eq!(found, [("192.0.2.1:80".to_owned(), 8)]);
    }

    #[test]
    fn torn_lines_are_passed_over() {
        assert_eq!(
            remotes(&["", "  1:", "  2: x y z", "  3: 0:0 0102:zz 01 0 0 0 0 0 7"]),
            []
        );
        assert_eq!(remotes(&[&line("ä10200C:0050", "01", 3)]), []);
    }
}
