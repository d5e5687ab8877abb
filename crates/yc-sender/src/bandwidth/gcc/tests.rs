//! The whole estimator over a modelled line.

use std::time::Duration;

use proptest::prelude::*;
use yc_media::{Bitrate, CaptureTime};

use super::GccEstimator;
use super::testing::{Line, Screen, World};
use crate::bandwidth::{BandwidthConfig, BandwidthEstimator, PacketOutcome, SentPacket, Usage};

/// What is wanted, and where it starts, in kbit/s.
const WANTED: u32 = 6_000;

fn world(line: Line) -> World {
    World::new(WANTED, line)
}

#[test]
fn on_a_wide_line_it_is_at_full_quality_from_the_first_packet_on() {
    for jitter in [0.0, 10.0] {
        let mut world = world(Line { jitter, ..Line::new(20_000.0) });
        world.run(30.0);
        assert!(world.estimates(0.0, 30.0).0 >= 6_000.0, "{}", world.table(10));
        assert!(world.arrived(1.0, 30.0) > 5_900.0);
    }
}

#[test]
fn a_start_below_what_is_wanted_reaches_it_within_two_seconds() {
    for start in [500, 1_000, 2_000] {
        for round_trip in [20.0, 100.0, 300.0] {
            let mut world = World::new(start, Line { delay: round_trip / 2.0, ..Line::new(50_000.0) });
            world.want(6_000.0);
            world.run(5.0);
            let reached = world.reached(0.0, |sample| sample.estimate >= 6_000.0);
            assert!(reached <= 2.0, "{start} kbit/s, {round_trip} ms: {reached}\n{}", world.table(1));
        }
    }
}

#[test]
fn on_a_narrow_line_it_comes_down_within_a_second_of_the_first_feedback_and_drains_the_queue() {
    for kbps in [300.0, 1_000.0, 3_000.0] {
        for (queue, drained) in [(60.0, 1.2), (200.0, 1.2), (500.0, 1.7), (2_000.0, 5.0)] {
            let mut world = world(Line { queue, ..Line::new(kbps) });
            world.run(12.0);
            // The first feedback comes after about 150 ms.
            let down = world.reached(0.0, |sample| sample.estimate <= kbps);
            assert!(down <= 1.1, "{kbps} kbit/s, {queue} ms: {down}\n{}", world.table(1));
            let empty = world.reached(0.2, |sample| sample.waited < 80.0);
            assert!(
                queue < 80.0 || empty <= drained,
                "{kbps} kbit/s, {queue} ms: {empty}\n{}",
                world.table(1)
            );
        }
    }
}

#[test]
fn in_the_steady_state_packets_wait_little_and_the_line_is_used() {
    for kbps in [300.0, 500.0, 1_000.0, 2_000.0, 5_000.0] {
        for (jitter, delay) in [(0.0, 10.0), (0.0, 50.0), (0.0, 100.0), (10.0, 10.0), (10.0, 50.0)] {
            let mut world = world(Line { jitter, delay, ..Line::new(kbps) });
            world.run(60.0);
            let (waited, arrived) = (world.wait_p95(5.0, 60.0), world.arrived(5.0, 60.0) / kbps);
            assert!(waited <= 100.0, "{kbps} ±{jitter} {delay}: {waited} ms\n{}", world.table(5));
            assert!(arrived >= 0.85, "{kbps} ±{jitter} {delay}: {arrived}\n{}", world.table(5));
        }
    }
}

#[test]
fn a_line_that_widens_is_used_within_five_seconds_and_one_that_narrows_is_drained_within_three() {
    for delay in [10.0, 50.0, 100.0] {
        for phase in 0..8 {
            let rise = 15.0 + 0.3 * f64::from(phase);
            let mut world = world(Line { delay, ..Line::new(500.0) });
            world.run(rise);
            world.line.kbps = 5_000.0;
            world.run(15.0);
            world.line.kbps = 500.0;
            world.run(15.0);
            let used = world.arrived(rise + 5.0, rise + 15.0);
            assert!(used >= 4_250.0, "{delay} {phase}: {used}\n{}", world.table(2));
            let drop = rise + 15.0;
            let drained = world.reached(drop + 0.3, |sample| sample.waited < 100.0) + 0.3;
            assert!(drained <= 3.0, "{delay} {phase}: {drained}\n{}", world.table(2));
            let waited = world.wait_p95(drop + 3.0, drop + 15.0);
            assert!(waited <= 100.0, "{delay} {phase}: {waited}\n{}", world.table(2));
            let used = world.arrived(drop + 3.0, drop + 15.0);
            assert!(used >= 425.0, "{delay} {phase}: {used}\n{}", world.table(2));
        }
    }
}

