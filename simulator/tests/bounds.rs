//! What the sender owes its viewers on the built-in networks, whatever chance does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use yc_simulator::{Profile, Scenario, Score, TRACES};

const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

/// Every screen on `profile`, with every seed.
fn scores(profile: &str) -> Vec<Score> {
    let profile = Profile::by_name(profile).unwrap();
    let runs = TRACES.iter().flat_map(|trace| SEEDS.map(move |seed| Scenario::new(profile, trace, seed)));
    runs.map(|scenario| scenario.score().unwrap()).collect()
}

/// Every run of `profile` holds to `bound`.
#[track_caller]
fn check(profile: &str, bound: impl Fn(&Score) -> bool) {
    for score in scores(profile) {
        assert!(bound(&score), "{score:#?}");
    }
}

/// The picture is whole: it was seen, and the screen still knows its receiver.
fn is_alive(score: &Score) -> bool {
    score.first_picture_ms.is_some() && score.silent_ms.is_none()
}

#[test]
fn on_a_clean_line_the_picture_is_sharp_within_two_seconds_and_never_freezes() {
    check("clean", |score| {
        let sharp = score.sharp_ms.is_some_and(|took| took <= 2_000.0)
            && score.slide_sharp_ms.is_none_or(|took| took <= 2_000.0);
        sharp
            && score.freezes == 0
            && score.queue_p95_ms <= 10.0
            && score.utilisation.is_none_or(|used| used > 0.95)
    });
}

#[test]
fn neither_distance_nor_disorder_freezes_a_picture_that_has_begun() {
    for profile in ["rtt-100", "disorder"] {
        // Nothing is encoded after the first picture until there is word of the network: a round trip later.
        let starts = |score: &Score| score.freezes <= 1 && score.longest_freeze_ms <= 350.0;
        check(profile, |score| is_alive(score) && starts(score) && score.queue_p95_ms <= 10.0);
    }
}

#[test]
fn what_is_lost_at_random_comes_again_before_it_is_missed_for_long() {
    // Lost on both ways: packets, what is sent for them, and the asking for it.
    for (profile, frozen_ms) in [("loss-1", 350.0), ("loss-5", 550.0)] {
        check(profile, |score| {
            is_alive(score)
                && score.longest_freeze_ms <= 350.0
                && score.frozen_ms <= frozen_ms
                && score.target_kbps > 5_500.0
                && score.keyframes <= 3
        });
    }
}

#[test]
fn a_narrow_bottleneck_is_filled_without_a_standing_queue() {
    for profile in ["1-mbit", "300-kbit", "jitter"] {
        check(profile, |score| {
            is_alive(score)
                && score.queue_settled_p95_ms <= 100.0
                && score.utilisation.is_none_or(|used| used >= 0.85)
        });
    }
}

#[test]
fn after_a_rise_the_network_is_used_within_seconds() {
    check("drop", |score| {
        is_alive(score)
            && score.rise_ms.is_none_or(|took| took <= 3_500.0)
            && score.utilisation.is_none_or(|used| used >= 0.8)
    });
}

#[test]
fn after_a_fall_the_queue_is_short_within_three_seconds() {
    for profile in ["drop", "hand-over"] {
        check(profile, |score| is_alive(score) && score.recovery_ms.is_some_and(|took| took <= 3_000.0));
    }
}
