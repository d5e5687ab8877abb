//! When the owner of a producer is told who watches it.
//!
//! At once, but for each producer no more often than [`SPACING`] allows: viewers who come in a crowd, or one who comes and
//! goes as fast as he can, must not fill the owner's queue.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::messages::Watcher;

/// Least time between two notifications of one producer; `docs/signalling.md`, "Notifications".
pub(super) const SPACING: Duration = Duration::from_millis(100);

/// What the owner of producers was told of their watchers. Takes the time as an argument.
#[derive(Debug, Default)]
pub(super) struct WatcherNews {
    producers: HashMap<String, Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    watchers: Vec<Watcher>,
    /// When to look again.
    due: Option<Instant>,
}

impl WatcherNews {
    /// The watchers of a producer may have changed.
    pub(super) fn on_change(&mut self, producer_id: String, now: Instant) {
        let told = self.producers.entry(producer_id).or_default();
        told.due = Some(told.at.map_or(now, |at| (at + SPACING).max(now)));
    }

    /// When to call [`WatcherNews::poll`] next.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.producers.values().filter_map(|told| told.due).min()
    }

    /// A producer whose owner is to be told who watches it now. `watchers` says who does, `None` for a producer
    /// that is gone.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        watchers: impl Fn(&str) -> Option<Vec<Watcher>>,
    ) -> Option<(String, Vec<Watcher>)> {
        loop {
            let due = |told: &Told| told.due.is_some_and(|due| due <= now);
            let producer_id = self.producers.iter().find(|(_, told)| due(told))?.0.clone();
            let Some(present) = watchers(&producer_id) else {
                self.producers.remove(&producer_id);
                continue;
            };
            let told = self.producers.get_mut(&producer_id)?;
            told.due = None;
            // Somebody came and went in between.
            if told.watchers == present {
                continue;
            }
            told.at = Some(now);
            told.watchers.clone_from(&present);
            return Some((producer_id, present));
        }
    }

    /// Forgets a producer that is gone.
    pub(super) fn forget(&mut self, exists: impl Fn(&str) -> bool) {
        self.producers.retain(|producer_id, _| exists(producer_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> Vec<Watcher> {
        ids.iter().map(|id| Watcher { peer_id: (*id).to_owned(), name: None }).collect()
    }

    fn ids(news: Option<(String, Vec<Watcher>)>) -> Option<Vec<String>> {
        news.map(|(_, watchers)| watchers.into_iter().map(|watcher| watcher.peer_id).collect())
    }

    #[test]
    fn the_first_change_is_told_at_once_and_a_crowd_together() {
        let (mut news, start) = (WatcherNews::default(), Instant::now());
        assert_eq!(news.due_at(), None);
        news.on_change("p".into(), start);
        assert_eq!(news.due_at(), Some(start));
        assert_eq!(ids(news.poll(start, |_| Some(of(&["a"])))).unwrap(), ["a"]);
        let soon = start + SPACING / 4;
        news.on_change("p".into(), soon);
        assert_eq!(news.due_at(), Some(start + SPACING));
        assert_eq!(news.poll(soon, |_| panic!("not yet")), None);
        assert_eq!(ids(news.poll(start + SPACING, |_| Some(of(&["a", "b", "c"])))).unwrap(), ["a", "b", "c"]);
        assert_eq!(news.due_at(), None);
    }

    #[test]
    fn a_change_that_was_undone_is_not_told() {
        let (mut news, start) = (WatcherNews::default(), Instant::now());
        news.on_change("p".into(), start);
        assert_eq!(news.poll(start, |_| Some(Vec::new())), None);
        assert_eq!(news.due_at(), None);
    }

    #[test]
    fn a_producer_that_is_gone_is_forgotten_and_the_others_are_told() {
        let (mut news, start) = (WatcherNews::default(), Instant::now());
        news.on_change("gone".into(), start);
        news.on_change("p".into(), start);
        let watchers = |producer: &str| (producer == "p").then(|| of(&["a"]));
        assert_eq!(news.poll(start, watchers), Some(("p".into(), of(&["a"]))));
        assert_eq!(news.poll(start, watchers), None);
        news.forget(|producer| producer != "p");
        assert!(news.producers.is_empty());
    }
}
