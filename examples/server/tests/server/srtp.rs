//! Senders under SRTP against real mediasoup, and what those do who are not the sender.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};
use yc_rtp::RtpStream;
use yc_sender::{
    PacketTransport, Refused, SrtpKeys, SrtpMasterKey, SrtpRejections, SrtpSuite, SrtpTransport,
    TransportError, TransportWaker, UdpTransport,
};
use yc_sfu::NativeSession;
use yc_sfu::client::{ClientEvent, Events, SignalClient};
use yc_sfu::messages::{NativeSessionEnd, Notification, Role, SrtpKey};

use crate::common::{DEADLINE, Server, h264, key_frame};

/// A UDP socket that writes down what leaves, and sends what it is given beside that.
#[derive(Debug)]
struct Tap {
    inner: UdpTransport,
    wire: Wire,
}

#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<Datagrams>>);

#[derive(Debug, Default)]
struct Datagrams {
    sent: Vec<Vec<u8>>,
    /// To be sent at the next flush, as they are.
    injected: Vec<Vec<u8>>,
}

impl PacketTransport for Tap {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        self.wire.0.lock().unwrap().sent.push(datagram.clone());
        self.inner.send(datagram)
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        for mut datagram in self.wire.0.lock().unwrap().injected.drain(..) {
            self.inner.send(&mut datagram).unwrap();
        }
        self.inner.flush(refused);
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        self.inner.recv(buffer)
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.wait(timeout)
    }

    fn waker(&self) -> TransportWaker {
        self.inner.waker()
    }
}

/// A sender in its room, under SRTP.
struct Protected {
    _client: SignalClient,
    events: Events,
    session: NativeSession,
    transport: SrtpTransport,
    wire: Wire,
    stream: RtpStream,
    frames: u64,
}

impl Protected {
    /// Protects with the key that it offers.
    async fn new(server: &Server, suite: SrtpSuite, first_sequence: u16) -> Self {
        Self::with_key(server, suite, first_sequence, |offered| offered).await
    }

    /// Protects with the key that `own` makes of the one that was offered.
    async fn with_key(
        server: &Server,
        suite: SrtpSuite,
        first_sequence: u16,
        own: impl FnOnce(SrtpMasterKey) -> SrtpMasterKey,
    ) -> Self {
        let key = SrtpMasterKey::generate(suite).unwrap();
        let (client, events) = server.joined("demo", Role::Share).await.unwrap();
        let offered = SrtpKey { crypto_suite: suite.name().parse().unwrap(), key_base64: key.to_base64() };
        let session = client.create_native_sender_session(&h264().with_srtp(offered)).await.unwrap();
        let theirs = &session.srtp.as_ref().unwrap().key_base64;
        let theirs = SrtpMasterKey::from_base64(suite, theirs).unwrap();
        let wire = Wire::default();
        let tap = Tap { inner: UdpTransport::connect(session.rtp_target).unwrap(), wire: wire.clone() };
        let keys = SrtpKeys::new(own(key), theirs).unwrap();
        let stream = RtpStream::new(session.stream.clone(), first_sequence, 7).unwrap();
        let transport = SrtpTransport::new(Box::new(tap), keys);
        Self { _client: client, events, session, transport, wire, stream, frames: 0 }
    }

    /// The packets of a key frame, not protected.
    fn packets(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        let frame = key_frame(Duration::from_millis(33 * self.frames));
        self.frames += 1;
        self.stream.packetize(&frame, 1_184, &mut packets).unwrap();
        packets
            .iter()
            .map(|packet| {
                let mut bytes = Vec::new();
                packet.write_to(&mut bytes);
                bytes
            })
            .collect()
    }

    fn send(&mut self, mut packet: Vec<u8>) {
        self.transport.send(&mut packet).unwrap();
    }

    /// Sends what is held back. As a sender does, not all at once: a burst would overflow the receiver's socket.
    async fn flush(&mut self) {
        let mut refused = Vec::new();
        self.transport.flush(&mut refused);
        assert!(refused.is_empty(), "{refused:?}");
        sleep(Duration::from_millis(5)).await;
    }

    /// Sends `frames` key frames and answers with how many packets they were.
    async fn send_frames(&mut self, frames: usize) -> u64 {
        let mut sent = 0;
        for _ in 0..frames {
            for packet in self.packets() {
                self.send(packet);
                sent += 1;
            }
            self.flush().await;
        }
        sent
    }

