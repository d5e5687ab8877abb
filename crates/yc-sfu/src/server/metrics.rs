//! What the server counts, and how Prometheus reads it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::diagnostics::{REASONS, reason_index};
use crate::messages::ClientDiagnostic;

/// What the server counts.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    rooms: AtomicI64,
    connections: AtomicI64,
    peers: AtomicI64,
    producers: AtomicI64,
    consumers: AtomicI64,
    native_sessions: AtomicI64,
    messages: AtomicU64,
    bad_messages: AtomicU64,
    refused_requests: AtomicU64,
    rejected_tokens: AtomicU64,
    slow_clients: AtomicU64,
    native_rtp_packets: AtomicU64,
    native_rtp_bytes: AtomicU64,
    native_packets_nacked: AtomicU64,
    native_packets_retransmitted: AtomicU64,
    native_packets_repaired: AtomicU64,
    native_plis: AtomicU64,
    native_received_bytes: AtomicU64,
    diagnostics: [AtomicU64; ClientDiagnostic::CLASSES.len() + 1],
    fallbacks: Fallbacks,
}

/// Fallbacks of clients, by the place of their reason in [`REASONS`].
#[derive(Debug)]
struct Fallbacks([AtomicU64; REASONS.len() + 1]);

impl Default for Fallbacks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gauge {
    Rooms,
    Connections,
    Peers,
    Producers,
    Consumers,
    NativeSessions,
}

/// A number that only goes up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counter {
    Messages,
    BadMessages,
    RefusedRequests,
    RejectedTokens,
    SlowClients,
    NativeRtpPackets,
    NativeRtpBytes,
    NativePacketsNacked,
    NativePacketsRetransmitted,
    NativePacketsRepaired,
    NativePlis,
    NativeReceivedBytes,
}

impl Metrics {
    /// Counts one more of `gauge` until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, gauge: Gauge) -> Held {
        self.gauge(gauge).fetch_add(1, Ordering::Relaxed);
        Held { metrics: Arc::clone(self), gauge }
    }

    pub(super) fn add(&self, counter: Counter, amount: u64) {
        self.counter(counter).fetch_add(amount, Ordering::Relaxed);
    }

    /// Counts a diagnostic under its class, and a fallback under its reason; or under `other`: a client's text must
    /// not make a series.
    pub(super) fn diagnostic(&self, diagnostic: &ClientDiagnostic) {
        let known = ClientDiagnostic::CLASSES.iter().position(|known| *known == diagnostic.class);
        self.diagnostics[known.unwrap_or(ClientDiagnostic::CLASSES.len())].fetch_add(1, Ordering::Relaxed);
        if diagnostic.class == "fallback_triggered" {
            let reason = reason_index(diagnostic.reason_code.as_deref());
            self.fallbacks.0[reason].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The Prometheus text format, version 0.0.4.
    pub(super) fn prometheus(&self, workers_alive: usize) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, i128)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: i128| [(String::new(), value)];
        family("yc_workers_alive", "gauge", "mediasoup workers that live.", &one(workers_alive as i128));
        for (gauge, name, help) in GAUGES {
            family(name, "gauge", help, &one(self.gauge(gauge).load(Ordering::Relaxed).into()));
        }
        for (counter, name, help) in COUNTERS {
            family(name, "counter", help, &one(self.counter(counter).load(Ordering::Relaxed).into()));
        }
        let classes = ClientDiagnostic::CLASSES.iter().copied().chain(["other"]);
        let diagnostics: Vec<(String, i128)> = classes
            .zip(&self.diagnostics)
            .map(|(class, count)| (format!("{{class=\"{class}\"}}"), count.load(Ordering::Relaxed).into()))
            .collect();
        family("yc_client_diagnostics_total", "counter", "Diagnostics of clients, by class.", &diagnostics);
        let reasons = REASONS.iter().copied().chain(["other"]);
        let fallbacks: Vec<(String, i128)> = reasons
            .zip(&self.fallbacks.0)
            .map(|(reason, count)| (format!("{{reason=\"{reason}\"}}"), count.load(Ordering::Relaxed).into()))
            .collect();
        family("yc_client_fallbacks_total", "counter", "Fallbacks of clients, by reason.", &fallbacks);
        text
    }

    fn gauge(&self, gauge: Gauge) -> &AtomicI64 {
        match gauge {
            Gauge::Rooms => &self.rooms,
            Gauge::Connections => &self.connections,
            Gauge::Peers => &self.peers,
            Gauge::Producers => &self.producers,
            Gauge::Consumers => &self.consumers,
            Gauge::NativeSessions => &self.native_sessions,
        }
    }

    fn counter(&self, counter: Counter) -> &AtomicU64 {
        match counter {
            Counter::Messages => &self.messages,
            Counter::BadMessages => &self.bad_messages,
            Counter::RefusedRequests => &self.refused_requests,
            Counter::RejectedTokens => &self.rejected_tokens,
            Counter::SlowClients => &self.slow_clients,
            Counter::NativeRtpPackets => &self.native_rtp_packets,
            Counter::NativeRtpBytes => &self.native_rtp_bytes,
            Counter::NativePacketsNacked => &self.native_packets_nacked,
            Counter::NativePacketsRetransmitted => &self.native_packets_retransmitted,
            Counter::NativePacketsRepaired => &self.native_packets_repaired,
            Counter::NativePlis => &self.native_plis,
            Counter::NativeReceivedBytes => &self.native_received_bytes,
        }
    }
}

