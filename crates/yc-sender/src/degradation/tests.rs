//! The ladder as a whole, on a clock moved by hand.

use yc_media::FrameRate;

use super::*;
use crate::{ContentHint, Threshold};
use DegradationKnob::{Bitrate as Bits, FrameRate as Rate, Resolution as Size};

/// How often the ladder is sampled.
const TICK: Duration = Duration::from_millis(250);

fn configured() -> RateTarget {
    let size = Resolution::new(1920, 1080).unwrap();
    RateTarget::new(Bitrate::kbps(6_000), FrameRate::new(30).unwrap(), size)
}

/// 30 pictures a second, each taking this part of a frame interval at 30 fps to encode.
fn encoding(load: f32) -> PressureSample {
    let pictures = if load > 1.0 { 7.5 / load } else { 7.5 };
    let encoded = pictures.round() as u32;
    let encode_time = FrameRate::new(30).unwrap().interval().mul_f32(load) * encoded;
    PressureSample { captured: 8, takes: encoded, encoded, encode_time, ..PressureSample::default() }
}

fn calm() -> PressureSample {
    encoding(0.1)
}

fn pressed() -> PressureSample {
    PressureSample { takes: 2, waiting: 8, waiting_peak: 4, ..calm() }
}

fn video() -> PressureSample {
    PressureSample { captured: 8, damaged: 7.0, ..calm() }
}

/// A ladder and its clock.
struct Run {
    ladder: Ladder,
    now: CaptureTime,
    changes: Vec<LevelChange>,
}

impl Run {
    fn new(change: impl FnOnce(&mut DegradationConfig)) -> Self {
        let mut config = DegradationConfig::default();
        change(&mut config);
        let now = CaptureTime::from_epoch(Duration::from_secs(1_000));
        let mut ladder = Ladder::new(&config, configured());
        assert_eq!(ladder.on_sample(now, &PressureSample::default()), None);
        Self { ladder, now, changes: Vec::new() }
    }

    fn tick(&mut self, sample: &PressureSample) -> Option<LevelChange> {
        self.now = self.now + TICK;
        let change = self.ladder.on_sample(self.now, sample);
        self.changes.extend(change);
        change
    }

    fn for_ms(&mut self, millis: u64, sample: &PressureSample) {
        for _ in 0..millis / 250 {
            self.tick(sample);
        }
    }

    /// Milliseconds until the level changes; none if it does not in 10 minutes.
    fn until_change(&mut self, sample: &PressureSample) -> Option<u64> {
        (1..=2_400).find(|_| self.tick(sample).is_some()).map(|ticks| ticks * 250)
    }

    fn level(&self) -> u8 {
        self.ladder.status(self.now).level
    }

    fn cause(&self) -> Option<PressureCause> {
        self.ladder.status(self.now).cause
    }
}

#[test]
fn pressure_steps_down_once_the_window_is_full_and_it_lasted() {
    let mut run = Run::new(|_| {});
    assert_eq!(run.until_change(&pressed()), Some(3_000), "2 s of window, 1 s of hold");
    let cause = PressureCause::Queue;
    assert_eq!(run.changes, [LevelChange { from: 0, to: 1, cause }]);
    assert_eq!(run.cause(), Some(cause));
    assert_eq!(run.until_change(&pressed()), Some(3_000), "the same again for the next step");
    assert_eq!(run.until_change(&pressed()), Some(3_000));
    assert_eq!(run.until_change(&pressed()), None, "there is no fourth");
    assert_eq!(run.level(), 3);
}

#[test]
fn calm_steps_back_one_level_at_a_time() {
    let mut run = Run::new(|_| {});
    run.for_ms(9_000, &pressed());
    assert_eq!(run.level(), 3);
    assert_eq!(run.until_change(&calm()), Some(7_000), "2 s of window, 5 s of hold");
    assert_eq!(run.changes.last(), Some(&LevelChange { from: 3, to: 2, cause: PressureCause::Queue }));
    assert_eq!(run.until_change(&calm()), Some(7_000));
    assert_eq!(run.until_change(&calm()), Some(7_000));
    assert_eq!((run.level(), run.cause()), (0, None));
    assert_eq!(run.until_change(&calm()), None);
}

