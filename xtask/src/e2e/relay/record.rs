//! A relay that writes down every media packet on the way.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Direction;
use super::signalling::{Change, Gate, Signalling};
use crate::process::unix_us;

/// A running recorder. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Recorder {
    signalling: Signalling,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    recording: Mutex<Recording>,
    gate: Mutex<Option<Gate>>,
}

/// What a recorder saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    /// The sender's reply of `create_native_sender_session`, as the server gave it.
    pub(crate) session: Value,
    pub(crate) sender: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) datagrams: Vec<Datagram>,
}

/// One datagram.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) at_unix_us: u64,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

impl Recording {
    /// The RTP packets of the picture's own stream: what is sent again, and what probes, is in another.
    /// [RFC 4588 §4](https://www.rfc-editor.org/rfc/rfc4588#section-4)
    pub(crate) fn media(&self) -> impl Iterator<Item = &Datagram> {
        let ssrc = self.ssrc("/ssrc");
        self.datagrams.iter().filter(move |datagram| {
            datagram.direction == Direction::ToServer && !datagram.is_rtcp() && datagram.ssrc() == ssrc
        })
    }

    /// An SSRC of the session, by its place in the server's reply; none if the reply has none there.
    pub(crate) fn ssrc(&self, place: &str) -> Option<u32> {
        self.session.pointer(place)?.as_u64()?.try_into().ok()
    }
}

impl Datagram {
    /// Of an RTP packet.
    fn ssrc(&self) -> Option<u32> {
        let bytes = self.bytes.get(8..12)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Whether it is RTCP: packet types 192 to 223 where RTP has marker and payload type.
    /// [RFC 5761 §4](https://www.rfc-editor.org/rfc/rfc5761#section-4)
    pub(crate) fn is_rtcp(&self) -> bool {
        self.bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
    }
}

impl Recorder {
    /// A relay to the server at `ws` (`ws://host:port/path`) for one share.
    pub(crate) fn start(ws: &str) -> Result<Self> {
        Self::start_with(ws, |message| message)
    }

    /// As [`start`](Self::start), where what the share says goes through `change`.
    pub(crate) fn start_with(ws: &str, change: Change) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let inner = Arc::clone(&shared);
        let signalling =
            Signalling::start(ws, change, move |session: &Value, server: SocketAddr, gate: Gate| {
                lock(&inner.recording).session = session.clone();
                lock(&inner.recording).server = Some(server);
                *lock(&inner.gate) = Some(gate.clone());
                [Direction::ToServer, Direction::ToSender]
                    .into_iter()
                    .map(|direction| {
                        let (gate, inner) = (gate.clone(), Arc::clone(&inner));
                        thread::Builder::new()
                            .name("relay media".to_owned())
                            .spawn(move || datagrams(direction, &gate, &inner.recording))
                            .context("starting a thread")
                    })
                    .collect()
            })?;
        Ok(Self { signalling, shared })
    }

    /// Where a share connects.
    pub(crate) fn address(&self) -> &str {
        self.signalling.address()
    }

    /// What it saw so far.
    pub(crate) fn so_far(&self) -> Recording {
        lock(&self.shared.recording).clone()
    }

    /// Sends `datagram` as if the other side had. What is injected is not recorded.
    pub(crate) fn inject(&self, direction: Direction, datagram: &[u8]) {
        let gate = lock(&self.shared.gate);
        let (Some(gate), Some(sender)) = (gate.as_ref(), lock(&self.shared.recording).sender) else { return };
        // A refused datagram is lost, as on any network.
        let _ = match direction {
            Direction::ToServer => gate.far.send(datagram),
            Direction::ToSender => gate.near.send_to(datagram, sender),
        };
    }

    /// Ends the relay and returns what it saw.
    pub(crate) fn finish(mut self) -> Result<Recording> {
        self.signalling.end()?;
        Ok(std::mem::take(&mut *lock(&self.shared.recording)))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("no one panics while holding it")
}

fn datagrams(direction: Direction, gate: &Gate, recording: &Mutex<Recording>) {
    let (near, far): (&UdpSocket, &UdpSocket) = (&gate.near, &gate.far);
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while !gate.stop.is_set() {
        let received = match direction {
            Direction::ToServer => near.recv_from(&mut buffer),
            Direction::ToSender => far.recv_from(&mut buffer),
        };
        let Ok((length, from)) = received else { continue };
        let bytes = buffer[..length].to_vec();
        let sender = {
            let mut recording = lock(recording);
            if direction == Direction::ToServer {
                recording.sender = Some(from);
            }
            recording.datagrams.push(Datagram { at_unix_us: unix_us(), direction, bytes });
            recording.sender
        };
        // A refused datagram is lost, as on any network.
        let _ = match (direction, sender) {
            (Direction::ToServer, _) => far.send(&buffer[..length]),
            (Direction::ToSender, Some(sender)) => near.send_to(&buffer[..length], sender),
            (Direction::ToSender, None) => Ok(0),
        };
    }
}

const LARGEST_DATAGRAM: usize = 65_536;
