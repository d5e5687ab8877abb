//! A transport that protects what leaves and lets through what is authentic.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use yc_rtp::rtcp;

use super::{Inbound, Outbound, SrtpError, SrtpErrorKind, SrtpKeys, SrtpSuite};
use crate::{PacketTransport, Refused, TransportError, TransportWaker};

/// Sends through another transport, as SRTP and SRTCP, and hands on what arrives if the receiver made it.
///
/// What does not authenticate is dropped and counted. It is no error: anybody can send it, and it must not end a share.
pub struct SrtpTransport {
    inner: Box<dyn PacketTransport>,
    outbound: Outbound,
    inbound: Inbound,
    tally: SrtpTally,
    /// More may have arrived: the other transport tells of it once.
    more: bool,
}

impl SrtpTransport {
    /// Around `inner`, under `keys`.
    pub fn new(inner: Box<dyn PacketTransport>, keys: SrtpKeys) -> Self {
        let SrtpKeys { ours, theirs } = keys;
        Self {
            inner,
            outbound: Outbound::new(&ours),
            inbound: Inbound::new(&theirs),
            tally: SrtpTally { suite: ours.suite(), counts: Arc::default() },
            more: false,
        }
    }

    /// What it protects with, and what it refused.
    pub fn status(&self) -> SrtpStatus {
        self.tally.status()
    }

    pub(crate) fn tally(&self) -> SrtpTally {
        self.tally.clone()
    }

    fn open(&mut self, datagram: &mut [u8]) -> Result<usize, SrtpError> {
        if !rtcp::is_rtcp(datagram) {
            return Err(SrtpError::new(SrtpErrorKind::Malformed, "it is no RTCP"));
        }
        self.inbound.open_rtcp(datagram)
    }
}

impl PacketTransport for SrtpTransport {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        let sealed = if rtcp::is_rtcp(datagram) {
            self.outbound.seal_rtcp(datagram)
        } else {
            self.outbound.seal_rtp(datagram)
        };
        if let Err(error) = sealed {
            self.tally.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(TransportError::unprotected(error));
        }
        self.inner.send(datagram)
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        self.inner.flush(refused);
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        self.more = false;
        for _ in 0..MOST_REJECTED {
            let Some(len) = self.inner.recv(buffer)? else { return Ok(None) };
            match self.open(&mut buffer[..len]) {
                Ok(len) => return Ok(Some(len)),
                Err(error) => self.tally.counts.on_rejected(error.kind()),
            }
        }
        self.more = true;
        Ok(None)
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.wait(if self.more { Duration::ZERO } else { timeout })
    }

    fn waker(&self) -> TransportWaker {
        self.inner.waker()
    }
}

impl fmt::Debug for SrtpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpTransport")
            .field("suite", &self.tally.suite)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// How many datagrams in a row are looked at for one that is authentic: a flood must not keep anybody from sending.
const MOST_REJECTED: usize = 64;

/// What a share is protected with, and what was refused. Counters count since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SrtpStatus {
    /// The crypto suite.
    pub suite: SrtpSuite,
    /// Datagrams received that were dropped, unread. Anybody who knows the address can make these rise.
    pub rtcp_rejected: SrtpRejections,
    /// Datagrams of ours that were not sent because they could not be protected. More than 0 is a defect.
    pub not_protected: u64,
}

/// Datagrams received that were dropped, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SrtpRejections {
    /// Not made with the receiver's key, or changed on their way.
    pub authentication: u64,
    /// Authentic, and received before, or too old to tell.
    pub replayed: u64,
    /// No RTCP, or too short to be protected.
    pub malformed: u64,
    /// Authentic, of more senders than are kept apart.
    pub exhausted: u64,
}

/// The counts of a running transport, for who reports them.
#[derive(Debug, Clone)]
pub(crate) struct SrtpTally {
    suite: SrtpSuite,
    counts: Arc<Counts>,
}

