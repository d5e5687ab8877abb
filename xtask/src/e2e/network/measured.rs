//! What a network made of a share.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use yc_media::Bitrate;
use yc_simulator::{DelayHistogram, Drops, PathConfig, Profile};

use super::BITRATE;
use crate::demo::percentile;
use crate::e2e::relay::{Course, Journey, SLOT};

/// What was seen of one share. Times are microseconds since 1970.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    pub(super) journey: &'a Journey,
    /// When the share said that it had started.
    pub(super) started_unix_us: u64,
    /// When the last look at the viewer was.
    pub(super) ended_unix_us: u64,
    /// When each new picture was shown.
    pub(super) shown: &'a [u64],
    /// From capture to picture, of each picture that was shown and whose number could be read.
    pub(super) latencies_ms: &'a [f64],
    /// The browser's statistics at the end.
    pub(super) viewer: &'a Value,
    pub(super) probe: &'a Value,
    pub(super) size: (u64, u64),
    /// What the share said, each with when it did.
    pub(super) said: &'a [(u64, Value)],
    /// The server's metrics before and after.
    pub(super) counted: [&'a str; 2],
}

/// What came of one network. Times are in seconds, but for what says otherwise.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    /// From the share's start to the first picture; none if none was shown.
    pub(super) first_picture: Option<f64>,
    /// From the first picture on, or from the start.
    pub(super) seconds: f64,
    /// Pictures shown a second.
    pub(super) fps: f64,
    /// As the browser counts them: a picture that stands for three times the mean, and 150 ms, longer.
    pub(super) freezes: u64,
    pub(super) frozen_ms: f64,
    /// The longest time without a new picture, that at the end too.
    pub(super) longest_gap: f64,
    /// The longest time in which the sender sent nothing: with a picture that moves, because the machine was busy or the
    /// network took no more.
    pub(super) longest_silence: f64,
    pub(super) frames_dropped: u64,
    /// From capture to picture: half of them, and 19 of 20, were not later.
    pub(super) latency_ms: [Option<f64>; 2],
    /// Pictures whose number could not be read.
    pub(super) unreadable: u64,
    pub(super) jitter_buffer_ms: Option<f64>,
    /// Of the last picture.
    pub(super) size: (u64, u64),
    /// Part of the bottleneck that was used in the end; none where the share wants less than it takes.
    pub(super) used: Option<f64>,
    /// How long after each rise most of the new rate was used; none if it never was.
    pub(super) rises: Vec<Option<f64>>,
    /// How long after each fall the last picture came that stood too long.
    pub(super) falls: Vec<f64>,
    /// Time that datagrams waited at the bottleneck, once settled, in milliseconds: half, and 19 of 20, no longer.
    pub(super) queue_ms: [f64; 2],
    /// The same without leaving out what needs time to settle: 19 of 20.
    pub(super) queue_unsettled_ms: f64,
    /// By how much the relay was late, in milliseconds: 19 of 20 datagrams, no more.
    pub(super) relay_late_ms: f64,
    /// Datagrams of the sender, and what the network dropped of them.
    pub(super) sent: u64,
    pub(super) dropped: Drops,
    /// Packets that the sender sent and the relay never had.
    pub(super) unseen: u64,
    /// Packets that the server asked for, by the sender's count.
    pub(super) asked: u64,
    pub(super) resent: Option<u64>,
    /// Missing packets that came to the server when they were sent again.
    pub(super) repaired: u64,
    pub(super) viewer_nacks: u64,
    pub(super) viewer_plis: u64,
    pub(super) key_frames: u64,
    /// What the sender thinks that the network takes, in kbit/s, in the end.
    pub(super) estimate_kbps: Option<f64>,
    pub(super) limited_by: String,
    pub(super) level: u64,
    pub(super) highest_level: u64,
}

/// How long the sender may take to find out what a network takes: at the start, and after a fall.
pub(super) const SETTLE: Duration = Duration::from_secs(3);
/// A picture that stands longer is not one of a flow.
pub(super) const STANDS: f64 = 0.5;
/// At the end of a run.
const LAST: Duration = Duration::from_secs(5);
/// What counts as use of a network.
pub(super) const USED: f64 = 0.85;

