//! What the threads count, and the snapshot made of it.
//!
//! One lock each for what the capture's, the encoder's and the sender's threads write, so that no thread
//! waits for another's work: each is held for a few additions only.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yc_media::{CaptureTime, Codec, RateTarget, Resolution};

use crate::{
    DropCounters, FeedbackCounters, KeyframeCause, KeyframeCounters, SenderState, SenderStatus, StartupTimes,
    StopReason,
};

/// Facts that do not change while a sender runs.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) started_at: CaptureTime,
    pub(crate) capture_backend: &'static str,
    pub(crate) capture_note: Option<String>,
    pub(crate) capture_why_not: Vec<String>,
    pub(crate) encoder_backend: &'static str,
    pub(crate) encoder_hardware: bool,
    pub(crate) encoder_accelerated: bool,
    pub(crate) encoder_why_not: Vec<String>,
    pub(crate) codec: Codec,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    facts: Facts,
    life: Mutex<Life>,
    capture: Mutex<CaptureStats>,
    encode: Mutex<EncodeStats>,
    send: Mutex<SendStats>,
}

#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) state: SenderState,
    pub(crate) stop_reason: Option<StopReason>,
    pub(crate) events_lost: u64,
}

#[derive(Debug, Default)]
pub(crate) struct CaptureStats {
    pub(crate) frames: u64,
    pub(crate) queue_full: u64,
    pub(crate) size: Option<Resolution>,
    pub(crate) first_at: Option<CaptureTime>,
}

#[derive(Debug)]
pub(crate) struct EncodeStats {
    pub(crate) target: RateTarget,
    pub(crate) size: Option<Resolution>,
    pub(crate) frames: u64,
    pub(crate) repeated: u64,
    pub(crate) superseded: u64,
    pub(crate) backlog: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) lost_on_the_way: u64,
    pub(crate) quantizer: Option<u8>,
    pub(crate) key_frames: KeyframeCounters,
    pub(crate) first_at: Option<CaptureTime>,
    time_average: Option<Duration>,
    time_max: Duration,
}

impl EncodeStats {
    pub(crate) fn on_encode_time(&mut self, time: Duration) {
        self.time_average = Some(self.time_average.map_or(time, |average| (average * 15 + time) / 16));
        self.time_max = self.time_max.max(time);
    }

    pub(crate) fn on_keyframe(&mut self, cause: KeyframeCause) {
        let counters = &mut self.key_frames;
        counters.total += 1;
        *match cause {
            KeyframeCause::Start => &mut counters.start,
            KeyframeCause::Pli => &mut counters.pli,
            KeyframeCause::Fir => &mut counters.fir,
            KeyframeCause::App => &mut counters.app,
            KeyframeCause::Lost => &mut counters.lost,
            KeyframeCause::Resize => &mut counters.resize,
        } += 1;
    }
}

#[derive(Debug)]
pub(crate) struct SendStats {
    pub(crate) frames: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) refused: u64,
    pub(crate) unpacketized: u64,
    pub(crate) backlog: Duration,
    pub(crate) keyframe_requests: u64,
    pub(crate) feedback: FeedbackCounters,
    pub(crate) first_at: Option<CaptureTime>,
    /// Frames that left in the last second: when, and the bytes that left since the one before.
    window: VecDeque<(CaptureTime, u64)>,
    window_bytes_from: u64,
}

/// More frames than leave in a second: twice the highest frame rate.
const WINDOW_CAPACITY: usize = 512;

impl SendStats {
    /// The last packet of a frame left.
    pub(crate) fn on_frame_sent(&mut self, now: CaptureTime) {
        self.frames += 1;
        self.first_at.get_or_insert(now);
        if self.window.len() == WINDOW_CAPACITY {
            self.window.pop_front();
        }
        self.window.push_back((now, self.bytes - self.window_bytes_from));
        self.window_bytes_from = self.bytes;
    }

    fn last_second(&self, now: CaptureTime) -> (u32, u32) {
        let recent = self.window.iter().filter(|(at, _)| now.saturating_since(*at) < Duration::from_secs(1));
        let (frames, bytes) = recent.fold((0, 0), |(frames, sum), (_, bytes)| (frames + 1, sum + bytes));
        (frames, u32::try_from(bytes * 8 / 1_000).unwrap_or(u32::MAX))
    }
}

