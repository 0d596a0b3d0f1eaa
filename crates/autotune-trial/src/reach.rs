//! Which addresses beyond loopback an app may connect to. Names are looked up
//! before the first trial and, seldom, again: a name may stand for more
//! addresses than one answer holds, so all that were ever given count.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autotune_model::Peer;
use tokio::time::{Instant, timeout};

/// Longer than this nobody waits while a server runs.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// A name that could not be looked up is left alone for so long.
const LOOKUP_PAUSE: Duration = Duration::from_secs(10);

/// What `may_reach` allows.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Each with its entry, as written.
    nets: Vec<(String, Net, Option<u16>)>,
    hosts: Vec<(String, Option<u16>)>,
    lookup: Lookup,
    known: Mutex<BTreeMap<String, Answers>>,
}

/// The addresses of a name; blocks.
type Lookup = fn(&str) -> io::Result<Vec<IpAddr>>;

/// What is known of one name.
#[derive(Debug, Default)]
struct Answers {
    /// All that were ever given.
    addresses: BTreeSet<IpAddr>,
    failed: Option<Instant>,
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
        let mut reach = Self {
            nets: Vec::new(),
            hosts: Vec::new(),
            lookup: system_lookup,
            known: Mutex::default(),
        };
        for entry in entries {
            let (name, port) = split_port(entry).ok_or_else(|| entry.clone())?;
            if let Some(net) = Net::parse(name) {
                reach.nets.push((entry.clone(), net, port));
            } else if is_host(name) {
                reach.hosts.push((name.to_owned(), port));
            } else {
                return Err(entry.clone());
            }
        }
        Ok(reach)
    }

    /// Looks up all names. One that cannot be looked up now may be later.
    pub(crate) async fn resolve(&self) {
        for (host, _) in &self.hosts {
            self.ask(host).await;
        }
    }

    /// The first peer that is neither on loopback nor allowed. Names are looked
    /// up again only for an address that is not known. While that fails, the
    /// address is neither allowed nor refused: it is judged another time.
    pub(crate) async fn first_outside<'a>(&self, peers: &'a [Peer]) -> Option<&'a Peer> {
        for peer in peers {
            if !self.allows(peer.address) && self.is_refused(peer.address).await {
                return Some(peer);
            }
        }
        None
    }

    fn allows(&self, address: SocketAddr) -> bool {
        !is_beyond(address) || self.allowing(address).is_some()
    }

    /// The entry that names this address, as far as names were looked up.
    pub(crate) fn allowing(&self, address: SocketAddr) -> Option<&str> {
        let ip = address.ip().to_canonical();
        let by_net = |(_, net, port): &&(String, Net, _)| net.contains(ip) && fits(*port, address);
        let net = self.nets.iter().find(by_net);
        let mut hosts = self.hosts_for(address);
        net.map(|(entry, ..)| entry.as_str()).or_else(|| {
            hosts.find(|host| {
                let known = self.known();
                let answers = known.get(*host);
                answers.is_some_and(|answers| answers.addresses.contains(&ip))
            })
        })
    }

    /// Asks again for an address that no answer held so far.
    async fn is_refused(&self, address: SocketAddr) -> bool {
        let mut all_answered = true;
        for host in self.hosts_for(address) {
            all_answered &= self.ask(host).await;
        }
        all_answered && !self.allows(address)
    }

    fn hosts_for(&self, address: SocketAddr) -> impl Iterator<Item = &str> {
        let named = self.hosts.iter();
        let named = named.filter(move |(_, port)| fits(*port, address));
        named.map(|(host, _)| host.as_str())
    }

    /// Looks a name up, off this thread; whether there was an answer.
    async fn ask(&self, host: &str) -> bool {
        let failed = self.known().get(host).and_then(|answers| answers.failed);
        if failed.is_some_and(|failed| failed.elapsed() < LOOKUP_PAUSE) {
            return false;
        }
        let (lookup, name) = (self.lookup, host.to_owned());
        let asked = tokio::task::spawn_blocking(move || lookup(&name));
        let answer = match timeout(LOOKUP_LIMIT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(error.into()),
            Err(late) => Err(late.into()),
        };
        let mut known = self.known();
        let answers = known.entry(host.to_owned()).or_default();
        match answer {
            Ok(found) => {
                answers.failed = None;
                answers
                    .addresses
                    .extend(found.iter().map(IpAddr::to_canonical));
                true
            }
            Err(error) => {
                tracing::warn!(host, %error, "a host in may_reach cannot be looked up");
                answers.failed = Some(Instant::now());
                false
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Answers>> {
        // Each change is whole before anything can panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an address lies beyond this machine.
pub(crate) fn is_beyond(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    !ip.is_loopback() && !ip.is_unspecified()
}

fn fits(port: Option<u16>, address: SocketAddr) -> bool {
    port.is_none_or(|port| port == address.port())
}

fn system_lookup(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
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
    use std::sync::atomic::{AtomicU32, Ordering};

    fn reach(entries: &[&str]) -> Reach {
        let entries: Vec<_> = entries.iter().map(|&entry| entry.to_owned()).collect();
        Reach::parse(&entries).expect("entries are right")
    }

    fn is_allowed(reach: &Reach, address: &str) -> bool {
        let peers = [Peer {
            address: address.parse().expect("an address"),
            protocol: "tcp".to_owned(),
            pid: 1,
        }];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(reach.first_outside(&peers)).is_none()
    }

    fn check(entries: &[&str], address: &str, allowed: bool) {
        let reach = reach(entries);
        let found = is_allowed(&reach, address);
        assert_eq!(found, allowed, "{entries:?} {address}");
    }

    #[test]
    fn the_entry_that_allows_an_address_is_told() {
        let reach = reach(&["10.0.0.0/8", "192.0.2.7:5432"]);
        let by = |address: &str| reach.allowing(address.parse().expect("an address"));
        assert_eq!(by("10.1.2.3:80"), Some("10.0.0.0/8"));
        assert_eq!(by("192.0.2.7:5432"), Some("192.0.2.7:5432"));
        assert_eq!(by("192.0.2.7:80"), None);
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
        let found = system_lookup("localhost").unwrap();
        assert!(found.contains(&"127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn all_answers_count_and_an_error_judges_nothing() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        // One of many addresses each time, and none the third time.
        fn turning(host: &str) -> io::Result<Vec<IpAddr>> {
            assert_eq!(host, "db.example");
            match ASKED.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(vec![[10, 0, 0, 1].into()]),
                1 => Ok(vec![[10, 0, 0, 2].into()]),
                _ => Err(io::ErrorKind::NotConnected.into()),
            }
        }
        let mut reach = reach(&["db.example:5432"]);
        reach.lookup = turning;
        let check = |address: &str, allowed: bool, asked: u32| {
            assert_eq!(is_allowed(&reach, address), allowed, "{address}");
            assert_eq!(ASKED.load(Ordering::Relaxed), asked, "{address}");
        };
        check("10.0.0.1:5432", true, 1);
        check("10.0.0.1:80", false, 1);
        check("10.0.0.3:5432", false, 2);
        check("10.0.0.1:5432", true, 2);
        check("10.0.0.2:5432", true, 2);
        check("10.0.0.3:5432", true, 3);
        // Not asked again at once.
        check("10.0.0.3:5432", true, 3);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for entry in ["", "a b", "10.0.0.1:x", "10.0.0.0/33", "http://x/y", "[::1"] {
            let refused = Reach::parse(&[entry.to_owned()]).err();
            assert_eq!(refused.as_deref(), Some(entry));
        }
    }
}