/// Counts for as long as it lives.
#[derive(Debug)]
pub(super) struct Held {
    metrics: Arc<Metrics>,
    gauge: Gauge,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.gauge(self.gauge).fetch_sub(1, Ordering::Relaxed);
    }
}

const GAUGES: [(Gauge, &str, &str); 6] = [
    (Gauge::Rooms, "yc_rooms", "Rooms with a peer in them."),
    (Gauge::Connections, "yc_connections", "Open WebSockets."),
    (Gauge::Peers, "yc_peers", "Peers that joined a room."),
    (Gauge::Producers, "yc_producers", "Producers, native ones among them."),
    (Gauge::Consumers, "yc_consumers", "Consumers."),
    (Gauge::NativeSessions, "yc_native_sessions", "Native sender sessions."),
];

const COUNTERS: [(Counter, &str, &str); 12] = [
    (Counter::Messages, "yc_messages_total", "Messages of clients."),
    (Counter::BadMessages, "yc_bad_messages_total", "Messages that were no requests."),
    (Counter::RefusedRequests, "yc_refused_requests_total", "Requests answered with an error."),
    (Counter::RejectedTokens, "yc_rejected_tokens_total", "Tokens that did not let in."),
    (Counter::SlowClients, "yc_slow_clients_total", "Connections closed for reading too slowly."),
    (Counter::NativeRtpPackets, "yc_native_rtp_packets_total", "RTP packets received of native senders."),
    (Counter::NativeRtpBytes, "yc_native_rtp_bytes_total", "RTP bytes received of native senders."),
    (
        Counter::NativePacketsNacked,
        "yc_native_packets_nacked_total",
        "Missing RTP packets that native senders were asked for, repeats included.",
    ),
    (
        Counter::NativePacketsRetransmitted,
        "yc_native_packets_retransmitted_total",
        "RTP packets that native senders sent again.",
    ),
    (
        Counter::NativePacketsRepaired,
        "yc_native_packets_repaired_total",
        "Missing RTP packets of native senders that came when they were sent again.",
    ),
    (Counter::NativePlis, "yc_native_plis_total", "Key frames that native senders were asked for."),
    (
        Counter::NativeReceivedBytes,
        "yc_native_received_bytes_total",
        "All bytes that came to the ports of native senders, those of strangers and forgeries included.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_falls_when_what_it_counts_is_gone() {
        let metrics = Arc::new(Metrics::default());
        let (first, second) = (metrics.hold(Gauge::Peers), metrics.hold(Gauge::Peers));
        assert!(metrics.prometheus(2).contains("\nyc_peers 2\n"));
        drop(first);
        assert!(metrics.prometheus(2).contains("\nyc_peers 1\n"));
        drop(second);
        assert!(metrics.prometheus(2).contains("\nyc_peers 0\n"));
    }

    #[test]
    fn every_family_has_its_type_and_only_known_classes_make_series() {
        let metrics = Metrics::default();
        metrics.diagnostic(&ClientDiagnostic::new("encode_error"));
        metrics.diagnostic(&ClientDiagnostic::new("x\"} 1\nyc_evil 1"));
        for reason in [Some("capture_hung"), Some("x\"} 1\nyc_evil 1"), None] {
            let mut fallback = ClientDiagnostic::new("fallback_triggered");
            fallback.reason_code = reason.map(str::to_owned);
            metrics.diagnostic(&fallback);
        }
        metrics.add(Counter::NativeRtpBytes, 12);
        let text = metrics.prometheus(1);
        assert!(text.contains("yc_client_diagnostics_total{class=\"encode_error\"} 1\n"), "{text}");
        assert!(
            text.contains("yc_client_diagnostics_total{class=\"other\"} 1\n") && !text.contains("evil"),
            "{text}"
        );
        assert!(text.contains("yc_client_fallbacks_total{reason=\"capture_hung\"} 1\n"), "{text}");
        assert!(text.contains("yc_client_fallbacks_total{reason=\"other\"} 2\n"), "{text}");
        assert!(
            text.contains("# TYPE yc_native_rtp_bytes_total counter\nyc_native_rtp_bytes_total 12\n"),
            "{text}"
        );
        let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(families, 3 + GAUGES.len() + COUNTERS.len());
    }
}
