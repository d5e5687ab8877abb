use bytes::Bytes;
use futures_util::future::join_all;
use mediasoup::consumer::{Consumer, ConsumerOptions};
use mediasoup::prelude::RtpCapabilities;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, LayerId, Resolution};
use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{CodecParams, FeedbackEvent, NtpTime, RtpHeader, RtpStream};

use super::*;
use crate::messages::OfferedCodec;
use crate::server::testing::Test;
use crate::{NativeSession, SessionRules};

impl Test {
    async fn create(
        &self,
        offer: &NativeSenderOffer,
    ) -> Result<(NativeIngest, NativeSenderSession), ErrorBody> {
        let events = self.events_in.clone();
        NativeIngest::create(&self.room, "peer", offer, &self.config, &self.metrics, events).await
    }
}

fn offer(codec: &str) -> NativeSenderOffer {
    let offered = match codec.parse() {
        Ok(Codec::Vp8) => OfferedCodec::from(&CodecParams::Vp8),
        Ok(Codec::Vp9) => OfferedCodec::from(&CodecParams::Vp9),
        Ok(Codec::Av1) => OfferedCodec::from(&CodecParams::Av1),
        _ => OfferedCodec::h264(codec.parse().unwrap()),
    };
    NativeSenderOffer::new(vec![offered])
}

fn checked(reply: &NativeSenderSession, offer: &NativeSenderOffer) -> NativeSession {
    NativeSession::validate(reply, offer, SessionRules::default()).unwrap()
}

/// A session and its sender: a socket of the test, and the stream that goes over it.
struct Sender {
    session: NativeIngest,
    checked: NativeSession,
    socket: UdpSocket,
    stream: RtpStream,
}

impl Sender {
    /// Gets the session that `offer` asks for; the stream starts with this sequence number and timestamp.
    async fn new(test: &Test, offer: &NativeSenderOffer, (sequence, timestamp): (u16, u32)) -> Self {
        let (session, reply) = test.create(offer).await.unwrap();
        let checked = checked(&reply, offer);
        let socket = connect(&checked).await;
        let stream = RtpStream::new(checked.stream.clone(), sequence, timestamp).unwrap();
        Self { session, checked, socket, stream }
    }

    /// As [`new`](Self::new), for H264 without SRTP; a key frame has arrived, of so many packets.
    async fn sharing(test: &Test, first: (u16, u32)) -> (Self, usize) {
        let mut sender = Self::new(test, &offer("42c028"), first).await;
        let packets = sender.send(0).await.len();
        sender.packets_arrived(packets).await;
        (sender, packets)
    }

    /// Sends a key frame and returns the payloads of its packets.
    async fn send(&mut self, at: u64) -> Vec<Vec<u8>> {
        send(&self.socket, &mut self.stream, &key_frame(at)).await
    }

    /// Waits until the session has counted so many packets.
    async fn packets_arrived(&self, least: usize) {
        let counted = async {
            while self.packets_counted().await < least as u64 {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, counted).await.expect("packets arrive");
    }

    /// Waits until the transport has received so many bytes, of whatever kind.
    async fn bytes_came(&self, least: usize) {
        let came = async {
            loop {
                let stats = self.session._transport.get_stats().await.unwrap();
                if stats.iter().map(|stat| stat.bytes_received).sum::<u64>() >= least as u64 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, came).await.expect("bytes come");
    }

    async fn packets_counted(&self) -> u64 {
        self.session.producer.get_stats().await.unwrap().iter().map(|stat| stat.packet_count).sum()
    }

    /// Waits for a PLI.
    async fn key_frame_wanted(&self, parser: &mut FeedbackParser) {
        let ssrc = self.checked.stream.ssrc;
        let mut datagram = [0; 2048];
        let mut wanted = false;
        while !wanted {
            let len = self.socket.recv(&mut datagram).await.unwrap();
            parser
                .parse(NtpTime::default(), &datagram[..len], &mut |event| {
                    wanted |= event == FeedbackEvent::KeyframeWanted { ssrc, fir: false };
                })
                .unwrap();
        }
    }
}

/// A socket that sends to the session.
async fn connect(session: &NativeSession) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(session.rtp_target).await.unwrap();
    socket
}

/// SPS, PPS and an IDR slice of 3000 bytes: nothing to look at, but all that a receiver looks for.
fn key_frame(at: u64) -> EncodedFrame {
    let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x28, 0xda, 0x01, 0xe0];
    data.extend([0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65]);
    data.extend((0..3000_u32).map(|n| (n % 251 + 1) as u8));
    EncodedFrame {
        data: Bytes::from(data),
        codec: Codec::H264,
        kind: FrameKind::Key,
        captured_at: CaptureTime::from_epoch(Duration::from_millis(at)),
        size: Resolution::new(1920, 1080).unwrap(),
        layer: LayerId::default(),
        qp: None,
    }
}

