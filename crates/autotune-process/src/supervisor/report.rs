//! The channel from the keeper, and the server before its exec, to the
//! supervisor. Every message carries the sender's pid as the supervisor numbers
//! it, filled in by the kernel: pids of an inner namespace need no translation.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg,
    sendmsg, setsockopt, socketpair, sockopt,
};

use crate::error::LaunchStep;
use crate::signal::ExitStatus;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The keeper could not set the isolation up, and ends.
    NotIsolated { errno: i32 },
    /// From the server before it runs its program: its pid is the sender's.
    Here,
    /// The program runs.
    Started,
    /// The program does not run, and the keeper ends.
    Failed { step: LaunchStep, errno: i32 },
    /// The main process ended and was reaped.
    Exited(ExitStatus),
}

const BYTES: usize = 9;

impl Report {
    fn to_bytes(self) -> [u8; BYTES] {
        let (kind, first, second) = match self {
            Self::NotIsolated { errno } => (0, errno, 0),
            Self::Here => (1, 0, 0),
            Self::Started => (2, 0, 0),
            Self::Failed { step, errno } => (3, errno, step as i32),
            Self::Exited(ExitStatus::Code(code)) => (4, code, 0),
            Self::Exited(ExitStatus::Signal(signal)) => (5, signal, 0),
        };
        let mut bytes = [kind; BYTES];
        bytes[1..5].copy_from_slice(&i32::to_ne_bytes(first));
        bytes[5..].copy_from_slice(&i32::to_ne_bytes(second));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let first = i32::from_ne_bytes(*rest.first_chunk()?);
        let second = i32::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        Some(match kind {
            0 => Self::NotIsolated { errno: first },
            1 => Self::Here,
            2 => Self::Started,
            3 => Self::Failed {
                step: LaunchStep::ALL
                    .into_iter()
                    .find(|step| *step as i32 == second)?,
                errno: first,
            },
            4 => Self::Exited(ExitStatus::Code(first)),
            5 => Self::Exited(ExitStatus::Signal(first)),
            _ => return None,
        })
    }
}

/// The channel: where the supervisor hears, and where the others tell.
pub(crate) fn channel() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (hears, tells) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    setsockopt(&hears, sockopt::PassCred, &true)?;
    Ok((hears, tells))
}

/// Tells, and says whether it was taken. It is not where the supervisor is gone,
/// which the keeper learns by other means, too.
pub(crate) fn tell(fd: BorrowedFd<'_>, report: Report) -> bool {
    let bytes = report.to_bytes();
    let bytes = [IoSlice::new(&bytes)];
    sendmsg::<()>(fd.as_raw_fd(), &bytes, &[], MsgFlags::MSG_NOSIGNAL, None).is_ok()
}

/// What is heard next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A report, with the sender's pid.
    Report(Report, u32),
    /// Nothing yet. Only without `wait`.
    Nothing,
    /// Nobody is left who could tell.
    End,
}

/// Hears the next report; `flags` may say not to wait.
pub(crate) fn hear(fd: BorrowedFd<'_>, flags: MsgFlags) -> nix::Result<Heard> {
    let mut bytes = [0; BYTES];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!(UnixCredentials);
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = match recvmsg::<()>(fd.as_raw_fd(), &mut slices, Some(&mut space), flags) {
        Ok(message) => message,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Heard::Nothing),
        Err(Errno::ECONNRESET) => return Ok(Heard::End),
        Err(error) => return Err(error),
    };
    let length = message.bytes;
    let sender = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmCredentials(credentials) => u32::try_from(credentials.pid()).ok(),
        _ => None,
    });
    if length == 0 {
        return Ok(Heard::End);
    }
    let report = Report::from_bytes(&bytes[..length]).ok_or(Errno::EBADMSG)?;
    Ok(Heard::Report(report, sender.ok_or(Errno::EBADMSG)?))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn reports_arrive_with_the_sender() {
        let (hears, tells) = channel().expect("a socket pair");
        let mut reports = vec![
            Report::NotIsolated { errno: 1 },
            Report::Here,
            Report::Started,
            Report::Exited(ExitStatus::Code(255)),
            Report::Exited(ExitStatus::Signal(9)),
        ];
        reports.extend(LaunchStep::ALL.map(|step| Report::Failed { step, errno: 2 }));
        for report in reports {
            tell(tells.as_fd(), report);
            let heard = hear(hears.as_fd(), MsgFlags::empty()).expect("a report");
            assert_eq!(heard, Heard::Report(report, std::process::id()));
        }
        let heard = hear(hears.as_fd(), MsgFlags::MSG_DONTWAIT).expect("no fault");
        assert_eq!(heard, Heard::Nothing);
        drop(tells);
        assert_eq!(
            hear(hears.as_fd(), MsgFlags::empty()).expect("no fault"),
            Heard::End
        );
    }
}
