//! What the log and the metrics take of a client's diagnostic: bounded, and in one line whatever a client wrote.

use std::fmt::Write as _;

use serde_json::json;

use crate::messages::{ClientDiagnostic, RoomName};

/// Writes a diagnostic as one line.
pub(super) fn log(room: &RoomName, peer: &str, diagnostic: &ClientDiagnostic) {
    tracing::info!(
        %room,
        peer,
        class = diagnostic.class,
        reason_code = diagnostic.reason_code,
        encoder_backend = diagnostic.encoder_backend.as_deref().map(one_line),
        degradation_level = diagnostic.degradation_level,
        versions = diagnostic.versions.as_ref().map(|versions| one_line(&json!(versions).to_string())),
        // The last field: what is in it cannot be taken for another.
        detail = %one_line(&diagnostic.detail.to_string()),
        "client diagnostic"
    );
}

/// `text` without anything that begins a line or moves a terminal's cursor, cut after [`MAX_CHARS`].
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for (at, char) in text.chars().enumerate() {
        if at == MAX_CHARS {
            line.push('…');
            break;
        }
        if char.is_control() || UNSEEN.contains(&char) {
            let _ = write!(line, "{}", char.escape_unicode());
        } else {
            line.push(char);
        }
    }
    line
}

/// Most characters of a field in the log: `versions` fit, a `detail` of 4096 bytes does not.
const MAX_CHARS: usize = 1024;

/// No control characters for Unicode, but line ends and marks that turn the direction of what is read.
const UNSEEN: [char; 11] = [
    '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The place of a reason in [`REASONS`]; one after the last for any other, and for none.
pub(super) fn reason_index(code: Option<&str>) -> usize {
    REASONS.iter().position(|known| Some(*known) == code).unwrap_or(REASONS.len())
}

/// The reasons that fallbacks are counted by: the codes of `docs/failures.md`, and those that only an app around
/// a sender has. Any other counts as `other`: a client's text must not make a series.
pub(super) const REASONS: [&str; 31] = [
    "requested",
    "window_closed",
    "monitor_removed",
    "end_of_file",
    "capture_unsupported",
    "capture_denied",
    "source_not_found",
    "capture_device_lost",
    "capture_invalid_input",
    "capture_failed",
    "capture_hung",
    "capture_silent",
    "frame_refused",
    "encode_errors",
    "encoder_unsupported",
    "encoder_device_lost",
    "encoder_failed",
    "encoder_hung",
    "send_buffer_full",
    "peer_unreachable",
    "datagram_too_large",
    "socket_failed",
    "send_errors",
    "transport_hung",
    "rtcp_timeout",
    "queue_drops",
    "overloaded",
    "cool_down_over",
    "internal_error",
    "negotiation_failed",
    "native_host_lost",
];

/// Those of [`REASONS`] that no sender gives, but an app around it.
#[cfg(test)]
const OF_APPS: [&str; 2] = ["negotiation_failed", "native_host_lost"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_reasons_are_those_of_the_failures_page() {
        let page = include_str!("../../../../docs/failures.md");
        let headings = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
        let page: BTreeSet<&str> = headings.chain(OF_APPS).collect();
        let known: BTreeSet<&str> = REASONS.into();
        assert_eq!(page, known);
        assert_eq!(known.len(), REASONS.len(), "each once");
    }

    #[test]
    fn what_a_client_writes_stays_one_line_of_bounded_length() {
        let forged = one_line("a\n2026-01-01 INFO \u{1b}[2K\r\u{9b}K\u{2028}\u{202e}b \"é\"");
        assert!(!forged.contains(|char: char| char.is_control() || UNSEEN.contains(&char)), "{forged}");
        assert!(forged.starts_with("a\\u{a}2026") && forged.ends_with("b \"é\""), "{forged}");
        let long = one_line(&"é".repeat(MAX_CHARS + 1));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
        assert!(long.ends_with('…'));
    }
}
