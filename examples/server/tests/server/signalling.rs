//! Who is let in, and what is answered to whom: real WebSockets against the real server.

use std::time::{Duration, SystemTime};

use crate::common::{DEADLINE, Server, h264};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use yc_sfu::client::{ClientErrorKind, ClientEvent};
use yc_sfu::messages::{ClientDiagnostic, ErrorCode, Role};

fn refusal(error: &yc_sfu::client::ClientError) -> ErrorCode {
    match error.kind() {
        ClientErrorKind::Refused(body) => body.code.clone(),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_in_and_nothing_else_does() {
    let server = Server::start().await;
    let (client, _events) = server.client().await;
    let token = |room: &str, role, age| {
        let minted = SystemTime::now() - Duration::from_secs(age);
        server.key.mint(&room.parse().unwrap(), role, Duration::from_secs(60), minted).text
    };
    for (token, says) in [
        (String::new(), "no room token"),
        ("v1.both.99999999999.demo.AAAA".into(), "not signed"),
        (token("demo", Role::Both, 61), "expired"),
        (token("other", Role::Both, 0), "another room"),
        (token("demo", Role::View, 0), "role view, not share"),
    ] {
        let error = client.join("demo", &token, Role::Share).await.unwrap_err();
        assert_eq!(refusal(&error), ErrorCode::Unauthorized);
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(server.metric("yc_rejected_tokens_total").await, 5);
    let joined = client.join("demo", &token("demo", Role::Both, 0), Role::Share).await.unwrap();
    assert!(joined.producers.is_empty() && joined.router_rtp_capabilities["codecs"].is_array());
    let again = client.join("demo", &token("demo", Role::Both, 0), Role::Share).await.unwrap_err();
    assert_eq!(refusal(&again), ErrorCode::AlreadyJoined);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_room_takes_nobody_until_somebody_leaves() {
    let server = Server::with(|config| config.with_max_peers(2)).await;
    let (_first, _events) = server.joined("demo", Role::View).await.unwrap();
    let (second, _events) = server.joined("demo", Role::View).await.unwrap();
    let error = server.joined("demo", Role::Share).await.unwrap_err();
    assert_eq!(refusal(&error), ErrorCode::RoomFull);
    assert!(server.joined("elsewhere", Role::Share).await.is_ok());
    second.leave().await.unwrap();
    assert!(server.joined("demo", Role::Share).await.is_ok());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_version_is_refused_and_named() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let token = server.token("demo", Role::Both);
    let join = json!({ "protocol": 2, "room": "demo", "token": token, "role": "both" });
    let reply = raw.ask("join", join).await;
    assert_eq!(reply["error"]["code"], "unsupported_protocol");
    assert_eq!(reply["error"]["message"], "protocol 2 is not 1, the only version of this server");
    raw.join(&server, "demo", Role::Both).await;
    let offer = json!({ "protocol": 7, "codecs": [{ "mime_type": "video/VP8" }] });
    assert_eq!(raw.refused("create_native_sender_session", offer).await, "unsupported_protocol");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_keeps_to_what_it_may() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    for action in ["leave", "create_transport", "client_diagnostic"] {
        let data = json!({ "direction": "send", "class": "encode_error" });
        assert_eq!(raw.refused(action, data).await, "not_joined");
    }
    raw.join(&server, "demo", Role::View).await;
    assert_eq!(raw.refused("create_transport", json!({ "direction": "send" })).await, "forbidden");
    assert_eq!(raw.refused("close_producer", json!({ "producer_id": "x" })).await, "forbidden");
    let offer = serde_json::to_value(h264()).unwrap();
    assert_eq!(raw.refused("create_native_sender_session", offer).await, "forbidden");
    raw.must("create_transport", json!({ "direction": "recv" })).await;

    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Share).await;
    assert_eq!(raw.refused("create_transport", json!({ "direction": "recv" })).await, "forbidden");
    let consume = json!({ "transport_id": "x", "producer_id": "y", "rtp_capabilities": {} });
    assert_eq!(raw.refused("consume", consume).await, "forbidden");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Both).await;
    let transport = raw.must("create_transport", json!({ "direction": "recv" })).await;
    for (action, data) in [
        ("connect_transport", json!({ "transport_id": "x", "dtls_parameters": {} })),
        (
            "produce",
            json!({ "transport_id": transport["transport_id"], "kind": "video", "rtp_parameters": {} }),
        ),
        (
            "consume",
            json!({ "transport_id": transport["transport_id"], "producer_id": "x", "rtp_capabilities": {} }),
        ),
        ("resume_consumer", json!({ "consumer_id": "x" })),
        ("close_consumer", json!({ "consumer_id": "x" })),
        ("close_producer", json!({ "producer_id": "x" })),
        ("close_native_sender_session", json!({ "session_id": "x" })),
    ] {
        assert_eq!(raw.refused(action, data).await, "not_found", "{action}");
    }
    assert_eq!(raw.refused("teleport", json!({})).await, "unknown_action");
    for _ in 1..4 {
        raw.must("create_transport", json!({ "direction": "send" })).await;
    }
    assert_eq!(raw.refused("create_transport", json!({ "direction": "send" })).await, "limit_reached");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_are_answered_and_the_twentieth_closes() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.say("garbage").await;
    let reply = raw.hear().await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&Value::Null, &json!("bad_message")));
    raw.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(raw.hear().await["error"]["code"], "bad_message");
    let reply = raw.ask("join", json!({ "protocol": "one" })).await;
    assert!(reply["error"]["message"].as_str().unwrap().starts_with("data.protocol: "), "{reply}");
    // Still open.
    raw.join(&server, "demo", Role::Both).await;
    for _ in 4..20 {
        raw.say("{}").await;
        raw.hear().await;
    }
    raw.say("{}").await;
    assert_eq!(raw.close_code().await, 1008);
    assert_eq!(server.metric("yc_bad_messages_total").await, 20);
    server.metric_becomes("yc_peers", |peers| peers == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_big_closes() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.say("x".repeat(256 * 1024)).await;
    assert_eq!(raw.hear().await["error"]["code"], "bad_message");
    raw.say("x".repeat(256 * 1024 + 1)).await;
    assert_eq!(raw.close_code().await, 1009);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_join_is_closed_and_one_that_did_has_time_to_join_again() {
    let server = Server::with(|mut config| {
        config.join_timeout = Duration::from_secs(2);
        config
    })
    .await;
    let mut joined = server.raw().await;
    joined.join(&server, "demo", Role::View).await;
    let mut waits = server.raw().await;
    assert_eq!(waits.close_code().await, 1008);
    // By now the first has been open for longer than that.
    joined.must("leave", json!({})).await;
    joined.join(&server, "other", Role::View).await;
    joined.must("leave", json!({})).await;
    assert_eq!(joined.close_code().await, 1008);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed_and_one_that_answers_pings_is_not() {
    let server = Server::with(|mut config| {
        config.ping_interval = Duration::from_millis(100);
        config.idle_timeout = Duration::from_millis(600);
        config
    })
    .await;
    // The client answers pings by itself; the raw socket only when it is read.
    let (client, mut events) = server.joined("demo", Role::View).await.unwrap();
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::View).await;
    let event = timeout(DEADLINE, events.next()).await.unwrap();
    assert!(matches!(event, Some(ClientEvent::Notification(_))), "{event:?}");
    client.leave().await.unwrap();
    server.metric_becomes("yc_connections", |connections| connections == 1).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_closed_and_the_others_are_not_held_up() {
    let server = Server::start().await;
    let mut slow = server.raw().await;
    slow.join(&server, "demo", Role::Both).await;
    // Its replies fill the socket, then the queue.
    let request = |id: u64| {
        let text = json!({ "id": id, "action": "x".repeat(4000), "data": {} }).to_string();
        Message::text(text)
    };
    let flooding = async {
        for id in 0.. {
            if slow.socket.send(request(id)).await.is_err() {
                return;
            }
        }
    };
    let counted = server.metric_becomes("yc_slow_clients_total", |slow| slow == 1);
    tokio::select! {
        () = flooding => counted_after(&server).await,
        () = counted => {}
    }
    server.metric_becomes("yc_peers", |peers| peers == 0).await;
    assert!(server.joined("demo", Role::View).await.is_ok());
    server.stop().await;
}

async fn counted_after(server: &Server) {
    server.metric_becomes("yc_slow_clients_total", |slow| slow == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnostics_are_counted_by_class() {
    let server = Server::start().await;
    let (client, _events) = server.joined("demo", Role::Share).await.unwrap();
    let mut diagnostic = ClientDiagnostic::new("fallback_triggered");
    diagnostic.reason_code = Some("encoder_failed".into());
    diagnostic.detail = json!({ "attempt": 2 });
    client.client_diagnostic(diagnostic).await.unwrap();
    client.client_diagnostic(ClientDiagnostic::new("of_my_own")).await.unwrap();
    assert_eq!(server.metric("yc_client_diagnostics_total{class=\"fallback_triggered\"}").await, 1);
    assert_eq!(server.metric("yc_client_diagnostics_total{class=\"other\"}").await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fallbacks_are_counted_by_a_reason_of_the_list() {
    let server = Server::start().await;
    let (client, _events) = server.joined("demo", Role::Share).await.unwrap();
    for reason in ["encoder_hung", "encoder_hung", "of_my_own"] {
        let mut diagnostic = ClientDiagnostic::new("fallback_triggered");
        diagnostic.reason_code = Some(reason.into());
        diagnostic.degradation_level = Some(2);
        diagnostic.versions = Some([("yc_host".to_owned(), "0.1.0".to_owned())].into());
        client.client_diagnostic(diagnostic).await.unwrap();
    }
    client.client_diagnostic(ClientDiagnostic::new("negotiation_failed")).await.unwrap();
    for (series, count) in [
        ("yc_client_fallbacks_total{reason=\"encoder_hung\"}", 2),
        ("yc_client_fallbacks_total{reason=\"other\"}", 1),
        ("yc_client_fallbacks_total{reason=\"capture_hung\"}", 0),
        ("yc_client_diagnostics_total{class=\"negotiation_failed\"}", 1),
        ("yc_client_diagnostics_total{class=\"fallback_triggered\"}", 3),
    ] {
        assert_eq!(server.metric(series).await, count, "{series}");
    }
    let (_, metrics) = server.get("/metrics", &[]).await;
    assert!(!metrics.contains("of_my_own"), "{metrics}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diagnostic_out_of_its_bounds_is_refused_by_field_and_not_counted() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Share).await;
    let nine: serde_json::Map<String, Value> = (0..9).map(|n| (format!("k{n}"), json!("1"))).collect();
    for (field, value, says) in [
        ("degradation_level", json!(4), "4 is not an integer from 0 to 3"),
        ("degradation_level", json!(-1), "-1 is not an integer from 0 to 3"),
        ("degradation_level", json!("2"), "from 0 to 3"),
        ("versions", json!(nine), "versions has 9 entries, more than 8"),
        ("versions", json!({ "Yc": "1" }), "1 to 32 characters of a-z 0-9 _"),
        ("versions", json!({ "yc": "1\n2" }), "versions.yc \"1\\n2\" is not 1 to 64 printable characters"),
        ("versions", json!({ "yc": 1 }), "data.versions"),
    ] {
        let reply = raw.ask("client_diagnostic", json!({ "class": "x", field: value })).await;
        assert_eq!(reply["error"]["code"], "bad_message", "{reply}");
        assert!(reply["error"]["message"].as_str().unwrap().contains(says), "{reply}");
    }
    let good = json!({ "class": "x", "degradation_level": null, "versions": null });
    raw.must("client_diagnostic", good).await;
    let good = json!({ "class": "x", "degradation_level": 0, "versions": { "yc_share": "0.1.0" } });
    raw.must("client_diagnostic", good).await;
    assert_eq!(server.metric("yc_client_diagnostics_total{class=\"other\"}").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_goodbye() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    raw.join(&server, "demo", Role::Both).await;
    let (stopped, code) = tokio::join!(server.stop(), raw.close_code());
    assert_eq!(((), 1001), (stopped, code));
}
