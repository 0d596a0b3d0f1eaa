//! Which addresses beyond loopback an app may connect to.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use autotune_model::Peer;

/// What `may_reach` allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    nets: Vec<(Net, Option<u16>)>,
    hosts: Vec<(String, Option<u16>)>,
}

/// A network; a single address is one with all bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Net {
    address: IpAddr,
    bits: u32,
}

impl Reach {
    /// Reads entries: `db.example`, `db.example:5432`, `10.1.2.3`, `10.0.0.0/8`,
    /// `[fd00::1]:5432`. The error is the entry that is none of these.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, String> {
        let mut reach = Self::default();
        for entry in entries {
            let (name, port) = split_port(entry).ok_or_else(|| entry.clone())?;
            if let Some(net) = Net::parse(name) {
                reach.nets.push((net, port));
            } else if is_host(name) {
                reach.hosts.push((name.to_owned(), port));
            } else {
                return Err(entry.clone());
            }
        }
        Ok(reach)
    }

    /// The first peer that is neither on loopback nor allowed. Names are looked
    /// up only where an address is not allowed otherwise.
    pub(crate) fn first_outside<'a>(&self, peers: &'a [Peer]) -> Option<&'a Peer> {
        peers.iter().find(|peer| !self.allows(peer.address))
    }

    fn allows(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let port_fits = |port: &Option<u16>| port.is_none_or(|port| port == address.port());
        let by_net = |(net, port): &(Net, _)| net.contains(ip) && port_fits(port);
        let by_host = |(host, port): &(String, _)| port_fits(port) && resolves_to(host, ip);
        ip.is_loopback()
            || ip.is_unspecified()
            || self.nets.iter().any(by_net)
            || self.hosts.iter().any(by_host)
    }
}

fn resolves_to(host: &str, ip: IpAddr) -> bool {
    match (host, 0).to_socket_addrs() {
        Ok(mut found) => found.any(|address| address.ip().to_canonical() == ip),
        Err(error) => {
            tracing::warn!(host, %error, "a host in may_reach cannot be looked up");
            false
        }
    }
}

fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':')?.parse().ok()?),
        };
        return Some((name, port));
    }
    match entry.split_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((_, rest)) if rest.contains(':') => Some((entry, None)),
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((entry, None)),
    }
}

fn is_host(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

impl Net {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u32| {
            self.bits == 0 || (a ^ b) >> (width - self.bits.min(width)) == 0
        };
        match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entries: &[&str], address: &str, allowed: bool) {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        let reach = Reach::parse(&entries).expect("entries are right");
        let peers = [Peer {
            address: address.parse().expect("an address"),
            protocol: "tcp".to_owned(),
            pid: 1,
        }];
        assert_eq!(
            reach.first_outside(&peers).is_none(),
            allowed,
            "{entries:?} {address}"
        );
    }

    #[test]
    fn loopback_is_always_allowed_and_nothing_else_by_default() {
        check(&[], "127.0.0.53:53", true);
        check(&[], "[::1]:5432", true);
        check(&[], "[::ffff:127.0.0.1]:5432", true);
        check(&[], "10.0.0.1:5432", false);
        check(&[], "[2001:db8::1]:443", false);
    }

    #[test]
    fn addresses_networks_and_ports() {
        check(&["10.0.0.1"], "10.0.0.1:5432", true);
        check(&["10.0.0.1:5432"], "10.0.0.1:5432", true);
        check(&["10.0.0.1:5432"], "10.0.0.1:80", false);
        check(&["10.0.0.0/8"], "10.200.0.1:80", true);
        check(&["10.0.0.0/8"], "11.0.0.1:80", false);
        check(&["0.0.0.0/0"], "11.0.0.1:80", true);
        check(&["fd00::/8"], "[fd12::1]:80", true);
        check(&["[fd00::1]:80"], "[fd00::1]:81", false);
        check(&["10.0.0.1"], "[::ffff:10.0.0.1]:80", true);
    }

    #[test]
    fn names_are_looked_up() {
        // The only name that every machine knows; it gives loopback, so the
        // other address stays outside.
        check(&["localhost:80"], "10.0.0.1:80", false);
        assert!(resolves_to("localhost", "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for entry in ["", "a b", "10.0.0.1:x", "10.0.0.0/33", "http://x/y", "[::1"] {
            assert_eq!(Reach::parse(&[entry.to_owned()]), Err(entry.to_owned()));
        }
    }
}
