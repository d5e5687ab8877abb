use super::*;
use crate::{FrameRecord, PathConfig, PathStats, ScreenChange, Shown, TRACES, Trace};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A record of nothing.
fn record() -> Record {
    Record::new(Vec::new())
}

impl Record {
    /// A frame captured and seen at these times.
    fn with_frame(mut self, captured_at: u64, shown_at: u64, sharpness: f64) -> Self {
        let number = self.frames.len() as u32;
        self.frames.push(FrameRecord { captured_at: ms(captured_at), is_key: false, bytes: 1, sharpness });
        self.shown.push(Shown { at: ms(shown_at), number });
        self
    }

    fn with_change(mut self, at: u64, part: f64) -> Self {
        self.changes.push(ScreenChange { at: ms(at), part });
        self
    }
}

fn profile(forward: PathConfig, seconds: u64) -> Profile {
    let mut profile = Profile::by_name("clean").unwrap().clone();
    profile.forward = forward;
    profile.duration = Duration::from_secs(seconds);
    profile
}

#[test]
fn a_gap_is_a_freeze_only_while_the_screen_changed() {
    let changing = |changed_at: u64| {
        let record = record().with_change(0, 1.0).with_change(changed_at, 0.1);
        freezes(&record.with_frame(0, 50, 1.0).with_frame(900, 1_000, 1.0), ms(50), ms(1_000))
    };
    assert_eq!(changing(10), [ms(940)], "from the time at which the change could have been seen");
    assert_eq!(changing(500), [ms(450)]);
    assert_eq!(changing(750), [], "200 ms are no freeze");
    assert_eq!(changing(749), [ms(201)]);
    assert_eq!(changing(901), [], "it came after the last picture");
}

#[test]
fn what_is_never_seen_freezes_to_the_end() {
    let record = record().with_change(0, 1.0).with_change(100, 0.1).with_frame(0, 50, 1.0);
    assert_eq!(freezes(&record, ms(50), ms(5_000)), [ms(4_850)]);
}

#[test]
fn quality_is_the_mean_over_time_of_what_is_seen() {
    let record = record().with_frame(0, 100, 0.5).with_frame(100, 400, 1.0);
    assert!((quality(&record, ms(1_000)) - (0.5 * 0.3 + 0.6) / 0.9).abs() < 1e-9);
    assert_eq!(quality(&self::record(), ms(1_000)), 0.0);
}

#[test]
fn a_slide_is_sharp_when_its_own_picture_is() {
    let record = record()
        .with_change(0, 1.0)
        .with_change(1_000, 1.0)
        .with_change(2_000, 1.0)
        .with_frame(0, 50, 0.9)
        .with_frame(200, 250, 0.96)
        .with_frame(1_000, 1_100, 0.2)
        .with_frame(1_200, 1_300, 0.99)
        .with_frame(2_000, 2_100, 0.2);
    assert_eq!(sharp_after(&record, Duration::ZERO), Some(ms(250)));
    assert_eq!(slide_sharp(&record, ms(2_900)), Some(ms(900)), "the last never was");
    assert_eq!(slide_sharp(&record, ms(2_200)), Some(ms(300)));
}

/// Sends at `kbps(at)` in packets of 1,250 bytes that wait for `queued(at)`.
fn link(profile: &Profile, wanted_kbps: u32, kbps: impl Fn(u64) -> u64, queued: impl Fn(u64) -> u64) -> Link {
    let (mut passed, mut offered) = (Vec::new(), Vec::new());
    let mut bits = 0;
    for at in 0..profile.duration.as_millis() as u64 {
        bits += kbps(at);
        while bits >= 10_000 {
            bits -= 10_000;
            offered.push((ms(at), 1_250));
            passed.push((ms(at), ms(queued(at)), 1_250));
        }
    }
    let forward = PathStats { passed_bytes: 1, delivered_bytes: 1, ..PathStats::default() };
    let traffic = Traffic { passed: &passed, offered: &offered, forward };
    Link::new(profile, &traffic, Bitrate::kbps(wanted_kbps))
}

