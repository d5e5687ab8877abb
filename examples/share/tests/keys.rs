//! What `yc-share` says, on both of its outputs and at every level, never holds a key.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::process::{Command, Output, Stdio};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

/// What the server answers with.
const THEIRS: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0";
const TOKEN: &str = "the-token-of-the-room";

/// Shares for a moment, at the level of everything, to a server that is this test. Answers with what the program
/// said, and the offers that it made.
async fn share(
    arguments: &[&str],
    mut answer: impl FnMut(&Value) -> Result<Value, String>,
) -> (Output, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    let program = Command::new(env!("CARGO_BIN_EXE_yc-share"))
        .args(["--json", "--source", "synthetic:320x200", "--room", "demo", "--for", "1", "--server", &url])
        .args(arguments)
        .env("RUST_LOG", "trace,tungstenite=trace,tungstenite::protocol=trace")
        .env("YC_ROOM_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = tokio::task::spawn_blocking(move || program.wait_with_output().unwrap());

    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let mut offers = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let request: Value = serde_json::from_str(&text).unwrap();
        let reply = match request["action"].as_str().unwrap() {
            "join" => {
                Ok(json!({"protocol": 1, "peer_id": "me", "router_rtp_capabilities": {}, "producers": []}))
            }
            "create_native_sender_session" => {
                let offer = &request["data"];
                offers.push(offer.clone());
                answer(offer).map(|srtp| session(offer, srtp, &receiver))
            }
            _ => Ok(json!({})),
        };
        let reply = match reply {
            Ok(data) => json!({"id": request["id"], "ok": true, "data": data}),
            Err(message) => {
                let error = json!({"code": "bad_message", "message": message});
                json!({"id": request["id"], "ok": false, "error": error})
            }
        };
        socket.send(Message::text(reply.to_string())).await.unwrap();
    }
    (ended.await.unwrap(), offers)
}

fn session(offer: &Value, srtp: Value, receiver: &UdpSocket) -> Value {
    json!({
        "protocol": 1, "session_id": "s", "rtp_target": receiver.local_addr().unwrap().to_string(),
        "rtcp_mux": true, "payload_type": 96, "ssrc": 7, "cname": "yc-1", "producer_id": "p", "transport_id": "t",
        "codec": {"mime_type": "video/H264", "clock_rate": 90_000, "fmtp": {
            "packetization-mode": 1, "level-asymmetry-allowed": 1,
            "profile-level-id": offer["codecs"][0]["profile_level_id"],
        }},
        "srtp": srtp,
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn no_output_at_any_level_holds_a_key_or_the_token() {
    let (output, offers) = share(&["--srtp", "aes_cm_128_hmac_sha1_80"], |offer| {
        Ok(json!({"crypto_suite": offer["srtp"]["crypto_suite"], "key_base64": THEIRS}))
    })
    .await;
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\"srtp\":\"AES_CM_128_HMAC_SHA1_80\"") && said.contains("TRACE"), "{said}");
    let ours = offers[0]["srtp"]["key_base64"].as_str().unwrap();
    for hidden in [ours, THEIRS, TOKEN] {
        assert!(!said.contains(hidden), "{hidden} is in\n{said}");
    }
}

#[tokio::test]
async fn a_suite_that_the_server_does_not_take_is_followed_by_the_next_with_a_new_key() {
    let (output, offers) = share(&[], |offer| match offer["srtp"]["crypto_suite"].as_str() {
        Some("AES_CM_128_HMAC_SHA1_80") => Ok(json!({
            "crypto_suite": "AES_CM_128_HMAC_SHA1_80", "key_base64": THEIRS,
        })),
        suite => Err(format!("srtp.crypto_suite: unknown variant {suite:?}")),
    })
    .await;
    assert!(output.status.success(), "{}", said(&output));
    let suites: Vec<_> = offers.iter().map(|offer| offer["srtp"]["crypto_suite"].as_str().unwrap()).collect();
    assert_eq!(suites, ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]);
}

#[tokio::test]
async fn a_server_without_srtp_ends_the_share_before_its_first_packet() {
    let (output, offers) = share(&[], |_| Ok(Value::Null)).await;
    let said = said(&output);
    assert_eq!((output.status.code(), offers.len()), (Some(5), 1), "{said}");
    assert!(said.contains("srtp null is not a key, as SRTP was offered"), "{said}");
    let (output, offers) = share(&["--srtp", "off"], |_| Ok(Value::Null)).await;
    assert!(output.status.success() && offers[0]["srtp"].is_null());
}
