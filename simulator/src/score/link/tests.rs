use super::*;
use crate::{PathChange, PathConfig};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn profile(forward: PathConfig, seconds: u64) -> Profile {
    let mut profile = Profile::by_name("clean").unwrap().clone();
    profile.forward = forward;
    profile.duration = Duration::from_secs(seconds);
    profile
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
    let changes = vec![PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(4_000))))];
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
    let changes = vec![PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(500))))];
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
fn an_estimate_is_measured_by_what_is_allowed_once_it_had_time_to_settle() {
    let changes = vec![PathChange::new(ms(5_000), Change::Rate(Some(Bitrate::kbps(4_000))))];
    let path = PathConfig::new(ms(10)).with_rate(Bitrate::kbps(1_000)).with_changes(changes);
    let it = link(&profile(path, 10), 6_000, |_| 0, |_| 0);
    let estimates = [(0, 9e6), (1_900, 1e6), (5_000, 1e6), (6_500, 3.5e6), (6_900, 2e6), (8_500, 6e6)];
    let estimates = estimates.map(|(at, bps)| (ms(at), bps));
    assert_eq!(it.estimate_rise(&estimates), Some(ms(1_500)));
    // 3 s of 1.0, 1.5 s of 0.5 and 1.5 s of 1.5: nothing of the first 2 s after start and change.
    let (mean, deviation) = it.estimate(&estimates);
    assert!((mean - 1.0).abs() < 1e-9 && (deviation - 0.125_f64.sqrt()).abs() < 1e-9, "{mean} {deviation}");
}
