//! How a run went, as numbers.

mod link;

use std::time::Duration;

use serde::Serialize;

pub use self::link::Moment;
pub(crate) use self::link::{Link, Traffic};
use crate::{Record, Scenario};

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

#[cfg(test)]
mod tests;
