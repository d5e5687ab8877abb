use super::*;
use crate::{FrameRecord, Profile, ScreenChange, Shown, TRACES, Trace};

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