#[test]
fn pressure_that_pauses_and_calm_that_is_broken_begin_anew() {
    let backlog = |ms| PressureSample { backlog: Duration::from_millis(ms), ..calm() };
    let mut run = Run::new(|_| {});
    run.for_ms(2_750, &backlog(160));
    run.tick(&calm());
    assert_eq!(run.until_change(&backlog(160)), Some(3_000), "the pause leaves the window, and 1 s of hold");
    run.for_ms(6_750, &calm());
    run.tick(&backlog(1_600));
    assert_eq!(run.until_change(&calm()), Some(7_000), "the break leaves the window, and 5 s of hold");
}

#[test]
fn one_burst_and_one_slow_picture_are_no_pressure() {
    let idle = PressureSample::default();
    for (before, burst, after) in [
        (calm(), PressureSample { takes: 1, waiting: 5, waiting_peak: 5, ..calm() }, calm()),
        (calm(), PressureSample { takes: 1, waiting: 5, waiting_peak: 5, ..idle }, idle),
        (calm(), PressureSample { dropped: 500, ..calm() }, calm()),
        (idle, PressureSample { encoded: 1, encode_time: Duration::from_millis(240), ..idle }, idle),
    ] {
        let mut run = Run::new(|_| {});
        run.for_ms(2_000, &before);
        run.tick(&burst);
        // It may fall across two samples.
        run.tick(&burst);
        run.for_ms(4_000, &after);
        assert_eq!(run.changes, [], "{burst:?}");
    }
}

#[test]
fn each_pressure_leads_down_by_its_own_cause_and_its_end_back_up() {
    let network = |kbps| PressureSample { available: Some(Bitrate::kbps(kbps)), ..calm() };
    let backlog = |ms| PressureSample { backlog: Duration::from_millis(ms), ..calm() };
    for (worse, between, better, cause) in [
        (encoding(0.95), encoding(0.8), encoding(0.4), PressureCause::EncodeTime),
        (encoding(2.0), encoding(0.8), encoding(0.1), PressureCause::EncodeTime),
        (
            PressureSample { takes: 4, waiting: 7, ..calm() },
            PressureSample { takes: 4, waiting: 4, ..calm() },
            PressureSample { takes: 4, waiting: 2, ..calm() },
            PressureCause::Queue,
        ),
        (
            PressureSample { waiting_peak: 4, ..calm() },
            PressureSample { waiting_peak: 3, ..calm() },
            PressureSample { waiting_peak: 1, ..calm() },
            PressureCause::Queue,
        ),
        (
            PressureSample { dropped: 1, ..calm() },
            PressureSample { backlog: Duration::from_millis(100), ..calm() },
            calm(),
            PressureCause::SendDrops,
        ),
        (backlog(160), backlog(60), backlog(40), PressureCause::SendDrops),
        (network(2_900), network(4_100), network(4_300), PressureCause::Bandwidth),
    ] {
        let mut run = Run::new(|_| {});
        assert_eq!(run.until_change(&between), None, "{between:?}");
        assert!(run.until_change(&worse).is_some(), "{worse:?}");
        assert_eq!(run.changes, [LevelChange { from: 0, to: 1, cause }]);
        // At half the frame rate the encoder takes its time by half as many pictures.
        let halved = |sample: PressureSample| PressureSample {
            encoded: sample.encoded.div_ceil(2),
            encode_time: sample.encode_time / 2,
            ..sample
        };
        assert_eq!(run.until_change(&halved(between)), None, "{between:?}");
        assert!(run.until_change(&halved(better)).is_some(), "{better:?}");
        assert_eq!(run.level(), 0);
    }
}

