//! One answer, read from bytes that come in pieces: head by `httparse`, end of
//! the body by `body`. Knows no socket and no clock.

use autotune_model::json::MOST_JSON_BYTES;

use crate::body::Body;
use crate::search::{Matched, Needle};

/// Longer heads are no answer of an app.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Whether the server lets the connection be used again.
    pub(crate) reusable: bool,
    /// Whether the body has what was looked for; true where nothing was.
    pub(crate) contains: bool,
    /// The length of its body.
    pub(crate) bytes: u64,
}

/// What came is not an answer in HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// The head cannot be read.
    Head,
    /// The head announces a length that is none, or two of them.
    Length,
    /// The frame of a chunk cannot be read.
    Chunk,
    /// There are bytes after the end of the answer.
    Excess,
}

/// Where the stream ended before the answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Before the first byte.
    BeforeResponse,
    /// In the head.
    InHead,
    /// In the body.
    InBody,
}

/// Reads one answer after the other.
#[derive(Debug, Default)]
pub(crate) struct ResponseReader {
    /// The beginning of a head that is not yet whole.
    stash: Vec<u8>,
    begun: bool,
    head: Option<Head>,
    matched: Matched,
    /// Of the body, so far.
    bytes: u64,
    /// Whether the body is kept.
    keeps: bool,
    /// The body, as far as it is kept; takes no memory until one is.
    kept: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    reusable: bool,
    body: Body,
}

impl ResponseReader {
    /// Forgets the last answer.
    pub(crate) fn begin(&mut self) {
        self.stash.clear();
        self.begun = false;
        self.head = None;
        self.matched = Matched::default();
        self.bytes = 0;
        self.kept.clear();
    }

    /// Whether the body of the answer that comes is to be kept.
    pub(crate) fn keep_body(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// What was kept of the last body: all of it, or one byte more than is looked
    /// into.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Goes on with the next bytes, at least one; the answer once it is whole.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        needle: Option<&Needle>,
    ) -> Result<Option<Answer>, Malformed> {
        self.begun = true;
        let mut rest = bytes;
        if self.head.is_none() {
            match self.feed_head(bytes)? {
                Some(used) => rest = &bytes[used..],
                None => return Ok(None),
            }
        }
        let Some(head) = &mut self.head else {
            return Ok(None);
        };
        let (matched, bytes) = (&mut self.matched, &mut self.bytes);
        let (keeps, kept) = (self.keeps, &mut self.kept);
        let mut sink = |content: &[u8]| {
            *bytes += content.len() as u64;
            if keeps {
                let room = (MOST_JSON_BYTES + 1).saturating_sub(kept.len());
                kept.extend_from_slice(&content[..content.len().min(room)]);
            }
            if let Some(needle) = needle {
                needle.advance(matched, content);
            }
        };
        let used = head.body.feed(rest, &mut sink)?;
        if !head.body.is_done() {
            return Ok(None);
        }
        if used < rest.len() {
            return Err(Malformed::Excess);
        }
        Ok(Some(self.answer(needle)))
    }

    /// The stream has ended in order: the answer, if that is how it ends.
    pub(crate) fn finish(&mut self, needle: Option<&Needle>) -> Result<Answer, Cut> {
        match &self.head {
            Some(Head {
                body: Body::UntilClose,
                ..
            }) => Ok(self.answer(needle)),
            _ => Err(self.cut()),
        }
    }

    /// How far the answer has come.
    pub(crate) fn cut(&self) -> Cut {
        match (self.begun, &self.head) {
            (false, _) => Cut::BeforeResponse,
            (true, None) => Cut::InHead,
            (true, Some(_)) => Cut::InBody,
        }
    }

    fn answer(&self, needle: Option<&Needle>) -> Answer {
        let head = self.head.as_ref().expect("called with a head only");
        Answer {
            status: head.status,
            reusable: head.reusable,
            contains: needle.is_none_or(|needle| needle.found(self.matched)),
            bytes: self.bytes,
        }
    }

    /// Gives how many of these bytes belong to the head, once it is whole.
    /// Interim answers (1xx) are skipped.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let before = self.stash.len();
            let parsed = if before == 0 {
                parse_head(rest)?
            } else {
                self.stash.extend_from_slice(rest);
                // A head ends with a line, so other pieces cannot end it.
                if rest.contains(&b'\n') {
                    parse_head(&self.stash)?
                } else {
                    None
                }
            };
            let Some((len, head)) = parsed else {
                if before == 0 {
                    self.stash.extend_from_slice(rest);
                }
                let too_long = self.stash.len() > MAX_HEAD;
                return if too_long {
                    Err(Malformed::Head)
                } else {
                    Ok(None)
                };
            };
            self.stash.clear();
            used += len - before;
            if head.status >= 200 {
                self.head = Some(head);
                return Ok(Some(used));
            }
        }
    }
}

