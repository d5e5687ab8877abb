//! How a run went, as numbers.

use std::time::Duration;

use serde::Serialize;
use yc_media::Bitrate;

use crate::{Change, PathStats, Profile, Record, Scenario};

/// How a run went. `docs/simulator.md` says how to read it.
///
/// Times are milliseconds. What a run cannot tell is none: how sharp a slide becomes where there are no slides.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// The network's name.
    pub profile: &'static str,
    /// The screen's name.
    pub trace: &'static str,
    /// What decided what chance decides.
    pub seed: u64,
    /// From the first capture to the first picture seen.
    pub first_picture_ms: Option<f64>,
    /// From the first capture to a sharp picture.
    pub sharp_ms: Option<f64>,
    /// From a slide to the slide seen sharp, the slowest one; one that never was counts with the time for
    /// which it could have been.
    pub slide_sharp_ms: Option<f64>,
    /// How often the viewer saw nothing new for more than 200 ms though there was.
    pub freezes: u32,
    /// For how long in all.
    pub frozen_ms: f64,
    /// The longest.
    pub longest_freeze_ms: f64,
    /// The mean over time of how much of the picture's bits the viewer had, 0.0 to 1.0, from the first
    /// picture on.
    pub quality: f64,
    /// Frames seen per second.
    pub frames_per_second: f64,
    /// What passed the bottleneck, of what it and the configured bitrate allow, from 2 s on; of screens that
    /// take all they get.
    pub utilisation: Option<f64>,
    /// From a rise of the network to 85 % of what it then allows, in a window of 1 s, the slowest; one that
    /// never got there counts with the time to the next change.
    pub rise_ms: Option<f64>,
    /// From a fall of the network to a second in which 95 of 100 packets wait for at most 100 ms, the slowest.
    pub recovery_ms: Option<f64>,
    /// The most that was sent in any second, of what the network allows, less 1.0; seconds within 2 s after
    /// the start or a fall are left out.
    pub overshoot: f64,
    /// What datagrams waited at the bottleneck: half of them no longer than this.
    pub queue_p50_ms: f64,
    /// And 95 of 100 of them.
    pub queue_p95_ms: f64,
    /// And 95 of 100 of those that were sent 2 s after the start and each change of the network or later.
    pub queue_settled_p95_ms: f64,
    /// From capture to the viewer, half the frames.
    pub latency_p50_ms: f64,
    /// And 95 of 100 of them.
    pub latency_p95_ms: f64,
    /// What the encoder aimed at, in the mean over time.
    pub target_kbps: f64,
    /// What was sent, RTP with the headers of IP and UDP.
    pub sent_kbps: f64,
    /// Frames encoded.
    pub frames: usize,
    /// Key frames encoded.
    pub keyframes: usize,
    /// PLIs that the receiver sent.
    pub plis: u64,
    /// Packets asked for, each time counted.
    pub nacked: u64,
    /// Packets sent again.
    pub retransmitted: u64,
    /// Packets that were missed and came after all.
    pub recovered: u64,
    /// Part of the datagrams lost behind the bottleneck, 0.0 to 1.0.
    pub lost: f64,
    /// Datagrams that found the bottleneck's queue full.
    pub queue_drops: u64,
    /// Pictures that waited because too much had yet to be sent.
    pub postponed: u64,
    /// When the sender took the receiver for dead.
    pub silent_ms: Option<f64>,
}

