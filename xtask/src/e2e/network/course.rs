//! The course of a share through a network, for whoever wants to know why a figure is what it is.

use std::time::Duration;

use serde_json::{Value, json};
use yc_simulator::Profile;

use super::measured::Measured;
use crate::e2e::relay::{Journey, SLOT};

/// Everything that was seen, each with its time in seconds since the first datagram.
pub(super) fn json(
    profile: &Profile,
    measured: &Measured,
    journey: &Journey,
    said: &[(u64, Value)],
    viewer: &[(u64, Value)],
    shown: &[u64],
) -> Value {
    let at = |unix_us: u64| rounded((unix_us as f64 - journey.began_unix_us as f64) / 1e6);
    let stood = shown.windows(2).filter(|pair| pair[1] - pair[0] >= STOOD.as_micros() as u64);
    let statuses = said.iter().filter_map(|(unix_us, event)| Some((at(*unix_us), event.get("status")?)));
    let events = said.iter().filter(|(_, event)| event.get("status").is_none());
    json!({
        "network": profile.name,
        "measured": measured.to_json(),
        "sender": statuses.map(|(at, status)| sender(at, status)).collect::<Vec<_>>(),
        "events": events.map(|(unix_us, event)| json!([at(*unix_us), event])).collect::<Vec<_>>(),
        "viewer": viewer.iter().map(|(unix_us, stats)| json!([at(*unix_us), stats])).collect::<Vec<_>>(),
        "stood": stood.map(|pair| [at(pair[0]), at(pair[1])]).collect::<Vec<_>>(),
        "relay": relay(journey),
        "relay_back": { "sent": journey.to_sender.stats.sent, "dropped": journey.to_sender.stats.dropped.total() },
    })
}

/// Pictures that stood this long are told one by one.
const STOOD: Duration = Duration::from_millis(150);

/// What of a status concerns the network.
fn sender(at: f64, status: &Value) -> Value {
    json!({
        "at": at,
        "fps": status["fps"],
        "bitrate_kbps": status["bitrate_kbps"],
        "target": status["target"],
        "encoded_size": status["encoded_size"],
        "quantizer": status["quantizer"],
        "encode_ms": status["encode_ms"],
        "limited_by": status["limited_by"],
        "level": status["degradation"]["level"],
        "pressure": status["degradation"]["pressure"],
        "backlog_ms": status["send_backlog_ms"],
        "key_frames": status["key_frames"],
        "dropped": status["dropped"],
        "feedback": status["feedback"],
        "network": status["network"],
        "recovery": status["recovery"],
    })
}

/// The way to the server, slot by slot.
fn relay(journey: &Journey) -> Vec<Value> {
    let slots = journey.to_server.slots.iter().enumerate();
    let kbps = |bytes: u64| (bytes as f64 * 8.0 / SLOT.as_secs_f64() / 1_000.0).round();
    let one = slots.map(|(n, slot)| {
        let longest = slot.queued.iter().max().copied().unwrap_or(Duration::ZERO);
        json!({
            "at": rounded(SLOT.as_secs_f64() * n as f64),
            "sent_kbps": kbps(slot.sent_bytes),
            "passed_kbps": kbps(slot.passed_bytes),
            "queue_ms": rounded(longest.as_secs_f64() * 1_000.0),
            "overflowed": slot.overflowed,
            "lost": slot.lost,
        })
    });
    one.collect()
}

/// To thousandths.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
