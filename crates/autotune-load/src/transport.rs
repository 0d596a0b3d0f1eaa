//! How connections are made, and what it means when one cannot be. A simulated
//! network is the second implementation.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use autotune_model::FailureClass;
use nix::errno::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

/// Makes connections.
pub(crate) trait Transport {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin;
    /// A connection on its way.
    type Connecting: Future<Output = io::Result<Self::Stream>> + Unpin;

    /// Begins to connect.
    fn connect(&mut self) -> Self::Connecting;
}

/// Connections to a server on this machine.
#[derive(Debug)]
pub(crate) struct Loopback {
    /// Where it listens.
    pub(crate) target: SocketAddr,
}

impl Transport for Loopback {
    type Stream = TcpStream;
    type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

    fn connect(&mut self) -> Self::Connecting {
        let target = self.target;
        Box::pin(async move {
            let socket = match target {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.set_nodelay(true)?;
            let stream = socket.connect(target).await?;
            // Where nobody listens on a port of the ephemeral range, the kernel
            // may pick that very port for our end: we would talk to ourselves.
            if stream.local_addr()? == target {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Ok(stream)
        })
    }
}

/// What the machine ran out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resource {
    /// Ports for our end of a connection.
    Ports,
    /// Open files of this process.
    Descriptors,
    /// Open files of the whole machine.
    SystemDescriptors,
    /// Memory for sockets.
    Memory,
}

impl fmt::Display for Resource {
    /// What is short, and what to change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ports => "out of local ports (sysctl net.ipv4.ip_local_port_range)",
            Self::Descriptors => "out of file descriptors (ulimit -n)",
            Self::SystemDescriptors => "out of the machine's file descriptors (sysctl fs.file-max)",
            Self::Memory => "out of memory for sockets (sysctl net.ipv4.tcp_mem)",
        })
    }
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectFault {
    /// The generator's fault.
    Resource(Resource),
    /// The server's, or of the way to it.
    Server(FailureClass),
}

impl ConnectFault {
    /// What this error means.
    pub(crate) fn of(error: &io::Error) -> Self {
        let number = error.raw_os_error().map(Errno::from_raw);
        match number {
            Some(Errno::EADDRNOTAVAIL) => Self::Resource(Resource::Ports),
            Some(Errno::EMFILE) => Self::Resource(Resource::Descriptors),
            Some(Errno::ENFILE) => Self::Resource(Resource::SystemDescriptors),
            Some(Errno::ENOBUFS | Errno::ENOMEM) => Self::Resource(Resource::Memory),
            _ => Self::Server(match error.kind() {
                io::ErrorKind::ConnectionRefused => FailureClass::ConnectRefused,
                io::ErrorKind::TimedOut => FailureClass::ConnectTimeout,
                _ => FailureClass::ConnectOther,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_machine_and_of_the_server_stand_apart() {
        let of = |errno: Errno| ConnectFault::of(&io::Error::from(errno));
        let cases = [
            (
                Errno::EADDRNOTAVAIL,
                ConnectFault::Resource(Resource::Ports),
            ),
            (Errno::EMFILE, ConnectFault::Resource(Resource::Descriptors)),
            (
                Errno::ENFILE,
                ConnectFault::Resource(Resource::SystemDescriptors),
            ),
            (Errno::ENOBUFS, ConnectFault::Resource(Resource::Memory)),
            (
                Errno::ECONNREFUSED,
                ConnectFault::Server(FailureClass::ConnectRefused),
            ),
            (
                Errno::ETIMEDOUT,
                ConnectFault::Server(FailureClass::ConnectTimeout),
            ),
            (
                Errno::ECONNRESET,
                ConnectFault::Server(FailureClass::ConnectOther),
            ),
        ];
        for (errno, expected) in cases {
            assert_eq!(of(errno), expected, "{errno}");
        }
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(
            ConnectFault::of(&refused),
            ConnectFault::Server(FailureClass::ConnectRefused)
        );
    }
}
