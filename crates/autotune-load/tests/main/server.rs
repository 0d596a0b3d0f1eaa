//! A small server on 127.0.0.1 that does what a test says, one thread a
//! connection, and counts what it was asked. Nothing of it outlives its drop.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

/// A good answer.
pub(crate) const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A request as the server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Counted over all connections, from 0.
    pub(crate) number: u64,
    /// Counted on its connection, from 0.
    pub(crate) nth: u64,
    /// All of its bytes.
    pub(crate) text: String,
}

/// What the server does with a request.
pub(crate) enum Act {
    /// Answers and keeps the connection.
    Answer(Vec<u8>),
    /// Answers, then closes in order.
    AnswerAndClose(Vec<u8>),
    /// Sends this, perhaps nothing, then resets the connection.
    Reset(Vec<u8>),
    /// Says nothing until the other side closes.
    Silence,
}

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

type Behaviour = dyn Fn(&Asked) -> Act + Send + Sync;

struct Shared {
    behaviour: Box<Behaviour>,
    requests: AtomicU64,
    connections: AtomicU64,
    stopping: AtomicBool,
    /// For closing what is still open at the end.
    streams: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Starts on a free port.
    pub(crate) fn start(behaviour: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Box::new(behaviour),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            streams: Mutex::new(Vec::new()),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listener, &for_acceptor));
        Self {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whole requests that it has read.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Connections that it has accepted.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Ends the accept that waits.
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    loop {
        let (stream, _) = listener.accept().unwrap();
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.streams().push(stream.try_clone().unwrap());
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || serve(stream, &shared)));
    }
    for stream in shared.streams().drain(..) {
        // Fails where the other side was faster.
        drop(stream.shutdown(Shutdown::Both));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut nth = 0;
    while let Some(text) = read_request(&mut stream) {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst);
        let act = (shared.behaviour)(&Asked { number, nth, text });
        nth += 1;
        // A write fails where the engine has given up meanwhile.
        match act {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Act::AnswerAndClose(bytes) => {
                drop(stream.write_all(&bytes));
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
            Act::Reset(bytes) => {
                drop(stream.write_all(&bytes));
                reset(stream, shared);
                return;
            }
            Act::Silence => {
                let mut rest = [0; 64];
                while matches!(stream.read(&mut rest), Ok(length) if length > 0) {}
                return;
            }
        }
    }
}

/// Closes with a reset: no time is left to what is still to be sent.
fn reset(stream: TcpStream, shared: &Shared) {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &at_once).unwrap();
    // The copy keeps the socket open, so it has to go first.
    let peer = stream.peer_addr().ok();
    shared
        .streams()
        .retain(|copy| copy.peer_addr().ok() != peer);
    drop(stream);
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => bytes.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}