impl Score {
    /// How `record`, of `scenario`, went.
    pub fn new(scenario: &Scenario, record: &Record) -> Self {
        let Scenario { profile, trace, seed, config, .. } = scenario;
        let seconds = profile.duration.as_secs_f64();
        let wanted = config.bitrate;
        let frames = |n: u32| &record.frames[n as usize];
        let first = record.shown.first();
        let mut latencies: Vec<Duration> =
            record.shown.iter().map(|shown| shown.at - frames(shown.number).captured_at).collect();
        latencies.sort_unstable();
        let least_latency = latencies.first().copied().unwrap_or_default();
        let freezes = freezes(record, least_latency, profile.duration);
        let frozen: Duration = freezes.iter().sum();
        let traffic = Traffic { passed: &record.passed, offered: &record.offered, forward: record.forward };
        let link = Link::new(profile, &traffic, wanted);
        let greedy = trace.is_greedy();
        let offered: usize = record.offered.iter().map(|(_, bytes)| bytes).sum();
        Self {
            profile: profile.name,
            trace: trace.name,
            seed: *seed,
            first_picture_ms: first.map(|shown| millis(shown.at)),
            sharp_ms: sharp_after(record, Duration::ZERO).map(millis),
            slide_sharp_ms: slide_sharp(record, profile.duration).map(millis),
            freezes: freezes.len() as u32,
            frozen_ms: millis(frozen),
            longest_freeze_ms: millis(freezes.iter().max().copied().unwrap_or_default()),
            quality: quality(record, profile.duration),
            frames_per_second: record.shown.len() as f64 / seconds,
            utilisation: greedy.then(|| link.utilisation()),
            rise_ms: greedy.then(|| link.rise()).flatten().map(millis),
            recovery_ms: link.recovery().map(millis),
            overshoot: link.overshoot(),
            queue_p50_ms: millis(record.queue_delays.quantile(0.5)),
            queue_p95_ms: millis(record.queue_delays.quantile(0.95)),
            queue_settled_p95_ms: millis(link.settled_queue()),
            latency_p50_ms: millis(quantile(&latencies, 0.5)),
            latency_p95_ms: millis(quantile(&latencies, 0.95)),
            target_kbps: mean_target(record, profile.duration) / 1_000.0,
            sent_kbps: offered as f64 * 8.0 / 1_000.0 / seconds,
            frames: record.frames.len(),
            keyframes: record.frames.iter().filter(|frame| frame.is_key).count(),
            plis: record.receiver.plis,
            nacked: record.receiver.nacked,
            retransmitted: record.retransmitted,
            recovered: record.receiver.recovered,
            lost: record.forward.dropped.loss as f64 / (record.forward.passed.max(1)) as f64,
            queue_drops: record.forward.dropped.queue,
            postponed: record.postponed,
            silent_ms: record.silent_at.map(millis),
        }
    }
}

/// From `changed_at` to the first picture seen that was captured then or later and is sharp.
fn sharp_after(record: &Record, changed_at: Duration) -> Option<Duration> {
    let sharp = record.shown.iter().find(|shown| {
        let frame = &record.frames[shown.number as usize];
        frame.captured_at >= changed_at && frame.sharpness >= SHARP
    })?;
    Some(sharp.at - changed_at)
}

/// The slowest slide, the first left out.
fn slide_sharp(record: &Record, end: Duration) -> Option<Duration> {
    let slides: Vec<_> =
        record.changes.iter().filter(|change| change.part >= WHOLE).map(|one| one.at).collect();
    let ends = slides.iter().skip(2).copied().chain([end]);
    slides
        .iter()
        .skip(1)
        .zip(ends)
        .map(|(&slide, end)| sharp_after(record, slide).map_or(end - slide, |took| took.min(end - slide)))
        .max()
}

/// Times for which the viewer saw nothing new though there was, beyond what any frame takes on its way.
fn freezes(record: &Record, least_latency: Duration, end: Duration) -> Vec<Duration> {
    let nexts = record.shown.iter().skip(1).map(|shown| shown.at).chain([end]);
    let mut changes = record.changes.iter().map(|change| change.at).peekable();
    let mut freezes = Vec::new();
    for (shown, next) in record.shown.iter().zip(nexts) {
        let captured_at = record.frames[shown.number as usize].captured_at;
        while changes.next_if(|at| *at <= captured_at).is_some() {}
        let Some(&change) = changes.peek() else { break };
        let waited = next.saturating_sub(shown.at.max(change + least_latency));
        if waited > FREEZE {
            freezes.push(waited);
        }
    }
    freezes
}

fn quality(record: &Record, end: Duration) -> f64 {
    let nexts = record.shown.iter().skip(1).map(|shown| shown.at).chain([end]);
    let (mut sum, mut time) = (0.0, 0.0);
    for (shown, next) in record.shown.iter().zip(nexts) {
        let seconds = (next - shown.at).as_secs_f64();
        sum += record.frames[shown.number as usize].sharpness * seconds;
        time += seconds;
    }
    if time > 0.0 { sum / time } else { 0.0 }
}

