//! What each thread counts.

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::{CaptureTime, RateTarget, Resolution};

use crate::circuit_breaker::Path;
use crate::latency::LatencyHistogram;
use crate::{
    DegradationStatus, FeedbackCounters, KeyframeCause, KeyframeCounters, NetworkStatus, RecoveryCounters,
};

#[derive(Debug, Default)]
pub(crate) struct CaptureStats {
    pub(crate) frames: u64,
    pub(crate) queue_full: u64,
    /// The sum of the damaged shares of the pictures.
    pub(crate) damaged: f64,
    pub(crate) size: Option<Resolution>,
    pub(crate) first_at: Option<CaptureTime>,
    pub(crate) paused: bool,
    pub(crate) blank: bool,
    /// Every picture that came, answers to probes included.
    pub(super) seen: u64,
    /// Answers to probes, and those of them that showed a change that the capture had not told.
    pub(super) probes: u64,
    pub(super) missed: u64,
}

impl CaptureStats {
    /// A picture came; `probe` says that it was asked for, `same` that it shows nothing new.
    pub(crate) fn on_seen(&mut self, probe: bool, same: bool) {
        self.seen += 1;
        self.probes += u64::from(probe);
        self.missed += u64::from(probe && !same);
    }

    /// Pictures seen, changes missed, and whether there is nothing to see.
    pub(crate) fn seen(&self) -> (u64, u64, bool) {
        (self.seen, self.missed, self.paused)
    }
}

/// How the encoder kept up since somebody looked last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EncodePressure {
    /// How often its thread took from the queue.
    pub(crate) takes: u32,
    /// The older pictures that were left out for the newest, in all and at most.
    pub(crate) waiting: u32,
    pub(crate) waiting_peak: u32,
    /// Pictures encoded, and the time that they took.
    pub(crate) encoded: u32,
    pub(crate) time: Duration,
}

impl EncodePressure {
    /// The encoder's thread took a picture and left `older` ones out for it.
    pub(crate) fn on_take(&mut self, older: u32) {
        self.takes += 1;
        self.waiting += older;
        self.waiting_peak = self.waiting_peak.max(older);
    }

    fn on_encoded(&mut self, time: Duration) {
        self.encoded += 1;
        self.time += time;
    }

    /// What there was; counting begins anew.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}

/// What the degradation ladder is told besides, as sums since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PressureCounts {
    pub(crate) captured: u64,
    pub(crate) damaged: f64,
    /// Pictures that got to the encoder, or did not because the ladder caps the bitrate.
    pub(crate) taken: u64,
    /// Pictures not encoded or not sent because too much waited, and packets that the OS refused.
    pub(crate) send_drops: u64,
    pub(crate) source_size: Option<Resolution>,
}

#[derive(Debug)]
pub(crate) struct EncodeStats {
    pub(crate) target: RateTarget,
    pub(crate) size: Option<Resolution>,
    pub(crate) frames: u64,
    pub(crate) repeated: u64,
    pub(crate) converted: u64,
    pub(crate) superseded: u64,
    pub(crate) backlog: u64,
    pub(crate) capped: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    pub(crate) lost_on_the_way: u64,
    pub(crate) quantizer: Option<u8>,
    pub(crate) key_frames: KeyframeCounters,
    pub(crate) first_at: Option<CaptureTime>,
    pub(crate) pressure: EncodePressure,
    pub(super) time_average: Option<Duration>,
    pub(super) time_max: Duration,
    pub(super) queue_times: LatencyHistogram,
    pub(super) convert_times: LatencyHistogram,
    pub(super) encode_times: LatencyHistogram,
}