#[test]
fn a_line_that_becomes_much_narrower_is_seen_within_a_second_although_less_was_sent_than_allowed() {
    for kbps in [300.0, 1_000.0, 3_000.0] {
        for queue in [200.0, 1_000.0] {
            let mut world = world(Line { queue, ..Line::new(20_000.0) });
            world.run(15.0);
            assert!(world.estimator.estimate().application_limited);
            world.line.kbps = kbps;
            world.run(10.0);
            let down = world.reached(15.0, |sample| sample.estimate <= kbps);
            assert!(down <= 1.0, "{kbps} {queue}: {down}\n{}", world.table(1));
            let drained = world.reached(15.3, |sample| sample.waited < 100.0) + 0.3;
            assert!(drained <= 3.0, "{kbps} {queue}: {drained}\n{}", world.table(1));
        }
    }
}

#[test]
fn random_loss_does_not_starve_it() {
    for (loss, least) in [(0.02, 0.85), (0.05, 0.8), (0.1, 0.75), (0.2, 0.65)] {
        let mut narrow = world(Line { loss, ..Line::new(3_000.0) });
        narrow.run(60.0);
        // Of what is left of the line by the loss.
        let arrived = narrow.arrived(5.0, 60.0) / 3_000.0 / (1.0 - loss);
        assert!(arrived >= least, "{loss}: {arrived}\n{}", narrow.table(5));
        let mut wide = world(Line { loss, ..Line::new(20_000.0) });
        wide.run(60.0);
        assert!(wide.estimates(3.0, 60.0).0 >= 6_000.0, "{loss}\n{}", wide.table(5));
    }
}

#[test]
fn a_policer_is_found_although_it_makes_no_queue() {
    for kbps in [500.0, 2_000.0, 4_000.0] {
        let mut world = world(Line { policer: true, ..Line::new(kbps) });
        world.pacing = 1.1;
        world.run(60.0);
        let down = world.reached(0.0, |sample| sample.estimate <= kbps * 1.15);
        assert!(down <= 4.0, "{kbps}: {down}\n{}", world.table(5));
        let estimates: Vec<_> = world.samples.iter().filter(|sample| sample.at > 5.0).collect();
        let mean = estimates.iter().map(|sample| sample.estimate).sum::<f64>() / estimates.len() as f64;
        assert!(mean <= kbps * 1.12, "{kbps}: {mean}\n{}", world.table(5));
        assert!(world.arrived(5.0, 60.0) >= kbps * 0.9, "{kbps}\n{}", world.table(5));
    }
}

#[test]
fn a_still_screen_keeps_its_estimate_for_little_and_may_move_again_at_once() {
    for screen in [Screen::Still, Screen::Typing(4_000), Screen::Typing(40_000)] {
        for jitter in [0.0, 10.0] {
            let mut world = world(Line { jitter, ..Line::new(8_000.0) });
            world.run(5.0);
            world.screen = screen;
            let before = world.probe_bytes;
            world.run(60.0);
            let (least, most) = world.estimates(7.0, 65.0);
            assert!(least >= 4_500.0 && most <= 9_000.0, "{screen:?} ±{jitter}\n{}", world.table(10));
            let probes = (world.probe_bytes - before) as f64 * 8.0 / 60_000.0;
            assert!(probes <= 80.0, "{screen:?} ±{jitter}: {probes} kbit/s of padding");
            world.screen = Screen::Film;
            world.run(5.0);
            assert!(world.arrived(65.5, 70.0) >= 5_700.0, "{screen:?} ±{jitter}\n{}", world.table(10));
        }
    }
}

