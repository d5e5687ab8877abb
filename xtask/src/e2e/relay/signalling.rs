//! The WebSocket between a share and its server, passed on but for the address that media goes to.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tungstenite::{Error, Message, WebSocket};

/// Where media passes a relay.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    /// The sender sends here.
    pub(super) near: Arc<UdpSocket>,
    /// The server answers here.
    pub(super) far: Arc<UdpSocket>,
    /// The end of the relay.
    pub(super) stop: Stop,
}

/// Tells a relay's threads that it ends. They look every [`LOOK`].
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

/// Changes what a share says to the server.
pub(crate) type Change = fn(Value) -> Value;

/// What a relay does with media: `open` gets the sender's reply of `create_native_sender_session` and the gate, and
/// returns the threads that carry the datagrams until [`Stop::is_set`].
pub(super) trait Open:
    FnMut(&Value, SocketAddr, Gate) -> Result<Vec<JoinHandle<()>>> + Send + 'static
{
}

impl<F: FnMut(&Value, SocketAddr, Gate) -> Result<Vec<JoinHandle<()>>> + Send + 'static> Open for F {}

/// The signalling of one share. Dropping it ends it, and the threads that carry media.
#[derive(Debug)]
pub(super) struct Signalling {
    address: String,
    stop: Stop,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Signalling {
    /// Passes on what one share and the server at `ws` (`ws://host:port/path`) say to each other; what the share says goes
    /// through `change`.
    pub(super) fn start(ws: &str, change: Change, open: impl Open) -> Result<Self> {
        let upstream = ws.to_owned();
        let path = ws.splitn(4, '/').nth(3).unwrap_or_default().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").context("the relay's port")?;
        let address = format!("ws://{}/{path}", listener.local_addr().context("the relay's port")?);
        listener.set_nonblocking(true).context("the relay's port")?;
        let stop = Stop::default();
        let inner = stop.clone();
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || pass_on(&listener, &upstream, &inner, change, open))
            .context("starting a thread")?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where a share connects.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Ends it, and returns once the threads that carry media have ended.
    pub(super) fn end(&mut self) -> Result<()> {
        self.stop.set();
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| anyhow::anyhow!("the relay panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Gate {
    fn open(server: SocketAddr, stop: &Stop) -> Result<Self> {
        let near = UdpSocket::bind("127.0.0.1:0").context("the relay's socket")?;
        let far = UdpSocket::bind("127.0.0.1:0").context("the relay's socket")?;
        far.connect(server).context("the relay's socket")?;
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(LOOK)).context("the relay's socket")?;
        }
        Ok(Self { near: Arc::new(near), far: Arc::new(far), stop: stop.clone() })
    }
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pass_on(
    listener: &TcpListener,
    upstream: &str,
    stop: &Stop,
    change: Change,
    mut open: impl Open,
) -> Result<()> {
    let client = loop {
        match listener.accept() {
            Ok((client, _)) => break client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if stop.is_set() {
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
        if stop.is_set() {
            break Ok(());
        }
        let said = |text: &str| {
            let message = serde_json::from_str(text).context("the share's message")?;
            Ok(change(message).to_string())
        };
        let passed = pass(&mut client, &mut server, said).and_then(|going| {
            let back = pass(&mut server, &mut client, |text| redirect(text, stop, &mut open, &mut media))?;
            Ok(going && back)
        });
        match passed {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // Both sides see the end of the connection now; datagrams go on until the relay ends.
    drop((client, server));
    while !stop.is_set() {
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
fn redirect(
    text: &str,
    stop: &Stop,
    open: &mut impl Open,
    media: &mut Vec<JoinHandle<()>>,
) -> Result<String> {
    let Ok(mut message) = serde_json::from_str::<Value>(text) else { return Ok(text.to_owned()) };
    let Some(target) = message["data"]["rtp_target"].as_str() else { return Ok(text.to_owned()) };
    let server: SocketAddr = target.parse().with_context(|| format!("rtp_target {target:?}"))?;
    let gate = Gate::open(server, stop)?;
    let near = gate.near.local_addr().context("the relay's socket")?;
    media.extend(open(&message["data"], server, gate)?);
    message["data"]["rtp_target"] = near.to_string().into();
    Ok(message.to_string())
}

/// For new signalling.
const POLL: Duration = Duration::from_millis(5);
/// How long a relay's sockets wait for a datagram before they look whether it ends.
const LOOK: Duration = Duration::from_millis(50);