fn mean_target(record: &Record, end: Duration) -> f64 {
    let nexts = record.aims.iter().skip(1).map(|(at, ..)| *at).chain([end]);
    let sum: f64 = record
        .aims
        .iter()
        .zip(nexts)
        .map(|((at, bps, _), next)| (next - *at).as_secs_f64() * f64::from(*bps))
        .sum();
    sum / end.as_secs_f64()
}

/// A tenth of a second of a run, for whoever wants to see why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// When it begins, seconds.
    pub at: f64,
    /// What network and wanted bitrate allow, kbit/s.
    pub allowed_kbps: f64,
    /// What was aimed at, or estimated, at its end, kbit/s.
    pub aimed_kbps: f64,
    /// What was sent, kbit/s on the link.
    pub sent_kbps: f64,
    /// What passed the bottleneck, kbit/s on the link.
    pub passed_kbps: f64,
    /// The longest that a datagram sent in it waited at the bottleneck.
    pub queue_ms: f64,
    /// Frames that were seen in it.
    pub shown: usize,
    /// How much of the picture's bits the viewer had at its end, 0.0 to 1.0.
    pub sharpness: f64,
}

impl Moment {
    /// All of `record`, of `scenario`.
    pub fn all(scenario: &Scenario, record: &Record) -> Vec<Self> {
        let traffic = Traffic { passed: &record.passed, offered: &record.offered, forward: record.forward };
        let link = Link::new(&scenario.profile, &traffic, scenario.config.bitrate);
        let aims: Vec<_> = record.aims.iter().map(|(at, bps, _)| (*at, f64::from(*bps))).collect();
        let mut moments = link.moments(&aims);
        for shown in &record.shown {
            if let Some(moment) = moments.get_mut(step_of(shown.at)) {
                moment.shown += 1;
                moment.sharpness = record.frames[shown.number as usize].sharpness;
            }
        }
        let mut last = 0.0;
        for moment in &mut moments {
            last = if moment.shown > 0 { moment.sharpness } else { last };
            moment.sharpness = last;
        }
        moments
    }
}

/// What went over the way there.
pub(crate) struct Traffic<'a> {
    /// As [`Record::passed`].
    pub(crate) passed: &'a [(Duration, Duration, usize)],
    /// As [`Record::offered`].
    pub(crate) offered: &'a [(Duration, usize)],
    pub(crate) forward: PathStats,
}

/// The bottleneck in steps of time.
pub(crate) struct Link {
    end: Duration,
    /// Per step: bytes that it and the sender's configuration allow.
    allowed: Vec<f64>,
    /// Per step: bytes that passed.
    passed: Vec<f64>,
    /// Per step: bytes that were offered.
    offered: Vec<f64>,
    /// When a datagram was sent, and how long it waited.
    waits: Vec<(Duration, Duration)>,
    /// When its rate rose, and when it fell.
    rises: Vec<Duration>,
    falls: Vec<Duration>,
    /// When anything changed.
    changes: Vec<Duration>,
}

impl Link {
    pub(crate) fn new(profile: &Profile, traffic: &Traffic<'_>, wanted: Bitrate) -> Self {
        let path = &profile.forward;
        let steps = step_of(profile.duration);
        let bound = f64::from(wanted.as_bps()) * OVERHEAD;
        let rate_at = |at: Duration| f64::from(path.rate_at(at).as_bps());
        let allowed = |step: usize| rate_at(STEP * step as u32).min(bound) * STEP.as_secs_f64() / 8.0;
        let mut passed = vec![0.0; steps];
        // What was lost behind the bottleneck took its part of it.
        let forward = traffic.forward;
        let lost_too = forward.passed_bytes as f64 / (forward.delivered_bytes.max(1)) as f64;
        for &(sent_at, queued, bytes) in traffic.passed {
            if let Some(passed) = passed.get_mut(step_of(sent_at + queued)) {
                *passed += bytes as f64 * lost_too;
            }
        }
        let mut offered = vec![0.0; steps];
        for &(at, bytes) in traffic.offered {
            if let Some(offered) = offered.get_mut(step_of(at)) {
                *offered += bytes as f64;
            }
        }
        let (mut rises, mut falls) = (Vec::new(), Vec::new());
        for change in path.changes.iter() {
            let before = rate_at(change.at.saturating_sub(Duration::from_nanos(1)));
            match change.change {
                Change::Rate(rate) => match rate.map_or(f64::INFINITY, |rate| f64::from(rate.as_bps())) {
                    rate if rate > before => rises.push(change.at),
                    rate if rate < before => falls.push(change.at),
                    _ => {}
                },
                Change::Outage(lasts) => falls.push(change.at + lasts),
                _ => {}
            }
        }
        falls.dedup();
        Self {
            end: profile.duration,
            allowed: (0..steps).map(allowed).collect(),
            passed,
            offered,
            waits: traffic.passed.iter().map(|(sent_at, queued, _)| (*sent_at, *queued)).collect(),
            rises,
            falls,
            changes: path.changes.iter().map(|change| change.at).collect(),
        }
    }

