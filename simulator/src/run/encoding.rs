//! What stands between screen and session.

use std::time::Duration;

use yc_media::FrameKind;
use yc_sender::{SenderConfig, StillConfig};

use super::FrameRecord;
use crate::clock::clock;
use crate::{Encoder, ModelFrame, ScreenChange};

/// When a picture is encoded, and when a still one is again. As the sender's encoding thread does it, with an
/// encoder that takes a fixed time.
#[derive(Debug)]
pub(super) struct Encoding {
    pub(super) encoder: Encoder,
    still: StillConfig,
    pub(super) keyframe_wanted: bool,
    /// The captured picture that waits.
    waiting: Option<Duration>,
    postponed: bool,
    begun_at: Option<Duration>,
    /// Captured pictures are told apart by this.
    captured_at: Duration,
    /// Until when a still picture is sharpened.
    refine_until: Duration,
    /// What is being encoded, and when it will be done.
    busy: Option<(Duration, ModelFrame)>,
}

impl Encoding {
    pub(super) fn new(config: &SenderConfig, encoder: Encoder) -> Self {
        Self {
            encoder,
            still: config.still,
            keyframe_wanted: true,
            waiting: None,
            postponed: false,
            begun_at: None,
            captured_at: Duration::ZERO,
            refine_until: Duration::ZERO,
            busy: None,
        }
    }

    /// A changed picture was captured; the newest wins.
    pub(super) fn on_change(&mut self, change: ScreenChange) {
        self.encoder.on_change(change.part);
        self.waiting = Some(change.at);
    }

    /// When [`step`](Self::step) or [`finished`](Self::finished) has something to do next.
    pub(super) fn due_at(&self, now: Duration, has_room: bool) -> Option<Duration> {
        if let Some((done, _)) = &self.busy {
            return Some(*done);
        }
        let mut at = self.wanted_at()?;
        if at <= now && !has_room {
            // Looked at in steps, as the thread does.
            at = now + BACKLOG_POLL;
        }
        Some(at)
    }

    /// When a picture is encoded next if there is room.
    fn wanted_at(&self) -> Option<Duration> {
        let Some(begun_at) = self.begun_at else { return self.waiting };
        let interval = self.encoder.target().frame_rate.interval();
        if self.waiting.is_some() {
            // Captures come no faster than the frame rate; a little early is on time.
            return Some(begun_at + interval.mul_f64(0.9));
        }
        if self.keyframe_wanted {
            return Some(begun_at);
        }
        let sharpening = begun_at + self.still.refine_interval.max(interval * 3 / 2);
        if sharpening <= self.refine_until {
            return Some(sharpening);
        }
        Some(begun_at + self.still.repeat_interval)
    }

    /// Takes the frame that is done by `now`.
    pub(super) fn finished(&mut self, now: Duration) -> Option<ModelFrame> {
        let (_, frame) = self.busy.take_if(|(done, _)| *done <= now)?;
        Some(frame)
    }

    /// Encodes what is due: a captured picture, a wanted key frame, or the last picture once more.
    pub(super) fn step(&mut self, now: Duration, has_room: bool, postponed: &mut u64) -> Option<FrameRecord> {
        if self.busy.is_some() || self.wanted_at().is_none_or(|at| at > now) {
            return None;
        }
        if !has_room {
            *postponed += u64::from(!std::mem::replace(&mut self.postponed, true));
            return None;
        }
        self.postponed = false;
        let fresh = self.waiting.take();
        if fresh.is_some() || self.keyframe_wanted {
            self.refine_until = now + self.still.refine_for;
        }
        let least = if self.begun_at.is_some() { self.captured_at + LEAST_STEP } else { Duration::ZERO };
        self.captured_at = fresh.unwrap_or(now).max(least);
        self.begun_at = Some(now);
        let kind = if std::mem::take(&mut self.keyframe_wanted) { FrameKind::Key } else { FrameKind::Delta };
        let frame = self.encoder.encode(now, clock(self.captured_at), kind);
        if frame.encoded.qp.is_some_and(|qp| qp <= self.still.sharp_qp) {
            self.refine_until = Duration::ZERO;
        }
        let is_key = frame.encoded.is_key();
        let record = FrameRecord {
            captured_at: self.captured_at,
            is_key,
            bytes: frame.encoded.data.len(),
            sharpness: frame.sharpness,
        };
        let takes = if is_key { ENCODE_KEY } else { ENCODE_DELTA };
        self.busy = Some((now + takes, frame));
        Some(record)
    }
}

/// What encoding takes: what OpenH264 took at 1080p on an x86-64 machine of 2026, in one thread.
const ENCODE_DELTA: Duration = Duration::from_millis(10);
const ENCODE_KEY: Duration = Duration::from_millis(30);
/// How often the encoding side looks again while something waits for room to be sent.
const BACKLOG_POLL: Duration = Duration::from_millis(5);
/// Pictures differ in time by this much at least, so that RTP's clock of 90 kHz tells them apart.
const LEAST_STEP: Duration = Duration::from_micros(100);
