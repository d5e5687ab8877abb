//! What passed the link, in steps of time.

use std::time::Duration;

use serde::Serialize;
use yc_media::Bitrate;

use super::{millis, quantile};
use crate::{Change, PathStats, Profile, Record, Scenario};

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

    pub(super) fn rise(&self) -> Option<Duration> {
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
    pub(super) fn settled_queue(&self) -> Duration {
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

    pub(super) fn overshoot(&self) -> f64 {
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
