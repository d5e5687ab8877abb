//! Nothing is allocated per datagram once the stream runs.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use yc_sender::{
    PacketTransport, Refused, SrtpKeys, SrtpMasterKey, SrtpSuite, SrtpTransport, TransportError,
    TransportWaker, UdpTransport,
};

/// Frames as a sender has them: several packets of one size, and a last that is shorter.
const FRAME: [usize; 8] = [1_200, 1_200, 1_200, 1_200, 1_200, 1_199, 1_199, 40];

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What `work` allocates or grows in this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn sending_and_receiving_allocate_nothing_in_the_steady_state() {
    for max_batch in [1, usize::MAX] {
        #[expect(clippy::disallowed_methods, reason = "the peer of the transport under test")]
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut transport =
            UdpTransport::connect(peer.local_addr().unwrap()).unwrap().with_max_batch(max_batch);
        let (mut datagram, mut refused) = (Vec::with_capacity(2_048), Vec::new());
        let mut buffer = [0; 2_048];

        let allocated = allocations(|| {
            for frame in 0..125_u8 {
                for len in FRAME {
                    datagram.clear();
                    datagram.resize(len, frame);
                    transport.send(&mut datagram).unwrap();
                }
                transport.flush(&mut refused);
                for len in FRAME {
                    let (arrived, from) = peer.recv_from(&mut buffer).unwrap();
                    assert_eq!(arrived, len);
                    peer.send_to(&buffer[..len.min(100)], from).unwrap();
                    while transport.recv(&mut buffer).unwrap().is_none() {
                        transport.wait(PATIENCE).unwrap();
                    }
                }
            }
        });
        println!("{allocated} allocations for 1,000 datagrams, {} a call at most", transport.max_batch());
        assert!(refused.is_empty());
        assert_eq!(allocated, 0);
    }
}

/// A wire in memory for one datagram, in a buffer that is used again.
#[derive(Debug, Clone)]
struct Wire(Arc<Mutex<Vec<u8>>>);

impl Wire {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Vec::with_capacity(2_048))))
    }
}

impl PacketTransport for Wire {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        let mut wire = self.0.lock().unwrap();
        wire.clear();
        wire.extend_from_slice(datagram);
        Ok(())
    }

    fn flush(&mut self, _refused: &mut Vec<Refused>) {}

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        let mut wire = self.0.lock().unwrap();
        let len = wire.len();
        buffer[..len].copy_from_slice(&wire);
        wire.clear();
        Ok((len > 0).then_some(len))
    }

    fn wait(&mut self, _timeout: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn waker(&self) -> TransportWaker {
        TransportWaker::new(|| {})
    }
}

#[test]
fn protecting_and_opening_allocate_nothing_in_the_steady_state() {
    for suite in SrtpSuite::ALL {
        let key = |byte| SrtpMasterKey::new(*suite, &vec![byte; suite.key_len()]).unwrap();
        let wire = Wire::new();
        let keys = |ours, theirs| SrtpKeys::new(key(ours), key(theirs)).unwrap();
        let mut sender = SrtpTransport::new(Box::new(wire.clone()), keys(1, 2));
        let mut receiver = SrtpTransport::new(Box::new(wire.clone()), keys(2, 1));
        let (mut datagram, mut buffer) = (Vec::with_capacity(2_048), [0; 2_048]);
        let mut send = |sequence: u16| {
            for ssrc in [1, 2] {
                datagram.clear();
                datagram.extend_from_slice(&[0x80, 96]);
                datagram.extend_from_slice(&sequence.to_be_bytes());
                datagram.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, ssrc]);
                datagram.resize(1_184, 0x5a);
                sender.send(&mut datagram).unwrap();
            }
            datagram.clear();
            datagram.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1]);
            receiver.send(&mut datagram).unwrap();
            assert_eq!(sender.recv(&mut buffer).unwrap(), Some(12), "{suite}");
            // A forgery is rejected.
            wire.0.lock().unwrap().extend_from_slice(&[0x81; 60]);
            assert_eq!(sender.recv(&mut buffer).unwrap(), None);
        };
        assert!(allocations(|| send(0)) > 0, "each SSRC allocates with its first packet");
        assert_eq!(allocations(|| (1..1_001).for_each(send)), 0, "{suite}");
    }
}
