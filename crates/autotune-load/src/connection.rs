//! One connection: writes a request, reads the answer, over any stream. Leaves
//! opening and keeping connections to `pool` and `engine`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Clock;
use crate::request::Request;
use crate::response::{Answer, Cut, Malformed, ResponseReader};

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    reader: ResponseReader,
    /// Bytes of the current request that are written.
    sent: usize,
    /// A write failed: nothing more is written, but an answer may be there.
    write_failed: bool,
    written_ns: Option<u64>,
    /// Answers that came over it.
    answers: u64,
}

/// What one exchange works with.
pub(crate) struct Exchange<'a, C> {
    /// What is looked for.
    pub(crate) request: &'a Request,
    /// What is sent.
    pub(crate) wire: &'a [u8],
    /// Room to read into, shared by all connections: one is read at a time.
    pub(crate) scratch: &'a mut [u8],
    /// For the time of the first write and of the last read.
    pub(crate) clock: &'a C,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The answer, or why there is none.
    pub(crate) result: Result<Answer, Broken>,
    /// When.
    pub(crate) end_ns: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The connection ended before the first byte.
    BeforeResponse,
    /// It ended within the answer, not in order or within the head.
    DuringResponse,
    /// It ended in order before all of the body had come.
    ShortBody,
    /// What came is not HTTP.
    Malformed(Malformed),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Over this fresh stream.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            reader: ResponseReader::default(),
            sent: 0,
            write_failed: false,
            written_ns: None,
            answers: 0,
        }
    }

    /// Makes it ready for the next request.
    pub(crate) fn begin(&mut self) {
        self.reader.begin();
        self.sent = 0;
        self.write_failed = false;
        self.written_ns = None;
    }

    /// Whether an answer has come over it before.
    pub(crate) fn is_reused(&self) -> bool {
        self.answers > 0
    }

    /// What was kept of the body of the last answer.
    pub(crate) fn kept_body(&self) -> &[u8] {
        self.reader.kept()
    }

    /// How many answers have come over it.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    /// When the first byte of the current request was written.
    pub(crate) fn written_ns(&self) -> Option<u64> {
        self.written_ns
    }

    /// Goes on with the current exchange.
    pub(crate) fn poll_exchange<C: Clock>(
        &mut self,
        exchange: &mut Exchange<'_, C>,
        cx: &mut Context<'_>,
    ) -> Poll<Ending> {
        self.poll_send(exchange, cx);
        self.reader.keep_body(exchange.request.wants_json());
        loop {
            let received = ready!(self.poll_receive(exchange.scratch, cx));
            let end_ns = exchange.clock.now();
            let needle = exchange.request.contains.as_ref();
            let result = match received {
                Ok(0) => self.reader.finish(needle).map_err(|cut| match cut {
                    Cut::BeforeResponse => Broken::BeforeResponse,
                    Cut::InHead => Broken::DuringResponse,
                    Cut::InBody => Broken::ShortBody,
                }),
                Ok(length) => match self.reader.feed(&exchange.scratch[..length], needle) {
                    Ok(Some(answer)) => Ok(answer),
                    Ok(None) => continue,
                    Err(malformed) => Err(Broken::Malformed(malformed)),
                },
                Err(error) => {
                    tracing::debug!(%error, "connection broke");
                    Err(match self.reader.cut() {
                        Cut::BeforeResponse => Broken::BeforeResponse,
                        Cut::InHead | Cut::InBody => Broken::DuringResponse,
                    })
                }
            };
            return Poll::Ready(Ending {
                result: self.close_book(result, exchange.wire),
                end_ns,
            });
        }
    }

    /// Watches a connection that waits for its next request: ready when it can
    /// no longer be used, because the server closed it or said something unasked.
    pub(crate) fn poll_idle(&mut self, scratch: &mut [u8], cx: &mut Context<'_>) -> Poll<()> {
        self.poll_receive(scratch, cx).map(drop)
    }

    fn close_book(
        &mut self,
        result: Result<Answer, Broken>,
        wire: &[u8],
    ) -> Result<Answer, Broken> {
        self.answers += u64::from(result.is_ok());
        let whole = self.sent == wire.len() && !self.write_failed;
        result.map(|answer| Answer {
            reusable: answer.reusable && whole,
            ..answer
        })
    }

    /// Writes as much as goes.
    fn poll_send<C: Clock>(&mut self, exchange: &Exchange<'_, C>, cx: &mut Context<'_>) {
        while self.sent < exchange.wire.len() && !self.write_failed {
            let now = exchange.clock.now();
            let rest = &exchange.wire[self.sent..];
            let written = Pin::new(&mut self.stream).poll_write(cx, rest);
            match written {
                Poll::Pending => return,
                Poll::Ready(Ok(length)) if length > 0 => {
                    self.written_ns.get_or_insert(now);
                    self.sent += length;
                }
                Poll::Ready(failed) => {
                    tracing::debug!(?failed, "request could not be written");
                    self.write_failed = true;
                }
            }
        }
    }

    fn poll_receive(
        &mut self,
        scratch: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}