impl EncodeStats {
    pub(super) fn new(target: RateTarget) -> Self {
        Self {
            target,
            size: None,
            frames: 0,
            repeated: 0,
            converted: 0,
            superseded: 0,
            backlog: 0,
            capped: 0,
            failed: 0,
            skipped: 0,
            lost_on_the_way: 0,
            quantizer: None,
            key_frames: KeyframeCounters::default(),
            first_at: None,
            pressure: EncodePressure::default(),
            time_average: None,
            time_max: Duration::ZERO,
            queue_times: LatencyHistogram::default(),
            convert_times: LatencyHistogram::default(),
            encode_times: LatencyHistogram::default(),
        }
    }

    /// A picture that waited made room for a newer one, because too much waited to be sent or because the
    /// bitrate is capped.
    pub(crate) fn on_postponed(&mut self, capped: bool) {
        *if capped { &mut self.capped } else { &mut self.backlog } += 1;
    }

    /// A picture that had waited for `waited` since it was captured took `took` to convert.
    pub(crate) fn on_converted(&mut self, now: CaptureTime, waited: Duration, took: Duration) {
        self.converted += 1;
        self.queue_times.record(now, waited);
        self.convert_times.record(now, took);
    }

    /// A picture took `encode` to encode, and `all` with its conversion.
    pub(crate) fn on_encoded(&mut self, now: CaptureTime, encode: Duration, all: Duration) {
        self.encode_times.record(now, encode);
        self.pressure.on_encoded(all);
        self.time_average = Some(self.time_average.map_or(all, |average| (average * 15 + all) / 16));
        self.time_max = self.time_max.max(all);
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
            KeyframeCause::Restart => &mut counters.restart,
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
    /// Whether the network takes less than was asked for.
    pub(crate) network_limits: bool,
    pub(crate) network: NetworkStatus,
    pub(crate) recovery: RecoveryCounters,
    pub(crate) degradation: DegradationStatus,
    pub(crate) path: Path,
    pub(super) packetize_times: LatencyHistogram,
    pub(super) send_times: LatencyHistogram,
    pub(super) total_times: LatencyHistogram,
    /// Frames that left in the last second: when, and the bytes that left since the one before.
    window: VecDeque<(CaptureTime, u64)>,
    window_bytes_from: u64,
}

/// Where the time of one frame went, once it left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentTimes {
    /// From the encoder's end until its packets waited.
    pub(crate) packetize: Duration,
    /// From then until the last of them left.
    pub(crate) send: Duration,
    /// From the capture until then.
    pub(crate) total: Duration,
}

/// More frames than leave in a second: twice the highest frame rate.
const WINDOW_CAPACITY: usize = 512;

impl SendStats {
    pub(super) fn new(degradation: DegradationStatus) -> Self {
        Self {
            frames: 0,
            packets: 0,
            bytes: 0,
            refused: 0,
            unpacketized: 0,
            backlog: Duration::ZERO,
            keyframe_requests: 0,
            feedback: FeedbackCounters::default(),
            first_at: None,
            network_limits: false,
            network: NetworkStatus::default(),
            recovery: RecoveryCounters::default(),
            degradation,
            path: Path::Unheard,
            packetize_times: LatencyHistogram::default(),
            send_times: LatencyHistogram::default(),
            total_times: LatencyHistogram::default(),
            window: VecDeque::with_capacity(WINDOW_CAPACITY),
            window_bytes_from: 0,
        }
    }

    /// A frame left that took `times`.
    pub(crate) fn on_times(&mut self, now: CaptureTime, times: SentTimes) {
        self.packetize_times.record(now, times.packetize);
        self.send_times.record(now, times.send);
        self.total_times.record(now, times.total);
    }

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

    pub(super) fn last_second(&self, now: CaptureTime) -> (u32, u32) {
        let recent = self.window.iter().filter(|(at, _)| now.saturating_since(*at) < Duration::from_secs(1));
        let (frames, bytes) = recent.fold((0, 0), |(frames, sum), (_, bytes)| (frames + 1, sum + bytes));
        (frames, u32::try_from(bytes * 8 / 1_000).unwrap_or(u32::MAX))
    }
}