    pub(crate) fn utilisation(&self) -> f64 {
        let from = step_of(SETTLED);
        let passed: f64 = self.passed.iter().skip(from).sum();
        passed / self.allowed.iter().skip(from).sum::<f64>()
    }

    /// When the next change after `at` is.
    fn next_change(&self, at: Duration) -> Duration {
        self.changes.iter().copied().find(|change| *change > at).unwrap_or(self.end)
    }

    fn rise(&self) -> Option<Duration> {
        let took = |&rise: &Duration| {
            let until = self.next_change(rise);
            let windows = step_of(rise)..=step_of(until).saturating_sub(WINDOW);
            let reached = windows.into_iter().find(|&start| {
                let passed: f64 = self.passed[start..start + WINDOW].iter().sum();
                passed >= 0.85 * self.allowed[start..start + WINDOW].iter().sum::<f64>()
            });
            reached.map_or(until, |start| STEP * (start + WINDOW) as u32) - rise
        };
        self.rises.iter().map(took).max()
    }

    /// As [`rise`](Self::rise), by what was estimated from when on.
    pub(crate) fn estimate_rise(&self, estimates: &[(Duration, f64)]) -> Option<Duration> {
        let took = |&rise: &Duration| {
            let until = self.next_change(rise);
            let wanted = 0.85 * self.bound(rise);
            let before = estimates.iter().rev().find(|(at, _)| *at <= rise);
            let after = estimates.iter().filter(|(at, _)| *at > rise && *at < until);
            let reached = before.into_iter().chain(after).find(|(_, bps)| *bps >= wanted);
            reached.map_or(until, |(at, _)| *at).saturating_sub(rise)
        };
        self.rises.iter().map(took).max()
    }

