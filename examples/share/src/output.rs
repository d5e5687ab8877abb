//! What the program prints: a live status line for people, or one JSON object a line for machines.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};
use yc_sender::{SenderEvent, SenderStatus};

/// Where everything that the program says goes.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    live: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, live: !json && std::io::stdout().is_terminal() }
    }

    /// The negotiation is done.
    pub(crate) fn session(&self, fields: Value) {
        if self.json {
            self.line(with_event("session", fields));
        } else {
            println!(
                "Sharing to {} as {} ({}; {} from {})",
                text(&fields, "rtp_target"),
                text(&fields, "codec"),
                fields["srtp"].as_str().unwrap_or("no encryption"),
                text(&fields, "encoder_backend"),
                text(&fields, "capture_backend"),
            );
        }
    }

    /// Something happened.
    pub(crate) fn event(&self, event: &SenderEvent) {
        if self.json {
            match serde_json::to_value(event) {
                Ok(value) => self.line(value),
                Err(error) => {
                    self.line(json!({"event": "error", "kind": "output", "message": error.to_string()}))
                }
            }
            return;
        }
        self.end_live();
        match event {
            SenderEvent::SenderStarted { .. } => println!("The first picture is on its way. Ctrl-C stops."),
            SenderEvent::EncodeError { detail, .. } | SenderEvent::TransportError { detail, .. } => {
                eprintln!("yc-share: {detail}");
            }
            SenderEvent::FallbackTriggered { from, to, reason, detail, .. } => {
                eprintln!("yc-share: {from} is left for {to} ({reason}): {detail}");
            }
            SenderEvent::FallbackCompleted { to, took_ms, .. } => {
                println!("{to} took over after {took_ms} ms.");
            }
            SenderEvent::DegradationChanged { level, cause, .. } => {
                println!("Degradation level {level} of 3 ({cause}).");
            }
            SenderEvent::SourceResized { size } => println!("The source is now {size}."),
            SenderEvent::SourcePaused => {
                println!("The source shows nothing for now; its last picture stands.")
            }
            SenderEvent::SourceResumed => println!("The source shows pictures again."),
            _ => {}
        }
    }

    /// Once a second.
    pub(crate) fn status(&self, status: &SenderStatus) {
        if self.json {
            self.line(json!({"event": "status", "status": status}));
        } else if self.live {
            print!("\r\x1b[K{}", status_line(status));
            // A terminal that is gone ends the program by its signal, not here.
            let _ = std::io::stdout().flush();
        }
    }

    /// The last words of a share.
    pub(crate) fn stopped(&self, reason: &str, detail: Option<&str>, status: &SenderStatus) {
        if self.json {
            self.line(
                json!({"event": "sender_stopped", "reason": reason, "detail": detail, "status": status}),
            );
            return;
        }
        self.end_live();
        match detail {
            Some(detail) => println!("Stopped ({reason}): {detail}"),
            None => println!("Stopped ({reason})."),
        }
        println!("{}", status_line(status));
    }

    /// The share could not start, or was lost.
    pub(crate) fn error(&self, kind: &str, message: &str) {
        if self.json {
            self.line(json!({"event": "error", "kind": kind, "message": message}));
        }
        self.end_live();
        eprintln!("yc-share: {message}");
    }

    fn line(&self, value: Value) {
        println!("{value}");
    }

    fn end_live(&self) {
        if self.live {
            print!("\r\x1b[K");
        }
    }
}

fn with_event(name: &str, mut fields: Value) -> Value {
    if let Value::Object(map) = &mut fields {
        map.insert("event".to_owned(), name.into());
    }
    fields
}

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name].as_str().unwrap_or("?")
}

fn status_line(status: &SenderStatus) -> String {
    let size = status.encoded_size.map_or_else(|| "-".to_owned(), |size| size.to_string());
    let qp = status.quantizer.map_or_else(|| "-".to_owned(), |qp| qp.to_string());
    let rtt = status.feedback.rtt_ms.map_or_else(|| "-".to_owned(), |rtt| format!("{rtt:.0} ms"));
    let network = status.network.available_kbps.map_or_else(|| "-".to_owned(), |kbps| kbps.to_string());
    let level = match status.degradation.level {
        0 => String::new(),
        level => format!("  level {level}"),
    };
    let drops = status.dropped.queue_full + status.dropped.superseded + status.dropped.backlog;
    format!(
        "{size} {:>3} fps {:>6} of {network} kbit/s  qp {qp}  encode {:.1} ms  key frames {}  dropped {drops}  rtt {rtt}{level}",
        status.fps, status.bitrate_kbps, status.encode_ms, status.key_frames.total,
    )
}
