//! Which backend comes after one that failed: the order of retreat along one list.
//!
//! A backend is opened again a few times, then put aside for the next in the list. A step is sticky: what
//! was put aside is not looked at before its cool-down is over, and each further time it fails the cool-down
//! is twice as long. So a sender goes back to a better backend, and never flaps.

use std::time::Duration;

use yc_media::CaptureTime;

use crate::RetreatConfig;
use crate::Tolerance;
use crate::failure::RollingWindow;

/// What to do about a backend that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Open the same one again, not before `at`.
    Restart {
        /// When.
        at: CaptureTime,
    },
    /// Open this one of the list.
    Next(usize),
    /// None is left.
    Exhausted,
}

/// Where in its list of backends a sender is. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct Retreat {
    config: RetreatConfig,
    current: usize,
    restarts: RollingWindow,
    /// Restarts since the current backend came into use or last ran well.
    in_a_row: u32,
    last_failure: Option<CaptureTime>,
    aside: Vec<Aside>,
}

/// Whether one backend is put aside.
#[derive(Debug, Clone, Copy)]
struct Aside {
    until: Option<CaptureTime>,
    next_cool_down: Duration,
    /// It said that it cannot work here: there is nothing to wait for.
    for_good: bool,
}

impl Retreat {
    /// `len` backends, of which `current` runs.
    pub(crate) fn new(config: RetreatConfig, len: usize, current: usize) -> Self {
        let aside = Aside { until: None, next_cool_down: config.cool_down, for_good: false };
        Self {
            config,
            current,
            restarts: restarts(&config),
            in_a_row: 0,
            last_failure: None,
            aside: vec![aside; len],
        }
    }

    /// The backend in use, or being opened.
    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// The current backend failed; `restart` says whether opening it again may help.
    pub(crate) fn on_failure(&mut self, now: CaptureTime, restart: bool) -> Step {
        if self.last_failure.is_some_and(|at| now.saturating_since(at) > self.config.restart_window) {
            self.in_a_row = 0;
        }
        self.last_failure = Some(now);
        if restart && !self.restarts.note(now) {
            // The first at once: most often it was a single driver reset.
            let at = now + self.config.restart_delay * self.in_a_row;
            self.in_a_row += 1;
            return Step::Restart { at };
        }
        self.put_aside(self.current, now);
        self.next(now)
    }

    /// Backend `index` cannot work on this machine.
    pub(crate) fn on_unsupported(&mut self, index: usize) {
        self.aside[index].for_good = true;
    }

    /// Backend `index` was tried and does not work for now.
    pub(crate) fn put_aside(&mut self, index: usize, now: CaptureTime) {
        let aside = &mut self.aside[index];
        aside.until = Some(now + aside.next_cool_down);
        aside.next_cool_down = (aside.next_cool_down * 2).min(self.config.max_cool_down);
    }

    /// Turns to the best backend that is not put aside, the current one left out.
    pub(crate) fn next(&mut self, now: CaptureTime) -> Step {
        let free = (0..self.aside.len()).find(|&index| index != self.current && self.is_free(index, now));
        match free {
            Some(index) => {
                self.turn_to(index);
                Step::Next(index)
            }
            None => Step::Exhausted,
        }
    }

    /// Backend `index` is in use from now on.
    pub(crate) fn turn_to(&mut self, index: usize) {
        self.current = index;
        self.restarts = restarts(&self.config);
        self.in_a_row = 0;
    }

    /// A better backend than the current one whose cool-down is over by `now`.
    pub(crate) fn better(&self, now: CaptureTime) -> Option<usize> {
        if !self.config.go_back {
            return None;
        }
        (0..self.current).find(|&index| self.is_free(index, now))
    }

    /// Forgets what was put aside, but not how often: for a list whose input changed.
    pub(crate) fn begin_again(&mut self) {
        for aside in &mut self.aside {
            aside.until = None;
        }
        let best = self.aside.iter().position(|aside| !aside.for_good).unwrap_or(0);
        self.turn_to(best);
    }

    fn is_free(&self, index: usize, now: CaptureTime) -> bool {
        let aside = &self.aside[index];
        !aside.for_good && aside.until.is_none_or(|until| until <= now)
    }
}

fn restarts(config: &RetreatConfig) -> RollingWindow {
    RollingWindow::new(Tolerance { count: config.max_restarts, window: config.restart_window })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenderConfig;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    /// Two restarts in 60 s, 500 ms apart, a cool-down of 60 s: the defaults.
    fn retreat(len: usize) -> Retreat {
        Retreat::new(SenderConfig::default().retreat, len, 0)
    }

    #[test]
    fn a_backend_is_restarted_twice_then_left_for_the_next() {
        let mut retreat = retreat(3);
        assert_eq!(retreat.on_failure(at(0), true), Step::Restart { at: at(0) });
        assert_eq!(retreat.on_failure(at(1_000), true), Step::Restart { at: at(1_500) });
        assert_eq!(retreat.on_failure(at(2_000), true), Step::Next(1));
        assert_eq!(retreat.on_failure(at(3_000), true), Step::Restart { at: at(3_000) }, "it has its own");
    }

    #[test]
    fn where_a_restart_does_not_help_the_next_comes_at_once_and_the_last_ends_it() {
        let mut retreat = retreat(2);
        assert_eq!(retreat.on_failure(at(0), false), Step::Next(1));
        assert_eq!(retreat.on_failure(at(10), false), Step::Exhausted);
    }

    #[test]
    fn rare_failures_are_restarted_for_ever() {
        let mut retreat = retreat(2);
        for n in 0..100 {
            let now = at(n * 61_000);
            assert_eq!(retreat.on_failure(now, true), Step::Restart { at: now });
        }
    }

    #[test]
    fn a_step_is_sticky_until_the_cool_down_and_longer_each_time() {
        let mut retreat = retreat(2);
        let mut now = 0;
        for cool_down in [60_000, 120_000, 240_000] {
            assert_eq!(retreat.on_failure(at(now), false), Step::Next(1));
            assert_eq!(retreat.better(at(now + cool_down - 1)), None);
            now += cool_down;
            assert_eq!(retreat.better(at(now)), Some(0));
            retreat.turn_to(0);
        }
        // However often it fails, the cool-down has an upper end.
        for _ in 0..20 {
            retreat.on_failure(at(now), false);
            now += SenderConfig::default().retreat.max_cool_down.as_millis() as u64;
            assert_eq!(retreat.better(at(now)), Some(0));
            retreat.turn_to(0);
        }
    }

    #[test]
    fn what_cannot_work_here_is_never_tried_again() {
        let mut retreat = retreat(3);
        retreat.on_unsupported(0);
        assert_eq!(retreat.on_failure(at(0), false), Step::Next(1));
        assert_eq!(retreat.on_failure(at(0), false), Step::Next(2));
        assert_eq!(retreat.better(at(10_000_000)), Some(1));
        retreat.begin_again();
        assert_eq!(retreat.current(), 1);
    }

    #[test]
    fn nobody_goes_back_who_is_told_not_to() {
        let config = RetreatConfig { go_back: false, ..SenderConfig::default().retreat };
        let mut retreat = Retreat::new(config, 2, 0);
        assert_eq!(retreat.on_failure(at(0), false), Step::Next(1));
        assert_eq!(retreat.better(at(100_000_000)), None);
    }
}
