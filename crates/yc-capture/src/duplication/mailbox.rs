//! The newest picture of a source that pushes, for a thread that asks.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use yc_media::CaptureTime;

use super::Edges;

/// Holds the newest picture until it is taken, and what changed since the one taken before. `T` is memory for a
/// picture: two go round, and a third is with who took one.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    came: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// Not taken yet.
    fresh: Option<(T, CaptureTime)>,
    /// What changed since a picture was taken last.
    changed: Changed,
    /// Free to be written to.
    spare: Option<T>,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Changed {
    Nothing,
    Within(Edges),
    Unknown,
}

/// What [`Mailbox::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// A picture, when it was presented, and what holds all that changed, where that is known.
    Picture(T, CaptureTime, Option<Edges>),
    Nothing,
    /// The source ended, and no more comes.
    Over,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        let state = State { fresh: None, changed: Changed::Nothing, spare: None, over: false };
        Self { state: Mutex::new(state), came: Condvar::new() }
    }

    /// Memory to write the next picture to, if there is any: that of a picture that nobody took is used again.
    pub(crate) fn empty(&self) -> Option<T> {
        let mut state = self.lock();
        state.spare.take().or_else(|| state.fresh.take().map(|(picture, _)| picture))
    }

    /// Puts a picture in, in the place of one that nobody took. `changed` holds all that changed since the one put in
    /// before; `None` if that is not known.
    pub(crate) fn post(&self, picture: T, presented: CaptureTime, changed: Option<Edges>) {
        let mut state = self.lock();
        state.changed = match (state.changed, changed) {
            (Changed::Unknown, _) | (_, None) => Changed::Unknown,
            (Changed::Nothing, Some(new)) => Changed::Within(new),
            (Changed::Within(old), Some(new)) => Changed::Within(old.union(new)),
        };
        if let Some((old, _)) = state.fresh.replace((picture, presented)) {
            state.spare = Some(old);
        }
        drop(state);
        self.came.notify_all();
    }

    /// The source ended.
    pub(crate) fn end(&self) {
        self.lock().over = true;
        self.came.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// Takes the newest picture; waits for one at most `timeout`.
    pub(crate) fn take(&self, timeout: Duration) -> Taken<T> {
        let waits = |state: &mut State<T>| state.fresh.is_none() && !state.over;
        let mut state = match self.came.wait_timeout_while(self.lock(), timeout, waits) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        };
        if state.over {
            return Taken::Over;
        }
        let Some((picture, presented)) = state.fresh.take() else { return Taken::Nothing };
        let changed = match std::mem::replace(&mut state.changed, Changed::Nothing) {
            Changed::Within(edges) => Some(edges),
            Changed::Nothing | Changed::Unknown => None,
        };
        Taken::Picture(picture, presented, changed)
    }

    /// Gives memory back that was taken.
    pub(crate) fn give_back(&self, picture: T) {
        self.lock().spare = Some(picture);
    }

    /// The state is plain values, consistent at every moment: a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn at(ms: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(ms))
    }

    fn edges(left: i32, right: i32) -> Option<Edges> {
        Some(Edges { left, top: 0, right, bottom: 1 })
    }

    fn take(mailbox: &Mailbox<u32>) -> Taken<u32> {
        mailbox.take(Duration::ZERO)
    }

    #[test]
    fn the_newest_picture_is_taken_with_all_that_changed() {
        let mailbox = Mailbox::new();
        mailbox.post(1, at(1), edges(0, 2));
        mailbox.post(2, at(2), edges(7, 9));
        assert_eq!(take(&mailbox), Taken::Picture(2, at(2), edges(0, 9)));
        assert_eq!(take(&mailbox), Taken::Nothing);
        mailbox.post(3, at(3), edges(4, 5));
        assert_eq!(take(&mailbox), Taken::Picture(3, at(3), edges(4, 5)));
    }

    #[test]
    fn one_change_that_is_not_told_leaves_all_unknown_until_it_is_taken() {
        let mailbox = Mailbox::new();
        mailbox.post(1, at(1), edges(0, 2));
        mailbox.post(2, at(2), None);
        mailbox.post(3, at(3), edges(0, 2));
        assert_eq!(take(&mailbox), Taken::Picture(3, at(3), None));
        mailbox.post(4, at(4), edges(1, 2));
        assert_eq!(take(&mailbox), Taken::Picture(4, at(4), edges(1, 2)));
    }

    #[test]
    fn memory_goes_round_and_what_changed_in_a_picture_that_is_written_over_is_kept() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.empty(), None);
        mailbox.post(1, at(1), edges(0, 1));
        // Nobody took it: its memory is the one to write to.
        assert_eq!(mailbox.empty(), Some(1));
        assert_eq!(take(&mailbox), Taken::Nothing);
        mailbox.post(1, at(2), edges(3, 4));
        assert_eq!(take(&mailbox), Taken::Picture(1, at(2), edges(0, 4)));
        mailbox.give_back(1);
        assert_eq!(mailbox.empty(), Some(1));
        assert_eq!(mailbox.empty(), None);
    }

    #[test]
    fn who_waits_is_woken_by_a_picture_and_by_the_end() {
        let mailbox = Arc::new(Mailbox::new());
        let other = Arc::clone(&mailbox);
        let poster = std::thread::Builder::new().spawn(move || other.post(1, at(1), None)).unwrap();
        assert_eq!(mailbox.take(Duration::from_secs(60)), Taken::Picture(1, at(1), None));
        poster.join().unwrap();
        mailbox.post(2, at(2), None);
        mailbox.end();
        assert!(mailbox.is_over());
        assert_eq!(mailbox.take(Duration::from_secs(60)), Taken::Over);
    }
}
