//! What the server says over HTTP.

use crate::common::Server;
use serde_json::{Value, json};
use yc_sfu::messages::Role;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_key_can_make_tokens() {
    let server = Server::start().await;
    let bearer = format!("Bearer {}", server.key.to_hex());
    let path = "/api/rooms/demo/tokens";
    for wrong in ["", "Bearer", "Bearer ", "Bearer 00", &format!("Bearer {}", "00".repeat(32)), &bearer[7..]]
    {
        let (status, _, body) = server.request("POST", path, &[("Authorization", wrong)], "").await;
        assert_eq!(status, 401, "{body}");
    }
    let authorization = [("Authorization", bearer.as_str())];
    for (path, body) in [
        ("/api/rooms/a.b/tokens", ""),
        (path, "{"),
        (path, r#"{"role":"admin"}"#),
        (path, r#"{"ttl_seconds":0}"#),
        (path, r#"{"ttl_seconds":2592001}"#),
    ] {
        let (status, _, reply) = server.request("POST", path, &authorization, body).await;
        assert_eq!(status, 400, "{reply}");
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(reply["error"]["code"], "bad_request");
    }
    assert_eq!(server.request("GET", path, &authorization, "").await.0, 405);

    let (status, _, body) =
        server.request("POST", path, &authorization, r#"{"role":"both","ttl_seconds":9}"#).await;
    assert_eq!(status, 200);
    let token: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&token["room"], &token["role"]), (&json!("demo"), &json!("both")));
    let (client, _events) = server.client().await;
    client.join("demo", token["token"].as_str().unwrap(), Role::Share).await.unwrap();

    let (_, _, body) = server.request("POST", path, &authorization, "").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["role"], "view");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_comes_with_its_types_and_its_policy() {
    let server = Server::start().await;
    let (status, head, body) = server.request("GET", "/?room=demo&token=x", &[], "").await;
    assert_eq!((status, body.contains("<title>test</title>")), (200, true));
    for header in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
        "content-security-policy: default-src 'none';",
    ] {
        assert!(head.contains(header), "{head}");
    }
    let (status, head, _) = server.request("GET", "/assets/a-1.js", &[], "").await;
    assert_eq!(
        (status, head.contains("content-type: text/javascript"), head.contains("immutable")),
        (200, true, true)
    );
    for missing in ["/nothing.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "/assets/../../http.rs", "/.git"] {
        assert_eq!(server.get(missing, &[]).await.0, 404, "{missing}");
    }
    assert_eq!(server.request("POST", "/", &[], "").await.0, 405);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_there() {
    let server = Server::start().await;
    assert_eq!(server.get("/healthz", &[]).await, (200, "ok\n".to_owned()));
    assert_eq!(server.metric("yc_workers_alive").await, 1);
    let _joined = server.joined("demo", Role::View).await.unwrap();
    for gauge in ["yc_rooms", "yc_connections", "yc_peers"] {
        assert_eq!(server.metric(gauge).await, 1, "{gauge}");
    }
    server.stop().await;
}