#[test]
fn an_estimate_is_found_out_while_the_screen_is_still() {
    let mut narrowed = world(Line::new(8_000.0));
    narrowed.run(5.0);
    narrowed.screen = Screen::Still;
    narrowed.run(30.0);
    narrowed.line.kbps = 1_000.0;
    narrowed.run(30.0);
    assert!(narrowed.estimate() <= 2_500.0, "{}", narrowed.table(10));

    let mut widened = world(Line::new(1_000.0));
    widened.run(5.0);
    widened.screen = Screen::Still;
    widened.run(5.0);
    widened.line.kbps = 8_000.0;
    widened.run(15.0);
    assert!(widened.estimate() >= 6_000.0, "{}", widened.table(10));
}

#[test]
fn key_frames_at_the_pacer_s_rate_are_no_overuse() {
    for jitter in [0.0, 10.0] {
        let mut wide = world(Line { jitter, delay: 50.0, ..Line::new(25_000.0) });
        wide.pacing = 2.5;
        wide.screen = Screen::Keyframes(150_000);
        wide.run(40.0);
        assert!(wide.estimates(0.0, 40.0).0 >= 6_000.0, "{}", wide.table(2));

        // Here they build a queue, and it is drained; the estimate does not spiral down by it.
        let mut full = world(Line { jitter, delay: 50.0, ..Line::new(5_000.0) });
        full.pacing = 1.5;
        full.screen = Screen::Keyframes(150_000);
        full.run(40.0);
        assert!(full.estimates(5.0, 40.0).0 >= 2_500.0, "{}", full.table(2));
        assert!(full.arrived(5.0, 40.0) >= 4_250.0, "{}", full.table(2));
    }
}

#[test]
fn a_hand_over_to_a_longer_way_is_no_queue_for_long() {
    for (before, after) in [(8_000.0, 8_000.0), (8_000.0, 3_000.0), (3_000.0, 8_000.0)] {
        for outage in [false, true] {
            let mut world = world(Line { delay: 10.0, ..Line::new(before) });
            world.run(10.0);
            world.line.broken = outage;
            world.run(0.3);
            world.line = Line { delay: 40.0, ..Line::new(after) };
            world.run(15.0);
            let least = f64::from(WANTED).min(after) * 0.85;
            let arrived = world.arrived(15.3, 25.0);
            assert!(arrived >= least, "{before} → {after}, {outage}: {arrived}\n{}", world.table(2));
            assert!(world.wait_p95(13.0, 25.0) <= 100.0, "{before} → {after}\n{}", world.table(2));
        }
    }
}

#[test]
fn a_second_without_feedback_changes_nothing_and_a_longer_time_goes_down_to_a_quarter() {
    for (deaf, least, most) in [(1.0, 6_000.0, 9_000.0), (2.0, 3_000.0, 6_000.0), (6.0, 1_500.0, 2_500.0)] {
        let mut world = world(Line::new(8_000.0));
        world.run(10.0);
        world.line.deaf = true;
        world.run(deaf);
        let estimate = world.estimate();
        assert!((least..=most).contains(&estimate), "{deaf}: {estimate}\n{}", world.table(5));
        world.line.deaf = false;
        world.run(10.0);
        let back = world.arrived(13.0 + deaf, 20.0 + deaf);
        assert!(back >= 5_700.0, "{deaf}: {back}\n{}", world.table(5));
    }
}

#[test]
fn feedback_that_was_lost_does_not_look_like_packets_that_were() {
    let mut world = world(Line::new(3_000.0));
    world.run(10.0);
    world.line.deaf = true;
    world.run(1.0);
    world.line.deaf = false;
    world.run(5.0);
    assert!(world.estimates(10.0, 16.0).0 >= 2_200.0, "{}", world.table(1));
}

#[test]
fn where_feedback_never_comes_the_start_is_kept() {
    let mut world = world(Line { deaf: true, ..Line::new(8_000.0) });
    world.run(20.0);
    assert_eq!(world.estimates(0.0, 20.0), (6_000.0, 6_000.0));
    assert_eq!(world.probe_bytes, 0);
}