impl Measured {
    pub(super) fn new(profile: &Profile, observed: &Observed<'_>) -> Result<Self> {
        let began = observed.journey.began_unix_us;
        let network_time = |at: u64| Duration::from_micros(at.saturating_sub(began));
        let first = observed.shown.first().copied();
        let (started, to) = (observed.started_unix_us, network_time(observed.ended_unix_us));
        let from = network_time(first.unwrap_or(started));
        let shown: Vec<f64> = observed.shown.iter().map(|at| network_time(*at).as_secs_f64()).collect();
        let seconds = to.saturating_sub(from).as_secs_f64();
        let course = &observed.journey.to_server;
        let path = &profile.forward;
        let status = observed.said.iter().rev().find_map(|(_, event)| event.get("status"));
        let status = status.context("yc-share printed no status")?;
        let count = |value: &Value| value.as_u64().unwrap_or_default();
        let levels = observed.said.iter().filter_map(|(_, event)| {
            event["status"]["degradation"]["level"].as_u64().or(event["level"].as_u64())
        });
        let queue = queue(course, &settled(path, from..to));
        let silence = course.slots(from..to).iter().map(|slot| slot.silence);
        let viewer = observed.viewer;
        Ok(Self {
            first_picture: first.map(|at| at.saturating_sub(started) as f64 / 1e6),
            seconds,
            fps: shown.len().saturating_sub(1) as f64 / seconds,
            freezes: count(&viewer["freezeCount"]),
            frozen_ms: viewer["totalFreezesDuration"].as_f64().unwrap_or_default() * 1_000.0,
            longest_gap: gaps(&shown, to.as_secs_f64()).map(|(gap, _)| gap).fold(0.0, f64::max),
            longest_silence: silence.max().map_or(0.0, |silence: Duration| silence.as_secs_f64()),
            frames_dropped: count(&viewer["framesDropped"]),
            latency_ms: [0.5, 0.95].map(|part| percentile(observed.latencies_ms, part)),
            unreadable: count(&observed.probe["unreadable"]),
            jitter_buffer_ms: jitter_buffer_ms(viewer),
            size: observed.size,
            used: used(path, course, to),
            rises: rises(path).map(|at| reached(path, course, at, to)).collect(),
            falls: falls(path).map(|at| flows_after(&shown, at.as_secs_f64(), to.as_secs_f64())).collect(),
            queue_ms: [0.5, 0.95].map(|part| millis(queue.quantile(part))),
            queue_unsettled_ms: millis(self::queue(course, &[from..to]).quantile(0.95)),
            relay_late_ms: millis(course.late.quantile(0.95)),
            sent: course.stats.sent,
            dropped: course.stats.dropped,
            unseen: count(&status["packets_sent"]).saturating_sub(course.stats.sent),
            asked: count(&status["feedback"]["nacked_packets"]),
            resent: status["recovery"]["resent"].as_u64(),
            repaired: counted("yc_native_packets_repaired_total", observed.counted)?,
            viewer_nacks: count(&viewer["nackCount"]),
            viewer_plis: count(&viewer["pliCount"]),
            key_frames: count(&status["key_frames"]["total"]),
            estimate_kbps: status["network"]["available_kbps"].as_f64(),
            limited_by: status["limited_by"].as_str().unwrap_or_default().to_owned(),
            level: count(&status["degradation"]["level"]),
            highest_level: levels.max().unwrap_or_default(),
        })
    }
}

/// Each time without a new picture and when it ended, that at the end too, in seconds.
fn gaps(shown: &[f64], to: f64) -> impl Iterator<Item = (f64, f64)> {
    let ends = shown.iter().skip(1).copied().chain([to]);
    shown.iter().copied().zip(ends).map(|(from, end)| (end - from, end))
}

