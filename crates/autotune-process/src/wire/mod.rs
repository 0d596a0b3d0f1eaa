//! The protocol between program and supervisor: frames of JSON over a stream.
//! Nothing in it depends on the stream being a socket of the same machine, apart
//! from the paths and clocks that the messages name.

mod confinement;
mod frame;
mod message;

#[cfg(test)]
pub(crate) use confinement::WireConfinement;
pub(crate) use confinement::WireGroup;
pub(crate) use frame::{Decoder, FrameError, encode};
pub(crate) use message::{
    Reply, Request, VERSION, WireLaunch, WireReport, WireSample, WireUser, microseconds,
};
