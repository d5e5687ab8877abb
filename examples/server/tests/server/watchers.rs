//! Who watches a producer, as its owner hears of it: real consumers in real mediasoup.

use std::time::Duration;

use crate::common::{Raw, Server, h264};
use serde_json::{Value, json};
use tokio::time::timeout;
use yc_sfu::client::ClientEvent;
use yc_sfu::messages::{Join, Notification, Role};

/// A viewer and the transport that it receives on.
struct Viewer {
    raw: Raw,
    peer_id: String,
    transport: Value,
    capabilities: Value,
}

impl Viewer {
    async fn new(server: &Server, name: Option<&str>) -> Self {
        let mut raw = server.raw().await;
        let mut join = json!({
            "protocol": 1, "room": "demo", "token": server.token("demo", Role::View), "role": "view",
        });
        if let Some(name) = name {
            join["name"] = json!(name);
        }
        let joined = raw.must("join", join).await;
        let transport = raw.must("create_transport", json!({ "direction": "recv" })).await;
        Self {
            raw,
            peer_id: joined["peer_id"].as_str().unwrap().to_owned(),
            transport: transport["transport_id"].clone(),
            capabilities: joined["router_rtp_capabilities"].clone(),
        }
    }

    async fn consume(&mut self, producer_id: &str) -> String {
        let consume = json!({
            "transport_id": self.transport, "producer_id": producer_id, "rtp_capabilities": self.capabilities,
        });
        let consumer = self.raw.must("consume", consume).await;
        consumer["consumer_id"].as_str().unwrap().to_owned()
    }

    async fn close(&mut self, consumer_id: String) {
        self.raw.must("close_consumer", json!({ "consumer_id": consumer_id })).await;
    }
}

/// The sharer's next `watchers_changed`, as `(peer_id, name)`.
async fn watchers(sharer: &mut Raw, producer_id: &str) -> Vec<(String, Value)> {
    loop {
        let mut message = sharer.hear().await;
        if message["event"] != "watchers_changed" {
            continue;
        }
        assert_eq!(message["data"]["producer_id"], producer_id);
        let watchers = message["data"]["watchers"].take();
        return watchers
            .as_array()
            .unwrap()
            .iter()
            .map(|watcher| (watcher["peer_id"].as_str().unwrap().to_owned(), watcher["name"].clone()))
            .collect();
    }
}

