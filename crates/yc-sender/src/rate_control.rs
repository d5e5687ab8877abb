//! What the receiver says of the path, turned into what the encoder should aim at and how fast packets leave.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime, FrameRate, RateTarget, Resolution};
use yc_rtp::FeedbackEvent;
use yc_rtp::rtcp::ArrivalTime;

use crate::SenderConfig;

use crate::bandwidth::{
    BandwidthConfig, BandwidthEstimator, Estimate, GccEstimator, LedgerCounters, PacketOutcome, ProbeCluster,
    SentLedger,
};

/// Aims at the configured rate, bounded by what the network takes and by what the receiver says it can take.
#[derive(Debug)]
pub(crate) struct RateControl {
    configured: Bitrate,
    frame_rate: FrameRate,
    resolution: Resolution,
    /// REMB, where it was ever sent.
    receiver_bound: Option<Bitrate>,
    /// Where the receiver tells when packets arrive.
    measured: Option<Measured>,
}

/// What is known of the network.
#[derive(Debug)]
struct Measured {
    estimator: Box<dyn BandwidthEstimator>,
    ledger: SentLedger,
    /// Reused from feedback to feedback.
    outcomes: Vec<PacketOutcome>,
    /// Whether there was any feedback: before, the estimate is a hope.
    heard: bool,
}

/// No bound takes the target below this: text stays readable at a few frames a second.
const FLOOR: Bitrate = Bitrate::kbps(150);

/// The part of the estimate that the encoder may use: the rest is for packet headers, reports and an encoder
/// that does not keep its rate to the bit.
const ENCODER_SHARE: f64 = 0.95;

/// No more of the estimate than this is kept free for sending again what was lost.
const MOST_RESENT: f64 = 0.25;

impl RateControl {
    /// `measures` says whether transport-wide feedback was agreed on.
    pub(crate) fn new(config: &SenderConfig, measures: bool) -> Self {
        let estimator = || {
            let bounds = BandwidthConfig::new(config.bitrate);
            Box::new(GccEstimator::new(bounds.with_bounds(FLOOR, bounds.max))) as Box<dyn BandwidthEstimator>
        };
        Self {
            configured: config.bitrate,
            frame_rate: config.frame_rate,
            resolution: config.max_resolution,
            receiver_bound: None,
            measured: measures.then(|| Measured::by(estimator())),
        }
    }

    /// Estimates by `estimator` from now on, if the receiver tells when packets arrive.
    pub(crate) fn set_estimator(&mut self, estimator: Box<dyn BandwidthEstimator>) {
        if self.measured.is_some() {
            self.measured = Some(Measured::by(estimator));
        }
    }

    /// A packet of `bytes` leaves, for the probe `probe` if any. Answers with its transport-wide sequence number.
    pub(crate) fn on_sent(&mut self, now: CaptureTime, bytes: usize, probe: Option<u32>) -> u16 {
        let Some(measured) = &mut self.measured else { return 0 };
        let sequence = measured.ledger.next_sequence();
        measured.estimator.on_sent(&measured.ledger.on_sent(now, bytes, probe));
        sequence
    }

    /// Takes in one fact.
    pub(crate) fn on_feedback(&mut self, now: CaptureTime, event: &FeedbackEvent) {
        match event {
            FeedbackEvent::MaxBitrate { bitrate, .. } => {
                self.receiver_bound = Some(*bitrate);
                if let Some(measured) = &mut self.measured {
                    measured.estimator.set_receiver_bound(now, Some(*bitrate));
                }
            }
            FeedbackEvent::TransportFeedback(feedback) => {
                let Some(measured) = &mut self.measured else { return };
                let arrivals = feedback.arrivals.iter().map(|arrival| arrival.map(ArrivalTime::ticks));
                measured.ledger.on_feedback(now, feedback.base_sequence, arrivals, &mut measured.outcomes);
                if !measured.outcomes.is_empty() {
                    measured.heard = true;
                    measured.estimator.on_feedback(now, &measured.outcomes);
                }
            }
            _ => {}
        }
    }

    /// What the last transport-wide feedback told, as far as it is believed.
    pub(crate) fn outcomes(&self) -> &[PacketOutcome] {
        self.measured.as_ref().map_or(&[], |measured| &measured.outcomes)
    }

