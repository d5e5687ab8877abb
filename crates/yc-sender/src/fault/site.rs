//! Where calls meet the script: counting them, deciding, and holding those that hang.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yc_media::CaptureTime;

use super::script::{Fault, FaultCall, FaultRule, FaultScript, Stage};

/// What all wrappers of one [`Faults`](super::Faults) share.
pub(super) struct Core {
    script: FaultScript,
    clock: Box<dyn Fn() -> CaptureTime + Send + Sync>,
    made_at: CaptureTime,
    /// The counts of every candidate that was met so far: a wrapper made later goes on with them.
    counts: Mutex<Vec<((Stage, usize), Counts)>>,
    injected: AtomicU64,
    held: Mutex<Held>,
    held_changed: Condvar,
}

/// For each rule of the script, how many calls of one candidate it was asked about.
type Counts = Arc<[AtomicU64]>;

/// The calls that are held up.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    calls: usize,
    released: bool,
}

impl Core {
    pub(super) fn new(script: FaultScript, clock: Box<dyn Fn() -> CaptureTime + Send + Sync>) -> Self {
        Self {
            made_at: clock(),
            script,
            clock,
            counts: Mutex::default(),
            injected: AtomicU64::new(0),
            held: Mutex::default(),
            held_changed: Condvar::new(),
        }
    }

    pub(super) fn script(&self) -> &FaultScript {
        &self.script
    }

    pub(super) fn injected(&self) -> u64 {
        self.injected.load(Relaxed)
    }

    pub(super) fn hanging(&self) -> usize {
        self.held().calls
    }

    pub(super) fn wait_hanging(&self, calls: usize, timeout: Duration) -> bool {
        let fewer = |held: &mut Held| held.calls < calls;
        let (held, _) = self
            .held_changed
            .wait_timeout_while(self.held(), timeout, fewer)
            .unwrap_or_else(PoisonError::into_inner);
        held.calls >= calls
    }

    pub(super) fn release(&self) {
        self.held().released = true;
        self.held_changed.notify_all();
    }

    /// Holds the calling thread for `time`, or until released without one. No lock is held meanwhile.
    fn hold(&self, time: Option<Duration>) {
        let mut held = self.held();
        held.calls += 1;
        self.held_changed.notify_all();
        let waits = |held: &mut Held| !held.released;
        let mut held = match time {
            Some(time) => {
                let waited = self.held_changed.wait_timeout_while(held, time, waits);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.held_changed.wait_while(held, waits).unwrap_or_else(PoisonError::into_inner),
        };
        held.calls -= 1;
    }

    fn is_released(&self) -> bool {
        self.held().released
    }

    /// Plain values, consistent at every moment: a panic elsewhere does not spoil them.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("script", &self.script.to_string())
            .field("injected", &self.injected())
            .field("held", &*self.held())
            .finish_non_exhaustive()
    }
}

/// One candidate's view of the script.
#[derive(Debug, Clone)]
pub(super) struct Site {
    core: Arc<Core>,
    index: usize,
    counts: Counts,
}

impl Site {
    pub(super) fn new(core: &Arc<Core>, stage: Stage, index: usize) -> Self {
        let mut all = core.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().find(|(whose, _)| *whose == (stage, index)).map(|(_, counts)| counts.clone());
        let counts = known.unwrap_or_else(|| {
            let fresh: Counts = core.script.rules().iter().map(|_| AtomicU64::new(0)).collect();
            all.push(((stage, index), Arc::clone(&fresh)));
            fresh
        });
        Self { core: Arc::clone(core), index, counts }
    }

    /// Counts `call` and does what happens to it, as far as that is the same everywhere: holds it, or panics.
    /// What is left (to fail, to drop and the like) is the rule's, for the caller to do; `None` to make the
    /// real call.
    pub(super) fn meet(&self, call: FaultCall) -> Option<&FaultRule> {
        let rule = self.rule_for(call)?;
        let held = match rule.fault {
            Fault::Hang => None,
            Fault::Slow(time) => Some(time),
            Fault::Panic => {
                // A second panic while the first unwinds would abort the process.
                if !std::thread::panicking() {
                    self.count_injected(rule);
                    panic!("injected by the fault rule {rule}");
                }
                return None;
            }
            Fault::Fail(_) | Fault::Drop | Fault::Size(_) | Fault::End(_) => {
                self.count_injected(rule);
                return Some(rule);
            }
        };
        if !self.core.is_released() {
            self.count_injected(rule);
            self.core.hold(held);
        }
        None
    }

