//! What a host tells while a share runs.

use serde::Serialize;
use yc_sender::SenderEvent;

/// The names of all events.
pub const EVENTS: &[&str] = SenderEvent::NAMES;

/// One thing that happened: the sender's event. As JSON it is the event's own, and `sender_stopped` says in
/// `failure` whether something broke.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostEvent {
    /// What happened.
    #[serde(flatten)]
    pub event: SenderEvent,
    /// `sender_stopped`: whether something broke, rather than ended as asked or with its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<bool>,
}

impl HostEvent {
    /// Its name: one of [`EVENTS`].
    pub const fn name(&self) -> &'static str {
        self.event.name()
    }
}

impl From<SenderEvent> for HostEvent {
    fn from(event: SenderEvent) -> Self {
        let failure = match &event {
            SenderEvent::SenderStopped { reason, .. } => Some(reason.is_failure()),
            _ => None,
        };
        Self { event, failure }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yc_sender::Reason;

    use super::*;

    #[test]
    fn the_end_says_whether_something_broke_and_other_events_do_not() {
        let stopped = |reason| HostEvent::from(SenderEvent::SenderStopped { reason, detail: None });
        let json = |event: &HostEvent| serde_json::to_value(event).unwrap();
        assert_eq!(
            json(&stopped(Reason::EncoderHung)),
            json!({"event": "sender_stopped", "reason": "encoder_hung", "detail": null, "failure": true})
        );
        assert_eq!(json(&stopped(Reason::WindowClosed))["failure"], false);
        let paused = HostEvent::from(SenderEvent::SourcePaused);
        assert_eq!(json(&paused), json!({"event": "source_paused"}));
        assert!(EVENTS.contains(&paused.name()));
    }
}
