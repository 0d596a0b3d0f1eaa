//! Requests as bytes, written once before the load. Leaves the sending to
//! `connection`.

use std::io::IoSlice;

use autotune_model::{ConnectionPolicy, Endpoint, EnvValue};

use crate::search::Needle;

/// The most pieces that go out in one write.
pub(crate) const MAX_PIECES: usize = 8;

/// One endpoint's request, and what a good answer to it is.
#[derive(Debug)]
pub(crate) struct Request {
    /// What goes over the wire, in order.
    pieces: Vec<Piece>,
    len: usize,
    /// The statuses that are good.
    status: Vec<u16>,
    /// What the body must contain.
    pub(crate) contains: Option<Needle>,
    /// Whether it may be sent again when nobody knows whether it arrived.
    pub(crate) is_repeatable: bool,
}

/// A part of a request. Parts that differ from request to request (a token, a
/// row of a data file) will be further variants, between fixed ones.
#[derive(Debug)]
enum Piece {
    /// The same every time.
    Fixed(Box<[u8]>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Fixed(bytes) => bytes,
        }
    }
}

impl Request {
    /// The request to this endpoint. Path and host were checked before.
    pub(crate) fn new(endpoint: &Endpoint, host: &str, policy: ConnectionPolicy) -> Self {
        let connection = match policy {
            ConnectionPolicy::KeepAlive => "",
            ConnectionPolicy::PerRequest => "Connection: close\r\n",
        };
        let given = |name: &str| {
            let mut headers = endpoint.headers.iter();
            headers.any(|(one, _)| one.eq_ignore_ascii_case(name))
        };
        let mut text = format!("{} {} HTTP/1.1\r\n", endpoint.method, endpoint.path);
        let usual = [
            ("Host", host),
            ("User-Agent", "autotune"),
            ("Accept", "*/*"),
        ];
        for (name, value) in usual.into_iter().filter(|(name, _)| !given(name)) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        for (name, value) in &endpoint.headers {
            text.push_str(&format!(
                "{name}: {}\r\n",
                value.known().unwrap_or_default()
            ));
        }
        let body = endpoint.body.as_ref().and_then(EnvValue::known);
        // A method that may have a body says so when there is none (RFC 9110, 8.6).
        if endpoint.method.takes_body() {
            let length = body.map_or(0, str::len);
            text.push_str(&format!("Content-Length: {length}\r\n"));
        }
        text.push_str(connection);
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        Self {
            is_repeatable: endpoint.method.is_idempotent(),
            len: text.len(),
            pieces: vec![Piece::Fixed(text.into_bytes().into())],
            status: endpoint.expect.status.clone(),
            contains: endpoint.expect.contains.as_deref().map(Needle::new),
        }
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether this status is a good one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        self.status.contains(&status)
    }

    /// What is left to write after so many bytes: the slices and how many of
    /// them are used.
    pub(crate) fn unsent(&self, sent: usize) -> ([IoSlice<'_>; MAX_PIECES], usize) {
        let mut slices = [IoSlice::new(&[]); MAX_PIECES];
        let mut used = 0;
        let mut skip = sent;
        for bytes in self.pieces.iter().map(Piece::bytes) {
            if skip < bytes.len() && used < MAX_PIECES {
                slices[used] = IoSlice::new(&bytes[skip..]);
                used += 1;
            }
            skip = skip.saturating_sub(bytes.len());
        }
        (slices, used)
    }
}

#[cfg(test)]
mod tests {
    use autotune_model::{Method, Secret};

    use super::*;
    use crate::plan::tests::endpoint;

    #[test]
    fn the_policy_decides_the_connection_header() {
        let wire = |policy| {
            let request = Request::new(&endpoint("a"), "localhost:8000", policy);
            String::from_utf8(request.unsent(0).0[0].to_vec()).unwrap()
        };
        let kept = "GET /a HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: autotune\r\nAccept: */*\r\n\r\n";
        assert_eq!(wire(ConnectionPolicy::KeepAlive), kept);
        assert!(wire(ConnectionPolicy::PerRequest).ends_with("\r\nConnection: close\r\n\r\n"));
    }

    #[test]
    fn method_headers_and_body_are_on_the_wire() {
        let text = |text: &str| EnvValue::Text(text.to_owned());
        let endpoint = Endpoint {
            method: Method::Post,
            headers: vec![
                ("content-type".to_owned(), text("application/json")),
                ("host".to_owned(), text("shop.example")),
                (
                    "Authorization".to_owned(),
                    EnvValue::Secret(Secret::new("Bearer x".to_owned())),
                ),
            ],
            body: Some(text("{\"a\": \"ä\"}")),
            ..endpoint("a")
        };
        let wire = |endpoint: &Endpoint| {
            let request = Request::new(endpoint, "localhost:8000", ConnectionPolicy::PerRequest);
            String::from_utf8(request.unsent(0).0[0].to_vec()).unwrap()
        };
        let expected = "POST /a HTTP/1.1\r\nUser-Agent: autotune\r\nAccept: */*\r\n\
            content-type: application/json\r\nhost: shop.example\r\n\
            Authorization: Bearer x\r\nContent-Length: 11\r\nConnection: close\r\n\r\n\
            {\"a\": \"ä\"}";
        assert_eq!(wire(&endpoint), expected);
        let empty = Endpoint {
            body: None,
            headers: Vec::new(),
            ..endpoint
        };
        assert!(wire(&empty).contains("\r\nContent-Length: 0\r\n"));
    }

    #[test]
    fn only_what_is_as_good_twice_may_be_sent_twice() {
        let is_repeatable = |method| {
            let endpoint = Endpoint {
                method,
                ..endpoint("a")
            };
            Request::new(&endpoint, "localhost", ConnectionPolicy::KeepAlive).is_repeatable
        };
        for method in Method::ALL {
            let once = [Method::Post, Method::Patch].contains(&method);
            assert_eq!(is_repeatable(method), !once, "{method}");
        }
    }

    #[test]
    fn pieces_are_written_from_any_offset() {
        let piece = |text: &[u8]| Piece::Fixed(text.into());
        let request = Request {
            pieces: vec![piece(b"abc"), piece(b"de"), piece(b"fgh")],
            len: 8,
            status: vec![200],
            contains: None,
            is_repeatable: true,
        };
        for sent in 0..=8 {
            let (slices, used) = request.unsent(sent);
            let rest: Vec<u8> = slices[..used]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            assert_eq!(rest, &b"abcdefgh"[sent..]);
            assert!(slices[..used].iter().all(|slice| !slice.is_empty()));
        }
    }
}
