//! A large key frame's packets over loopback: one call a packet, beside as many a call as the OS takes.
//!
//! The receiver's end is emptied between two rounds, outside the measured time. On loopback what the receiver's
//! side of the OS does for a packet is within it, for both alike.

use std::io;
use std::net::UdpSocket;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use yc_sender::{PacketTransport, UdpTransport};

fn transport(c: &mut Criterion) {
    let mut group = c.benchmark_group("transport");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for (name, max_batch) in [("one_a_call", 1), ("batched", usize::MAX)] {
        let (receiver, transport) = pair();
        let mut transport = transport.with_max_batch(max_batch);
        let id = BenchmarkId::new(name, format!("150x1200_up_to_{}", transport.max_batch()));
        group.bench_function(id, |bench| {
            let mut datagram = Vec::with_capacity(PACKET_LEN);
            let mut refused = Vec::new();
            bench.iter_batched(
                || empty(&receiver),
                |_| {
                    for number in 0..PACKETS {
                        datagram.clear();
                        datagram.resize(PACKET_LEN, number as u8);
                        transport.send(&mut datagram).expect("loopback takes it");
                    }
                    transport.flush(&mut refused);
                    assert!(refused.is_empty());
                },
                BatchSize::PerIteration,
            );
            assert_eq!(empty(&receiver), PACKETS, "the receiver lost some");
        });
    }
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "the peer of the transport")]
fn pair() -> (UdpSocket, UdpTransport) {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    receiver.set_nonblocking(true).expect("a non-blocking socket");
    // Room for one round.
    socket2::SockRef::from(&receiver).set_recv_buffer_size(1 << 20).expect("a larger buffer");
    let transport = UdpTransport::connect(receiver.local_addr().expect("an address")).expect("a transport");
    (receiver, transport)
}

/// Takes all that waits, and answers how much it was.
fn empty(receiver: &UdpSocket) -> usize {
    let mut buffer = [0; 2_048];
    let mut datagrams = 0;
    loop {
        match receiver.recv(&mut buffer) {
            Ok(len) => assert_eq!(len, PACKET_LEN),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return datagrams,
            Err(error) => panic!("receiving: {error}"),
        }
        datagrams += 1;
    }
}

const PACKETS: usize = 150;
const PACKET_LEN: usize = 1_200;

criterion_group!(benches, transport);
criterion_main!(benches);