#[test]
fn a_rise_is_over_when_a_second_uses_most_of_what_is_allowed() {
    let changes = vec![crate::PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(4_000))))];
    let path = PathConfig::new(ms(10)).with_rate(Bitrate::kbps(1_000)).with_changes(changes);
    let profile = profile(path, 20);
    let sends = |at: u64| if at < 8_000 { 1_000 } else { 3_800 };
    let it = link(&profile, 6_000, sends, |_| 0);
    let took = it.rise().unwrap();
    assert!((ms(3_800)..=ms(4_100)).contains(&took), "{took:?}");
    assert_eq!(it.recovery(), None, "nothing fell");
    let never = link(&profile, 6_000, |_| 1_000, |_| 0);
    assert_eq!(never.rise(), Some(ms(15_000)), "it counts with all the time it had");
    // 1 Mbit/s of what the sender may send.
    let modest = link(&profile, 1_000, |_| 1_000, |_| 0);
    assert_eq!(modest.rise(), Some(ms(1_000)));
    assert!((modest.utilisation() - 0.95).abs() < 0.02, "{}", modest.utilisation());
}

#[test]
fn a_fall_is_over_when_a_second_s_packets_do_not_wait() {
    let changes = vec![crate::PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(500))))];
    let path = PathConfig::new(ms(10)).with_rate(Bitrate::kbps(4_000)).with_changes(changes);
    let profile = profile(path, 20);
    let waits = |at: u64| if (5_000..6_200).contains(&at) { 190 } else { 20 };
    let it = link(&profile, 6_000, |_| 450, waits);
    let took = it.recovery().unwrap();
    assert!((ms(1_100)..=ms(1_300)).contains(&took), "{took:?}");
    let never = link(&profile, 6_000, |_| 450, |_| 190);
    assert_eq!(never.recovery(), Some(ms(15_000)));
}

#[test]
fn overshoot_is_the_worst_second_that_had_time_to_settle() {
    let path = PathConfig::new(ms(10)).with_rate(Bitrate::kbps(1_000));
    let sends = |at: u64| match at {
        0..1_500 => 9_000,
        6_000..7_000 => 1_500,
        _ => 900,
    };
    let it = link(&profile(path, 10), 6_000, sends, |_| 0);
    assert!((it.overshoot() - 0.5).abs() < 0.03, "{}", it.overshoot());
}

#[test]
fn every_network_can_be_run_with_every_screen() {
    for profile in crate::PROFILES {
        let mut profile = profile.clone();
        profile.duration = ms(1_500);
        for trace in TRACES {
            let scenario = Scenario::new(&profile, trace, 2);
            let record = scenario.run().unwrap();
            assert!(!record.frames.is_empty(), "{} {}", profile.name, trace.name);
            let forward = record.forward;
            assert!(forward.sent + forward.duplicated >= forward.delivered + forward.dropped.total());
        }
    }
}

#[test]
fn a_run_is_the_same_each_time_and_differs_by_its_seed() {
    let mut profile = Profile::by_name("loss-5").unwrap().clone();
    profile.duration = ms(5_000);
    let trace = Trace::by_name("typing").unwrap();
    let score = |seed| Scenario::new(&profile, trace, seed).score().unwrap();
    assert_eq!(score(7), score(7));
    assert_ne!(Score { seed: 7, ..score(8) }, score(7));
}

#[test]
fn an_estimate_is_measured_by_what_is_allowed_once_it_had_time_to_settle() {
    let changes = vec![crate::PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(4_000))))];
    let path = PathConfig::new(ms(10)).with_rate(Bitrate::kbps(1_000)).with_changes(changes);
    let it = link(&profile(path, 10), 6_000, |_| 0, |_| 0);
    let estimates = [(0, 9e6), (1_900, 1e6), (5_000, 1e6), (6_500, 3.5e6), (6_900, 2e6), (8_500, 6e6)];
    let estimates = estimates.map(|(at, bps)| (ms(at), bps));
    assert_eq!(it.estimate_rise(&estimates), Some(ms(1_500)));
    // 3 s of 1.0, 1.5 s of 0.5 and 1.5 s of 1.5: nothing of the first 2 s after start and change.
    let (mean, deviation) = it.estimate(&estimates);
    assert!((mean - 1.0).abs() < 1e-9 && (deviation - 0.125_f64.sqrt()).abs() < 1e-9, "{mean} {deviation}");
}
