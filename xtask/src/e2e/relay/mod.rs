//! Relays between a share and its server.
//!
//! Each passes the [signalling] on and puts a UDP address of its own in the place of the server's, so media goes
//! through it without any right on an interface. A [`Recorder`] writes every datagram down, and puts others on either
//! side's wire when it is asked to; a [`Network`] does to them what a network does. Neither looks into a datagram, so
//! both take encrypted media as well.

mod lane;
mod network;
mod record;
mod signalling;

#[cfg(test)]
pub(crate) use lane::Slot;
pub(crate) use lane::{Course, SLOT};
pub(crate) use network::{Journey, Network};
pub(crate) use record::{Datagram, Recorder, Recording};

/// Which way a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToSender,
}
