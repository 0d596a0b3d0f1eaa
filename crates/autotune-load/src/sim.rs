//! A simulated clock, network and server, for tests of the whole dispatcher in
//! exact time: nothing waits, and a busy machine changes nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use autotune_model::LoadRecord;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::plan::LoadPlan;
use crate::request::write_all;
use crate::transport::Transport;

/// One millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// A request that has reached the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// When its last byte came.
    pub(crate) at_ns: u64,
    /// On which connection, counted from 0.
    pub(crate) connection: usize,
    /// Which of the requests on this connection, counted from 0.
    pub(crate) nth: usize,
    /// All of its bytes.
    pub(crate) text: String,
}

/// What the server does with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// These bytes,
    pub(crate) bytes: Vec<u8>,
    /// at this time; never, if `None`;
    pub(crate) at_ns: Option<u64>,
    /// and closes at this time.
    pub(crate) close_ns: Option<u64>,
}

impl Reply {
    /// A good answer at this time.
    pub(crate) fn good(at_ns: u64) -> Self {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        Self {
            bytes,
            at_ns: Some(at_ns),
            close_ns: None,
        }
    }
}

/// What becomes of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    /// A connection, at once.
    Open,
    /// An error, at once.
    Fail(io::ErrorKind),
    /// Nothing.
    Hang,
}

/// The server's side: how it takes connections and what it answers.
pub(crate) struct Server {
    /// The connect with this number, at this time.
    pub(crate) connect: Box<dyn FnMut(usize, u64) -> Connect>,
    /// What it does with a request.
    pub(crate) serve: Box<dyn FnMut(&Asked) -> Reply>,
}

impl Server {
    /// Takes all connections.
    pub(crate) fn new(serve: impl FnMut(&Asked) -> Reply + 'static) -> Self {
        Self {
            connect: Box::new(|_, _| Connect::Open),
            serve: Box::new(serve),
        }
    }
}

/// What the server has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All requests, in order.
    pub(crate) asked: Vec<Asked>,
    /// By connection: when our end closed it.
    pub(crate) closed_ns: BTreeMap<usize, u64>,
    /// Connects, failed ones too.
    pub(crate) connects: usize,
    /// Users who had not made all their requests at the end.
    pub(crate) users_left: u32,
}

/// What else differs from a quiet machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// When the stop flag is set.
    pub(crate) stop_ns: u64,
    /// How late every alarm is.
    pub(crate) oversleep_ns: u64,
}

/// A quiet machine, and no stop.
pub(crate) const QUIET: Conditions = Conditions {
    stop_ns: u64::MAX,
    oversleep_ns: 0,
};

/// Sends the plan in simulated time.
pub(crate) fn simulate(plan: &LoadPlan, server: Server) -> (LoadRecord, Seen) {
    simulate_under(plan, server, QUIET)
}

/// The same under other conditions.
pub(crate) fn simulate_under(
    plan: &LoadPlan,
    server: Server,
    conditions: Conditions,
) -> (LoadRecord, Seen) {
    plan.check().unwrap();
    let world = Rc::new(RefCell::new(World {
        now: 0,
        alarm: None,
        oversleep_ns: conditions.oversleep_ns,
        streams: Vec::new(),
        server,
        seen: Seen::default(),
    }));
    let stop = AtomicBool::new(false);
    let transport = FakeNetwork(Rc::clone(&world));
    let requests = write_all(plan).unwrap();
    let clock = FakeClock(Rc::clone(&world));
    let mut engine = Engine::new((plan, requests), &stop, transport, clock);
    let woken = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        stop.store(world.borrow().now >= conditions.stop_ns, Ordering::Relaxed);
        match engine.poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => break done.unwrap(),
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => {}
            Poll::Pending => step(&world),
        }
    }
    let users_left = engine.users_left();
    let record = engine.finish();
    let mut seen = std::mem::take(&mut world.borrow_mut().seen);
    seen.users_left = users_left;
    (record, seen)
}

