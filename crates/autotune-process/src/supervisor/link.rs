//! The supervisor's end of the socket. It never waits for the program to read:
//! while it waited, the log would grow and the program's end go unseen.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use serde::de::DeserializeOwned;

use crate::wire::{Decoder, FrameError, Reply, encode};

/// A program that has read nothing for so long gets no further samples.
const MOST_WAITING: usize = 4 << 20;

/// Socket with what was read and what is to be written.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
    decoder: Decoder,
    waiting: Vec<u8>,
    closed: bool,
}

impl Link {
    pub(crate) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            decoder: Decoder::default(),
            waiting: Vec::new(),
            closed: false,
        })
    }

    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Whether the program has closed its end, by dying or on purpose.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether there is something to write.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the program is far behind with reading.
    pub(crate) fn is_behind(&self) -> bool {
        self.waiting.len() > MOST_WAITING
    }

    /// Reads what is there.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        loop {
            match self.socket.read(&mut piece) {
                Ok(0) => {
                    self.closed = true;
                    return Ok(());
                }
                Ok(length) => self.decoder.buffer().extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_closed(&error) => {
                    self.closed = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message that was read whole.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        self.decoder.next()
    }

    /// Writes as much as the socket takes; the rest waits.
    pub(crate) fn send(&mut self, reply: &Reply) -> io::Result<()> {
        self.waiting
            .extend(encode(reply).map_err(io::Error::other)?);
        self.flush()
    }

    /// Writes what waits, as much as the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match self.socket.write(&self.waiting) {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_closed(&error) => {
                    self.closed = true;
                    self.waiting.clear();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes the last message, waiting for the program to read what is before
    /// it: nothing else is left to be done.
    pub(crate) fn send_last(&mut self, reply: &Reply) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.send(reply)
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Request;

    #[test]
    fn a_program_that_does_not_read_does_not_block_and_its_end_is_seen() {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let mut link = Link::new(ours).expect("a link");
        let reply = Reply::Fault {
            what: "x".repeat(100_000),
        };
        while !link.is_behind() {
            link.send(&reply).expect("no fault");
        }
        assert!(link.is_waiting() && !link.is_closed());
        drop(theirs);
        link.flush().expect("no fault");
        assert!(link.is_closed() && !link.is_waiting());
    }

    #[test]
    fn messages_before_the_end_are_not_lost() {
        let (ours, mut theirs) = UnixStream::pair().expect("a socket pair");
        let mut link = Link::new(ours).expect("a link");
        theirs
            .write_all(&encode(&Request::Sample { id: 3 }).expect("short"))
            .expect("written");
        drop(theirs);
        link.read().expect("no fault");
        assert!(link.is_closed());
        let request = link.next::<Request>().expect("whole");
        assert!(matches!(request, Some(Request::Sample { id: 3 })));
    }
}