/// How long after `from` the last picture came before which one had stood too long; 0 if none had.
fn flows_after(shown: &[f64], from: f64, to: f64) -> f64 {
    let ends = gaps(shown, to).filter(|(gap, end)| *end > from && *gap > STANDS).map(|(_, end)| end);
    ends.fold(from, f64::max) - from
}

fn jitter_buffer_ms(viewer: &Value) -> Option<f64> {
    let emitted = viewer["jitterBufferEmittedCount"].as_f64().filter(|count| *count > 0.0)?;
    Some(viewer["jitterBufferDelay"].as_f64()? / emitted * 1_000.0)
}

/// How much of the bottleneck was used in the last seconds; none where it takes more than the share wants.
fn used(path: &PathConfig, course: &Course, to: Duration) -> Option<f64> {
    let rate = path.rate_at(to);
    (rate < BITRATE)
        .then(|| course.passed_bps(to.saturating_sub(LAST)..to))
        .flatten()
        .map(|passed| passed / f64::from(rate.as_bps()))
}

/// When a path takes less than it did, or nothing for a while.
pub(super) fn falls(path: &PathConfig) -> impl Iterator<Item = Duration> {
    changes(path).filter(|(_, before, after)| after < before).map(|(at, ..)| at)
}

/// When a path takes more than it did.
pub(super) fn rises(path: &PathConfig) -> impl Iterator<Item = Duration> {
    changes(path).filter(|(_, before, after)| after > before).map(|(at, ..)| at)
}

/// When a path's rate changes, and from what to what.
fn changes(path: &PathConfig) -> impl Iterator<Item = (Duration, Bitrate, Bitrate)> {
    let mut times: Vec<Duration> = path.changes.iter().map(|change| change.at).collect();
    times.dedup();
    times
        .into_iter()
        .map(|at| (at, path.rate_at(at.saturating_sub(Duration::from_nanos(1))), path.rate_at(at)))
}

/// How long after `rise` most of the rate was used for a second, in seconds.
fn reached(path: &PathConfig, course: &Course, rise: Duration, to: Duration) -> Option<f64> {
    let wanted = USED * f64::from(path.rate_at(rise).min(BITRATE).as_bps());
    let second = Duration::from_secs(1);
    let mut from = rise;
    while from + second <= to {
        if course.passed_bps(from..from + second).is_some_and(|passed| passed >= wanted) {
            return Some((from + second - rise).as_secs_f64());
        }
        from += SLOT;
    }
    None
}

/// `time` without what the sender is given to settle in.
fn settled(path: &PathConfig, time: Range<Duration>) -> Vec<Range<Duration>> {
    let mut stretches = Vec::new();
    let mut from = time.start + SETTLE;
    for fall in falls(path) {
        stretches.push(from..fall.min(time.end));
        from = fall + SETTLE;
    }
    stretches.push(from..time.end);
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}