/// The length of a head and what it says; `None` while it is not whole.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Head)>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            tracing::debug!(%error, "head of an answer cannot be read");
            return Err(Malformed::Head);
        }
    };
    let status = parsed.code.ok_or(Malformed::Head)?;
    // 101 would make the connection something else, which nobody asked for.
    if status < 100 || status == 101 {
        return Err(Malformed::Head);
    }
    let fields = Fields::read(parsed.headers)?;
    let keep = if parsed.version == Some(1) {
        !fields.close
    } else {
        fields.keep_alive && !fields.close
    };
    let body = match (status, fields.coding, fields.length) {
        (..200 | 204 | 304, ..) => Body::Length(0),
        (_, Some(Coding::Chunked), _) => Body::chunked(),
        (_, Some(Coding::Other), _) | (_, None, None) => Body::UntilClose,
        (_, None, Some(length)) => Body::Length(length),
    };
    // Both framings together are a sign of smuggling (RFC 9112, 6.3): such a
    // connection is not used again.
    let ambiguous = fields.coding.is_some() && fields.length.is_some();
    let reusable = keep && body != Body::UntilClose && !ambiguous;
    Ok(Some((
        length,
        Head {
            status,
            reusable,
            body,
        },
    )))
}

/// What the engine wants to know of the header fields.
#[derive(Debug, Default)]
struct Fields {
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
}

/// The last transfer coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Malformed> {
        let mut fields = Self::default();
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                for item in items(header.value) {
                    let length = parse_length(item)?;
                    if fields.length.is_some_and(|known| known != length) {
                        return Err(Malformed::Length);
                    }
                    fields.length = Some(length);
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                for item in items(header.value) {
                    let chunked = item.eq_ignore_ascii_case(b"chunked");
                    fields.coding = Some(if chunked {
                        Coding::Chunked
                    } else {
                        Coding::Other
                    });
                }
            } else if header.name.eq_ignore_ascii_case("connection") {
                for item in items(header.value) {
                    fields.close |= item.eq_ignore_ascii_case(b"close");
                    fields.keep_alive |= item.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        Ok(fields)
    }
}

fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn parse_length(text: &[u8]) -> Result<u64, Malformed> {
    if text.is_empty() {
        return Err(Malformed::Length);
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(10).ok_or(Malformed::Length)?;
        sum.checked_mul(10)
            .and_then(|sum| sum.checked_add(u64::from(digit)))
            .ok_or(Malformed::Length)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Ending = Result<Answer, Result<Malformed, Cut>>;

    /// Feeds the pieces, then ends the stream unless the answer was whole.
    fn read(pieces: &[&[u8]], needle: Option<&Needle>) -> Ending {
        let mut reader = ResponseReader::default();
        reader.begin();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            match reader.feed(piece, needle) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(malformed) => return Err(Ok(malformed)),
            }
        }
        reader.finish(needle).map_err(Err)
    }

    fn answer(status: u16, reusable: bool) -> Ending {
        Ok(Answer {
            status,
            reusable,
            contains: true,
            bytes: 0,
        })
    }

    /// Without the length, which has a test of its own.
    fn sizeless(ending: Ending) -> Ending {
        ending.map(|answer| Answer { bytes: 0, ..answer })
    }

    /// The same result whole, in two pieces cut anywhere, and byte by byte.
    fn check(wire: &str, expected: Ending) {
        let wire = wire.as_bytes();
        let needle = Needle::new("");
        for cut in 0..=wire.len() {
            let got = read(&[&wire[..cut], &wire[cut..]], Some(&needle));
            assert_eq!(
                sizeless(got),
                expected,
                "cut at {cut} of {:?}",
                String::from_utf8_lossy(wire)
            );
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        let got = read(&bytes, Some(&needle));
        assert_eq!(sizeless(got), expected, "byte by byte");
    }

    #[test]
    fn every_kind_of_body_ends_where_it_should() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            answer(200, true),
        );
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\nabc",
            answer(200, true),
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            answer(200, true),
        );
        check("HTTP/1.1 204 No Content\r\n\r\n", answer(204, true));
        check(
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            answer(304, true),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            answer(200, true),
        );
        check("HTTP/1.1 200 OK\r\n\r\nuntil the end", answer(200, false));
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxyz",
            answer(200, false),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            answer(200, false),
        );
        check(
            "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
            answer(200, true),
        );
    }

    #[test]
    fn interim_answers_are_skipped() {
        check(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
             HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            answer(200, true),
        );
        check("HTTP/1.1 100 Continue\r\n\r\n", Err(Err(Cut::InHead)));
        check(
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            Err(Ok(Malformed::Head)),
        );
    }

    #[test]
    fn close_and_old_versions_are_obeyed() {
        check(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            answer(200, false),
        );
        check(
            "HTTP/1.1 200 OK\r\nConnection: X, Close\r\nContent-Length: 1\r\n\r\nx",
            answer(200, false),
        );
        check(
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
            answer(200, false),
        );
        check(
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            answer(200, true),
        );
        check(
            "HTTP/1.1 500 Oh\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            answer(500, true),
        );
    }

    #[test]
    fn what_is_cut_says_where() {
        check("", Err(Err(Cut::BeforeResponse)));
        check("HTTP/1.1 200 OK\r\nConte", Err(Err(Cut::InHead)));
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            Err(Err(Cut::InBody)),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            Err(Err(Cut::InBody)),
        );
    }

    #[test]
    fn what_is_not_http_is_refused() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            Err(Ok(Malformed::Length)),
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            Err(Ok(Malformed::Length)),
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            Err(Ok(Malformed::Length)),
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            Err(Ok(Malformed::Length)),
        );
        check(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Err(Ok(Malformed::Chunk)),
        );
        assert_eq!(
            read(&[b"SSH-2.0-OpenSSH\r\n"], None),
            Err(Ok(Malformed::Head))
        );
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 70_000]].concat();
        assert_eq!(read(&[&endless], None), Err(Ok(Malformed::Head)));
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n";
        assert_eq!(read(&[wire], None), Err(Ok(Malformed::Excess)));
        let wire = b"HTTP/1.1 204 No Content\r\n\r\ngarbage";
        assert_eq!(read(&[wire], None), Err(Ok(Malformed::Excess)));
    }

    #[test]
    fn a_body_is_kept_only_where_it_is_looked_into() {
        let mut reader = ResponseReader::default();
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
        let read = |reader: &mut ResponseReader| {
            reader.begin();
            assert_eq!(reader.feed(wire, None), Ok(None));
            assert!(reader.feed(b"cd", None).expect("HTTP").is_some());
        };
        read(&mut reader);
        assert_eq!((reader.kept(), reader.kept.capacity()), (&b""[..], 0));
        reader.keep_body(true);
        read(&mut reader);
        assert_eq!(reader.kept(), b"abcd");
        read(&mut reader);
        assert_eq!(reader.kept(), b"abcd");
    }

    #[test]
    fn no_more_of_a_body_is_kept_than_is_looked_into() {
        let mut reader = ResponseReader::default();
        reader.begin();
        reader.keep_body(true);
        let head = b"HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(reader.feed(head, None), Ok(None));
        for _ in 0..3 {
            assert_eq!(reader.feed(&vec![b' '; MOST_JSON_BYTES], None), Ok(None));
        }
        assert_eq!(reader.kept().len(), MOST_JSON_BYTES + 1);
        let answer = reader.finish(None).expect("ends with the stream");
        assert_eq!(answer.bytes, 3 * MOST_JSON_BYTES as u64);
    }

    #[test]
    fn a_reader_begins_anew() {
        let mut reader = ResponseReader::default();
        let needle = Needle::new("x");
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        for (body, contains) in [(b'x', true), (b'y', false)] {
            reader.begin();
            assert_eq!(reader.feed(wire, Some(&needle)), Ok(None));
            let answer = reader.feed(&[body], Some(&needle)).unwrap().unwrap();
            assert_eq!(answer.contains, contains);
        }
    }

    proptest! {
        #[test]
        fn splits_change_nothing(
            body in "[a-z]{0,60}",
            needle in "[a-z]{1,3}",
            chunk in 1usize..20,
            mut cuts in prop::collection::vec(0usize..400, 0..6),
        ) {
            let mut wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for piece in body.as_bytes().chunks(chunk) {
                wire.extend(format!("{:x}\r\n", piece.len()).bytes());
                wire.extend(piece);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(wire.len()));
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([wire.len()]) {
                pieces.push(&wire[from..cut]);
                from = cut;
            }
            let prepared = Needle::new(&needle);
            let got = read(&pieces, Some(&prepared));
            let contains = body.contains(&needle);
            let bytes = body.len() as u64;
            prop_assert_eq!(got, Ok(Answer { status: 200, reusable: true, contains, bytes }));
        }

        #[test]
        fn no_bytes_make_it_panic_or_believe(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0usize..200,
        ) {
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            prop_assume!(!bytes.starts_with(b"HTTP"));
            prop_assert!(read(&[one, two], None).is_err());
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let ends_a_line = bytes.windows(2).any(|pair| pair == b"\r\n");
            prop_assert!(read(&[head, one, two], None).is_err() || ends_a_line);
        }
    }
}
