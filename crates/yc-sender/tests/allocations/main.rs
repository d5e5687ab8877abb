//! Nothing is allocated per datagram once the stream runs.
#![allow(clippy::unwrap_used, reason = "this file is a test")]

mod sys;

use std::net::UdpSocket;
use std::time::Duration;

use yc_sender::{PacketTransport, UdpTransport};

#[global_allocator]
static ALLOCATOR: sys::Counting = sys::Counting;

/// Frames as a sender has them: several packets of one size, and a last that is shorter.
const FRAME: [usize; 8] = [1_200, 1_200, 1_200, 1_200, 1_200, 1_199, 1_199, 40];

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn sending_and_receiving_allocate_nothing_in_the_steady_state() {
    for max_batch in [1, usize::MAX] {
        #[expect(clippy::disallowed_methods, reason = "the peer of the transport under test")]
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let warm_up = sys::allocations();
        let mut transport =
            UdpTransport::connect(peer.local_addr().unwrap()).unwrap().with_max_batch(max_batch);
        assert!(sys::allocations() > warm_up, "the counter counts");
        let (mut datagram, mut refused) = (Vec::with_capacity(2_048), Vec::new());
        let mut buffer = [0; 2_048];

        let before = sys::allocations();
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
        let allocated = sys::allocations() - before;
        println!("{allocated} allocations for 1,000 datagrams, {} a call at most", transport.max_batch());
        assert!(refused.is_empty());
        assert_eq!(allocated, 0);
    }
}
