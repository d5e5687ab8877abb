//! A relay between a share and its server that writes down every media packet on the way.
//!
//! It passes the signalling on and puts its own UDP address in the place of the server's, so that what is
//! recorded is what travelled, without any right to capture on an interface. Whoever is on the way can do more than
//! look: it puts datagrams of its own on either side's wire, under the address of the other.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tungstenite::{Error, Message, WebSocket};

use crate::process::unix_us;

const POLL: Duration = Duration::from_millis(5);
const LARGEST_DATAGRAM: usize = 65_536;

/// Which way a datagram went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToSender,
}

/// One datagram.
#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) at_unix_us: u64,
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

impl Datagram {
    /// Whether it is RTCP: packet types 192 to 223 where RTP has marker and payload type.
    /// [RFC 5761 §4](https://www.rfc-editor.org/rfc/rfc5761#section-4)
    pub(crate) fn is_rtcp(&self) -> bool {
        self.bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
    }
}

/// What the relay saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    /// The sender's reply of `create_native_sender_session`, as the server gave it.
    pub(crate) session: Value,
    pub(crate) sender: Option<SocketAddr>,
    pub(crate) server: Option<SocketAddr>,
    pub(crate) datagrams: Vec<Datagram>,
}

/// A running relay. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Relay {
    address: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Changes what a share says to the server.
pub(crate) type Change = fn(Value) -> Value;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    recording: Mutex<Recording>,
    /// Towards the sender, and towards the server.
    sockets: Mutex<Option<[Arc<UdpSocket>; 2]>>,
}

impl Shared {
    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().expect("no one panics while holding it")
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Relay {
    /// A relay to the server at `ws` (`ws://host:port/path`) for one share.
    pub(crate) fn start(ws: &str) -> Result<Self> {
        Self::start_with(ws, |message| message)
    }

    /// As [`start`](Self::start), where what the share says goes through `change`.
    pub(crate) fn start_with(ws: &str, change: Change) -> Result<Self> {
        let upstream = ws.to_owned();
        let path = ws.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").context("the relay's port")?;
        let address = format!("ws://{}/{path}", listener.local_addr().context("the relay's port")?);
        listener.set_nonblocking(true).context("the relay's port")?;
        let shared = Arc::new(Shared::default());
        let inner = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || signalling(&listener, &upstream, &inner, change))
            .context("starting a thread")?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where a share connects.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it saw so far.
    pub(crate) fn so_far(&self) -> Recording {
        self.shared.recording().clone()
    }

    /// Sends `datagram` as if the other side had. What is injected is not recorded.
    pub(crate) fn inject(&self, direction: Direction, datagram: &[u8]) {
        let sockets = self.shared.sockets.lock().expect("no one panics while holding it");
        let (Some([near, far]), Some(sender)) = (sockets.as_ref(), self.shared.recording().sender) else {
            return;
        };
        // A refused datagram is lost, as on any network.
        let _ = match direction {
            Direction::ToServer => far.send(datagram),
            Direction::ToSender => near.send_to(datagram, sender),
        };
    }

    /// Ends the relay and returns what it saw.
    pub(crate) fn finish(mut self) -> Result<Recording> {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| anyhow::anyhow!("the relay panicked"))??;
        }
        Ok(std::mem::take(&mut *self.shared.recording()))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn signalling(listener: &TcpListener, upstream: &str, shared: &Arc<Shared>, change: Change) -> Result<()> {
    let client = loop {
        match listener.accept() {
            Ok((client, _)) => break client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if shared.stopped() {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
            Err(error) => return Err(error).context("the relay's port"),
        }
    };
    client.set_nonblocking(false).context("the relay's client")?;
    let mut client =
        tungstenite::accept(client).map_err(|error| anyhow::anyhow!("the relay's client: {error}"))?;
    let host = upstream.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(host).context("the relay's server")?;
    let (mut server, _) = tungstenite::client(upstream, stream)
        .map_err(|error| anyhow::anyhow!("the relay's server: {error}"))?;
    for socket in [client.get_ref(), server.get_ref()] {
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(POLL)))
            .context("the relay's sockets")?;
    }
    let mut media = Vec::new();
    let ended = loop {
        if shared.stopped() {
            break Ok(());
        }
        let said = |text: &str| {
            serde_json::from_str(text)
                .map(|message| change(message).to_string())
                .context("the share's message")
        };
        let passed = pass(&mut client, &mut server, said).and_then(|open| {
            let back = pass(&mut server, &mut client, |text| redirect(text, shared, &mut media))?;
            Ok(open && back)
        });
        match passed {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Both sides see the end of the connection now; datagrams go on until the recording is taken, then the threads see the flag.
    drop((client, server));
    while !shared.stopped() {
        thread::sleep(POLL);
    }
    for thread in media {
        let _ = thread.join();
    }
    ended
}

/// Passes what is there from one socket to the other; `false` once either is closed.
fn pass(
    from: &mut WebSocket<TcpStream>,
    to: &mut WebSocket<TcpStream>,
    mut change: impl FnMut(&str) -> Result<String>,
) -> Result<bool> {
    let message = match from.read() {
        Ok(Message::Text(text)) => Message::text(change(text.as_str())?),
        Ok(message @ (Message::Close(_) | Message::Binary(_))) => message,
        Ok(_) => return Ok(true),
        Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Ok(true);
        }
        Err(_) => {
            let _ = to.close(None);
            let _ = to.flush();
            return Ok(false);
        }
    };
    Ok(to.send(message).is_ok())
}

/// Puts the relay's address into a reply that names where media goes.
fn redirect(text: &str, shared: &Arc<Shared>, media: &mut Vec<JoinHandle<()>>) -> Result<String> {
    let Ok(mut message) = serde_json::from_str::<Value>(text) else { return Ok(text.to_owned()) };
    let Some(target) = message["data"]["rtp_target"].as_str() else { return Ok(text.to_owned()) };
    let server: SocketAddr = target.parse().with_context(|| format!("rtp_target {target:?}"))?;
    shared.recording().session = message["data"].clone();
    shared.recording().server = Some(server);
    let near = UdpSocket::bind("127.0.0.1:0").context("the relay's socket")?;
    let far = UdpSocket::bind("127.0.0.1:0").context("the relay's socket")?;
    far.connect(server).context("the relay's socket")?;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_millis(50))).context("the relay's socket")?;
    }
    message["data"]["rtp_target"] = near.local_addr().context("the relay's socket")?.to_string().into();
    let (near, far) = (Arc::new(near), Arc::new(far));
    let both = [Arc::clone(&near), Arc::clone(&far)];
    *shared.sockets.lock().expect("no one panics while holding it") = Some(both);
    for direction in [Direction::ToServer, Direction::ToSender] {
        let (near, far, shared) = (Arc::clone(&near), Arc::clone(&far), Arc::clone(shared));
        let thread = thread::Builder::new()
            .name("relay media".to_owned())
            .spawn(move || datagrams(direction, &near, &far, &shared))
            .context("starting a thread")?;
        media.push(thread);
    }
    Ok(message.to_string())
}

fn datagrams(direction: Direction, near: &UdpSocket, far: &UdpSocket, shared: &Shared) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while !shared.stopped() {
        let received = match direction {
            Direction::ToServer => near.recv_from(&mut buffer),
            Direction::ToSender => far.recv_from(&mut buffer),
        };
        let Ok((length, from)) = received else { continue };
        let bytes = buffer[..length].to_vec();
        let sender = {
            let mut recording = shared.recording();
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