#[test]
fn packets_that_overtake_and_clocks_that_drift_are_no_congestion() {
    let mut reordered = world(Line { reordered: 0.05, ..Line::new(9_000.0) });
    reordered.run(30.0);
    assert!(reordered.estimates(0.0, 30.0).0 >= 5_900.0, "{}", reordered.table(5));
    for drift in [3e-4, -3e-4] {
        let mut world = world(Line { drift, ..Line::new(3_000.0) });
        world.run(300.0);
        assert!(world.arrived(5.0, 300.0) >= 2_600.0, "{}", world.table(50));
        assert!(world.wait_p95(5.0, 300.0) <= 60.0, "{}", world.table(50));
    }
}

#[test]
fn the_receiver_s_bound_lowers_the_estimate_and_never_raises_it() {
    let mut world = world(Line::new(20_000.0));
    world.run(3.0);
    let at = CaptureTime::default();
    world.estimator.set_receiver_bound(at, Some(Bitrate::kbps(2_000)));
    world.run(3.0);
    assert_eq!(world.estimate(), 2_000.0);
    world.estimator.set_receiver_bound(at, Some(Bitrate::kbps(50_000)));
    assert!(world.estimate() <= 9_000.0);
    world.estimator.set_receiver_bound(at, Some(Bitrate::bps(1)));
    assert_eq!(world.estimate(), 150.0);
    world.estimator.set_receiver_bound(at, None);
    world.run(5.0);
    assert!(world.estimate() >= 6_000.0, "{}", world.table(5));
}

fn at(millis: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
}

/// Sends 1 Mbit/s for ten seconds while `feedback` answers each 100 ms of it: forged.
fn forge(feedback: impl Fn(u64, SentPacket) -> Option<Duration>) -> f64 {
    let mut estimator = GccEstimator::new(BandwidthConfig::new(Bitrate::kbps(1_000)));
    estimator.set_wanted(at(0), Bitrate::kbps(50_000));
    let mut outcomes = Vec::new();
    let mut most = 0.0_f64;
    for n in 0..1_000 {
        let packet = SentPacket::new(n, at(n * 10), 1_250);
        estimator.on_sent(&packet);
        // Probes are taken and nothing is sent for them.
        while estimator.poll_probe().is_some() {}
        outcomes.push(PacketOutcome::new(packet, feedback(n, packet)));
        if n % 10 == 9 {
            estimator.on_feedback(at(n * 10 + 50), &outcomes);
            outcomes.clear();
            most = most.max(f64::from(estimator.estimate().bitrate.as_kbps()));
        }
    }
    most
}

#[test]
fn forged_arrivals_do_not_raise_the_estimate_above_what_was_sent_by_much() {
    let honest = forge(|n, _| Some(Duration::from_millis(n * 10)));
    let at_once = forge(|_, _| Some(Duration::from_secs(7)));
    let bunched = forge(|n, _| Some(Duration::from_millis(n / 50 * 500 + n % 50)));
    let shrunk = forge(|n, _| Some(Duration::from_micros(n * 100)));
    for most in [honest, at_once, bunched, shrunk] {
        assert!(most <= 1_000.0 * 1.5 * 1.5 + 10.0, "{most}");
    }
    let backwards = forge(|n, _| Some(Duration::from_millis(100_000 - n * 10)));
    assert!(backwards <= 2_260.0, "{backwards}");
}

#[test]
fn a_queue_that_grows_is_told() {
    let mut world = world(Line { queue: 1_000.0, ..Line::new(2_000.0) });
    world.run(1.0);
    assert!(world.samples.iter().any(|sample| sample.usage == Usage::Over), "{}", world.table(1));
    world.screen = Screen::Still;
    world.run(5.0);
    let estimate = world.estimator.estimate();
    assert!(estimate.application_limited);
    assert!(estimate.round_trip.is_some_and(|rtt| rtt >= Duration::from_millis(40)), "{estimate:?}");
}

/// Sequence, time of leaving, bytes, probe, time of arrival.
type Told = (u64, u64, usize, Option<u32>, Option<u64>);

/// One call of anything, with anything.
#[derive(Debug, Clone)]
enum Call {
    Sent { sequence: u64, at: u64, bytes: usize, probe: Option<u32> },
    Feedback { at: u64, packets: Vec<Told> },
    RoundTrip(u64, u64),
    Bound(u64, Option<u32>),
    Wanted(u64, u32),
    Timeout(u64),
}

fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_000_000_000_u64, Just(0), any::<u64>()]
}

fn any_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1..2_000_usize, any::<usize>()]
}

