//! Requests that are nearly right.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use yc_sfu::messages::Role;

use crate::common::{Raw, Server, h264};

/// A joined connection with one of each thing that actions take.
struct Target {
    raw: Raw,
    capabilities: Value,
    send: Value,
    recv: Value,
    session: Value,
    bad_messages: u32,
    produced: u32,
}

impl Target {
    async fn new(server: &Server) -> Self {
        let mut raw = server.raw().await;
        let capabilities = raw.join(server, "hostile", Role::Both).await["router_rtp_capabilities"].take();
        let send = raw.must("create_transport", json!({ "direction": "send" })).await["transport_id"].take();
        let recv = raw.must("create_transport", json!({ "direction": "recv" })).await["transport_id"].take();
        let session = raw.must("create_native_sender_session", serde_json::to_value(h264()).unwrap()).await;
        Self { raw, capabilities, send, recv, session, bad_messages: 0, produced: 0 }
    }

    /// A request of each action that takes fields, as a browser or a sender sends it.
    fn requests(&mut self) -> [(&'static str, Value); 7] {
        self.produced += 1;
        let ssrc = 1000 + self.produced * 2;
        let fingerprint = vec!["AB"; 32].join(":");
        [
            ("create_transport", json!({ "direction": "recv" })),
            (
                "connect_transport",
                json!({
                    "transport_id": self.recv,
                    "dtls_parameters": {
                        "role": "client", "fingerprints": [{ "algorithm": "sha-256", "value": fingerprint }],
                    },
                }),
            ),
            (
                "produce",
                json!({
                    "transport_id": self.send, "kind": "video",
                    "rtp_parameters": {
                        "mid": self.produced.to_string(),
                        "codecs": [
                            {
                                "mimeType": "video/H264", "payloadType": 96, "clockRate": 90000,
                                "parameters": {
                                    "packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1,
                                },
                                "rtcpFeedback": [{ "type": "nack", "parameter": "pli" }],
                            },
                            {
                                "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000,
                                "parameters": { "apt": 96 }, "rtcpFeedback": [],
                            },
                        ],
                        "headerExtensions": [{ "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1, "encrypt": false }],
                        "encodings": [{ "ssrc": ssrc, "rtx": { "ssrc": ssrc + 1 }, "scalabilityMode": "L1T3" }],
                        "rtcp": { "cname": "c", "reducedSize": true },
                    },
                }),
            ),
            (
                "consume",
                json!({
                    "transport_id": self.recv, "producer_id": self.session["producer_id"],
                    "rtp_capabilities": self.capabilities,
                }),
            ),
            (
                "create_native_sender_session",
                json!({
                    "protocol": 1, "rtx": true,
                    "codecs": [{ "mime_type": "video/H264", "profile_level_id": "42c028", "packetization_mode": 1 }],
                    "srtp": {
                        "crypto_suite": "AEAD_AES_128_GCM", "key_base64": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
                    },
                }),
            ),
            (
                "client_diagnostic",
                json!({ "class": "encode_error", "reason_code": "x", "encoder_backend": "openh264", "detail": { "a": 1 } }),
            ),
            ("close_consumer", json!({ "consumer_id": "x" })),
        ]
    }
}

/// What takes the place of a part of a request.
fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..200_u32).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("é".repeat(3))),
        Just(json!("x".repeat(5_000))),
        prop::sample::select(
            &[
                "video/VP9",
                "video/rtx",
                "audio/opus",
                "42e01f",
                "42e0é",
                "recv",
                "server",
                "sha-1",
                "L9T9",
                "L0T0",
                "97"
            ][..]
        )
        .prop_map(Value::from),
    ];
    let nested = leaf.clone().prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    // Mostly of the type that was there: what is refused for its type never reaches mediasoup.
    prop_oneof![4 => leaf, 1 => nested]
}

/// How many values there are in `value`, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Puts `wild` in the place of the `at`-th value below `value`; `null` for it removes a field.
fn replace(value: &mut Value, at: &mut usize, wild: &Value) {
    let Some(rest) = at.checked_sub(1) else {
        *value = wild.clone();
        *at = usize::MAX;
        return;
    };
    *at = rest;
    let next = |at: &mut usize, child: &mut Value| {
        if *at != usize::MAX {
            replace(child, at, wild);
        }
    };
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| next(at, item)),
        Value::Object(fields) => fields.values_mut().for_each(|field| next(at, field)),
        _ => {}
    }
}

/// Nothing may panic, every request is answered, and the server goes on.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_nearly_right_neither_panic_the_server_nor_stop_it() {
    let server = Server::start().await;
    let mut target = Target::new(&server).await;
    let (mut runner, wild) = (TestRunner::deterministic(), wild());
    let mut answers: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for round in 0..2000_usize {
        let (action, mut data) = target.requests()[round % 7].clone();
        for _ in 0..round / 7 % 4 {
            let mut at = (0..count(&data)).new_tree(&mut runner).unwrap().current();
            replace(&mut data, &mut at, &wild.new_tree(&mut runner).unwrap().current());
        }
        let reply = target.raw.ask(action, data).await;
        let answer = if reply["ok"] == true { "ok" } else { reply["error"]["code"].as_str().unwrap() };
        *answers.entry((action, answer.to_owned())).or_default() += 1;
        target.bad_messages += u32::from(answer == "bad_message");
        // The twentieth would close the connection; a limit would hide what comes after it.
        if target.bad_messages == 19 || matches!(answer, "limit_reached" | "already_connected") {
            target = Target::new(&server).await;
        }
    }
    // Every action got through and was refused: this was no test of the parser alone.
    for (action, _) in &target.requests()[..6] {
        assert!(answers.contains_key(&(action, "ok".to_owned())), "{action}: {answers:?}");
        assert!(answers.contains_key(&(action, "bad_message".to_owned())), "{action}: {answers:?}");
    }
    assert!(answers.contains_key(&("produce", "unsupported_codec".to_owned())), "{answers:?}");
    Target::new(&server).await;
    assert_eq!(server.get("/healthz", &[]).await, (200, "ok\n".to_owned()));
    server.stop().await;
}
