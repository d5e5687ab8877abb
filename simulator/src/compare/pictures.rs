//! What there is to send.

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::{Bitrate, CaptureTime, FrameKind, FrameRate, RateTarget, Resolution};

use super::Source;
use crate::{Encoder, ScreenChange};

/// The pictures of a source, 30 a second.
#[derive(Debug)]
pub(super) struct Pictures {
    pub(super) due_at: Duration,
    /// None: whatever is allowed.
    encoder: Option<Encoder>,
    changes: VecDeque<ScreenChange>,
    changed: bool,
    repeat_at: Duration,
}

impl Pictures {
    pub(super) fn new(source: &Source, duration: Duration, seed: u64) -> Self {
        let (encoder, changes) = match source {
            Source::Greedy => (None, Vec::new()),
            Source::Screen(trace) => {
                (Some(Encoder::new(target(Bitrate::kbps(1)))), trace.changes(duration, seed))
            }
        };
        let changes = changes.into();
        Self { due_at: Duration::ZERO, encoder, changes, changed: false, repeat_at: Duration::ZERO }
    }

    /// The bytes of the next picture, 0 if there is none, at `bitrate`.
    pub(super) fn next(&mut self, now: Duration, bitrate: Bitrate, backlog: Duration) -> usize {
        self.due_at = now + FRAME;
        let Some(encoder) = &mut self.encoder else {
            return if backlog > MAX_BACKLOG { 0 } else { bitrate.bytes_in(FRAME) };
        };
        while let Some(change) = self.changes.pop_front_if(|change| change.at <= now) {
            encoder.on_change(change.part);
            self.changed = true;
        }
        let sharpens = encoder.sharpness() < 0.99;
        if backlog > MAX_BACKLOG || !(self.changed || sharpens || self.repeat_at <= now) {
            return 0;
        }
        self.changed = false;
        self.repeat_at = now + Duration::from_secs(1);
        encoder.set_rate(target(bitrate));
        encoder.encode(now, CaptureTime::from_epoch(now), FrameKind::Delta).encoded.data.len()
    }
}

fn target(bitrate: Bitrate) -> RateTarget {
    let frame_rate = FrameRate::new(30).expect("30 is inside 1 to 240");
    let resolution = Resolution::new(1920, 1080).expect("1920x1080 is inside the bounds");
    RateTarget::new(bitrate, frame_rate, resolution)
}

const FRAME: Duration = Duration::from_nanos(33_333_333);
/// While more than this waits no picture is made, as in the sender.
const MAX_BACKLOG: Duration = Duration::from_millis(200);
