//! What differs from session to session.

use std::time::Duration;

use yc_media::CaptureTime;
use yc_rtp::NtpTime;

use crate::{SenderError, SenderErrorKind};

/// What differs from session to session: random numbers, and how the capture clock stands to the time of day.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct SessionSeeds {
    /// Sequence number of the first packet.
    pub first_sequence: u16,
    /// Sequence number of the first packet sent again, where those are a stream of their own (RTX).
    pub first_rtx_sequence: u16,
    /// RTP timestamp of the capture clock's epoch.
    pub timestamp_offset: u32,
    /// An instant of the capture clock…
    pub anchor: CaptureTime,
    /// …and the same instant as time since 1970-01-01T00:00:00Z.
    pub anchor_unix: Duration,
}

impl SessionSeeds {
    /// These numbers, and `anchor` of the capture clock at `anchor_unix` since 1970-01-01T00:00:00Z.
    pub fn new(
        first_sequence: u16,
        timestamp_offset: u32,
        anchor: CaptureTime,
        anchor_unix: Duration,
    ) -> Self {
        // Random as well: made of two random numbers, and told apart from the first.
        let first_rtx_sequence = first_sequence.wrapping_mul(0x6d2b).wrapping_add(timestamp_offset as u16);
        Self { first_sequence, first_rtx_sequence, timestamp_offset, anchor, anchor_unix }
    }

    /// Random numbers from the OS, the first sequence numbers below 2^15, and `anchor` of the capture clock at
    /// `anchor_unix`.
    ///
    /// # Errors
    ///
    /// `Resources` if the OS gives no random bytes.
    pub fn random(anchor: CaptureTime, anchor_unix: Duration) -> Result<Self, SenderError> {
        let random = getrandom::u64()
            .map_err(|error| SenderError::new(SenderErrorKind::Resources, error.to_string()))?;
        let mut seeds = Self::new(random as u16, (random >> 32) as u32, anchor, anchor_unix);
        seeds.first_sequence &= FIRST_SEQUENCES;
        seeds.first_rtx_sequence &= FIRST_SEQUENCES;
        Ok(seeds)
    }

    /// The time of day at `now`.
    pub(super) fn ntp(&self, now: CaptureTime) -> NtpTime {
        // In signed arithmetic by hand: `now` may be before the anchor.
        let unix = self.anchor_unix + now.saturating_since(self.anchor);
        NtpTime::from_unix(unix.saturating_sub(self.anchor.saturating_since(now)))
    }
}

/// First sequence numbers are below 2^15. A receiver estimates the rollover counter that is not sent
/// ([RFC 3711 §3.3.1](https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1)), and would be one behind for good if the
/// numbers began anew before the first packet arrived.
const FIRST_SEQUENCES: u16 = (1 << 15) - 1;