fn any_call() -> impl Strategy<Value = Call> {
    let probe = || proptest::option::of(0..4_u32);
    let packet = (0..100_u64, any_time(), any_bytes(), probe(), proptest::option::of(any_time()));
    prop_oneof![
        (any::<u64>(), any_time(), any_bytes(), probe())
            .prop_map(|(sequence, at, bytes, probe)| Call::Sent { sequence, at, bytes, probe }),
        (any_time(), proptest::collection::vec(packet, 0..30))
            .prop_map(|(at, packets)| Call::Feedback { at, packets }),
        (any_time(), any_time()).prop_map(|(at, rtt)| Call::RoundTrip(at, rtt)),
        (any_time(), proptest::option::of(any::<u32>())).prop_map(|(at, bps)| Call::Bound(at, bps)),
        (any_time(), any::<u32>()).prop_map(|(at, bps)| Call::Wanted(at, bps)),
        any_time().prop_map(Call::Timeout),
    ]
}

fn time(nanos: u64) -> CaptureTime {
    CaptureTime::from_epoch(Duration::from_nanos(nanos))
}

proptest! {
    #[test]
    fn no_order_of_calls_panics_or_leaves_the_bounds(
        calls in proptest::collection::vec(any_call(), 1..60),
        start in any::<u32>(),
        min in 0..10_000_000_u32,
        max in any::<u32>(),
    ) {
        let bounds = (Bitrate::bps(min), Bitrate::bps(max));
        let config = BandwidthConfig::new(Bitrate::bps(start)).with_bounds(bounds.0, bounds.1);
        let mut estimator = GccEstimator::new(config);
        for call in calls {
            match call {
                Call::Sent { sequence, at, bytes, probe } => {
                    estimator.on_sent(&SentPacket::new(sequence, time(at), bytes).with_probe(probe));
                }
                Call::Feedback { at, packets } => {
                    let outcomes: Vec<_> = packets
                        .iter()
                        .map(|(sequence, sent, bytes, probe, arrived)| {
                            let packet = SentPacket::new(*sequence, time(*sent), *bytes).with_probe(*probe);
                            PacketOutcome::new(packet, arrived.map(Duration::from_nanos))
                        })
                        .collect();
                    estimator.on_feedback(time(at), &outcomes);
                }
                Call::RoundTrip(at, rtt) => estimator.on_round_trip(time(at), Duration::from_nanos(rtt)),
                Call::Bound(at, bps) => estimator.set_receiver_bound(time(at), bps.map(Bitrate::bps)),
                Call::Wanted(at, bps) => estimator.set_wanted(time(at), Bitrate::bps(bps)),
                Call::Timeout(at) => {
                    estimator.handle_timeout(time(at));
                }
            }
            let estimate = estimator.estimate();
            prop_assert!(estimate.bitrate.as_bps() >= min, "{estimate:?}");
            prop_assert!(estimate.bitrate.as_bps() <= max.max(min), "{estimate:?}");
            prop_assert!((0.0..=1.0).contains(&estimate.loss), "{estimate:?}");
            if let Some(cluster) = estimator.poll_probe() {
                prop_assert!(cluster.bitrate.as_bps() <= max.max(min), "{cluster:?}");
            }
        }
    }

    #[test]
    fn a_timeout_that_was_handled_is_over(calls in proptest::collection::vec(any_call(), 1..40)) {
        let mut estimator = GccEstimator::new(BandwidthConfig::default());
        let mut latest = CaptureTime::default();
        for call in calls {
            match call {
                Call::Sent { sequence, at, bytes, .. } => {
                    latest = latest.max(time(at));
                    estimator.on_sent(&SentPacket::new(sequence, time(at), bytes));
                    let answer = PacketOutcome::new(SentPacket::new(sequence, time(at), bytes), None);
                    estimator.on_feedback(latest, &[answer]);
                }
                Call::Timeout(at) => latest = latest.max(time(at)),
                _ => {}
            }
            if let Some(due) = estimator.poll_timeout().filter(|due| *due <= latest) {
                estimator.handle_timeout(latest);
                prop_assert!(estimator.poll_timeout().is_none_or(|next| next > latest), "{due:?} {latest:?}");
            }
        }
    }
}