/// That many viewers in the order of their ids, with their names.
fn sorted(viewers: &[(&Viewer, Value)]) -> Vec<(String, Value)> {
    let mut all: Vec<_> =
        viewers.iter().map(|(viewer, name)| (viewer.peer_id.clone(), name.clone())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

async fn native(server: &Server) -> (Raw, String) {
    let mut sharer = server.raw().await;
    sharer.join(server, "demo", Role::Share).await;
    let session = sharer.must("create_native_sender_session", serde_json::to_value(h264()).unwrap()).await;
    let producer_id = session["producer_id"].as_str().unwrap().to_owned();
    (sharer, producer_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_native_producer_hears_of_viewers_who_come_and_go() {
    let server = Server::start().await;
    let (mut sharer, producer_id) = native(&server).await;
    let mut first = Viewer::new(&server, Some("Zoë 🎥")).await;
    let mut second = Viewer::new(&server, None).await;
    let one = first.consume(&producer_id).await;
    assert_eq!(watchers(&mut sharer, &producer_id).await, sorted(&[(&first, json!("Zoë 🎥"))]));
    // A second consumer of the same peer changes nothing, nor does the end of the first.
    let two = first.consume(&producer_id).await;
    first.close(one).await;
    second.consume(&producer_id).await;
    let both = sorted(&[(&first, json!("Zoë 🎥")), (&second, Value::Null)]);
    assert_eq!(watchers(&mut sharer, &producer_id).await, both);
    first.close(two).await;
    assert_eq!(watchers(&mut sharer, &producer_id).await, sorted(&[(&second, Value::Null)]));
    first.consume(&producer_id).await;
    assert_eq!(watchers(&mut sharer, &producer_id).await, both);
    first.raw.must("leave", json!({})).await;
    assert_eq!(watchers(&mut sharer, &producer_id).await, sorted(&[(&second, Value::Null)]));
    // The connection is lost without a word.
    drop(second);
    assert_eq!(watchers(&mut sharer, &producer_id).await, []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_web_producer_hears_of_viewers_and_nothing_once_it_is_closed() {
    let server = Server::start().await;
    let mut sharer = server.raw().await;
    sharer.join(&server, "demo", Role::Share).await;
    let transport = sharer.must("create_transport", json!({ "direction": "send" })).await;
    let produce = json!({
        "transport_id": transport["transport_id"],
        "kind": "video",
        "rtp_parameters": {
            "codecs": [{ "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "parameters": {}, "rtcpFeedback": [] }],
            "headerExtensions": [],
            "encodings": [{ "ssrc": 4711 }],
            "rtcp": { "cname": "web", "reducedSize": true },
        },
    });
    let produced = sharer.must("produce", produce).await;
    let producer_id = produced["producer_id"].as_str().unwrap();
    let mut viewer = Viewer::new(&server, Some("A")).await;
    viewer.consume(producer_id).await;
    assert_eq!(watchers(&mut sharer, producer_id).await, sorted(&[(&viewer, json!("A"))]));
    sharer.must("close_producer", json!({ "producer_id": producer_id })).await;
    assert_eq!(viewer.raw.hear().await["event"], "producer_closed");
    assert_eq!(viewer.raw.hear().await["event"], "consumer_closed");
    drop(viewer);
    // The last that the sharer hears is that the viewer left.
    let left = sharer.hear().await;
    assert_eq!(left["event"], "peer_left", "{left}");
    let quiet = timeout(Duration::from_millis(300), sharer.hear()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_watcher_is_told_before_the_reply_that_made_the_producer() {
    let server = Server::start().await;
    let mut viewer = Viewer::new(&server, None).await;
    for _ in 0..10 {
        let mut sharer = server.raw().await;
        sharer.join(&server, "demo", Role::Share).await;
        let offer = json!({ "id": 77, "action": "create_native_sender_session", "data": h264() });
        sharer.say(offer.to_string()).await;
        // The viewer is as fast as can be: it consumes as soon as it hears.
        let announced = loop {
            let message = viewer.raw.hear().await;
            if message["event"] == "new_producer" {
                break message;
            }
        };
        let producer_id = announced["data"]["producer_id"].as_str().unwrap().to_owned();
        viewer.consume(&producer_id).await;
        loop {
            let message = sharer.hear().await;
            assert_ne!(message["event"], "watchers_changed", "before the reply");
            if message["id"] == 77 {
                break;
            }
        }
        assert_eq!(watchers(&mut sharer, &producer_id).await.len(), 1);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_comes_and_goes_as_fast_as_he_can_does_not_flood_the_owner() {
    let server = Server::start().await;
    let (mut sharer, producer_id) = native(&server).await;
    let mut viewer = Viewer::new(&server, None).await;
    let begun = tokio::time::Instant::now();
    for _ in 0..300 {
        let consumer = viewer.consume(&producer_id).await;
        viewer.close(consumer).await;
    }
    viewer.consume(&producer_id).await;
    let most = begun.elapsed().as_millis() / 100 + 2;
    // The last that is told is how it stands, and the owner is still there although it read nothing until now.
    let mut told = 0;
    let mut last = Vec::new();
    while let Ok(now) = timeout(Duration::from_millis(500), watchers(&mut sharer, &producer_id)).await {
        told += 1;
        last = now;
    }
    assert_eq!(last, sorted(&[(&viewer, Value::Null)]));
    assert!(told <= most, "{told} notifications, not {most} at most");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_reads_who_watches_and_gives_its_name() {
    let server = Server::start().await;
    let (client, mut events) = server.joined("demo", Role::Share).await.unwrap();
    let session = client.create_native_sender_session(&h264()).await.unwrap();
    let (second, _events) = server.client().await;
    let join = Join::new("demo".parse().unwrap(), server.token("demo", Role::View), Role::View);
    let joined = second.join_with(join.with_name("Ada".parse().unwrap())).await.unwrap();
    assert_eq!(joined.producers.len(), 1);
    let mut viewer = Viewer::new(&server, Some("Bob")).await;
    viewer.consume(&session.producer_id).await;
    let event = timeout(crate::common::DEADLINE, events.next()).await.unwrap();
    let Some(ClientEvent::Notification(Notification::WatchersChanged { producer_id, watchers })) = event
    else {
        panic!("{event:?}");
    };
    assert_eq!(producer_id, session.producer_id);
    assert_eq!(watchers.len(), 1);
    assert_eq!(watchers[0].name.as_ref().unwrap().as_str(), "Bob");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_out_of_its_bounds_is_refused_with_value_and_bounds() {
    let server = Server::start().await;
    let mut raw = server.raw().await;
    let join = |name: Value| {
        json!({
            "protocol": 1, "room": "demo", "token": server.token("demo", Role::View), "role": "view", "name": name,
        })
    };
    for (name, says) in [
        (json!(""), "name \"\" is not 1 to 64 characters without control characters"),
        (json!("a\u{1b}[2Jb"), "name \"a\\u{1b}[2Jb\" is not 1 to 64"),
        (json!("ü".repeat(65)), "is not 1 to 64"),
        (json!("x".repeat(200_000)), "is not 1 to 64"),
        (json!(7), "data.name"),
    ] {
        let reply = raw.ask("join", join(name)).await;
        assert_eq!(reply["error"]["code"], "bad_message", "{reply}");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains("data.name") && message.contains(says), "{message}");
        assert!(message.len() < 400, "{message}");
    }
    raw.must("join", join(json!("ü".repeat(64)))).await;
    server.stop().await;
}