    /// The next RTCP of the server that is authentic.
    async fn answer(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; 2_048];
        let receiving = async {
            loop {
                if let Some(len) = self.transport.recv(&mut buffer).unwrap() {
                    return len;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let len = timeout(DEADLINE, receiving).await.expect("the server answers");
        buffer.truncate(len);
        buffer
    }

    fn rejected(&self) -> SrtpRejections {
        self.transport.status().rtcp_rejected
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        self.wire.0.lock().unwrap().sent.clone()
    }
}

/// Somebody on another port.
async fn stranger(session: &NativeSession) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(session.rtp_target).await.unwrap();
    socket
}

const PACKETS: &str = "yc_native_rtp_packets_total";

/// The counts are read once a second; after this long all that came has been counted.
const COUNTED: Duration = Duration::from_millis(2_500);

#[tokio::test(flavor = "multi_thread")]
async fn every_suite_is_taken_by_the_server_and_its_answers_are_authentic() {
    let server = Server::start().await;
    let mut all = 0;
    for suite in SrtpSuite::ALL {
        let mut sender = Protected::new(&server, *suite, 1_000).await;
        all += sender.send_frames(20).await;
        server.metric_becomes(PACKETS, |packets| packets == all).await;
        for _ in 0..3 {
            assert!(yc_rtp::rtcp::is_rtcp(&sender.answer().await), "{suite}");
        }
        assert_eq!(sender.rejected(), SrtpRejections::default(), "{suite}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_follows_when_the_sequence_begins_anew_and_takes_what_comes_late() {
    let server = Server::start().await;
    let mut all = 0;
    for suite in SrtpSuite::ALL {
        let mut sender = Protected::new(&server, *suite, 65_480).await;
        all += sender.send_frames(4).await;
        // This one is lost, and sent again when the numbers have begun anew.
        let mut packets = sender.packets();
        let lost = packets.remove(1);
        for packet in packets {
            sender.send(packet);
            all += 1;
        }
        all += sender.send_frames(20).await;
        let last = sender.sent().pop().unwrap();
        assert!(u16::from_be_bytes([last[2], last[3]]) < 1_000, "{suite}: the numbers begin anew");
        server.metric_becomes(PACKETS, |packets| packets == all).await;
        sender.send(lost);
        sender.flush().await;
        all += 1;
        server.metric_becomes(PACKETS, |packets| packets == all).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_key_takes_the_session_or_adds_a_packet_to_it() {
    let server = Server::start().await;
    let suite = SrtpSuite::AeadAes128Gcm;
    let mut sender = Protected::new(&server, suite, 1_000).await;
    let ssrc = sender.session.stream.clone();

    // Before the first packet of the sender, when the session still waits for its address: plain, and a wrong key.
    let other = stranger(&sender.session).await;
    let mut forger = Protected::new(&server, suite, 1_000).await;
    forger.stream = RtpStream::new(ssrc, 1_000, 7).unwrap();
    let plain = forger.packets();
    for packet in plain.clone() {
        other.send(&packet).await.unwrap();
        // Under the forger's own key, as the sender's SSRC.
        forger.send(packet);
    }
    let forged = forger.sent();
    for packet in &forged {
        other.send(packet).await.unwrap();
    }

    let all = sender.send_frames(10).await;
    server.metric_becomes(PACKETS, |packets| packets >= all).await;
    let before = server.metric("yc_native_received_bytes_total").await;

    // While it sends: the same from elsewhere, and by spoofing the sender's own address; changed and repeated packets;
    // goodbyes and reports of nobody.
    let real = sender.sent();
    let goodbye = [&[0x81, 203, 0, 1], sender.session.stream.ssrc.to_be_bytes().as_slice()].concat();
    let mut attacks: Vec<Vec<u8>> = plain.into_iter().chain(forged).collect();
    for packet in &real {
        for place in [0, 1, 3, 11, 12, packet.len() - 1] {
            let mut tampered = packet.clone();
            tampered[place] ^= 0x20;
            attacks.push(tampered);
        }
        attacks.push(packet.clone());
        attacks.push(packet[..packet.len() / 2].to_vec());
    }
    attacks.extend([
        goodbye.clone(),
        [goodbye, vec![0; 24]].concat(),
        Vec::new(),
        vec![0x80],
        vec![0xff; 1_400],
    ]);
    let mut more = 0;
    for chunk in attacks.chunks(40) {
        for datagram in chunk {
            other.send(datagram).await.unwrap();
        }
        sender.wire.0.lock().unwrap().injected.extend(chunk.iter().filter(|d| !d.is_empty()).cloned());
        more += sender.send_frames(1).await;
    }
    assert!(attacks.len() > 400 && more > 0);
    sleep(COUNTED).await;
    // mediasoup's SRTP takes a repeat for one and drops it; what is left are the sender's own.
    assert_eq!(server.metric(PACKETS).await, all + more);
    let received = server.metric("yc_native_received_bytes_total").await - before;
    let rtp = server.metric("yc_native_rtp_bytes_total").await;
    assert!(received > 5 * rtp, "{received} bytes came, {rtp} of them of senders since the start");

    // And the way back is the sender's: it is answered, as before.
    sender.answer().await;
    assert_eq!(sender.rejected(), SrtpRejections::default());
    assert_eq!(server.get("/healthz", &[]).await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_a_wrong_key_gets_no_packet_through_and_is_told() {
    let server = Server::with(|mut config| {
        config.no_media_timeout = Duration::from_secs(3);
        config
    })
    .await;
    for suite in SrtpSuite::ALL {
        let wrong = |_| SrtpMasterKey::generate(*suite).unwrap();
        let mut sender = Protected::with_key(&server, *suite, 1_000, wrong).await;
        sender.send_frames(20).await;
        let closed = async {
            loop {
                match sender.events.next().await.expect("an event") {
                    ClientEvent::Notification(Notification::NativeSessionClosed { reason, .. }) => {
                        return reason;
                    }
                    ClientEvent::Notification(_) => {}
                    ClientEvent::Closed(error) => panic!("{error}"),
                }
            }
        };
        let reason = timeout(DEADLINE, closed).await.expect("the session is closed");
        assert_eq!(reason, NativeSessionEnd::NoMedia, "{suite}");
        assert_eq!(server.metric(PACKETS).await, 0, "{suite}");
        assert!(server.metric("yc_native_received_bytes_total").await > 20 * 5_000, "{suite}");
    }
    server.stop().await;
}