#[test]
fn a_level_that_would_be_too_much_is_not_gone_back_to() {
    let mut run = Run::new(|_| {});
    // 30 ms of 33: at half the frame rate 0.45 of the interval, and 0.9 again if it went back.
    run.for_ms(3_000, &encoding(0.95));
    assert_eq!(run.level(), 1);
    let halved = PressureSample { encoded: 4, encode_time: Duration::from_millis(120), ..calm() };
    assert_eq!(run.until_change(&halved), None);
    assert!(run.ladder.status(run.now).pressure.encode_load < 0.5);
    let faster = PressureSample { encoded: 4, encode_time: Duration::from_millis(60), ..calm() };
    assert!(run.until_change(&faster).is_some_and(|ms| ms > 5_000));
}

#[test]
fn a_lower_level_needs_less_of_the_network() {
    let mut run = Run::new(|config| config.content = ContentHint::Text);
    let network = |kbps| PressureSample { available: Some(Bitrate::kbps(kbps)), ..calm() };
    run.for_ms(3_000, &network(2_500));
    assert_eq!(run.until_change(&network(2_500)), None, "half the pictures need 3,000 kbit/s");
    assert_eq!(run.level(), 1);
    assert!(run.until_change(&network(1_400)).is_some(), "less than half of that");
    assert_eq!(run.until_change(&network(1_400)), None, "capped they need 1,500");
    assert_eq!(run.level(), 2);
}

#[test]
fn a_network_that_takes_everything_again_brings_back_everything_at_once() {
    let mut run = Run::new(|_| {});
    let network = |kbps| PressureSample { available: Some(Bitrate::kbps(kbps)), ..calm() };
    run.for_ms(12_000, &network(500));
    assert_eq!(run.level(), 3);
    let took = run.until_change(&network(5_000));
    assert!(took.is_some_and(|ms| ms <= 1_000), "{took:?}: half a second of it");
    let back = LevelChange { from: 3, to: 0, cause: PressureCause::Bandwidth };
    assert_eq!(run.changes.last(), Some(&back));

    // It did not stand: the next time it is waited for twice as long.
    run.for_ms(12_000, &network(500));
    assert_eq!(run.level(), 3);
    let again = run.until_change(&network(5_000));
    assert!(again.zip(took).is_some_and(|(again, took)| again >= took + 500), "{again:?} after {took:?}");
}

#[test]
fn what_the_machine_cannot_do_is_not_brought_back_by_the_network() {
    let mut run = Run::new(|_| {});
    let wide = |sample| PressureSample { available: Some(Bitrate::kbps(9_000)), ..sample };
    run.for_ms(12_000, &wide(pressed()));
    assert_eq!(run.level(), 3);
    assert!(run.until_change(&wide(calm())).is_some_and(|ms| ms > 5_000));
    assert_eq!(run.level(), 2);
}

#[test]
fn idle_content_is_calm() {
    let mut run = Run::new(|_| {});
    run.for_ms(3_000, &pressed());
    assert_eq!(run.until_change(&PressureSample::default()), Some(7_000));
}

#[test]
fn hints_set_the_order_and_what_moves_is_judged_once_when_it_first_gives_way() {
    let order = |run: &Run| run.ladder.status(run.now).order;
    let text = Run::new(|config| config.content = ContentHint::Text);
    assert_eq!(order(&text), [Rate, Bits, Size]);
    let motion = Run::new(|config| config.content = ContentHint::Motion);
    assert_eq!(order(&motion), [Size, Bits, Rate]);

    let mut run = Run::new(|_| {});
    run.for_ms(6_750, &video());
    assert_eq!(order(&run), [Rate, Bits, Size], "2 s of window and not yet 5 s of judging");
    run.for_ms(250, &video());
    assert_eq!(order(&run), [Rate, Size, Bits]);
    let pressed_video = PressureSample { damaged: 7.0, ..pressed() };
    run.for_ms(4_000, &pressed_video);
    assert_eq!(run.level(), 1);
    // Text at a low frame rate from now on: the order stays.
    run.for_ms(6_000, &pressed());
    assert_eq!((run.level(), order(&run)), (3, [Rate, Size, Bits]));
    run.for_ms(21_000, &calm());
    assert_eq!((run.level(), order(&run)), (0, [Rate, Size, Bits]));
    run.for_ms(2_000, &calm());
    assert_eq!(order(&run), [Rate, Bits, Size], "back on level 0 it is judged again");
}

