//! How datagrams leave and arrive. The only place with a socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

/// Where RTP and RTCP datagrams go and come from.
///
/// # Contract
///
/// - [`send`](Self::send) and [`recv`](Self::recv) never block; [`wait`](Self::wait) is the only place to wait.
/// - A wake-up that comes while nobody waits ends the next wait at once.
pub trait PacketTransport: Send + fmt::Debug {
    /// Sends one datagram.
    ///
    /// # Errors
    ///
    /// By kind: see [`TransportError`].
    fn send(&mut self, datagram: &[u8]) -> Result<(), TransportError>;

    /// Takes one received datagram into `buffer` and answers with its length, or `None` if none waits.
    ///
    /// # Errors
    ///
    /// By kind: see [`TransportError`].
    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError>;

    /// Waits until a datagram arrives, somebody wakes it, or `timeout` is over.
    ///
    /// # Errors
    ///
    /// By kind: see [`TransportError`].
    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError>;

    /// A handle that ends a wait from another thread.
    fn waker(&self) -> TransportWaker;
}

/// Ends a [`PacketTransport::wait`] from another thread.
#[derive(Clone)]
pub struct TransportWaker(Arc<dyn Fn() + Send + Sync>);

impl TransportWaker {
    /// A waker that calls `wake`, which must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the present or the next wait.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for TransportWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportWaker")
    }
}

/// A datagram that did not leave or arrive.
#[derive(Debug, thiserror::Error)]
#[error("{kind} while {doing}: {source}")]
pub struct TransportError {
    kind: TransportErrorKind,
    doing: &'static str,
    source: io::Error,
}

/// What is wrong with the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TransportErrorKind {
    /// The OS's buffer is full for the moment.
    Full,
    /// The peer's host says that nobody listens, or there is no route to it for the moment.
    Unreachable,
    /// The datagram is larger than the path takes.
    TooLarge,
    /// The socket broke.
    Failed,
}

impl TransportErrorKind {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Full,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            _ if is_no_buffers(error) => Self::Full,
            _ if is_too_large(error) => Self::TooLarge,
            _ => Self::Failed,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Full => "send_buffer_full",
            Self::Unreachable => "peer_unreachable",
            Self::TooLarge => "datagram_too_large",
            Self::Failed => "socket_failed",
        }
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// ENOBUFS: std has no kind for it. 105 on Linux, 55 on macOS, WSAENOBUFS on Windows.
fn is_no_buffers(error: &io::Error) -> bool {
    let code = if cfg!(windows) {
        10_055
    } else if cfg!(target_vendor = "apple") {
        55
    } else {
        105
    };
    error.raw_os_error() == Some(code)
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(message_too_large())
}

/// EMSGSIZE: std has no kind for it. 90 on Linux, 40 on macOS, WSAEMSGSIZE on Windows.
pub(crate) const fn message_too_large() -> i32 {
    if cfg!(windows) {
        10_040
    } else if cfg!(target_vendor = "apple") {
        40
    } else {
        90
    }
}

impl TransportError {
    /// An OS error that happened while `doing` (a phrase such as "sending").
    pub fn new(doing: &'static str, source: io::Error) -> Self {
        Self { kind: TransportErrorKind::of(&source), doing, source }
    }

    pub(crate) fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Room for a key frame that arrives in one burst, and for one that leaves so, in bytes.
const SOCKET_BUFFER: usize = 1 << 20;

/// Plain UDP to one receiver, RTP and RTCP on the same port (RFC 5761).
pub struct UdpTransport {
    socket: UdpSocket,
    poll: Poll,
    events: Events,
    waker: TransportWaker,
    remote: SocketAddr,
}

impl UdpTransport {
    /// Opens a socket on a port of the OS's choice, for `remote` alone.
    ///
    /// # Errors
    ///
    /// If the OS gives no socket, or knows no way to `remote`.
    pub fn connect(remote: SocketAddr) -> Result<Self, TransportError> {
        let local: IpAddr = match remote.ip() {
            ip if ip.is_loopback() => ip,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let error = |source| TransportError::new("connecting", source);
        let mut socket = UdpSocket::bind(SocketAddr::new(local, 0)).map_err(error)?;
        socket.connect(remote).map_err(error)?;
        let options = socket2::SockRef::from(&socket);
        // A smaller buffer than wished for still works, so a refusal is no error.
        let _ = options.set_send_buffer_size(SOCKET_BUFFER);
        let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
        let poll = Poll::new().map_err(error)?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE).map_err(error)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(error)?;
        let waker = TransportWaker::new(move || {
            // It fails only when the process is out of resources; the wait then ends by its timeout.
            let _ = waker.wake();
        });
        Ok(Self { socket, poll, events: Events::with_capacity(8), waker, remote })
    }

    /// The address that datagrams leave from.
    ///
    /// # Errors
    ///
    /// If the OS does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl fmt::Debug for UdpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpTransport").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl PacketTransport for UdpTransport {
    fn send(&mut self, datagram: &[u8]) -> Result<(), TransportError> {
        self.socket.send(datagram).map(|_| ()).map_err(|source| TransportError::new("sending", source))
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        match self.socket.recv(buffer) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(source) => Err(TransportError::new("receiving", source)),
        }
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(TransportError::new("waiting", error))
            }
            _ => Ok(()),
        }
    }

    fn waker(&self) -> TransportWaker {
        self.waker.clone()
    }
}

/// A socket that only sends, to `target` on this machine: the diagnostic mirror's. It never blocks.
///
/// # Errors
///
/// If `target` is not a loopback address, or the OS gives no socket.
#[cfg(feature = "native-diagnostic-udp-mirror")]
pub(crate) fn loopback_sender(target: SocketAddr) -> io::Result<UdpSocket> {
    if !target.ip().is_loopback() {
        let reason = format!("{target} is not a loopback address: the mirror is not encrypted");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let socket = UdpSocket::bind(SocketAddr::new(target.ip(), 0))?;
    socket.connect(target)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the peer of the transport under test")]
    fn peer() -> (std::net::UdpSocket, UdpTransport) {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let transport = UdpTransport::connect(peer.local_addr().unwrap()).unwrap();
        (peer, transport)
    }

    #[test]
    fn datagrams_go_both_ways() {
        let (peer, mut transport) = peer();
        let mut buffer = [0; 64];
        assert_eq!(transport.recv(&mut buffer).unwrap(), None);
        transport.send(b"there").unwrap();
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"there");
        assert_eq!(from, transport.local_addr().unwrap());
        peer.send_to(b"back", from).unwrap();
        transport.wait(Duration::from_secs(10)).unwrap();
        assert_eq!(transport.recv(&mut buffer).unwrap(), Some(4));
    }

    #[test]
    fn a_wake_ends_the_next_wait_even_if_it_came_before() {
        let (_peer, mut transport) = peer();
        transport.waker().wake();
        // Would outlast the test runner's patience, were the wake lost.
        transport.wait(Duration::from_secs(600)).unwrap();
    }

    #[test]
    fn a_datagram_that_no_path_takes_is_too_large() {
        let (_peer, mut transport) = peer();
        let error = transport.send(&vec![0; 70_000]).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{error}");
    }
}