    /// Mean and deviation over time of what was estimated from when on, of what is allowed; what lies within
    /// 2 s after the start or a change is left out.
    pub(crate) fn estimate(&self, estimates: &[(Duration, f64)]) -> (f64, f64) {
        let mut estimates = estimates.iter().peekable();
        let (mut current, mut count, mut sum, mut squares) = (0.0, 0.0, 0.0, 0.0);
        for step in 0..self.allowed.len() {
            let at = STEP * step as u32;
            while let Some((_, bps)) = estimates.next_if(|(since, _)| *since <= at) {
                current = *bps;
            }
            if self.is_settling(at) {
                continue;
            }
            let share = current / self.bound(at);
            (count, sum, squares) = (count + 1.0, sum + share, squares + share * share);
        }
        let mean = sum / f64::max(count, 1.0);
        (mean, (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt())
    }

    fn is_settling(&self, at: Duration) -> bool {
        let changes = self.changes.iter().chain([&Duration::ZERO]);
        changes.into_iter().any(|change| (*change..*change + SETTLED).contains(&at))
    }

    /// What 95 of 100 datagrams waited at most, those left out that were sent while it settled.
    fn settled_queue(&self) -> Duration {
        let settled = self.waits.iter().filter(|(sent_at, _)| !self.is_settling(*sent_at));
        let mut waits: Vec<_> = settled.map(|(_, queued)| *queued).collect();
        waits.sort_unstable();
        quantile(&waits, 0.95)
    }

    /// Each step, with what was aimed at from when on; nothing is seen in any.
    pub(crate) fn moments(&self, aims: &[(Duration, f64)]) -> Vec<Moment> {
        let kbps = |bytes: f64| bytes * 8.0 / 1_000.0 / STEP.as_secs_f64();
        let moment = |step: usize| Moment {
            at: (STEP * step as u32).as_secs_f64(),
            allowed_kbps: kbps(self.allowed[step]),
            aimed_kbps: 0.0,
            sent_kbps: kbps(self.offered[step]),
            passed_kbps: kbps(self.passed[step]),
            queue_ms: 0.0,
            shown: 0,
            sharpness: 0.0,
        };
        let mut moments: Vec<_> = (0..self.allowed.len()).map(moment).collect();
        for &(sent_at, queued) in &self.waits {
            if let Some(moment) = moments.get_mut(step_of(sent_at)) {
                moment.queue_ms = moment.queue_ms.max(millis(queued));
            }
        }
        let mut aims = aims.iter().peekable();
        let mut aimed = 0.0;
        for (step, moment) in moments.iter_mut().enumerate() {
            while let Some((_, bps)) = aims.next_if(|(since, _)| step_of(*since) <= step) {
                aimed = *bps / 1_000.0;
            }
            moment.aimed_kbps = aimed;
        }
        moments
    }

    /// Bits per second that are allowed at `at`.
    fn bound(&self, at: Duration) -> f64 {
        let step = step_of(at).min(self.allowed.len().saturating_sub(1));
        // In an outage nothing is: a bit, so that a part of it can be taken.
        self.allowed.get(step).map_or(1.0, |bytes| (bytes * 8.0 / STEP.as_secs_f64()).max(1.0))
    }

    pub(crate) fn recovery(&self) -> Option<Duration> {
        let took = |&fall: &Duration| {
            let until = self.next_change(fall);
            let windows = step_of(fall)..=step_of(until).saturating_sub(WINDOW);
            let recovered = windows.into_iter().find(|&start| {
                let window = STEP * start as u32..STEP * (start + WINDOW) as u32;
                let waits = self.waits.iter().filter(|(sent_at, _)| window.contains(sent_at));
                let mut waits: Vec<_> = waits.map(|(_, queued)| *queued).collect();
                waits.sort_unstable();
                !waits.is_empty() && quantile(&waits, 0.95) <= SHORT_QUEUE
            });
            recovered.map_or(until, |start| STEP * start as u32).saturating_sub(fall)
        };
        self.falls.iter().map(took).max()
    }

    fn overshoot(&self) -> f64 {
        let unsettled = |step: usize| {
            let at = STEP * step as u32;
            let starts = self.falls.iter().chain([&Duration::ZERO]);
            starts.into_iter().any(|start| at + STEP * WINDOW as u32 > *start && at < *start + SETTLED)
        };
        let windows = (0..=self.offered.len().saturating_sub(WINDOW)).filter(|start| !unsettled(*start));
        let ratio = windows.map(|start| {
            let offered: f64 = self.offered[start..start + WINDOW].iter().sum();
            offered / self.allowed[start..start + WINDOW].iter().sum::<f64>()
        });
        ratio.fold(1.0, f64::max) - 1.0
    }
}

fn step_of(at: Duration) -> usize {
    (at.as_nanos() / STEP.as_nanos()) as usize
}

/// The least of `sorted` that `share` of them do not exceed.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (share * sorted.len() as f64).ceil().max(1.0) as usize - 1;
    sorted.get(at).copied().unwrap_or_default()
}

pub(crate) fn millis(time: Duration) -> f64 {
    // To a tenth: what stands beyond is nobody's.
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A picture counts as sharp when the viewer has this part of its bits.
const SHARP: f64 = 0.95;
/// A change of so much of the picture is a slide.
const WHOLE: f64 = 0.9;
const FREEZE: Duration = Duration::from_millis(200);
const SHORT_QUEUE: Duration = Duration::from_millis(100);
/// The configured bitrate is the encoder's: RTP, UDP and IP add 28 + 32 bytes to 1,140.
const OVERHEAD: f64 = 1.05;
/// What a start or a fall is given to settle.
const SETTLED: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(100);
/// Steps of a window: 1 s.
const WINDOW: usize = 10;

#[cfg(test)]
mod tests;