#[test]
fn few_pictures_or_little_change_are_no_video() {
    for sample in [
        PressureSample { captured: 4, damaged: 4.0, ..calm() },
        PressureSample { captured: 8, damaged: 3.0, ..calm() },
    ] {
        let mut run = Run::new(|_| {});
        run.for_ms(20_000, &sample);
        assert_eq!(run.ladder.status(run.now).order, [Rate, Bits, Size]);
    }
}

#[test]
fn levels_of_a_video_scale_from_the_second_and_cap_on_the_third() {
    let mut run = Run::new(|_| {});
    run.for_ms(10_000, &video());
    let network = configured();
    assert_eq!(run.ladder.shape(network), Shaped { target: network, cap: None });
    let pressed = PressureSample { damaged: 7.0, ..pressed() };
    let mut shapes = Vec::new();
    while run.level() < 3 {
        run.until_change(&pressed);
        let Shaped { target, cap } = run.ladder.shape(network);
        shapes.push((target.frame_rate.as_fps(), target.resolution.to_string(), cap));
        assert_eq!(target.bitrate, cap.unwrap_or(network.bitrate));
    }
    assert_eq!(
        shapes,
        [
            (15, "1920x1080".into(), None),
            (15, "1286x724".into(), None),
            (15, "1286x724".into(), Some(Bitrate::kbps(3_000))),
        ]
    );
}

#[test]
fn text_is_capped_before_it_is_scaled_and_never_above_what_the_network_takes() {
    let mut run = Run::new(|config| config.content = ContentHint::Text);
    let source = Some(Resolution::new(1000, 600).unwrap());
    run.for_ms(6_000, &PressureSample { source, ..pressed() });
    assert_eq!(run.level(), 2);
    let slow = RateTarget { bitrate: Bitrate::kbps(2_000), ..configured() };
    for (network, bitrate) in [(configured(), Bitrate::kbps(3_000)), (slow, Bitrate::kbps(2_000))] {
        let shaped = run.ladder.shape(network);
        assert_eq!((shaped.target.bitrate, shaped.cap), (bitrate, Some(bitrate)));
        assert_eq!(shaped.target.resolution, configured().resolution);
    }
    run.for_ms(3_000, &pressed());
    let resolution = run.ladder.shape(configured()).target.resolution;
    assert_eq!(resolution.to_string(), "670x402", "scaled from the source's size");
}

#[test]
fn the_failure_policy_steps_down_at_once() {
    let mut run = Run::new(|_| {});
    let mut force = || run.ladder.force_down(run.now, PressureCause::Overload).map(|change| change.to);
    assert_eq!([force(), force(), force(), force()], [Some(1), Some(2), Some(3), None]);
    assert_eq!(run.cause(), Some(PressureCause::Overload));
    assert_eq!(run.until_change(&calm()), Some(7_000));
}

#[test]
fn what_may_not_give_way_does_not() {
    let mut run = Run::new(|config| config.enabled = false);
    assert_eq!(run.until_change(&pressed()), None);
    assert_eq!(run.ladder.force_down(run.now, PressureCause::Overload), None);
    assert_eq!(run.ladder.shape(configured()), Shaped { target: configured(), cap: None });
    assert_eq!(run.ladder.status(run.now).in_level_ms, [600_000, 0, 0, 0]);
}

#[test]
fn a_step_back_that_proves_wrong_makes_the_next_one_wait_twice_as_long() {
    let mut run = Run::new(|_| {});
    let waits: Vec<_> = (0..6)
        .map(|_| {
            run.until_change(&pressed());
            run.until_change(&calm()).unwrap()
        })
        .collect();
    assert_eq!(waits, [7_000, 12_000, 22_000, 42_000, 62_000, 62_000]);
    // A calm of twice the wait on the better level: it stood.
    run.for_ms(120_000, &calm());
    run.until_change(&pressed());
    assert_eq!(run.until_change(&calm()), Some(7_000));
}

