//! Plain UDP, several datagrams a call where the OS can.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_udp::{Transmit, UdpSocketState};

use super::batch::Batch;
use super::{PacketTransport, Refused, TransportError, TransportErrorKind, TransportWaker};

/// Plain UDP to one receiver, RTP and RTCP on the same port (RFC 5761).
///
/// Datagrams of one size that follow each other are held back until [`flush`](PacketTransport::flush) and leave in
/// one call, by segmentation offload:
///
/// | OS | datagrams a call |
/// | --- | --- |
/// | Linux 4.18 and later | up to 64 (`UDP_SEGMENT`) |
/// | Windows 10, version 2004 and later | up to 512 (`UDP_SEND_MSG_SIZE`) |
/// | others | 1 |
///
/// A call has at most 65,000 bytes. If the OS refuses a batch for what it is (a network adapter without checksum
/// offload, for example, or datagrams larger than the path takes whole), the datagrams in it are sent one by one,
/// and all after them: none is lost for it.
pub struct UdpTransport {
    socket: UdpSocket,
    poll: Poll,
    events: Events,
    waker: TransportWaker,
    remote: SocketAddr,
    /// How to send several datagrams in one call; none where the OS cannot.
    offload: Option<UdpSocketState>,
    batch: Batch,
    /// Datagrams taken since the last flush, those of `batch` among them.
    taken: usize,
    /// Those of them that were refused so far.
    refused: Vec<Refused>,
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
        let offload = offload(local);
        let max_len = offload.as_ref().map_or(1, UdpSocketState::max_gso_segments);
        Ok(Self {
            socket,
            poll,
            events: Events::with_capacity(8),
            waker,
            remote,
            offload,
            batch: Batch::new(max_len),
            taken: 0,
            refused: Vec::new(),
        })
    }

    /// Sends at most `datagrams` in one call, from 1 (one by one) to what the OS takes. Default: what the OS takes.
    #[must_use]
    pub fn with_max_batch(mut self, datagrams: usize) -> Self {
        self.hand_over();
        self.batch = Batch::new(datagrams.min(self.batch.max_len()));
        self
    }

    /// The most datagrams that leave in one call; 1 where the OS takes no more, or has refused more.
    pub fn max_batch(&self) -> usize {
        self.batch.max_len().max(1)
    }

    /// The address that datagrams leave from.
    ///
    /// # Errors
    ///
    /// If the OS does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Hands the batch to the OS.
    fn hand_over(&mut self) {
        let first = self.taken - self.batch.len();
        let result = match self.batch.len() {
            0 => return,
            1 => self.socket.send(self.batch.bytes()).map(drop),
            _ => self.send_batch(),
        };
        match result.map_err(|source| TransportError::new("sending", source)) {
            Ok(()) => {}
            Err(error) if self.batch.len() == 1 || is_of_the_path(&error) => {
                self.refused.push(Refused::new(first..self.taken, error));
            }
            Err(error) => {
                tracing::info!(%error, "a batch is refused: from now on datagrams leave one by one");
                self.send_singly(first);
                self.batch = Batch::new(1);
            }
        }
        self.batch.clear();
    }

    /// Sends the batch, of two or more, in one call: all of it leaves, or nothing.
    fn send_batch(&self) -> io::Result<()> {
        let Some(offload) = &self.offload else { return Err(io::ErrorKind::Unsupported.into()) };
        let transmit = Transmit {
            destination: self.remote,
            ecn: None,
            contents: self.batch.bytes(),
            segment_size: Some(self.batch.segment()),
            src_ip: None,
        };
        self.socket.try_io(|| offload.try_send((&self.socket).into(), &transmit))
    }

    /// Sends each datagram of the batch by itself. The first has the number `first`.
    fn send_singly(&mut self, first: usize) {
        for (number, datagram) in (first..).zip(self.batch.datagrams()) {
            let Err(source) = self.socket.send(datagram) else { continue };
            let error = TransportError::new("sending", source);
            match self.refused.last_mut() {
                Some(last) if last.datagrams.end == number && last.error.kind() == error.kind() => {
                    last.datagrams.end = number + 1;
                }
                _ => self.refused.push(Refused::new(number..number + 1, error)),
            }
        }
    }
}