/// How long datagrams waited at the bottleneck.
fn queue(course: &Course, stretches: &[Range<Duration>]) -> DelayHistogram {
    let mut histogram = DelayHistogram::new();
    let slots = stretches.iter().flat_map(|stretch| course.slots(stretch.clone()));
    slots.flat_map(|slot| &slot.queued).for_each(|delay| histogram.record(*delay));
    histogram
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// What was added to one of the server's counters.
fn counted(name: &str, metrics: [&str; 2]) -> Result<u64> {
    let value = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<u64>().ok())
            .with_context(|| format!("the server counts no {name}"))
    };
    Ok(value(metrics[1])?.saturating_sub(value(metrics[0])?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::e2e::relay::Slot;

    const SECOND: Duration = Duration::from_secs(1);

    fn path(name: &str) -> &'static PathConfig {
        &Profile::by_name(name).unwrap().forward
    }

    /// A second at each of these kbit/s.
    fn course(kbps: &[u64]) -> Course {
        let slot = |kbps: &u64| Slot { passed_bytes: kbps * 100 / 8, ..Slot::default() };
        let slots = kbps.iter().flat_map(|kbps| std::iter::repeat_n(slot(kbps), 10)).collect();
        Course { slots, ..Course::default() }
    }

    #[test]
    fn gaps_are_between_pictures_and_after_the_last() {
        let gaps: Vec<_> = gaps(&[1.0, 1.5, 3.0], 4.0).collect();
        assert_eq!(gaps, [(0.5, 1.5), (1.5, 3.0), (1.0, 4.0)]);
    }

    #[test]
    fn pictures_flow_again_when_the_last_that_stood_has_gone() {
        let shown = [9.0, 9.5, 10.3, 11.8, 12.0, 12.3];
        assert!((flows_after(&shown, 10.0, 12.5) - 1.8).abs() < 1e-9);
        assert_eq!(flows_after(&shown, 12.0, 12.5), 0.0);
        // Nothing more came.
        assert!((flows_after(&shown, 12.0, 20.0) - 8.0).abs() < 1e-9);
    }

    #[test]
    fn falls_and_rises_are_those_of_the_rate_and_an_outage_is_a_fall() {
        let (drop, steady, hand_over) = (path("drop"), path("loss-5"), path("hand-over"));
        assert_eq!(falls(drop).collect::<Vec<_>>(), [10 * SECOND]);
        assert_eq!(rises(drop).collect::<Vec<_>>(), [20 * SECOND]);
        assert_eq!(falls(hand_over).collect::<Vec<_>>(), [10 * SECOND]);
        assert_eq!(rises(hand_over).count() + falls(steady).count() + rises(steady).count(), 0);
    }

    #[test]
    fn a_rise_is_reached_at_the_end_of_the_first_second_that_used_it() {
        let mut kbps = vec![500; 20];
        kbps.extend([1_000, 3_000, 4_300, 4_500, 4_600]);
        let at = |kbps: &[u64]| reached(path("drop"), &course(kbps), 20 * SECOND, 25 * SECOND);
        assert_eq!(at(&kbps), Some(3.0));
        kbps[22] = 4_000;
        // 200 ms at 4,000 kbit/s and 800 ms at 4,500 are more than 4,250 a second.
        assert!(at(&kbps).is_some_and(|after| (3.4..=3.6).contains(&after)), "{:?}", at(&kbps));
        assert_eq!(at(&[500; 25]), None);
    }

    #[test]
    fn the_use_of_a_network_is_told_where_the_share_wants_more() {
        let course = course(&[1_000, 200, 900, 900, 900, 900, 900]);
        assert_eq!(used(path("1-mbit"), &course, 7 * SECOND), Some(0.9));
        assert_eq!(used(path("clean"), &course, 7 * SECOND), None);
    }

    #[test]
    fn the_time_to_settle_is_left_out_after_the_start_and_after_falls() {
        let time = SECOND / 2..30 * SECOND;
        let expected = [SECOND * 7 / 2..10 * SECOND, 13 * SECOND..30 * SECOND];
        assert_eq!(settled(path("drop"), time.clone()), expected);
        assert_eq!(settled(path("clean"), time), [SECOND * 7 / 2..30 * SECOND]);
        assert!(settled(path("clean"), SECOND..2 * SECOND).is_empty());
    }

    #[test]
    fn a_queue_is_that_of_the_stretches_asked_for() {
        let mut course = course(&[0, 0]);
        course.slots[0].queued = vec![200 * SECOND / 1_000];
        course.slots[15].queued = vec![40 * SECOND / 1_000, 60 * SECOND / 1_000];
        assert_eq!(queue(&course, &[SECOND..2 * SECOND]).quantile(1.0), 60 * SECOND / 1_000);
        assert_eq!(queue(&course, &[Duration::ZERO..2 * SECOND]).len(), 3);
    }

    #[test]
    fn a_counter_s_growth_is_read_and_a_missing_counter_is_named() {
        let metrics = ["# TYPE a_total counter\na_total 3\n", "a_total 10\nab_total 99\n"];
        assert_eq!(counted("a_total", metrics).unwrap(), 7);
        assert!(counted("c_total", metrics).unwrap_err().to_string().contains("c_total"));
    }
}