impl SrtpTally {
    pub(crate) fn status(&self) -> SrtpStatus {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        SrtpStatus {
            suite: self.suite,
            rtcp_rejected: SrtpRejections {
                authentication: load(&counts.authentication),
                replayed: load(&counts.replayed),
                malformed: load(&counts.malformed),
                exhausted: load(&counts.exhausted),
            },
            not_protected: load(&counts.refused),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    authentication: AtomicU64,
    replayed: AtomicU64,
    malformed: AtomicU64,
    exhausted: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    fn on_rejected(&self, kind: SrtpErrorKind) {
        let count = match kind {
            SrtpErrorKind::AuthenticationFailed => &self.authentication,
            SrtpErrorKind::Replayed => &self.replayed,
            SrtpErrorKind::Exhausted => &self.exhausted,
            SrtpErrorKind::Malformed | SrtpErrorKind::InvalidKey | SrtpErrorKind::Random => &self.malformed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::SrtpMasterKey;
    use crate::transport::TransportErrorKind;

    /// A wire in memory: what was sent, and what is to arrive.
    #[derive(Debug, Clone, Default)]
    struct Wire(Arc<Mutex<Ends>>);

    #[derive(Debug, Default)]
    struct Ends {
        sent: Vec<Vec<u8>>,
        arriving: VecDeque<Vec<u8>>,
        waits: Vec<Duration>,
    }

    impl PacketTransport for Wire {
        fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
            self.0.lock().unwrap().sent.push(datagram.clone());
            Ok(())
        }

        fn flush(&mut self, _refused: &mut Vec<Refused>) {}

        fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
            let next = self.0.lock().unwrap().arriving.pop_front();
            Ok(next.map(|datagram| {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                datagram.len()
            }))
        }

        fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
            self.0.lock().unwrap().waits.push(timeout);
            Ok(())
        }

        fn waker(&self) -> TransportWaker {
            TransportWaker::new(|| {})
        }
    }

    const SUITE: SrtpSuite = SrtpSuite::AeadAes128Gcm;

    fn key(byte: u8) -> SrtpMasterKey {
        SrtpMasterKey::new(SUITE, &[byte; 28]).unwrap()
    }

    fn transport() -> (SrtpTransport, Wire) {
        let wire = Wire::default();
        let keys = SrtpKeys::new(key(1), key(2)).unwrap();
        (SrtpTransport::new(Box::new(wire.clone()), keys), wire)
    }

    fn rtp(sequence: u8, payload: &[u8]) -> Vec<u8> {
        [&[0x80, 0x60, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 7], payload].concat()
    }

    /// A PLI, as the receiver protects it.
    fn pli(receiver: &mut Outbound) -> Vec<u8> {
        let mut pli = PLI.to_vec();
        receiver.seal_rtcp(&mut pli).unwrap();
        pli
    }

    const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 7];

    #[test]
    fn nothing_leaves_in_the_clear() {
        let (mut transport, wire) = transport();
        let secret = b"the picture on the screen".as_slice();
        transport.send(&mut rtp(0, secret)).unwrap();
        transport.send(&mut [&[0x80, 200, 0, 8, 0, 0, 0, 7], secret].concat()).unwrap();
        let sent = &wire.0.lock().unwrap().sent;
        assert_eq!(sent[0].len(), 12 + secret.len() + SUITE.rtp_overhead());
        assert_eq!(sent[1].len(), 8 + secret.len() + SUITE.rtcp_overhead());
        for datagram in sent {
            assert!(datagram.windows(4).all(|window| !secret.windows(4).any(|part| part == window)));
        }
    }

    #[test]
    fn only_what_is_authentic_and_new_gets_through_and_the_rest_is_counted() {
        let (mut transport, wire) = transport();
        let mut receiver = Outbound::new(&key(2));
        let good = [pli(&mut receiver), pli(&mut receiver)];
        let mut tampered = pli(&mut receiver);
        tampered[9] ^= 1;
        wire.0.lock().unwrap().arriving.extend([
            PLI.to_vec(),
            [PLI.as_slice(), &[0; 20]].concat(),
            rtp(0, b"no RTCP"),
            Vec::new(),
            vec![0x81],
            good[0].clone(),
            good[0].clone(),
            tampered,
            pli(&mut Outbound::new(&key(1))),
            good[1].clone(),
        ]);
        let mut buffer = [0; 2_048];
        for _ in 0..2 {
            assert_eq!(transport.recv(&mut buffer).unwrap(), Some(PLI.len()));
            assert_eq!(buffer[..PLI.len()], PLI);
        }
        assert_eq!(transport.recv(&mut buffer).unwrap(), None);
        let rejected =
            SrtpRejections { authentication: 3, replayed: 1, malformed: 4, ..SrtpRejections::default() };
        assert_eq!(transport.status().rtcp_rejected, rejected);
    }

    #[test]
    fn a_flood_of_forgeries_keeps_nobody_from_sending_and_loses_nothing_behind_it() {
        let (mut transport, wire) = transport();
        let behind = pli(&mut Outbound::new(&key(2)));
        let flood = std::iter::repeat_n([0x81, 201].repeat(30), MOST_REJECTED + 1);
        wire.0.lock().unwrap().arriving.extend(flood.chain([behind]));
        let mut buffer = [0; 2_048];
        assert_eq!(transport.recv(&mut buffer).unwrap(), None);
        transport.wait(Duration::from_secs(1)).unwrap();
        assert_eq!(transport.recv(&mut buffer).unwrap(), Some(PLI.len()));
        transport.wait(Duration::from_secs(1)).unwrap();
        assert_eq!(wire.0.lock().unwrap().waits, [Duration::ZERO, Duration::from_secs(1)]);
        assert_eq!(transport.status().rtcp_rejected.authentication, MOST_REJECTED as u64 + 1);
    }

    #[test]
    fn a_second_packet_under_one_index_does_not_leave() {
        let (mut transport, wire) = transport();
        transport.send(&mut rtp(5, b"one")).unwrap();
        let error = transport.send(&mut rtp(5, b"two")).unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Unprotected, "{error}");
        assert_eq!((transport.status().not_protected, wire.0.lock().unwrap().sent.len()), (1, 1));
    }

    #[test]
    fn a_transport_shows_its_suite_and_no_key() {
        let (transport, _wire) = transport();
        let shown = format!("{transport:?}");
        assert!(shown.starts_with("SrtpTransport { suite: AeadAes128Gcm, inner: Wire"), "{shown}");
        assert!(!shown.contains(&key(1).to_base64()), "{shown}");
    }
}