#[test]
fn the_status_tells_level_cause_order_and_the_time_in_each_level() {
    let mut run = Run::new(|_| {});
    run.for_ms(6_000, &pressed());
    run.for_ms(8_000, &calm());
    let status = run.ladder.status(run.now + Duration::from_millis(100));
    assert_eq!(status.in_level_ms, [3_000, 3_000 + 1_100, 7_000, 0]);
    assert_eq!((status.level, status.changes), (1, 3));
    assert_eq!(status.cause, Some(PressureCause::Queue));
    assert_eq!(status.pressure.queue_average, 0.0, "as judged before the last step");
}

/// Seconds that each step takes at least: from one change to the next down, and to the next up.
fn least_times(config: &DegradationConfig) -> (f64, f64) {
    let window = config.window.as_secs_f64();
    (window + config.hold_worse.as_secs_f64(), window + config.hold_better.as_secs_f64())
}

/// Changes of `run` in ten minutes under an adversary who sees the ladder.
fn changes_in_ten_minutes(mut adversary: impl FnMut(&Run, u64) -> PressureSample) -> usize {
    let mut run = Run::new(|_| {});
    for tick in 0..2_400 {
        let sample = adversary(&run, tick);
        run.tick(&sample);
    }
    run.changes.len()
}

#[test]
fn no_pressure_whatever_makes_it_flap() {
    // Each step up and the step down that undoes it take their least times, and the steps down that are
    // never undone are three at most.
    let (down, up) = least_times(&DegradationConfig::default());
    let bound = (600.0 / (down + up) * 2.0) as usize + 3;
    assert_eq!(bound, 123);

    let mut worst = 0;
    for half_period in (1..=240).step_by(4) {
        let swinging =
            changes_in_ten_minutes(|_, tick| if tick / half_period % 2 == 0 { pressed() } else { calm() });
        worst = worst.max(swinging);
    }
    for seed in 1..=50_u64 {
        let mut random = seed;
        let mut sample = calm();
        worst = worst.max(changes_in_ten_minutes(|_, _| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Stays for about as many ticks as the seed says.
            if (random >> 33) % seed == 0 {
                sample = if random >> 63 == 0 { pressed() } else { calm() };
            }
            sample
        }));
    }
    // Who sees the ladder goes all the way down and lets it come all the way back.
    for low in 1..=3 {
        for high in 0..low {
            let mut sinking = true;
            worst = worst.max(changes_in_ten_minutes(|run, _| {
                sinking = if sinking { run.level() < low } else { run.level() <= high };
                if sinking { pressed() } else { calm() }
            }));
        }
    }
    assert!(worst <= bound, "{worst} changes");
    assert!(worst > 10, "the adversaries do something: {worst} changes");
}

#[test]
fn a_machine_that_can_just_not_do_more_is_tried_ever_more_rarely() {
    let config = DegradationConfig::default();
    // Doubling from the base to the bound, and from then on a try in each longest wait.
    let (down, _) = least_times(&config);
    let (base, max) = (config.hold_better.as_secs_f64(), config.max_hold_better.as_secs_f64());
    let tries = (max / base).log2().ceil() + 600.0 / (config.window.as_secs_f64() + max + down);
    for sustainable in 1..=3 {
        // Every level better than this one is too much, and the ladder cannot predict it.
        let changes =
            changes_in_ten_minutes(|run, _| if run.level() < sustainable { pressed() } else { calm() });
        let bound = usize::from(sustainable) + 2 * (tries.ceil() as usize + 1);
        assert!(changes <= bound, "{changes} > {bound} around level {sustainable}");
    }
}

#[test]
fn equal_thresholds_are_held_apart_by_time_alone() {
    let mut run = Run::new(|config| config.queue_average = Threshold::new(1.0, 1.0));
    let (low, high) = (
        PressureSample { takes: 10, waiting: 9, ..calm() },
        PressureSample { takes: 10, waiting: 11, ..calm() },
    );
    for tick in 0..2_400 {
        run.tick(if tick % 2 == 0 { &low } else { &high });
    }
    assert!(run.changes.len() <= 6, "{:?}", run.changes);
}
