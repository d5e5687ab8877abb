//! Plain UDP.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use super::{PacketTransport, Refused, TransportError, TransportWaker};

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
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        self.socket.send(datagram).map(drop).map_err(|source| TransportError::new("sending", source))
    }

    fn flush(&mut self, _: &mut Vec<Refused>) {}

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

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Room for a key frame that arrives in one burst, and for one that leaves so, in bytes.
const SOCKET_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportErrorKind;

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
        transport.send(&mut b"there".to_vec()).unwrap();
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
        let error = transport.send(&mut vec![0; 70_000]).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{error}");
    }
}
