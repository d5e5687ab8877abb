//! Bandwidth estimators side by side, on the same networks and with the same sources.
//!
//! A source sends what the estimate says, or what a screen wants of it, through a pacer; what arrives is told
//! by the transport-wide feedback that the receiver writes and [`SentLedger`] reads. Nothing is sent again, so
//! that the estimators alone differ.

mod pictures;

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use yc_media::Bitrate;
use yc_rtp::rtcp::{ArrivalTime, FeedbackParser};
use yc_rtp::{FeedbackEvent, NtpTime};
use yc_sender::SenderConfig;
use yc_sender::bandwidth::{BandwidthConfig, BandwidthEstimator, PacketOutcome, ProbeCluster, SentLedger};

use self::pictures::Pictures;
use crate::clock::{clock, drive, earliest, run_time};
use crate::receiver::Arrivals;
use crate::run::stream_params;
use crate::score::{Link, Moment, Traffic, millis};
use crate::{Candidate, IP_UDP_OVERHEAD, Path, Profile, Receiver, RunError, Trace};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// As much as the estimate says.
    Greedy,
    /// What a screen wants, and no more than the estimate says.
    Screen(Trace),
}

impl Source {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Greedy => "greedy",
            Self::Screen(trace) => trace.name,
        }
    }

    fn takes_all(&self) -> bool {
        match self {
            Self::Greedy => true,
            Self::Screen(trace) => trace.is_greedy(),
        }
    }
}

/// How an estimator did. Times are milliseconds; what a network cannot tell is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EstimatorScore {
    /// The network's name.
    pub profile: &'static str,
    /// What was sent.
    pub source: &'static str,
    /// Which estimator.
    pub estimator: &'static str,
    /// What decided what chance decides.
    pub seed: u64,
    /// What passed the bottleneck, of what it and the wanted bitrate allow, from 2 s on; of sources that take
    /// all they get.
    pub utilisation: Option<f64>,
    /// What datagrams waited at the bottleneck: half of them no longer than this.
    pub queue_p50_ms: f64,
    /// And 95 of 100 of them.
    pub queue_p95_ms: f64,
    /// Datagrams that found the queue full.
    pub queue_drops: u64,
    /// From a rise of the network to an estimate of 85 % of what it then allows, the slowest; one that never
    /// got there counts with the time to the next change.
    pub rise_ms: Option<f64>,
    /// From a fall of the network to a second in which 95 of 100 packets wait for at most 100 ms.
    pub recovery_ms: Option<f64>,
    /// The estimate's mean over time, of what network and wanted bitrate allow, from 2 s after each change on.
    pub estimate: f64,
    /// Its deviation, in the same measure.
    pub deviation: f64,
    /// Clusters that were sent to probe.
    pub probes: u32,
    /// Part of what was sent that was padding for probes, 0.0 to 1.0.
    pub padding: f64,
}

/// A comparison on one network with one source.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Contest {
    /// The network.
    pub profile: Profile,
    /// What is sent.
    pub source: Source,
    /// Decides what chance decides.
    pub seed: u64,
    /// What is sent at full quality. Default: that of the sender, 6 Mbit/s.
    pub wanted: Bitrate,
}

impl Contest {
    /// `source` over `profile`.
    pub fn new(profile: &Profile, source: Source, seed: u64) -> Self {
        Self { profile: profile.clone(), source, seed, wanted: SenderConfig::default().bitrate }
    }

    /// How `candidate` does.
    ///
    /// # Errors
    ///
    /// If the profile cannot be, or the estimator asks to be called again and again without the time going on.
    pub fn score(&self, candidate: &Candidate) -> Result<EstimatorScore, RunError> {
        Ok(self.run(candidate)?.score(candidate.name))
    }

    /// What happened when, with `candidate`.
    ///
    /// # Errors
    ///
    /// As [`score`](Self::score).
    pub fn moments(&self, candidate: &Candidate) -> Result<Vec<Moment>, RunError> {
        let run = self.run(candidate)?;
        Ok(run.link().moments(&run.estimates))
    }

    fn run(&self, candidate: &Candidate) -> Result<Run<'_>, RunError> {
        let bounds = BandwidthConfig::new(self.wanted);
        Run::new(self, candidate, (candidate.make)(bounds))?.finish()
    }
}

/// A datagram of the contest.
#[derive(Debug, Clone, Copy)]
struct Packet {
    sequence: u16,
}

