//! A line with a bottleneck, moved by hand, and a screen that is sent over it.

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use super::GccEstimator;
use crate::bandwidth::{BandwidthConfig, BandwidthEstimator, ProbeCluster, SentLedger, Usage};

/// What a line does to packets. Times are milliseconds, rates kbit/s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) kbps: f64,
    /// A packet that would wait longer than this is dropped.
    pub(super) queue: f64,
    /// One way, the same there and back.
    pub(super) delay: f64,
    /// Up to this much more or less, packets not reordered.
    pub(super) jitter: f64,
    /// Part of the packets lost at random.
    pub(super) loss: f64,
    /// Packets over the rate are dropped instead of queued, but for bursts of 6,000 bytes.
    pub(super) policer: bool,
    /// Part of the packets that overtake those before.
    pub(super) reordered: f64,
    /// The receiver tells this often.
    pub(super) told: f64,
    /// The receiver's clock goes faster by this part.
    pub(super) drift: f64,
    /// Nothing gets through, feedback included.
    pub(super) broken: bool,
    /// No feedback gets back.
    pub(super) deaf: bool,
}

impl Line {
    pub(super) fn new(kbps: f64) -> Self {
        Self {
            kbps,
            queue: 200.0,
            delay: 20.0,
            jitter: 0.0,
            loss: 0.0,
            policer: false,
            reordered: 0.0,
            told: 100.0,
            drift: 0.0,
            broken: false,
            deaf: false,
        }
    }
}

/// What the screen shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Screen {
    /// A film: 30 frames a second, all that the estimate allows up to what is wanted.
    Film,
    /// Nothing moves: a small packet each second.
    Still,
    /// A typed line twice a second, `.0` bytes each.
    Typing(usize),
    /// As [`Screen::Film`], and a key frame of so many bytes every two seconds.
    Keyframes(usize),
}

/// One tenth of a second of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Seconds since the start.
    pub(super) at: f64,
    pub(super) estimate: f64,
    /// What arrived, in kbit/s.
    pub(super) arrived: f64,
    /// The longest that a packet waited at the bottleneck, in milliseconds.
    pub(super) waited: f64,
    pub(super) usage: Usage,
    pub(super) limited: bool,
}

/// The estimator, the sender's pacer and the line, moved on by milliseconds.
#[derive(Debug)]
pub(super) struct World {
    pub(super) estimator: GccEstimator,
    pub(super) line: Line,
    pub(super) screen: Screen,
    pub(super) wanted: f64,
    /// The pacer sends at so many times the estimate.
    pub(super) pacing: f64,
    pub(super) samples: Vec<Sample>,
    pub(super) probe_bytes: usize,
    /// How long every packet waited, with the time it left at in seconds.
    pub(super) waits: Vec<(f64, f64)>,
    pub(super) random: u64,
    millis: f64,
    backlog: f64,
    /// Time up to which the pacer has sent.
    paced: f64,
    /// The cluster that is being sent, what of it is left, and when its next packet leaves.
    probe: Option<(ProbeCluster, f64)>,
    free_at: f64,
    tokens: f64,
    last_arrival: f64,
    ledger: SentLedger,
    /// Packets that were not reported, and when they arrive.
    flying: VecDeque<(u64, Option<f64>)>,
    /// When each report comes, the first sequence number, and ticks.
    feedback: VecDeque<(f64, u16, Vec<Option<u32>>)>,
    reported_at: f64,
    arrived_bytes: f64,
    longest_wait: f64,
}

/// The receiver's clock stands this far from ours, in milliseconds.
const OFFSET: f64 = 5_000_000.0;
const PACKET: f64 = 1_200.0;