/// Whether `error` would meet each datagram by itself as well, and may be gone with the next.
fn is_of_the_path(error: &TransportError) -> bool {
    matches!(error.kind(), TransportErrorKind::Full | TransportErrorKind::Unreachable)
}

/// What the OS offers for several datagrams in one call, from `local`.
fn offload(local: IpAddr) -> Option<UdpSocketState> {
    // It is asked about another socket, for it changes the one that it is given: datagrams that arrive would be
    // joined, and those that leave never fragmented.
    let socket = UdpSocket::bind(SocketAddr::new(local, 0)).ok()?;
    UdpSocketState::new((&socket).into()).ok()
}

impl fmt::Debug for UdpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpTransport").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl PacketTransport for UdpTransport {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        if !self.batch.push(datagram) {
            self.hand_over();
            if !self.batch.push(datagram) {
                self.socket.send(datagram).map_err(|source| TransportError::new("sending", source))?;
            }
        }
        self.taken += 1;
        Ok(())
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        self.hand_over();
        self.taken = 0;
        refused.append(&mut self.refused);
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

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);

/// Room for a key frame that arrives in one burst, and for one that leaves so, in bytes.
const SOCKET_BUFFER: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transport::batch::MAX_BYTES;

    #[expect(clippy::disallowed_methods, reason = "the peer of the transport under test")]
    fn peer() -> (std::net::UdpSocket, UdpTransport) {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let transport = UdpTransport::connect(peer.local_addr().unwrap()).unwrap();
        (peer, transport)
    }

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// The datagram number `number`, of `len` bytes.
    fn datagram(number: usize, len: usize) -> Vec<u8> {
        (0..len).map(|at| (number * 31 + at) as u8).collect()
    }

    /// Sends datagrams of these sizes, and answers with what the flush refused.
    fn send(transport: &mut UdpTransport, sizes: &[usize]) -> Vec<Refused> {
        for (number, len) in sizes.iter().enumerate() {
            transport.send(&mut datagram(number, *len)).unwrap();
        }
        let mut refused = Vec::new();
        transport.flush(&mut refused);
        refused
    }

    /// Takes `count` datagrams.
    fn arrived(peer: &std::net::UdpSocket, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 70_000];
        let next = |_| {
            let len = peer.recv(&mut buffer).unwrap();
            buffer[..len].to_vec()
        };
        (0..count).map(next).collect()
    }

    fn datagrams(sizes: &[usize]) -> Vec<Vec<u8>> {
        sizes.iter().enumerate().map(|(number, len)| datagram(number, *len)).collect()
    }

    #[test]
    fn datagrams_go_both_ways() {
        let (peer, mut transport) = peer();
        let mut buffer = [0; 64];
        assert_eq!(transport.recv(&mut buffer).unwrap(), None);
        transport.send(&mut b"there".to_vec()).unwrap();
        transport.flush(&mut Vec::new());
        let (len, from) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], b"there");
        assert_eq!(from, transport.local_addr().unwrap());
        peer.send_to(b"back", from).unwrap();
        transport.wait(PATIENCE).unwrap();
        assert_eq!(transport.recv(&mut buffer).unwrap(), Some(4));
    }

    #[test]
    fn what_arrives_at_once_is_received_one_by_one() {
        let (peer, mut transport) = peer();
        peer.connect(transport.local_addr().unwrap()).unwrap();
        for _ in 0..10 {
            peer.send(&[5; 100]).unwrap();
        }
        let mut buffer = [0; 2_048];
        for _ in 0..10 {
            let len = loop {
                if let Some(len) = transport.recv(&mut buffer).unwrap() {
                    break len;
                }
                transport.wait(PATIENCE).unwrap();
            };
            assert_eq!(len, 100);
        }
        assert_eq!(transport.recv(&mut buffer).unwrap(), None);
    }

    #[test]
    fn a_wake_ends_the_next_wait_even_if_it_came_before() {
        let (_peer, mut transport) = peer();
        transport.waker().wake();
        // Would outlast the test runner's patience, were the wake lost.
        transport.wait(Duration::from_secs(600)).unwrap();
        // What is held back and flushed in between does not use it up either.
        transport.waker().wake();
        assert!(send(&mut transport, &[100; 5]).is_empty());
        transport.wait(Duration::from_secs(600)).unwrap();
    }

    #[test]
    fn a_datagram_that_no_path_takes_is_too_large_and_its_neighbours_leave() {
        let (peer, mut transport) = peer();
        for number in 0..3 {
            transport.send(&mut datagram(number, 1_200)).unwrap();
        }
        let error = transport.send(&mut vec![0; 70_000]).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::TooLarge, "{error}");
        for number in 3..5 {
            transport.send(&mut datagram(number, 1_200)).unwrap();
        }
        let mut refused = Vec::new();
        transport.flush(&mut refused);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(arrived(&peer, 5), datagrams(&[1_200; 5]));
    }

    #[test]
    fn the_largest_batch_is_one_that_the_os_takes() {
        let (peer, mut transport) = peer();
        let most = transport.max_batch();
        for len in [10, 1_000, 1_472, 5_000, MAX_BYTES / 2] {
            let sizes = vec![len; 64.min(MAX_BYTES / len)];
            assert!(send(&mut transport, &sizes).is_empty());
            assert_eq!(arrived(&peer, sizes.len()), datagrams(&sizes));
        }
        assert_eq!(transport.max_batch(), most, "a batch was refused");
    }

    #[test]
    fn a_batch_that_the_os_refuses_leaves_one_by_one() {
        let (peer, mut transport) = peer();
        // More than Linux takes in one call.
        transport.batch = Batch::new(1_000);
        let sizes = [10; 150];
        assert!(send(&mut transport, &sizes).is_empty());
        assert_eq!(arrived(&peer, sizes.len()), datagrams(&sizes));
        if cfg!(target_os = "linux") {
            assert_eq!(transport.max_batch(), 1);
        }
        assert!(send(&mut transport, &[1_200; 3]).is_empty());
        assert_eq!(arrived(&peer, 3), datagrams(&[1_200; 3]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_batch_that_a_dead_peer_refuses_is_told_whole_and_by_its_numbers() {
        let (peer, mut transport) = peer();
        drop(peer);
        // The first leaves; the answer to it refuses the second.
        let refused = send(&mut transport, &[100, 100, 100, 200, 200]);
        let told: Vec<_> = refused.iter().map(|r| (r.datagrams.clone(), r.error.kind())).collect();
        assert_eq!(told, [(3..5, TransportErrorKind::Unreachable)]);
        assert_eq!(transport.max_batch(), UdpTransport::connect(transport.remote).unwrap().max_batch());
        // Where datagrams leave one by one, each second one is refused, at once.
        let mut transport = transport.with_max_batch(1);
        let results = [100; 4].map(|len| transport.send(&mut vec![0; len]).is_ok());
        assert_eq!(results, [true, false, true, false]);
        let mut refused = Vec::new();
        transport.flush(&mut refused);
        assert!(refused.is_empty());
    }

    /// Sizes as a sender has them: mostly two, and any other in between.
    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(prop_oneof![4 => Just(1_200), 3 => Just(1_199), 2 => 0..1_500_usize], 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn datagrams_of_any_sizes_arrive_whole_and_in_order(
            max_batch in prop_oneof![1..4_usize, Just(64)],
            turns in prop::collection::vec(sizes(), 1..4),
        ) {
            let (peer, transport) = peer();
            let mut transport = transport.with_max_batch(max_batch);
            for sizes in turns {
                let refused = send(&mut transport, &sizes);
                prop_assert!(refused.is_empty(), "{:?}", refused);
                prop_assert_eq!(arrived(&peer, sizes.len()), datagrams(&sizes));
            }
        }
    }
}