struct Run<'a> {
    contest: &'a Contest,
    now: Duration,
    estimator: Box<dyn BandwidthEstimator>,
    ledger: SentLedger,
    outcomes: Vec<PacketOutcome>,
    parser: FeedbackParser,
    forward: Path<Packet>,
    backward: Path<Vec<u8>>,
    arrivals: Arrivals,
    pictures: Pictures,
    pacing_factor: f64,
    /// Bytes of the packets that wait.
    queue: VecDeque<usize>,
    queued_bytes: usize,
    /// When the next packet may leave.
    free_at: Duration,
    probe: Option<(ProbeCluster, u32, usize)>,
    next_report: Duration,
    /// What it estimated from when on.
    estimates: Vec<(Duration, f64)>,
    passed: Vec<(Duration, Duration, usize)>,
    offered: Vec<(Duration, usize)>,
    padding_bytes: usize,
    probes: u32,
}

impl<'a> Run<'a> {
    fn new(
        contest: &'a Contest,
        candidate: &Candidate,
        mut estimator: Box<dyn BandwidthEstimator>,
    ) -> Result<Self, RunError> {
        let Contest { profile, source, seed, wanted } = contest;
        let (forward, backward) = profile.paths(*seed)?;
        estimator.set_wanted(clock(Duration::ZERO), *wanted);
        Ok(Self {
            contest,
            now: Duration::ZERO,
            estimates: vec![(Duration::ZERO, estimator.estimate().bitrate.as_bps().into())],
            estimator,
            ledger: SentLedger::new(),
            outcomes: Vec::new(),
            parser: FeedbackParser::new([&stream_params()]),
            forward,
            backward,
            arrivals: Arrivals::default(),
            pictures: Pictures::new(source, profile.duration, *seed),
            pacing_factor: (candidate.pacing_factor)(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            free_at: Duration::ZERO,
            probe: None,
            next_report: REPORT_INTERVAL,
            passed: Vec::new(),
            offered: Vec::new(),
            padding_bytes: 0,
            probes: 0,
        })
    }

    fn finish(mut self) -> Result<Self, RunError> {
        drive(self.contest.profile.duration, |now| {
            self.now = now;
            self.happen();
            self.next_event()
        })?;
        Ok(self)
    }

    fn next_event(&self) -> Duration {
        let waits = !self.queue.is_empty() || self.probe.is_some();
        earliest([
            Some(self.pictures.due_at),
            Some(self.next_report),
            waits.then_some(self.free_at),
            self.estimator.poll_timeout().map(run_time),
            self.forward.next_due(),
            self.backward.next_due(),
            self.arrivals.due_at(),
        ])
    }

    fn happen(&mut self) {
        let now = self.now;
        while let Some(arrival) = self.forward.pop_due(now) {
            self.passed.push((arrival.sent_at, arrival.queued, arrival.bytes));
            self.arrivals.on_packet(now, arrival.payload.sequence);
        }
        let mut feedback = Vec::new();
        while self.arrivals.write(now, Receiver::SSRC, stream_params().ssrc, &mut feedback) {
            let feedback = std::mem::take(&mut feedback);
            self.backward.push(now, feedback.len() + IP_UDP_OVERHEAD, feedback);
        }
        while let Some(arrival) = self.backward.pop_due(now) {
            self.on_feedback(&arrival.payload);
        }
        if self.next_report <= now {
            self.next_report = now + REPORT_INTERVAL;
            if let Some(round_trip) = self.ledger.round_trip() {
                self.estimator.on_round_trip(clock(now), round_trip);
            }
        }
        if self.estimator.poll_timeout().is_some_and(|at| at <= clock(now)) {
            self.estimator.handle_timeout(clock(now));
        }
        self.note_estimate();
        if self.pictures.due_at <= now {
            let target = self.estimator.estimate().bitrate.min(self.contest.wanted);
            let backlog = self.pace().time_for(self.queued_bytes);
            let bytes = self.pictures.next(now, target, backlog);
            self.enqueue(bytes);
        }
        self.transmit();
    }

    fn on_feedback(&mut self, datagram: &[u8]) {
        let now = clock(self.now);
        let Self { parser, ledger, estimator, outcomes, .. } = self;
        let read = parser.parse(NtpTime::from_unix(self.now), datagram, &mut |event| {
            let FeedbackEvent::TransportFeedback(feedback) = event else { return };
            let arrivals = feedback.arrivals.iter().map(|arrival| arrival.map(ArrivalTime::ticks));
            ledger.on_feedback(now, feedback.base_sequence, arrivals, outcomes);
            if !outcomes.is_empty() {
                estimator.on_feedback(now, outcomes);
            }
        });
        debug_assert!(read.is_ok(), "we wrote it: {read:?}");
    }

    fn note_estimate(&mut self) {
        let bps = f64::from(self.estimator.estimate().bitrate.as_bps());
        if self.estimates.last().is_none_or(|(_, last)| *last != bps) {
            self.estimates.push((self.now, bps));
        }
    }

    /// Packets of equal length, none longer than [`MAX_PACKET`].
    fn enqueue(&mut self, bytes: usize) {
        let packets = bytes.div_ceil(MAX_PACKET - HEADERS);
        for packet in 0..packets {
            let payload = bytes * (packet + 1) / packets - bytes * packet / packets;
            self.queue.push_back(payload + HEADERS);
            self.queued_bytes += payload + HEADERS;
        }
    }

    fn pace(&self) -> Bitrate {
        let bps = f64::from(self.estimator.estimate().bitrate.as_bps()) * self.pacing_factor;
        Bitrate::bps(bps as u32)
    }

    fn transmit(&mut self) {
        let now = clock(self.now);
        while self.free_at <= self.now {
            if self.probe.is_none()
                && let Some(cluster) = self.estimator.poll_probe()
            {
                self.probes += 1;
                self.probe = Some((cluster, cluster.min_packets, cluster.min_bytes));
            }
            let media = self.queue.pop_front();
            let bytes = match (media, &self.probe) {
                (Some(bytes), _) => bytes,
                (None, Some(_)) => MAX_PACKET,
                (None, None) => return,
            };
            match media {
                Some(bytes) => self.queued_bytes -= bytes,
                None => self.padding_bytes += bytes,
            }
            let id = self.probe.as_ref().map(|(cluster, ..)| cluster.id);
            let rate = self.probe.as_ref().map_or_else(|| self.pace(), |(cluster, ..)| cluster.bitrate);
            self.probe = self.probe.and_then(|(cluster, packets, left)| {
                let (packets, left) = (packets.saturating_sub(1), left.saturating_sub(bytes));
                (packets > 0 || left > 0).then_some((cluster, packets, left))
            });
            let sequence = self.ledger.next_sequence();
            self.estimator.on_sent(&self.ledger.on_sent(now, bytes, id));
            self.offered.push((self.now, bytes + IP_UDP_OVERHEAD));
            self.forward.push(self.now, bytes + IP_UDP_OVERHEAD, Packet { sequence });
            self.free_at = self.now.max(self.free_at) + rate.time_for(bytes);
        }
    }

    fn link(&self) -> Link {
        let traffic = Traffic { passed: &self.passed, offered: &self.offered, forward: self.forward.stats() };
        Link::new(&self.contest.profile, &traffic, self.contest.wanted)
    }

    fn score(&self, estimator: &'static str) -> EstimatorScore {
        let Contest { profile, source, seed, .. } = self.contest;
        let link = self.link();
        let (mean, deviation) = link.estimate(&self.estimates);
        let offered: usize = self.offered.iter().map(|(_, bytes)| bytes).sum();
        let queue = self.forward.queue_delays();
        EstimatorScore {
            profile: profile.name,
            source: source.name(),
            estimator,
            seed: *seed,
            utilisation: source.takes_all().then(|| link.utilisation()),
            queue_p50_ms: millis(queue.quantile(0.5)),
            queue_p95_ms: millis(queue.quantile(0.95)),
            queue_drops: self.forward.stats().dropped.queue,
            rise_ms: link.estimate_rise(&self.estimates).map(millis),
            recovery_ms: link.recovery().map(millis),
            estimate: mean,
            deviation,
            probes: self.probes,
            padding: self.padding_bytes as f64 / offered.max(1) as f64,
        }
    }
}

const MAX_PACKET: usize = 1_200;
/// RTP's header with both extensions, and the FU-A's.
const HEADERS: usize = 26;
/// How often the round trip is told, as receiver reports tell it.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CANDIDATES;

    fn contest(profile: &str, source: Source) -> Contest {
        Contest::new(Profile::by_name(profile).unwrap(), source, 1)
    }

    #[test]
    fn both_estimators_find_a_narrow_bottleneck() {
        for candidate in CANDIDATES {
            let score = contest("1-mbit", Source::Greedy).score(candidate).unwrap();
            assert!(score.utilisation.unwrap() > 0.6, "{score:?}");
            assert!((0.5..1.2).contains(&score.estimate), "{score:?}");
        }
    }

    #[test]
    fn a_wide_network_is_left_to_what_is_wanted() {
        for candidate in CANDIDATES {
            let score = contest("clean", Source::Greedy).score(candidate).unwrap();
            assert!(score.utilisation.unwrap() > 0.9 && score.queue_p95_ms < 10.0, "{score:?}");
            assert_eq!(score.queue_drops, 0);
        }
    }

    #[test]
    fn a_contest_is_the_same_each_time() {
        let typing = Source::Screen(*Trace::by_name("typing").unwrap());
        for candidate in CANDIDATES {
            let contest = contest("bursts", typing);
            assert_eq!(contest.score(candidate).unwrap(), contest.score(candidate).unwrap());
        }
    }
}