impl World {
    pub(super) fn new(start: u32, line: Line) -> Self {
        let config = BandwidthConfig::new(Bitrate::kbps(start));
        Self {
            estimator: GccEstimator::new(config),
            line,
            screen: Screen::Film,
            wanted: f64::from(start),
            pacing: 1.5,
            samples: Vec::new(),
            probe_bytes: 0,
            waits: Vec::new(),
            random: 0x1234_5678_9abc_def1,
            millis: 1_000_000.0,
            backlog: 0.0,
            paced: 0.0,
            probe: None,
            free_at: 0.0,
            tokens: 0.0,
            last_arrival: 0.0,
            ledger: SentLedger::new(),
            flying: VecDeque::new(),
            feedback: VecDeque::new(),
            reported_at: 1_000_000.0,
            arrived_bytes: 0.0,
            longest_wait: 0.0,
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        (self.millis - 1_000_000.0) / 1_000.0
    }

    pub(super) fn estimate(&self) -> f64 {
        f64::from(self.estimator.estimate().bitrate.as_bps()) / 1_000.0
    }

    /// Full quality is `kbps`.
    pub(super) fn want(&mut self, kbps: f64) {
        self.wanted = kbps;
        self.estimator.set_wanted(time(self.millis), Bitrate::bps((kbps * 1_000.0) as u32));
    }

    /// Runs for `seconds`.
    pub(super) fn run(&mut self, seconds: f64) -> &mut Self {
        for _ in 0..(seconds * 1_000.0) as u64 {
            self.step();
        }
        self
    }

    fn step(&mut self) {
        self.millis += 1.0;
        let now = time(self.millis);
        let elapsed = (self.millis - 1_000_000.0) as u64;
        self.draw(elapsed);
        self.send();
        self.report();
        while self.feedback.front().is_some_and(|(at, ..)| *at <= self.millis) {
            let (_, base, ticks) = self.feedback.pop_front().unwrap();
            let mut outcomes = Vec::new();
            self.ledger.on_feedback(now, base, ticks, &mut outcomes);
            if let Some(round_trip) = self.ledger.round_trip() {
                self.estimator.on_round_trip(now, round_trip);
            }
            self.estimator.on_feedback(now, &outcomes);
        }
        if self.estimator.poll_timeout().is_some_and(|due| due <= now) {
            self.estimator.handle_timeout(now);
            assert!(
                self.estimator.poll_timeout().is_none_or(|due| due > now),
                "a time that has come is over"
            );
        }
        if elapsed.is_multiple_of(100) {
            let estimate = self.estimator.estimate();
            self.samples.push(Sample {
                at: self.seconds(),
                estimate: self.estimate(),
                arrived: self.arrived_bytes * 8.0 / 100.0,
                waited: self.longest_wait,
                usage: estimate.usage,
                limited: estimate.application_limited,
            });
            self.arrived_bytes = 0.0;
            self.longest_wait = 0.0;
        }
    }

    /// What the encoder makes. A frame is left out while the one before waits in the pacer for long.
    fn draw(&mut self, elapsed: u64) {
        let rate = self.estimate().min(self.wanted);
        if self.backlog * 8.0 / rate > 100.0 {
            return;
        }
        let film = if matches!(elapsed % 100, 0 | 33 | 66) { rate * 1_000.0 / 30.0 / 8.0 } else { 0.0 };
        self.backlog += match self.screen {
            Screen::Film => film,
            Screen::Keyframes(bytes) => film + if elapsed.is_multiple_of(2_000) { bytes as f64 } else { 0.0 },
            Screen::Still if elapsed.is_multiple_of(1_000) => 200.0,
            Screen::Typing(bytes) if elapsed.is_multiple_of(500) => bytes as f64,
            Screen::Still | Screen::Typing(_) => 0.0,
        };
    }

    fn send(&mut self) {
        if self.probe.is_none() {
            self.probe = self.estimator.poll_probe().map(|cluster| (cluster, self.millis));
        }
        while let Some((cluster, next)) = &mut self.probe {
            if *next > self.millis {
                return;
            }
            let (id, at) = (cluster.id, *next);
            *next += PACKET * 8_000.0 / f64::from(cluster.bitrate.as_bps());
            cluster.min_packets = cluster.min_packets.saturating_sub(1);
            cluster.min_bytes = cluster.min_bytes.saturating_sub(PACKET as usize);
            if cluster.min_packets == 0 && cluster.min_bytes == 0 {
                self.probe = None;
            }
            self.probe_bytes += (PACKET - self.backlog).max(0.0) as usize;
            self.backlog = (self.backlog - PACKET).max(0.0);
            self.leave(at, PACKET, Some(id));
        }
        let rate = self.estimate() * self.pacing;
        self.paced = self.paced.max(self.millis - 1.0);
        while self.backlog > 0.0 && self.paced < self.millis {
            let bytes = self.backlog.min(PACKET);
            self.leave(self.paced.max(self.millis - 1.0), bytes, None);
            self.paced += bytes * 8.0 / rate;
            self.backlog -= bytes;
        }
    }

    fn leave(&mut self, at: f64, bytes: f64, probe: Option<u32>) {
        let packet = self.ledger.on_sent(time(at), bytes as usize, probe);
        self.estimator.on_sent(&packet);
        let arrival = self.cross(at, bytes);
        self.flying.push_back((packet.sequence, arrival));
    }

    /// When a packet arrives, if it does.
    fn cross(&mut self, at: f64, bytes: f64) -> Option<f64> {
        let takes = bytes * 8.0 / self.line.kbps;
        if self.line.policer {
            self.tokens = (self.tokens + (at - self.free_at) * self.line.kbps / 8.0).min(6_000.0);
            self.free_at = at;
            if self.tokens < bytes {
                return None;
            }
            self.tokens -= bytes;
        } else {
            let waits = (self.free_at - at).max(0.0);
            if waits > self.line.queue {
                return None;
            }
            self.waits.push(((at - 1_000_000.0) / 1_000.0, waits + takes));
            self.longest_wait = self.longest_wait.max(waits + takes);
            self.free_at = at + waits + takes;
        }
        if self.random() < self.line.loss || self.line.broken {
            return None;
        }
        self.arrived_bytes += bytes;
        let out = self.free_at.max(at) + self.line.delay;
        if self.random() < self.line.reordered {
            return Some(out + 15.0);
        }
        let late = out + self.line.jitter * (2.0 * self.random() - 1.0).max(-1.0) + self.line.jitter;
        self.last_arrival = self.last_arrival.max(late);
        Some(self.last_arrival)
    }

    /// The receiver tells of what was sent before the last packet that arrived.
    fn report(&mut self) {
        if self.millis - self.reported_at < self.line.told {
            return;
        }
        self.reported_at = self.millis;
        let Some(last) = self.flying.iter().rposition(|(_, at)| at.is_some_and(|at| at <= self.millis))
        else {
            return;
        };
        let drift = self.line.drift;
        let base = self.flying[0].0 as u16;
        let ticks = self
            .flying
            .drain(..=last)
            .map(|(_, at)| {
                let arrived = at.filter(|at| *at <= self.millis)?;
                Some(((arrived * (1.0 + drift) + OFFSET) * 4.0) as u64 as u32)
            })
            .collect();
        if !self.line.deaf && !self.line.broken {
            self.feedback.push_back((self.millis + self.line.delay, base, ticks));
        }
    }

    fn random(&mut self) -> f64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The average of what arrived in kbit/s between two times in seconds.
    pub(super) fn arrived(&self, from: f64, to: f64) -> f64 {
        let samples: Vec<_> =
            self.samples.iter().filter(|sample| sample.at > from && sample.at <= to).collect();
        samples.iter().map(|sample| sample.arrived).sum::<f64>() / samples.len() as f64
    }

    /// The 95th percentile of the waiting of packets that left between two times in seconds, in milliseconds.
    pub(super) fn wait_p95(&self, from: f64, to: f64) -> f64 {
        let mut waits: Vec<_> =
            self.waits.iter().filter(|(at, _)| *at > from && *at <= to).map(|(_, wait)| *wait).collect();
        waits.sort_by(f64::total_cmp);
        waits[(waits.len() - 1) * 95 / 100]
    }

    /// The least and the most estimate between two times in seconds, in kbit/s.
    pub(super) fn estimates(&self, from: f64, to: f64) -> (f64, f64) {
        let within = self.samples.iter().filter(|sample| sample.at > from && sample.at <= to);
        within.fold((f64::MAX, 0.0), |(low, high), sample| {
            (low.min(sample.estimate), high.max(sample.estimate))
        })
    }

    /// When the estimate was at least (or, at most) so much for the first time after `from`, in seconds after
    /// it.
    pub(super) fn reached(&self, from: f64, wanted: impl Fn(&Sample) -> bool) -> f64 {
        self.samples
            .iter()
            .find(|sample| sample.at > from && wanted(sample))
            .map_or(f64::INFINITY, |sample| sample.at - from)
    }

    /// A table for a person, every `step` tenths of a second.
    pub(super) fn table(&self, step: usize) -> String {
        self.samples
            .iter()
            .step_by(step)
            .map(|s| {
                format!(
                    "{:5.1} s  estimate {:6.0}  arrived {:6.0}  waited {:4.0}  {:?}{}\n",
                    s.at,
                    s.estimate,
                    s.arrived,
                    s.waited,
                    s.usage,
                    if s.limited { " limited" } else { "" }
                )
            })
            .collect()
    }
}

fn time(millis: f64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_nanos((millis * 1e6) as u64))
}