impl Metrics {
    pub(crate) fn new(facts: Facts, target: RateTarget) -> Self {
        Self {
            facts,
            life: Mutex::new(Life { state: SenderState::Starting, stop_reason: None, events_lost: 0 }),
            capture: Mutex::default(),
            encode: Mutex::new(EncodeStats {
                target,
                size: None,
                frames: 0,
                repeated: 0,
                superseded: 0,
                backlog: 0,
                failed: 0,
                skipped: 0,
                lost_on_the_way: 0,
                quantizer: None,
                key_frames: KeyframeCounters::default(),
                first_at: None,
                time_average: None,
                time_max: Duration::ZERO,
            }),
            send: Mutex::new(SendStats {
                frames: 0,
                packets: 0,
                bytes: 0,
                refused: 0,
                unpacketized: 0,
                backlog: Duration::ZERO,
                keyframe_requests: 0,
                feedback: FeedbackCounters::default(),
                first_at: None,
                window: VecDeque::with_capacity(WINDOW_CAPACITY),
                window_bytes_from: 0,
            }),
        }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.life)
    }

    pub(crate) fn capture(&self) -> MutexGuard<'_, CaptureStats> {
        lock(&self.capture)
    }

    pub(crate) fn encode(&self) -> MutexGuard<'_, EncodeStats> {
        lock(&self.encode)
    }

    pub(crate) fn send(&self) -> MutexGuard<'_, SendStats> {
        lock(&self.send)
    }

    /// Everything, as seen at `now`.
    pub(crate) fn snapshot(&self, now: CaptureTime) -> SenderStatus {
        let facts = self.facts.clone();
        let since_start = |at: CaptureTime| at.saturating_since(facts.started_at).as_secs_f32() * 1_000.0;
        let (state, stop_reason, events_lost) = {
            let life = self.life();
            (life.state, life.stop_reason, life.events_lost)
        };
        let capture = self.capture();
        let (frames_captured, queue_full) = (capture.frames, capture.queue_full);
        let (source_size, first_captured) = (capture.size, capture.first_at);
        drop(capture);
        let send = self.send();
        let (fps, bitrate_kbps) = send.last_second(now);
        let (frames_sent, packets_sent, bytes_sent) = (send.frames, send.packets, send.bytes);
        let (refused, unpacketized, requests) = (send.refused, send.unpacketized, send.keyframe_requests);
        let (feedback, first_sent) = (send.feedback, send.first_at);
        let send_backlog_ms = u32::try_from(send.backlog.as_millis()).unwrap_or(u32::MAX);
        drop(send);
        let encode = self.encode();
        SenderStatus {
            state,
            stop_reason,
            uptime_ms: now.saturating_since(facts.started_at).as_millis() as u64,
            capture_backend: facts.capture_backend,
            capture_note: facts.capture_note,
            capture_why_not: facts.capture_why_not,
            source_size,
            encoder_backend: facts.encoder_backend,
            encoder_hardware: facts.encoder_hardware,
            encoder_accelerated: facts.encoder_accelerated,
            encoder_why_not: facts.encoder_why_not,
            codec: facts.codec,
            encoded_size: encode.size,
            target: encode.target,
            frames_captured,
            frames_encoded: encode.frames,
            frames_repeated: encode.repeated,
            frames_sent,
            fps,
            bitrate_kbps,
            quantizer: encode.quantizer,
            encode_ms: encode.time_average.unwrap_or_default().as_secs_f32() * 1_000.0,
            encode_ms_max: encode.time_max.as_secs_f32() * 1_000.0,
            key_frames: KeyframeCounters { requests, ..encode.key_frames },
            dropped: DropCounters {
                queue_full,
                superseded: encode.superseded,
                backlog: encode.backlog,
                encode_failed: encode.failed,
                skipped_by_encoder: encode.skipped,
                during_send: encode.lost_on_the_way + unpacketized,
                packets_refused: refused,
            },
            packets_sent,
            bytes_sent,
            send_backlog_ms,
            feedback,
            startup: StartupTimes {
                first_captured_ms: first_captured.map(since_start),
                first_encoded_ms: encode.first_at.map(since_start),
                first_sent_ms: first_sent.map(since_start),
            },
            events_lost,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counters are whole after any panic: no invariant spans two of them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use yc_media::{Bitrate, FrameRate};

    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    fn metrics() -> Metrics {
        let facts = Facts {
            started_at: at(1_000),
            capture_backend: "synthetic",
            capture_note: None,
            capture_why_not: Vec::new(),
            encoder_backend: "fake",
            encoder_hardware: false,
            encoder_accelerated: true,
            encoder_why_not: vec!["nvenc: not supported here".into()],
            codec: Codec::H264,
        };
        let size = Resolution::new(640, 360).unwrap();
        Metrics::new(facts, RateTarget::new(Bitrate::kbps(1_000), FrameRate::new(30).unwrap(), size))
    }

    #[test]
    fn frames_and_bits_are_those_of_the_last_second() {
        let metrics = metrics();
        for n in 0..60 {
            let mut send = metrics.send();
            send.bytes += 1_000;
            send.on_frame_sent(at(1_000 + n * 50));
        }
        let status = metrics.snapshot(at(3_950));
        assert_eq!((status.fps, status.bitrate_kbps), (20, 160));
        assert_eq!(status.uptime_ms, 2_950);
        let later = metrics.snapshot(at(10_000));
        assert_eq!((later.fps, later.bitrate_kbps), (0, 0));
    }

    #[test]
    fn times_count_from_the_start() {
        let metrics = metrics();
        metrics.capture().first_at = Some(at(1_012));
        let startup = metrics.snapshot(at(2_000)).startup;
        assert_eq!(startup.first_captured_ms, Some(12.0));
        assert_eq!(startup.first_sent_ms, None);
    }
}