    /// The first rule that fits this call. Every rule about it counts it, whichever decides.
    fn rule_for(&self, call: FaultCall) -> Option<&FaultRule> {
        let mut decided = None;
        for (rule, count) in self.core.script.rules().iter().zip(self.counts.iter()) {
            if rule.call != call || rule.index.is_some_and(|index| index != self.index) {
                continue;
            }
            if rule.is_timed() {
                let age = (self.core.clock)().saturating_since(self.core.made_at);
                if age < rule.after || rule.until.is_some_and(|until| age >= until) {
                    continue;
                }
            }
            let number = count.fetch_add(1, Relaxed) + 1;
            if decided.is_none() && rule.when.fits(number) {
                decided = Some(rule);
            }
        }
        decided
    }

    fn count_injected(&self, rule: &FaultRule) {
        self.core.injected.fetch_add(1, Relaxed);
        tracing::debug!(%rule, "fault injected");
    }
}

/// What an injected error says of its cause.
pub(super) fn cause(rule: &FaultRule) -> String {
    format!("injected by the fault rule {rule}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(script: &str, clock: impl Fn() -> CaptureTime + Send + Sync + 'static) -> Arc<Core> {
        Arc::new(Core::new(script.parse().unwrap(), Box::new(clock)))
    }

    fn at(seconds: f64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs_f64(seconds))
    }

    /// Which of `calls` calls fail.
    fn failing(site: &Site, calls: usize) -> Vec<usize> {
        (1..=calls).filter(|_| site.meet(FaultCall::EncoderSubmit).is_some()).collect()
    }

    #[test]
    fn each_candidate_counts_by_itself_and_goes_on_when_it_is_opened_again() {
        let core = core("encoder.submit@3=fail:failed", || at(0.0));
        let first = Site::new(&core, Stage::Encoder, 0);
        assert_eq!(failing(&first, 2), []);
        assert_eq!(failing(&Site::new(&core, Stage::Encoder, 1), 4), [3]);
        drop(first);
        assert_eq!(failing(&Site::new(&core, Stage::Encoder, 0), 4), [1]);
        assert_eq!(core.injected(), 2);
    }

    #[test]
    fn a_rule_for_one_candidate_leaves_the_others_alone() {
        let core = core("encoder#1.submit=fail:failed", || at(0.0));
        assert_eq!(failing(&Site::new(&core, Stage::Encoder, 0), 2), []);
        assert_eq!(failing(&Site::new(&core, Stage::Encoder, 1), 2), [1, 2]);
        assert!(Site::new(&core, Stage::Encoder, 1).meet(FaultCall::EncoderPoll).is_none());
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_all_count() {
        let core = core("encoder.submit@2=fail:failed; encoder.submit@2..3=fail:device_lost", || at(0.0));
        let site = Site::new(&core, Stage::Encoder, 0);
        let faults: Vec<_> =
            (0..4).map(|_| site.meet(FaultCall::EncoderSubmit).map(|rule| rule.fault.to_string())).collect();
        assert_eq!(faults, [None, Some("fail:failed".into()), Some("fail:device_lost".into()), None]);
    }

    #[test]
    fn calls_outside_a_window_of_time_neither_fail_nor_count() {
        let now = Arc::new(Mutex::new(at(100.0)));
        let clock = Arc::clone(&now);
        let core = core("encoder.submit@2+1s..+3s=fail:failed", move || *clock.lock().unwrap());
        let site = Site::new(&core, Stage::Encoder, 0);
        assert_eq!(failing(&site, 3), []);
        *now.lock().unwrap() = at(101.0);
        assert_eq!(failing(&site, 1), []);
        *now.lock().unwrap() = at(102.999);
        assert_eq!(failing(&site, 2), [1]);
        *now.lock().unwrap() = at(103.0);
        assert_eq!(failing(&site, 2), []);
    }

    #[test]
    fn a_held_call_goes_on_when_released_and_none_is_held_after_that() {
        let core =
            core("encoder.submit@1=hang; encoder.submit@2=slow:86400s; encoder.submit=hang", || at(0.0));
        let site = Site::new(&core, Stage::Encoder, 0);
        std::thread::scope(|scope| {
            let calls = [0, 1].map(|_| scope.spawn(|| site.meet(FaultCall::EncoderSubmit).is_none()));
            let hung = core.wait_hanging(2, PATIENCE);
            let another = Site::new(&core, Stage::Encoder, 0).meet(FaultCall::EncoderPoll).is_none();
            core.release();
            assert!(calls.into_iter().all(|call| call.join().unwrap()));
            assert!(hung && another);
        });
        assert_eq!(core.hanging(), 0);
        assert!(site.meet(FaultCall::EncoderSubmit).is_none());
        assert_eq!(core.injected(), 2);
    }

    #[test]
    fn a_slow_call_goes_on_by_itself() {
        let core = core("encoder.submit=slow:1ms", || at(0.0));
        assert!(Site::new(&core, Stage::Encoder, 0).meet(FaultCall::EncoderSubmit).is_none());
        assert_eq!((core.injected(), core.hanging()), (1, 0));
        assert!(!core.wait_hanging(1, Duration::ZERO));
    }

    const PATIENCE: Duration = Duration::from_secs(30);
}
