//! Native senders: real RTP over UDP into real mediasoup, and who hears of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::common::{DEADLINE, Server, h264, key_frame};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{FeedbackEvent, NtpTime, RtpStream};
use yc_sfu::NativeSession;
use yc_sfu::client::{ClientErrorKind, ClientEvent, Events, SignalClient};
use yc_sfu::messages::{ErrorCode, Notification, Role};

/// A sender in its room.
struct Sender {
    client: SignalClient,
    events: Events,
    session: NativeSession,
}

impl Sender {
    async fn new(server: &Server) -> Self {
        let (client, events) = server.joined("demo", Role::Share).await.unwrap();
        let session = client.create_native_sender_session(&h264()).await.unwrap();
        Self { client, events, session }
    }

    /// Sends `frames` key frames and returns how many packets they were.
    async fn send(&self, frames: u32) -> u64 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.session.rtp_target).await.unwrap();
        let mut stream = RtpStream::new(self.session.stream.clone(), 1000, 0).unwrap();
        let (mut packets, mut bytes, mut sent) = (Vec::new(), Vec::new(), 0);
        for n in 0..frames {
            stream.packetize(&key_frame(Duration::from_millis(33) * n), 1200, &mut packets).unwrap();
            for packet in packets.drain(..) {
                bytes.clear();
                packet.write_to(&mut bytes);
                socket.send(&bytes).await.unwrap();
                sent += 1;
            }
            // As a sender does: a burst of all frames would overflow the receiver's socket.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sent
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_a_sender_arrive_at_its_producer() {
    let server = Server::start().await;
    let sender = Sender::new(&server).await;
    assert_eq!(sender.session.stream.cname, format!("yc-{}", sender.session.session_id));
    let sent = sender.send(20).await;
    server.metric_becomes("yc_native_rtp_packets_total", |packets| packets == sent).await;
    assert!(server.metric("yc_native_rtp_bytes_total").await > 20 * 5000);
    sender.client.close_native_sender_session(&sender.session.session_id).await.unwrap();
    assert_eq!(server.metric("yc_native_sessions").await, 0);
    let error = sender.client.close_native_sender_session(&sender.session.session_id).await.unwrap_err();
    assert!(matches!(error.kind(), ClientErrorKind::Refused(body) if body.code == ErrorCode::NotFound));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_packet_is_asked_for_and_counted_as_repaired_when_it_comes() {
    let server = Server::start().await;
    let sender = Sender::new(&server).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(sender.session.rtp_target).await.unwrap();
    let mut stream = RtpStream::new(sender.session.stream.clone(), 1000, 0).unwrap();
    let mut packets = Vec::new();
    stream.packetize(&key_frame(Duration::ZERO), 1200, &mut packets).unwrap();
    let mut missing = Vec::new();
    for (n, packet) in packets.iter().enumerate() {
        let mut bytes = Vec::new();
        packet.write_to(&mut bytes);
        if n == 2 {
            missing = bytes;
        } else {
            socket.send(&bytes).await.unwrap();
        }
    }

    let mut parser = FeedbackParser::new([&sender.session.stream]);
    let asked = async {
        let (mut datagram, mut asked) = ([0; 2048], Vec::new());
        while asked.is_empty() {
            let len = socket.recv(&mut datagram).await.unwrap();
            let mut note = |event| {
                if let FeedbackEvent::Nack { sequences, .. } = event {
                    asked = sequences;
                }
            };
            parser.parse(NtpTime::default(), &datagram[..len], &mut note).unwrap();
        }
        asked
    };
    assert_eq!(timeout(DEADLINE, asked).await.expect("it is asked for"), [1002]);
    socket.send(&missing).await.unwrap();
    server.metric_becomes("yc_native_packets_repaired_total", |repaired| repaired == 1).await;
    assert!(server.metric("yc_native_packets_nacked_total").await >= 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_hear_of_a_native_sender_and_of_its_end() {
    let server = Server::start().await;
    let mut early = server.raw().await;
    let joined = early.join(&server, "demo", Role::View).await;
    assert_eq!(joined["producers"], json!([]));
    let sender = Sender::new(&server).await;
    let event = early.hear().await;
    assert_eq!(event["event"], "new_producer");
    assert_eq!(event["data"]["producer_id"], sender.session.producer_id);
    assert_eq!((&event["data"]["native"], &event["data"]["kind"]), (&json!(true), &json!("video")));

    let mut late = server.raw().await;
    let joined = late.join(&server, "demo", Role::View).await;
    assert_eq!(joined["producers"], json!([event["data"]]));

    // What mediasoup-client does, without its DTLS: a consumer, made paused, then resumed.
    let transport = late.must("create_transport", json!({ "direction": "recv" })).await;
    assert!(!transport["ice_candidates"].as_array().unwrap().is_empty());
    let capabilities = joined["router_rtp_capabilities"].clone();
    let consume = json!({
        "transport_id": transport["transport_id"],
        "producer_id": sender.session.producer_id,
        "rtp_capabilities": capabilities,
    });
    let consumer = late.must("consume", consume.clone()).await;
    let codec = &consumer["rtp_parameters"]["codecs"][0];
    assert_eq!(
        (&codec["mimeType"], &codec["parameters"]["packetization-mode"]),
        (&json!("video/H264"), &json!(1))
    );
    late.must("resume_consumer", json!({ "consumer_id": consumer["consumer_id"] })).await;

    let mut cannot = consume.clone();
    cannot["rtp_capabilities"]["codecs"] = vp8_only(&capabilities);
    assert_eq!(late.refused("consume", cannot).await, "cannot_consume");

    // The WebSocket goes: everything of its peer does.
    drop(sender);
    let mut events: Vec<String> = Vec::new();
    while events.len() < 3 {
        events.push(late.hear().await["event"].as_str().unwrap().to_owned());
    }
    events.sort();
    assert_eq!(events, ["consumer_closed", "peer_left", "producer_closed"]);
    assert_eq!(late.refused("consume", consume).await, "not_found");
    for gauge in ["yc_native_sessions", "yc_producers", "yc_consumers"] {
        assert_eq!(server.metric(gauge).await, 0, "{gauge}");
    }
    server.stop().await;
}

fn vp8_only(capabilities: &Value) -> Value {
    let codecs = capabilities["codecs"].as_array().unwrap();
    codecs.iter().filter(|codec| codec["mimeType"] == "video/VP8").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_goes_frees_the_port_and_the_room() {
    let server = Server::start().await;
    let Sender { client, events, session } = Sender::new(&server).await;
    let target: SocketAddr = session.rtp_target;
    assert!(UdpSocket::bind(target).await.is_err(), "mediasoup listens there");
    // No goodbye: the connection is dropped.
    drop((client, events));
    let freed = async {
        while UdpSocket::bind(target).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, freed).await.expect("the port comes free");
    for gauge in ["yc_rooms", "yc_peers", "yc_native_sessions", "yc_producers"] {
        server.metric_becomes(gauge, |count| count == 0).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_when_its_session_ends_without_its_asking() {
    let server = Server::with(|mut config| {
        config.no_media_timeout = Duration::from_millis(1500);
        config
    })
    .await;
    let mut sender = Sender::new(&server).await;
    sender.send(1).await;
    let event = timeout(DEADLINE, sender.events.next()).await.unwrap();
    let Some(ClientEvent::Notification(Notification::NativeSessionClosed { session_id, .. })) = event else {
        panic!("{event:?}");
    };
    assert_eq!(session_id, sender.session.session_id);
    assert_eq!(server.metric("yc_native_sessions").await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_native_producer_ends_its_session() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Share).await;
    let session = raw.must("create_native_sender_session", serde_json::to_value(h264()).unwrap()).await;
    raw.say(
        json!({ "id": 99, "action": "close_producer", "data": { "producer_id": session["producer_id"] } })
            .to_string(),
    )
    .await;
    let event = raw.hear().await;
    assert_eq!(event["event"], "native_session_closed");
    assert_eq!(event["data"], json!({ "session_id": session["session_id"], "reason": "producer_closed" }));
    assert_eq!(raw.hear().await["id"], 99);
    assert_eq!(server.metric("yc_native_sessions").await, 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_has_four_native_sessions_at_most_each_with_its_own_ssrc_and_port() {
    let server = Server::start().await;
    let (client, _events) = server.joined("demo", Role::Both).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(client.create_native_sender_session(&h264().with_rtx()).await.unwrap());
    }
    let error = client.create_native_sender_session(&h264()).await.unwrap_err();
    assert!(matches!(error.kind(), ClientErrorKind::Refused(body) if body.code == ErrorCode::LimitReached));
    let distinct = |of: fn(&NativeSession) -> u64| {
        sessions.iter().map(of).collect::<std::collections::HashSet<u64>>().len()
    };
    assert_eq!(distinct(|session| session.stream.ssrc.into()), 4);
    assert_eq!(distinct(|session| session.rtp_target.port().into()), 4);
    assert_eq!(distinct(|session| session.stream.rtx.unwrap().ssrc.into()), 4);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_without_a_codec_for_mediasoup_is_refused_with_reasons() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Share).await;
    let codecs = json!([
        { "mime_type": "video/H265" },
        { "mime_type": "video/H264", "profile_level_id": "42c028", "packetization_mode": 0 },
    ]);
    let reply = raw.ask("create_native_sender_session", json!({ "protocol": 1, "codecs": codecs })).await;
    assert_eq!(reply["error"]["code"], "unsupported_codec");
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("H265") && message.contains("packetization_mode 0 is not 1"), "{message}");
    let none = json!({ "protocol": 1, "codecs": [] });
    assert_eq!(raw.refused("create_native_sender_session", none).await, "bad_message");
    server.stop().await;
}
