//! What of a [`SenderStatus`] Prometheus is shown, and under which names.
//!
//! Rates such as frames per second are left out: Prometheus makes them of the counters.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text::encode};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use yc_sender::{LatencySummary, SenderState, SenderStatus};

/// The media type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `status` as OpenMetrics text; without one, the text that holds no metric.
pub(crate) fn text(status: Option<&SenderStatus>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("yc_sender");
    if let Some(status) = status {
        registry.register_collector(Box::new(Table(families(status))));
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The table. What has no value yet has no sample.
fn families(s: &SenderStatus) -> Vec<Family> {
    let (dropped, key_frames, feedback, startup) = (&s.dropped, &s.key_frames, &s.feedback, &s.startup);
    let life = &s.lifecycle;
    let rejected = s.srtp.map(|srtp| srtp.rtcp_rejected).unwrap_or_default();
    let is = |state| Some(f64::from(u8::from(s.state == state)));
    vec![
        Family::info(
            "backend",
            "What captures and encodes.",
            [
                ("capture", s.capture_backend),
                ("encoder", s.encoder_backend),
                ("codec", s.codec.name()),
                ("hardware", if s.encoder_hardware { "true" } else { "false" }),
            ],
        ),
        Family::gauges(
            "state",
            "1 for the state that the share is in.",
            "state",
            [
                ("starting", is(SenderState::Starting)),
                ("running", is(SenderState::Running)),
                ("degraded", is(SenderState::Degraded)),
                ("stopping", is(SenderState::Stopping)),
                ("stopped", is(SenderState::Stopped)),
                ("failed", is(SenderState::Failed)),
            ],
        ),
        Family::gauge(
            "degradation_level",
            "How many steps the degradation ladder went down.",
            Some(f64::from(s.degradation.level)),
        ),
        Family::gauges(
            "degradation_time",
            "Time spent in each level of the degradation ladder.",
            "level",
            [
                ("0", Some(s.degradation.in_level_ms[0] as f64 / 1_000.0)),
                ("1", Some(s.degradation.in_level_ms[1] as f64 / 1_000.0)),
                ("2", Some(s.degradation.in_level_ms[2] as f64 / 1_000.0)),
                ("3", Some(s.degradation.in_level_ms[3] as f64 / 1_000.0)),
            ],
        )
        .in_seconds(),
        Family::counters(
            "fallback_steps",
            "Steps of the retreat from backends that failed, and back.",
            "step",
            [
                ("restart_encoder", life.encoder_restarts.into()),
                ("next_encoder", life.encoder_switches.into()),
                ("restart_capture", life.capture_restarts.into()),
                ("next_capture", life.capture_switches.into()),
                ("preferred", life.went_back.into()),
                ("browser", life.gave_up.into()),
            ],
        ),
        Family::counter("stages_hung", "Calls that did not return in time.", life.stages_hung.into()),
        Family::gauge(
            "threads_abandoned",
            "Threads of abandoned stages that have not ended yet.",
            Some(life.threads_abandoned.into()),
        ),
        Family::gauge("uptime", "Time since the start.", Some(s.uptime_ms as f64 / 1_000.0)).in_seconds(),
        Family::gauges(
            "startup",
            "Time from the start until the first picture was there.",
            "until",
            [
                ("captured", startup.first_captured_ms.map(seconds)),
                ("encoded", startup.first_encoded_ms.map(seconds)),
                ("sent", startup.first_sent_ms.map(seconds)),
            ],
        )
        .in_seconds(),
        Family::counter("frames_captured", "Changed pictures that the capture delivered.", s.frames_captured),
        Family::counter("frames_encoded", "Pictures that were encoded, repeats included.", s.frames_encoded),
        Family::counter("frames_repeated", "Pictures encoded although nothing changed.", s.frames_repeated),
        Family::counter("frames_sent", "Access units whose last packet left.", s.frames_sent),
        Family::counters(
            "frames_dropped",
            "Pictures that were dropped, by cause.",
            "cause",
            [
                ("queue_full", dropped.queue_full),
                ("superseded", dropped.superseded),
                ("backlog", dropped.backlog),
                ("rate_capped", dropped.rate_capped),
                ("encode_failed", dropped.encode_failed),
                ("skipped_by_encoder", dropped.skipped_by_encoder),
                ("during_send", dropped.during_send),
            ],
        ),
        Family::counters(
            "key_frames",
            "Key frames, by cause.",
            "cause",
            [
                ("start", key_frames.start),
                ("pli", key_frames.pli),
                ("fir", key_frames.fir),
                ("app", key_frames.app),
                ("lost", key_frames.lost),
                ("resize", key_frames.resize),
                ("restart", key_frames.restart),
            ],
        ),
        Family::counter("key_frame_requests", "How often a key frame was asked for.", key_frames.requests),
        Family::counter("packets_sent", "RTP packets that left.", s.packets_sent),
        Family::counter("packets_refused", "Packets that the OS refused.", dropped.packets_refused),
        Family::counter("sent", "RTP that left, headers included.", s.bytes_sent).unit(Unit::Bytes),
        Family::gauge(
            "send_backlog",
            "Time that what waits to be sent takes to leave.",
            Some(f64::from(s.send_backlog_ms) / 1_000.0),
        )
        .in_seconds(),
        Family::gauge(
            "encode_time",
            "Time to convert and encode a picture, moving average.",
            Some(seconds(s.encode_ms)),
        )
        .in_seconds(),
        Family::gauge(
            "encode_time_max",
            "The longest time to convert and encode one picture.",
            Some(seconds(s.encode_ms_max)),
        )
        .in_seconds(),
        latency("queue_latency", "From the capture until the encoder's thread took it.", &s.latency.queue),
        latency("convert_latency", "To convert and scale a picture.", &s.latency.convert),
        latency("encode_latency", "To encode a picture.", &s.latency.encode),
        latency("packetize_latency", "From the encoder until the packets waited.", &s.latency.packetize),
        latency("send_latency", "From then until the last packet left.", &s.latency.send),
        latency("total_latency", "From the capture until the last packet left.", &s.latency.total),
        Family::gauge("quantizer", "The mean quantizer of the last picture.", s.quantizer.map(f64::from)),
        Family::gauges(
            "encoded_size",
            "The size of the encoded picture.",
            "side",
            [
                ("width", s.encoded_size.map(|size| f64::from(size.width()))),
                ("height", s.encoded_size.map(|size| f64::from(size.height()))),
            ],
        )
        .unit(other("pixels")),
        Family::gauge(
            "target_bitrate",
            "What the encoder aims at.",
            Some(f64::from(s.target.bitrate.as_bps())),
        )
        .unit(other("bits_per_second")),
        Family::counter("rtcp_datagrams_received", "RTCP datagrams that came.", feedback.rtcp_received),
        Family::counters(
            "feedback",
            "What the receiver said, by kind.",
            "kind",
            [
                ("pli", feedback.plis),
                ("fir", feedback.firs),
                ("nacked_packet", feedback.nacked_packets),
                ("receiver_report", feedback.receiver_reports),
                ("transport_cc", feedback.transport_cc),
                ("foreign", feedback.foreign),
                ("malformed", feedback.malformed),
            ],
        ),
        Family::counters(
            "rtcp_rejected",
            "Datagrams received that were dropped unread, by why; without SRTP none is.",
            "why",
            [
                ("authentication", rejected.authentication),
                ("replayed", rejected.replayed),
                ("malformed", rejected.malformed),
                ("exhausted", rejected.exhausted),
            ],
        ),
        Family::gauge(
            "packet_loss",
            "Part of the packets lost, in the last report.",
            Some(f64::from(feedback.fraction_lost)),
        )
        .unit(other("ratio")),
        Family::gauge(
            "round_trip_time",
            "To the receiver and back, from the last report that tells it.",
            feedback.rtt_ms.map(seconds),
        )
        .in_seconds(),
        Family::gauge(
            "receiver_bitrate_bound",
            "The most that the receiver says it can take.",
            feedback.max_bitrate_kbps.map(|kbps| f64::from(kbps) * 1_000.0),
        )
        .unit(other("bits_per_second")),
        Family::gauge(
            "available_bitrate",
            "What the network takes, by estimate or the receiver's bound.",
            s.network.available_kbps.map(|kbps| f64::from(kbps) * 1_000.0),
        )
        .unit(other("bits_per_second")),
        Family::counters(
            "recovery",
            "Packets that did not arrive, by what was done about them.",
            "kind",
            [
                ("resent", s.recovery.resent),
                ("too_soon", s.recovery.too_soon),
                ("too_late", s.recovery.too_late),
                ("superseded", s.recovery.superseded),
                ("refused", s.recovery.refused),
                ("told", s.recovery.told),
                ("unasked", s.recovery.unasked),
                ("probing", s.recovery.probing),
            ],
        ),
        Family::counter(
            "feedback_refused",
            "Packets in transport-wide feedback that were not believed.",
            s.network.feedback_refused,
        ),
        Family::counter("events_lost", "Events that nobody took.", s.events_lost),
    ]
}

/// Percentiles of the last minute, made by the sender.
fn latency(name: &'static str, help: &'static str, of: &LatencySummary) -> Family {
    let quantiles = [
        ("0.5", Some(seconds(of.p50_ms))),
        ("0.95", Some(seconds(of.p95_ms))),
        ("0.99", Some(seconds(of.p99_ms))),
    ];
    Family::gauges(name, help, "quantile", quantiles).in_seconds()
}

fn seconds(millis: f32) -> f64 {
    f64::from(millis) / 1_000.0
}

fn other(unit: &str) -> Unit {
    Unit::Other(unit.to_owned())
}

/// One metric family. Its name is without prefix, unit and `_total`: the encoder adds them.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    /// The label that its samples differ in; empty for a family of one sample.
    by: &'static str,
    samples: Samples,
}

#[derive(Debug)]
enum Samples {
    Counters(Vec<(&'static str, u64)>),
    Gauges(Vec<(&'static str, f64)>),
    /// The labels of the one sample.
    Info(Vec<(&'static str, &'static str)>),
}

impl Family {
    fn new(name: &'static str, help: &'static str, by: &'static str, samples: Samples) -> Self {
        Self { name, help, unit: None, by, samples }
    }

    fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::counters(name, help, "", [("", value)])
    }

    fn counters<const N: usize>(
        name: &'static str,
        help: &'static str,
        by: &'static str,
        values: [(&'static str, u64); N],
    ) -> Self {
        Self::new(name, help, by, Samples::Counters(values.into()))
    }

    fn gauge(name: &'static str, help: &'static str, value: Option<f64>) -> Self {
        Self::gauges(name, help, "", [("", value)])
    }

    fn gauges<const N: usize>(
        name: &'static str,
        help: &'static str,
        by: &'static str,
        values: [(&'static str, Option<f64>); N],
    ) -> Self {
        let known = values.into_iter().filter_map(|(label, value)| Some((label, value?)));
        Self::new(name, help, by, Samples::Gauges(known.collect()))
    }

    fn info<const N: usize>(
        name: &'static str,
        help: &'static str,
        labels: [(&'static str, &'static str); N],
    ) -> Self {
        Self::new(name, help, "", Samples::Info(labels.into()))
    }

    fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    fn in_seconds(self) -> Self {
        self.unit(Unit::Seconds)
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match &self.samples {
            Samples::Counters(_) => MetricType::Counter,
            Samples::Gauges(_) => MetricType::Gauge,
            Samples::Info(_) => MetricType::Info,
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        match &self.samples {
            Samples::Counters(values) => self.encode_all(&mut metric, values, ConstCounter::new),
            Samples::Gauges(values) => self.encode_all(&mut metric, values, ConstGauge::new),
            Samples::Info(labels) => metric.encode_info(labels),
        }
    }

    fn encode_all<T: Copy, M: EncodeMetric>(
        &self,
        metric: &mut MetricEncoder<'_>,
        values: &[(&'static str, T)],
        of: impl Fn(T) -> M,
    ) -> fmt::Result {
        for &(label, value) in values {
            let labels: &[_] = if self.by.is_empty() { &[] } else { &[(self.by, label)] };
            of(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What the library asks for the families.
#[derive(Debug)]
struct Table(Vec<Family>);

impl Collector for Table {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use yc_capture::CaptureConfig;
    use yc_rtp::StreamParams;
    use yc_sender::{PreparedSender, Protection, SenderConfig, SenderEvent};

    use super::*;

    /// The status of a real share of the synthetic screen, after its first frame left.
    pub(crate) fn status_of_a_share() -> SenderStatus {
        #[expect(clippy::disallowed_methods, reason = "the far end of the share under test")]
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let capture = CaptureConfig::new("synthetic:320x180".parse().unwrap());
        let prepared = PreparedSender::open(SenderConfig::default(), capture).unwrap();
        let params = StreamParams::new(1, 101, prepared.codec_params().unwrap(), "test");
        let target = receiver.local_addr().unwrap();
        let mut sender = prepared.start(params, target, Protection::PlainOnLoopback).unwrap();
        let event = sender.next_event(Duration::from_secs(30)).unwrap();
        assert!(matches!(event, SenderEvent::SenderStarted { .. }), "{event:?}");
        assert!(sender.stop());
        sender.status()
    }

    #[test]
    fn a_share_is_told_with_the_values_of_its_status() {
        let status = status_of_a_share();
        let text = text(Some(&status)).unwrap();
        for line in [
            "# TYPE yc_sender_frames_sent counter".to_owned(),
            format!("yc_sender_frames_sent_total {}", status.frames_sent),
            "# UNIT yc_sender_sent_bytes bytes".to_owned(),
            format!("yc_sender_sent_bytes_total {}", status.bytes_sent),
            "yc_sender_key_frames_total{cause=\"start\"} 1".to_owned(),
            "yc_sender_frames_dropped_total{cause=\"during_send\"} 0".to_owned(),
            "yc_sender_degradation_level 0.0".to_owned(),
            "yc_sender_fallback_steps_total{step=\"restart_encoder\"} 0".to_owned(),
            "yc_sender_state{state=\"stopped\"} 1.0".to_owned(),
            "yc_sender_state{state=\"running\"} 0.0".to_owned(),
            "yc_sender_encoded_size_pixels{side=\"width\"} 320.0".to_owned(),
            "yc_sender_backend_info{capture=\"synthetic\",encoder=\"openh264\",codec=\"H264\",hardware=\"false\"} 1"
                .to_owned(),
        ] {
            assert!(text.lines().any(|told| told == line), "no {line:?} in\n{text}");
        }
        // As numbers: the encoder writes some with other digits than the shortest.
        for (name, value) in [
            ("yc_sender_encode_latency_seconds{quantile=\"0.5\"}", seconds(status.latency.encode.p50_ms)),
            ("yc_sender_uptime_seconds", status.uptime_ms as f64 / 1_000.0),
        ] {
            let told = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert_eq!(told, Some(value), "{name} in\n{text}");
        }
        assert!(status.frames_sent > 0 && status.bytes_sent > 0);
        assert!(!text.contains("yc_sender_round_trip_time_seconds 0"), "what is not known has no sample");
        assert!(text.ends_with("\n# EOF\n"));
    }

    #[test]
    fn every_metric_has_a_name_and_a_help_of_its_own() {
        let families = families(&status_of_a_share());
        let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), families.len());
        for family in &families {
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{family:?}");
            assert!(!family.name.ends_with("_total"), "{family:?}: the encoder adds it");
        }
    }
}