/// Goes on to the next time at which something happens.
fn step(world: &Rc<RefCell<World>>) {
    let mut world = world.borrow_mut();
    let now = world.now;
    let of_streams = world
        .streams
        .iter()
        .flat_map(|stream| [stream.reply_ns(), stream.close_ns]);
    let times = of_streams.flatten().chain(world.alarm);
    let next = times.filter(|at| *at > now).min();
    world.now = next.expect("the engine always sets an alarm");
    let now = world.now;
    let wakers = world.streams.iter_mut().filter_map(|stream| {
        let news = stream.reply_ns().is_some_and(|at| at <= now)
            || stream.close_ns.is_some_and(|at| at <= now);
        if news { stream.waker.take() } else { None }
    });
    let wakers: Vec<Waker> = wakers.collect();
    drop(world);
    wakers.into_iter().for_each(Waker::wake);
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct World {
    now: u64,
    alarm: Option<u64>,
    oversleep_ns: u64,
    streams: Vec<Wire>,
    server: Server,
    seen: Seen,
}

#[derive(Default)]
struct Wire {
    request: Vec<u8>,
    requests: usize,
    reply: Option<(u64, Vec<u8>)>,
    close_ns: Option<u64>,
    waker: Option<Waker>,
}

impl Wire {
    fn reply_ns(&self) -> Option<u64> {
        self.reply.as_ref().map(|(at, _)| *at)
    }
}

/// The simulated clock.
pub(crate) struct FakeClock(Rc<RefCell<World>>);

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.0.borrow().now
    }

    fn cpu(&self) -> Duration {
        Duration::ZERO
    }

    fn poll_until(&mut self, deadline_ns: u64, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut world = self.0.borrow_mut();
        if world.now >= deadline_ns {
            return Poll::Ready(Ok(()));
        }
        world.alarm = Some(deadline_ns + world.oversleep_ns);
        Poll::Pending
    }
}

/// The simulated network.
pub(crate) struct FakeNetwork(Rc<RefCell<World>>);

impl Transport for FakeNetwork {
    type Stream = FakeStream;
    type Connecting = Pin<Box<dyn Future<Output = io::Result<FakeStream>>>>;

    fn connect(&mut self) -> Self::Connecting {
        let mut world = self.0.borrow_mut();
        let (number, now) = (world.seen.connects, world.now);
        world.seen.connects += 1;
        match (world.server.connect)(number, now) {
            Connect::Open => {
                world.streams.push(Wire::default());
                let index = world.streams.len() - 1;
                Box::pin(std::future::ready(Ok(FakeStream {
                    world: Rc::clone(&self.0),
                    index,
                })))
            }
            Connect::Fail(kind) => Box::pin(std::future::ready(Err(kind.into()))),
            Connect::Hang => Box::pin(std::future::pending()),
        }
    }
}

/// Our end of a simulated connection.
pub(crate) struct FakeStream {
    world: Rc<RefCell<World>>,
    index: usize,
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        world.streams[self.index] = Wire::default();
        world.seen.closed_ns.insert(self.index, now);
    }
}

impl AsyncRead for FakeStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        let wire = &mut world.streams[self.index];
        if let Some((at, bytes)) = &mut wire.reply
            && *at <= now
        {
            let length = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..length]);
            bytes.drain(..length);
            if bytes.is_empty() {
                wire.reply = None;
            }
            return Poll::Ready(Ok(()));
        }
        if wire.close_ns.is_some_and(|at| at <= now) {
            return Poll::Ready(Ok(()));
        }
        wire.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Whether the head has ended, and the body that it announces.
fn is_whole(request: &[u8]) -> bool {
    let text = std::str::from_utf8(request).unwrap_or_default();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

impl AsyncWrite for FakeStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut world = self.world.borrow_mut();
        let World {
            now,
            streams,
            server,
            seen,
            ..
        } = &mut *world;
        let wire = &mut streams[self.index];
        wire.request.extend_from_slice(bytes);
        if is_whole(&wire.request) {
            let text = String::from_utf8(std::mem::take(&mut wire.request)).unwrap();
            let asked = Asked {
                at_ns: *now,
                connection: self.index,
                nth: wire.requests,
                text,
            };
            wire.requests += 1;
            let reply = (server.serve)(&asked);
            wire.reply = reply.at_ns.map(|at| (at, reply.bytes));
            wire.close_ns = reply.close_ns;
            seen.asked.push(asked);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
