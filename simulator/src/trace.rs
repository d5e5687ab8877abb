//! What a screen shows over time, as what an encoder has to spend on it.

use std::time::Duration;

use crate::Random;

/// A kind of screen content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Typing,
    Scrolling,
    Slides,
    Video,
    Still,
}

/// The screen changed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ScreenChange {
    /// When.
    pub at: Duration,
    /// How much of the picture is new, 0.0 to 1.0: its part of the bits that the whole picture takes when it
    /// is coded sharp and alone.
    pub part: f64,
}

impl Trace {
    /// The built-in trace called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        TRACES.iter().find(|trace| trace.name == name)
    }

    /// Whether it takes whatever bitrate it is given, so that what is sent says what could be.
    pub fn is_greedy(&self) -> bool {
        self.kind == Kind::Video
    }

    /// The changes of `duration`, the first of which is the whole picture at 0.
    pub fn changes(&self, duration: Duration, seed: u64) -> Vec<ScreenChange> {
        let mut random = Random::stream(seed, 64);
        let mut changes = vec![ScreenChange { at: Duration::ZERO, part: 1.0 }];
        let mut at = Duration::ZERO;
        loop {
            let between = |random: &mut Random, least: f64, most: f64| least + (most - least) * random.unit();
            let (pause, part) = match self.kind {
                // A key each 80 to 300 ms; a glyph, its line and what an editor draws around: 2 to 6 kB.
                Kind::Typing => (between(&mut random, 0.08, 0.3), between(&mut random, 0.013, 0.04)),
                // Two seconds of scrolling, two of reading; 30 to 60 kB each frame.
                Kind::Scrolling => {
                    let frame = at + FRAME;
                    let reads = frame.as_millis() / 2_000 % 2 == 1;
                    let pause = if reads { 2_000 - frame.as_millis() as u64 % 2_000 } else { 0 };
                    let pause = FRAME + Duration::from_millis(pause);
                    (pause.as_secs_f64(), between(&mut random, 0.2, 0.4))
                }
                // All is new each five seconds.
                Kind::Slides => (5.0, 1.0),
                // A player of a quarter of the screen: 22 to 33 kB each frame, more than 5 Mbit/s when sharp.
                Kind::Video => (FRAME.as_secs_f64(), between(&mut random, 0.15, 0.22)),
                Kind::Still => return changes,
            };
            at += Duration::from_secs_f64(pause);
            if at >= duration {
                return changes;
            }
            changes.push(ScreenChange { at, part });
        }
    }
}

/// The built-in traces.
pub const TRACES: &[Trace] = &[
    Trace { name: "typing", about: "a few glyphs at a time", kind: Kind::Typing },
    Trace { name: "scrolling", about: "two seconds of scrolling, two of reading", kind: Kind::Scrolling },
    Trace { name: "slides", about: "another slide each five seconds", kind: Kind::Slides },
    Trace { name: "video", about: "a player on a quarter of the screen", kind: Kind::Video },
    Trace { name: "still", about: "nothing changes", kind: Kind::Still },
];

/// Time between two frames of what moves.
const FRAME: Duration = Duration::from_nanos(33_333_333);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trace_begins_with_the_whole_picture_and_goes_on_in_order() {
        let duration = Duration::from_secs(30);
        for trace in TRACES {
            let changes = trace.changes(duration, 3);
            assert_eq!(changes[0], ScreenChange { at: Duration::ZERO, part: 1.0 });
            assert!(changes.windows(2).all(|pair| pair[0].at < pair[1].at), "{}", trace.name);
            assert!(changes.iter().all(|change| change.at < duration && change.part <= 1.0));
            assert_eq!(changes, trace.changes(duration, 3));
            assert_eq!(Trace::by_name(trace.name), Some(trace));
        }
    }

    #[test]
    fn the_traces_move_as_often_as_they_say() {
        let count = |name: &str| Trace::by_name(name).unwrap().changes(Duration::from_secs(40), 1).len();
        assert_eq!((count("still"), count("slides")), (1, 8));
        assert!((1_199..=1_201).contains(&count("video")), "{}", count("video"));
        assert!((580..=610).contains(&count("scrolling")), "{}", count("scrolling"));
        assert!((180..=240).contains(&count("typing")), "{}", count("typing"));
    }
}