    /// The time to the receiver and back was measured.
    pub(crate) fn on_round_trip(&mut self, now: CaptureTime, rtt: Duration) {
        if let Some(measured) = &mut self.measured {
            measured.estimator.on_round_trip(now, rtt);
        }
    }

    /// Does what is due by `now`. Answers whether anything was.
    pub(crate) fn handle_timeout(&mut self, now: CaptureTime) -> bool {
        let due = self.poll_timeout().is_some_and(|at| at <= now);
        if let Some(measured) = self.measured.as_mut().filter(|_| due) {
            measured.estimator.handle_timeout(now);
        }
        due
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<CaptureTime> {
        self.measured.as_ref()?.estimator.poll_timeout()
    }

    /// Packets to send at once, to learn what the network takes.
    pub(crate) fn poll_probe(&mut self) -> Option<ProbeCluster> {
        self.measured.as_mut()?.estimator.poll_probe()
    }

    /// Whether the receiver will tell what arrives, and has not yet.
    pub(crate) fn is_unheard(&self) -> bool {
        self.measured.as_ref().is_some_and(|measured| !measured.heard)
    }

    /// What the network was measured to take; none before anything was.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        self.measured.as_ref().filter(|measured| measured.heard).map(|measured| measured.estimator.estimate())
    }

    /// What was not believed of the feedback.
    pub(crate) fn unbelieved(&self) -> LedgerCounters {
        self.measured.as_ref().map(|measured| measured.ledger.counters()).unwrap_or_default()
    }

    /// The bitrate that the network takes, where anybody says so.
    pub(crate) fn available(&self) -> Option<Bitrate> {
        let estimated = self.estimate().map(|estimate| estimate.bitrate);
        [estimated, self.receiver_bound].into_iter().flatten().min()
    }

    /// Whether the network takes less than was asked for.
    pub(crate) fn is_limited(&self) -> bool {
        self.target().bitrate < self.configured
    }

    /// What the encoder should aim at now.
    pub(crate) fn target(&self) -> RateTarget {
        let estimated = self.estimate().map(|estimate| {
            let resent = 1.0 - f64::from(estimate.loss).clamp(0.0, MOST_RESENT);
            let bps = f64::from(estimate.bitrate.as_bps()) * ENCODER_SHARE * resent;
            Bitrate::bps(bps as u32)
        });
        let bound = [estimated, self.receiver_bound].into_iter().flatten().min();
        let bitrate = bound.map_or(self.configured, |bound| self.configured.min(bound.max(FLOOR)));
        RateTarget::new(bitrate, self.frame_rate, self.resolution)
    }
}

impl Measured {
    fn by(estimator: Box<dyn BandwidthEstimator>) -> Self {
        Self { estimator, ledger: SentLedger::new(), outcomes: Vec::new(), heard: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remb(kbps: u32) -> FeedbackEvent {
        FeedbackEvent::MaxBitrate { ssrcs: vec![1], bitrate: Bitrate::kbps(kbps) }
    }

    #[test]
    fn the_receiver_s_bound_lowers_the_target_and_never_raises_it() {
        for measures in [false, true] {
            let mut control = RateControl::new(&SenderConfig::default(), measures);
            assert_eq!(control.target().bitrate, Bitrate::kbps(6_000));
            control.on_feedback(CaptureTime::default(), &remb(2_000));
            assert_eq!(control.target().bitrate, Bitrate::kbps(2_000));
            control.on_feedback(CaptureTime::default(), &remb(50_000));
            assert_eq!(control.target().bitrate, Bitrate::kbps(6_000));
        }
    }

    #[test]
    fn no_bound_takes_the_target_below_the_floor() {
        let mut control = RateControl::new(&SenderConfig::default(), false);
        control.on_feedback(CaptureTime::default(), &remb(1));
        assert_eq!(control.target().bitrate, FLOOR);
    }

    #[test]
    fn what_nobody_has_measured_is_hoped_for() {
        let control = RateControl::new(&SenderConfig::default(), true);
        assert_eq!((control.estimate(), control.available()), (None, None));
        assert_eq!(control.target().bitrate, Bitrate::kbps(6_000));
    }
}
