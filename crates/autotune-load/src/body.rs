//! Where the body of an answer ends (RFC 9112, sections 6 and 7). The bytes
//! themselves are only passed on. Leaves the head to `response`.

use crate::response::Malformed;

/// The most bytes of chunk extensions and trailers together.
const MAX_EXTRA: u32 = 32 * 1024;

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to one of no length.
    Chunked(Chunks),
    /// All until the server closes.
    UntilClose,
}

/// How far a chunked body has been read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    state: ChunkState,
    extra: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    EndLf,
    Done,
}

impl Body {
    /// A chunked body from its beginning.
    pub(crate) fn chunked() -> Self {
        let state = ChunkState::Size {
            value: 0,
            digits: 0,
        };
        Self::Chunked(Chunks { state, extra: 0 })
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.state == ChunkState::Done,
            Self::UntilClose => false,
        }
    }

    /// Goes on with the next bytes: passes the content to `sink` and gives how
    /// many bytes belong to this body.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => {
                let mine = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= mine as u64;
                sink(&bytes[..mine]);
                Ok(mine)
            }
            Self::UntilClose => {
                sink(bytes);
                Ok(bytes.len())
            }
            Self::Chunked(chunks) => chunks.feed(bytes, sink),
        }
    }
}

impl Chunks {
    fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != ChunkState::Done {
            if let ChunkState::Data { left } = &mut self.state {
                let rest = &bytes[at..];
                let mine = usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                sink(&rest[..mine]);
                *left -= mine as u64;
                at += mine;
                if *left == 0 {
                    self.state = ChunkState::DataCr;
                }
            } else {
                self.state = self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// The state after one byte that is not content.
    fn step(&mut self, byte: u8) -> Result<ChunkState, Malformed> {
        use ChunkState as S;
        Ok(match (self.state, byte) {
            (S::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                S::Size {
                    value: value << 4 | digit,
                    digits: digits + 1,
                }
            }
            (S::Size { digits: 0, .. }, _) => return Err(Malformed::Chunk),
            (S::Size { value, .. } | S::Extension { value }, b'\r') => S::SizeLf { value },
            (S::Size { value, .. }, b';' | b' ' | b'\t') => S::Extension { value },
            (S::Extension { value }, _) => {
                self.count_extra()?;
                S::Extension { value }
            }
            (S::SizeLf { value: 0 }, b'\n') => S::TrailerStart,
            (S::SizeLf { value }, b'\n') => S::Data { left: value },
            (S::DataCr, b'\r') => S::DataLf,
            (S::DataLf, b'\n') => S::Size {
                value: 0,
                digits: 0,
            },
            (S::TrailerStart, b'\r') => S::EndLf,
            (S::Trailer, b'\n') => S::TrailerStart,
            (S::TrailerStart | S::Trailer, _) => {
                self.count_extra()?;
                S::Trailer
            }
            (S::EndLf, b'\n') => S::Done,
            _ => return Err(Malformed::Chunk),
        })
    }

    fn count_extra(&mut self) -> Result<(), Malformed> {
        self.extra += 1;
        if self.extra > MAX_EXTRA {
            Err(Malformed::Chunk)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &[u8], expected: Result<(&str, usize), ()>) {
        let mut body = Body::chunked();
        let mut content = Vec::new();
        let fed = body.feed(wire, &mut |bytes| content.extend_from_slice(bytes));
        match expected {
            Ok((text, used)) => {
                assert_eq!(fed.unwrap(), used);
                assert!(body.is_done());
                assert_eq!(content, text.as_bytes());
            }
            Err(()) => assert!(fed.is_err() || !body.is_done(), "{wire:?}"),
        }
    }

    #[test]
    fn chunks_are_read_as_the_standard_says() {
        check(b"0\r\n\r\n", Ok(("", 5)));
        check(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nrest", Ok(("abcde", 20)));
        check(
            b"A;name=\"x\"\r\n0123456789\r\n0\r\n\r\n",
            Ok(("0123456789", 29)),
        );
        check(
            b"1\r\nx\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n",
            Ok(("x", 33)),
        );
        check(b"\r\n", Err(()));
        check(b"g\r\n", Err(()));
        check(b"-1\r\n", Err(()));
        check(b"3\nabc\r\n0\r\n\r\n", Err(()));
        check(b"3\r\nabcd\r\n0\r\n\r\n", Err(()));
        check(b"fffffffffffffffff\r\n", Err(()));
        check(b"3\r\nab", Err(()));
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        let mut trailer = b"0\r\n".to_vec();
        trailer.extend(std::iter::repeat_n(b'x', 40_000));
        assert_eq!(
            Body::chunked().feed(&trailer, &mut |_| ()),
            Err(Malformed::Chunk)
        );
    }

    #[test]
    fn a_length_takes_no_more_than_its_own() {
        let mut body = Body::Length(3);
        assert_eq!(body.feed(b"abcd", &mut |_| ()), Ok(3));
        assert!(body.is_done());
        assert!(Body::Length(0).is_done());
        assert!(!Body::UntilClose.is_done());
    }
}