/// Sends a frame and returns the payloads of its packets.
async fn send(socket: &UdpSocket, stream: &mut RtpStream, frame: &EncodedFrame) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    stream.packetize(frame, 1200, &mut packets).unwrap();
    let mut payloads = Vec::new();
    for packet in &packets {
        let mut bytes = Vec::new();
        packet.write_to(&mut bytes);
        socket.send(&bytes).await.unwrap();
        payloads.push(bytes[RtpHeader::parse(&bytes).unwrap().1].to_vec());
    }
    payloads
}

/// A viewer with no DTLS in the way: a plain transport to a socket of the test.
struct Viewer {
    socket: UdpSocket,
    consumer: Consumer,
}

impl Viewer {
    async fn new(test: &Test, session: &NativeIngest) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let options = PlainTransportOptions::new(listen_info(&test.config.media, Protocol::Udp));
        let transport = test.room.router().create_plain_transport(options).await.unwrap();
        let address = socket.local_addr().unwrap();
        let remote = PlainTransportRemoteParameters {
            ip: Some(address.ip()),
            port: Some(address.port()),
            rtcp_port: None,
            srtp_parameters: None,
        };
        transport.connect(remote).await.unwrap();
        let capabilities = serde_json::to_value(test.room.router().rtp_capabilities()).unwrap();
        let capabilities: RtpCapabilities = serde_json::from_value(capabilities).unwrap();
        let mut options = ConsumerOptions::new(session.producer.id(), capabilities);
        options.paused = true;
        let consumer = transport.consume(options).await.unwrap();
        consumer.resume().await.unwrap();
        Self { socket, consumer }
    }

    /// The payload of the next packet of the stream.
    async fn payload(&self) -> Vec<u8> {
        let mut datagram = [0; 2048];
        loop {
            let len = self.socket.recv(&mut datagram).await.unwrap();
            if yc_rtp::rtcp::is_rtcp(&datagram[..len]) {
                continue;
            }
            // mediasoup probes the viewer's bandwidth too, under an SSRC of its own.
            let (header, payload) = RtpHeader::parse(&datagram[..len]).unwrap();
            if Some(header.ssrc) == self.consumer.rtp_parameters().encodings[0].ssrc {
                return datagram[payload].to_vec();
            }
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_codec_and_h264_profile_that_can_be_offered_is_taken() {
    let test = Test::new().await;
    for codec in ["42c028", "42e01f", "42001f", "4d8028", "4d0033", "640c28", "640028", "VP8", "VP9", "AV1"] {
        let offer = offer(codec).with_rtx();
        let (session, reply) = test.create(&offer).await.unwrap_or_else(|error| panic!("{codec}: {error}"));
        let checked = checked(&reply, &offer);
        assert!(checked.stream.rtx.is_some(), "{codec}");
        assert!(test.room.has_producer(&session.producer_id()), "{codec}");
    }
}

#[tokio::test]
async fn a_viewer_gets_the_packets_and_its_wish_for_a_key_frame_reaches_the_sender() {
    let test = Test::new().await;
    let (mut sender, first) = Sender::sharing(&test, (65_534, 7)).await;
    assert!(first >= 4, "{first}");

    let viewer = Viewer::new(&test, &sender.session).await;

    let mut parser = FeedbackParser::new([&sender.checked.stream]);
    timeout(DEADLINE, sender.key_frame_wanted(&mut parser)).await.expect("a PLI comes");

    let sent = sender.send(100).await;
    let receiving = async {
        let mut received = Vec::new();
        while received.len() < sent.len() {
            received.push(viewer.payload().await);
        }
        received
    };
    let received = timeout(DEADLINE, receiving).await.expect("the frame comes");
    assert!(received == sent, "{} packets differ", sent.len());
}

#[tokio::test]
async fn ten_viewers_who_join_at_once_cost_two_key_frames_at_most() {
    let test = Test::new().await;
    let (mut sender, _) = Sender::sharing(&test, (0, 0)).await;

    let viewers = join_all((0..10).map(|_| Viewer::new(&test, &sender.session))).await;
    let mut parser = FeedbackParser::new([&sender.checked.stream]);
    let mut key_frames = 0;
    let sending = async {
        loop {
            sender.key_frame_wanted(&mut parser).await;
            key_frames += 1;
            sender.send(100 * key_frames).await;
        }
    };
    let watching = timeout(DEADLINE, join_all(viewers.iter().map(Viewer::payload)));
    tokio::select! {
        () = sending => {}
        all = watching => assert_eq!(all.expect("every viewer gets a picture").len(), 10),
    }
    assert!((1..=2).contains(&key_frames), "{key_frames} key frames");
}

#[tokio::test]
async fn only_the_first_address_is_listened_to() {
    let test = Test::new().await;
    let (mut sender, first) = Sender::sharing(&test, (0, 0)).await;
    let stranger = connect(&sender.checked).await;
    send(&stranger, &mut sender.stream, &key_frame(100)).await;
    let last = sender.send(200).await.len();
    sender.packets_arrived(first + last).await;
    assert_eq!(sender.packets_counted().await, (first + last) as u64);
}

#[tokio::test]
async fn srtp_is_answered_in_every_suite_and_takes_no_plain_packet() {
    let test = Test::new().await;
    let keys = [
        (CryptoSuite::AeadAes256Gcm, 60),
        (CryptoSuite::AeadAes128Gcm, 40),
        (CryptoSuite::AesCm128HmacSha1_80, 40),
        (CryptoSuite::AesCm128HmacSha1_32, 40),
    ];
    for (crypto_suite, len) in keys {
        let padding = "=".repeat((4 - (crypto_suite.key_len() * 8).div_ceil(6) % 4) % 4);
        let key_base64 = "A".repeat(len - padding.len()) + &padding;
        let offer = offer("42c028").with_srtp(SrtpKey { crypto_suite, key_base64 });
        offer.validate().unwrap();
        let mut sender = Sender::new(&test, &offer, (0, 0)).await;
        assert_eq!(sender.checked.srtp.as_ref().map(|key| key.crypto_suite), Some(crypto_suite));

        let sent = sender.send(0).await;
        sender.bytes_came(sent.iter().map(Vec::len).sum()).await;
        assert_eq!(sender.packets_counted().await, 0, "{crypto_suite:?}");
    }
}

#[tokio::test]
async fn a_session_without_media_is_told_of() {
    let mut test = Test::new().await;
    test.config.no_media_timeout = Duration::ZERO;
    let (_session, reply) = test.create(&offer("42c028")).await.unwrap();
    let event = timeout(DEADLINE, test.events.recv()).await.unwrap().unwrap();
    assert!(matches!(event, PeerEvent::NoMedia { session_id } if session_id == reply.session_id));
}

#[tokio::test]
async fn a_dropped_session_gives_back_its_port_its_producer_and_its_counts() {
    let test = Test::new().await;
    let (session, reply) = test.create(&offer("42c028")).await.unwrap();
    assert!(test.metrics.prometheus(1).contains("\nyc_native_sessions 1\n"));
    drop(session);
    assert!(!test.room.has_producer(&reply.producer_id));
    assert!(test.metrics.prometheus(1).contains("\nyc_native_sessions 0\n"));
    let freed = async {
        while UdpSocket::bind(&reply.rtp_target).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, freed).await.expect("the port comes free");
}
