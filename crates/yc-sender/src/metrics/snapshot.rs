//! The status, made of what the threads counted.

use yc_media::CaptureTime;

use super::Metrics;
use crate::circuit_breaker::Path;
use crate::lifecycle::Life as LifeNow;
use crate::mirror::MirrorTally;
use crate::srtp::SrtpTally;
use crate::{
    DegradationStatus, DropCounters, KeyframeCounters, LimitedBy, PressureCause, SenderState, SenderStatus,
    StageLatencies, StartupTimes, TransportState,
};

impl Metrics {
    /// Everything, as seen at `now`; `life_now` is where the sender is in its life.
    pub(crate) fn snapshot(&self, now: CaptureTime, life_now: LifeNow) -> SenderStatus {
        let facts = self.facts().clone();
        let life = self.life();
        let (started_at, counters, fallback, producer_state, events_lost) =
            (life.started_at, life.counters, life.fallback, life.producer, life.events_lost);
        let srtp = life.srtp.as_ref().map(SrtpTally::status);
        let mirror = life.mirror.as_ref().map(MirrorTally::counters);
        drop(life);
        let since_start = |at: CaptureTime| at.saturating_since(started_at).as_secs_f32() * 1_000.0;

        let capture = self.capture();
        let (frames_captured, queue_full, source_size) = (capture.frames, capture.queue_full, capture.size);
        let (first_captured, capture_paused, capture_blank) =
            (capture.first_at, capture.paused, capture.blank);
        let (capture_probes, changes_missed) = (capture.probes, capture.missed);
        drop(capture);

        let send = self.send();
        let (fps, bitrate_kbps) = send.last_second(now);
        let (frames_sent, packets_sent, bytes_sent) = (send.frames, send.packets, send.bytes);
        let (refused, unpacketized, requests) = (send.refused, send.unpacketized, send.keyframe_requests);
        let (feedback, first_sent, degradation, path) =
            (send.feedback, send.first_at, send.degradation, send.path);
        let (network_limits, network, recovery) = (send.network_limits, send.network, send.recovery);
        let send_backlog_ms = u32::try_from(send.backlog.as_millis()).unwrap_or(u32::MAX);
        let mut latency = StageLatencies {
            packetize: send.packetize_times.summary(now),
            send: send.send_times.summary(now),
            total: send.total_times.summary(now),
            ..StageLatencies::default()
        };
        drop(send);

        let encode = self.encode();
        latency.queue = encode.queue_times.summary(now);
        latency.convert = encode.convert_times.summary(now);
        latency.encode = encode.encode_times.summary(now);
        SenderStatus {
            state: life_now.state,
            stop_reason: life_now.reason,
            uptime_ms: now.saturating_since(started_at).as_millis() as u64,
            capture_backend: facts.capture_backend,
            capture_why: facts.capture_why,
            capture_note: facts.capture_note,
            capture_why_not: facts.capture_why_not,
            capture_paused,
            capture_blank,
            source_size,
            encoder_backend: facts.encoder_backend,
            encoder_hardware: facts.encoder_hardware,
            encoder_accelerated: facts.encoder_accelerated,
            encoder_why_not: facts.encoder_why_not,
            codec: facts.codec,
            encoded_size: encode.size,
            target: encode.target,
            limited_by: limited_by(&degradation, network_limits, capture_paused),
            degradation,
            fallback,
            lifecycle: counters,
            transport_state: transport_state(life_now.state, first_sent.is_some(), path),
            producer_state,
            srtp,
            frames_captured,
            capture_probes,
            changes_missed,
            frames_encoded: encode.frames,
            frames_repeated: encode.repeated,
            frames_sent,
            fps,
            bitrate_kbps,
            quantizer: encode.quantizer,
            encode_ms: encode.time_average.unwrap_or_default().as_secs_f32() * 1_000.0,
            encode_ms_max: encode.time_max.as_secs_f32() * 1_000.0,
            latency,
            key_frames: KeyframeCounters { requests, ..encode.key_frames },
            dropped: DropCounters {
                queue_full,
                superseded: encode.superseded,
                backlog: encode.backlog,
                rate_capped: encode.capped,
                encode_failed: encode.failed,
                skipped_by_encoder: encode.skipped,
                during_send: encode.lost_on_the_way + unpacketized,
                packets_refused: refused,
            },
            packets_sent,
            bytes_sent,
            send_backlog_ms,
            feedback,
            network,
            recovery,
            startup: StartupTimes {
                first_captured_ms: first_captured.map(since_start),
                first_encoded_ms: encode.first_at.map(since_start),
                first_sent_ms: first_sent.map(since_start),
            },
            mirror,
            events_lost,
        }
    }
}

/// What holds the picture back most.
fn limited_by(degradation: &DegradationStatus, network: bool, paused: bool) -> LimitedBy {
    match degradation.cause.filter(|_| degradation.level > 0) {
        Some(PressureCause::EncodeTime | PressureCause::Queue | PressureCause::Overload) => LimitedBy::Cpu,
        Some(PressureCause::Bandwidth | PressureCause::SendDrops) => LimitedBy::Bandwidth,
        None if network => LimitedBy::Bandwidth,
        None if paused => LimitedBy::Source,
        None => LimitedBy::None,
    }
}

fn transport_state(state: SenderState, sent: bool, path: Path) -> TransportState {
    match path {
        _ if state.is_over() => TransportState::Closed,
        _ if !sent => TransportState::New,
        Path::Unheard => TransportState::Sending,
        Path::Alive => TransportState::Connected,
        Path::Silent => TransportState::Silent,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use yc_media::{Bitrate, FrameRate, RateTarget, Resolution};

    use super::*;
    use crate::SenderConfig;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    const RUNNING: LifeNow = LifeNow { state: SenderState::Running, reason: None, all_ended: false };

    fn metrics() -> Metrics {
        let size = Resolution::new(640, 360).unwrap();
        let target = RateTarget::new(Bitrate::kbps(1_000), FrameRate::new(30).unwrap(), size);
        Metrics::new(&SenderConfig::default(), at(1_000), target)
    }

    #[test]
    fn frames_and_bits_are_those_of_the_last_second() {
        let metrics = metrics();
        for n in 0..60 {
            let mut send = metrics.send();
            send.bytes += 1_000;
            send.on_frame_sent(at(1_000 + n * 50));
        }
        let status = metrics.snapshot(at(3_950), RUNNING);
        assert_eq!((status.fps, status.bitrate_kbps), (20, 160));
        assert_eq!(status.uptime_ms, 2_950);
        let later = metrics.snapshot(at(10_000), RUNNING);
        assert_eq!((later.fps, later.bitrate_kbps), (0, 0));
    }

    #[test]
    fn times_count_from_the_start() {
        let metrics = metrics();
        metrics.capture().first_at = Some(at(1_012));
        let startup = metrics.snapshot(at(2_000), RUNNING).startup;
        assert_eq!(startup.first_captured_ms, Some(12.0));
        assert_eq!(startup.first_sent_ms, None);
    }
}
