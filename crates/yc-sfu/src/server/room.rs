//! A room: who is in it, what is sent in it, and who is told.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mediasoup::prelude::Router;
use tokio::sync::mpsc;

use super::metrics::{Gauge, Held, Metrics};
use super::outbox::{CloseReason, Outbox, Outgoing};
use super::peer::PeerEvent;
use super::random;
use super::workers::Load;
use crate::messages::{ErrorBody, ErrorCode, Notification, PeerName, ProducerInfo, Role, RoomName, Watcher};

/// A room. It lives as long as a peer sits in it.
pub(super) struct Room {
    name: RoomName,
    router: Router,
    state: Mutex<State>,
    _load: Load,
    _held: Held,
}

#[derive(Default)]
struct State {
    members: BTreeMap<String, Member>,
    producers: BTreeMap<String, Sent>,
    ssrcs: HashSet<u32>,
}

struct Member {
    role: Role,
    name: Option<PeerName>,
    outbox: Outbox,
}

/// A producer, and who has consumers of it.
struct Sent {
    info: ProducerInfo,
    /// Where its owner hears of what happens.
    owner: mpsc::UnboundedSender<PeerEvent>,
    /// Consumers by peer.
    watchers: BTreeMap<String, usize>,
    /// The owner was woken and has not asked yet.
    woken: bool,
}

impl Room {
    pub(super) fn new(name: RoomName, router: Router, load: Load, metrics: &Arc<Metrics>) -> Arc<Self> {
        let room = Arc::new(Self {
            name,
            router,
            state: Mutex::default(),
            _load: load,
            _held: metrics.hold(Gauge::Rooms),
        });
        let weak = Arc::downgrade(&room);
        room.router
            .on_worker_close(move || {
                if let Some(room) = weak.upgrade() {
                    for member in room.state().members.values() {
                        member.outbox.close(CloseReason::WorkerDied);
                    }
                }
            })
            .detach();
        room
    }

    pub(super) fn name(&self) -> &RoomName {
        &self.name
    }

    pub(super) fn router(&self) -> &Router {
        &self.router
    }

    /// Takes a peer in. `welcome` gets what is sent in the room and queues the reply to `join`: under the lock,
    /// so that no notification comes before it and none is missed after.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer_id: &str,
        (role, name): (Role, Option<PeerName>),
        outbox: Outbox,
        max_peers: usize,
        welcome: impl FnOnce(Vec<ProducerInfo>),
    ) -> Result<Seat, ErrorBody> {
        let mut state = self.state();
        if state.members.len() >= max_peers {
            let message = format!("room {} holds {max_peers} peers, as many as it may", self.name);
            return Err(ErrorBody::new(ErrorCode::RoomFull, message));
        }
        let producers = state.producers.values().filter(|_| role.may_view()).map(|sent| sent.info.clone());
        welcome(producers.collect());
        state.members.insert(peer_id.to_owned(), Member { role, name, outbox });
        Ok(Seat { room: Arc::clone(self), peer_id: peer_id.to_owned() })
    }

    /// Tells the room of a producer, and of its end when the result is dropped. `owner` gets a
    /// [`PeerEvent::Watched`] when other peers watch it.
    pub(super) fn announce(
        self: &Arc<Self>,
        info: ProducerInfo,
        owner: mpsc::UnboundedSender<PeerEvent>,
    ) -> Announced {
        let mut state = self.state();
        let sent = Sent { info: info.clone(), owner, watchers: BTreeMap::new(), woken: false };
        state.producers.insert(info.producer_id.clone(), sent);
        state.tell_viewers(&info.peer_id, Notification::NewProducer(info.clone()));
        Announced { room: Arc::clone(self), info }
    }

    /// Whether the room has that producer.
    pub(super) fn has_producer(&self, producer_id: &str) -> bool {
        self.state().producers.contains_key(producer_id)
    }

    /// Counts a consumer of a producer until the result is dropped; `None` if the producer is gone.
    pub(super) fn watch(self: &Arc<Self>, producer_id: &str, peer_id: &str) -> Option<Watching> {
        let mut state = self.state();
        let sent = state.producers.get_mut(producer_id)?;
        let consumers = sent.watchers.entry(peer_id.to_owned()).or_insert(0);
        *consumers += 1;
        if *consumers == 1 {
            sent.wake_owner();
        }
        let (producer_id, peer_id) = (producer_id.to_owned(), peer_id.to_owned());
        Some(Watching { room: Arc::clone(self), producer_id, peer_id })
    }

    /// Who has a consumer of a producer now, by peer; `None` if it is gone.
    pub(super) fn watchers(&self, producer_id: &str) -> Option<Vec<Watcher>> {
        let mut state = self.state();
        let State { members, producers, .. } = &mut *state;
        let sent = producers.get_mut(producer_id)?;
        sent.woken = false;
        let watcher = |peer_id: &String| Watcher {
            peer_id: peer_id.clone(),
            name: members.get(peer_id).and_then(|member| member.name.clone()),
        };
        Some(sent.watchers.keys().map(watcher).collect())
    }

    /// Random SSRCs that no other native session of the room has, until the result is dropped.
    pub(super) fn reserve_ssrcs(self: &Arc<Self>) -> Result<Ssrcs, getrandom::Error> {
        let mut state = self.state();
        let mut fresh = || -> Result<u32, getrandom::Error> {
            loop {
                let ssrc = random::u32()?;
                if ssrc != 0 && state.ssrcs.insert(ssrc) {
                    return Ok(ssrc);
                }
            }
        };
        let (media, rtx) = (fresh()?, fresh()?);
        drop(state);
        Ok(Ssrcs { room: Arc::clone(self), media, rtx })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No invariant spans a panic: every change is one insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sent {
    /// Not again while the owner has yet to ask: what waits for it stays bounded, however often viewers come and go.
    fn wake_owner(&mut self) {
        if !std::mem::replace(&mut self.woken, true) {
            // An error: the owner is leaving.
            let _ = self.owner.send(PeerEvent::Watched { producer_id: self.info.producer_id.clone() });
        }
    }
}

impl State {
    fn tell_viewers(&self, except: &str, notification: Notification) {
        self.tell(except, notification, |member| member.role.may_view());
    }

    fn tell(&self, except: &str, notification: Notification, wanted: impl Fn(&Member) -> bool) {
        let text = notification.to_json();
        for (_, member) in self.members.iter().filter(|(id, member)| *id != except && wanted(member)) {
            member.outbox.send(Outgoing::Text(text.clone()));
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A peer's place in a room; dropping it tells the others.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    peer_id: String,
}

impl Seat {
    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub(super) fn peer_id(&self) -> &str {
        &self.peer_id
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.members.remove(&self.peer_id);
        state.tell(&self.peer_id, Notification::PeerLeft { peer_id: self.peer_id.clone() }, |_| true);
    }
}

/// A producer that the room knows of.
#[derive(Debug)]
pub(super) struct Announced {
    room: Arc<Room>,
    info: ProducerInfo,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.producers.remove(&self.info.producer_id);
        let producer_id = self.info.producer_id.clone();
        state.tell_viewers(&self.info.peer_id, Notification::ProducerClosed { producer_id });
    }
}

/// A consumer of a producer, as the producer's owner sees it.
#[derive(Debug)]
pub(super) struct Watching {
    room: Arc<Room>,
    producer_id: String,
    peer_id: String,
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut state = self.room.state();
        // The producer may have gone first; then there is nobody to tell.
        let Some(sent) = state.producers.get_mut(&self.producer_id) else { return };
        let Some(consumers) = sent.watchers.get_mut(&self.peer_id) else { return };
        *consumers -= 1;
        if *consumers == 0 {
            sent.watchers.remove(&self.peer_id);
            sent.wake_owner();
        }
    }
}

/// SSRCs of a native session.
#[derive(Debug)]
pub(super) struct Ssrcs {
    room: Arc<Room>,
    pub(super) media: u32,
    pub(super) rtx: u32,
}

impl Drop for Ssrcs {
    fn drop(&mut self) {
        let mut state = self.room.state();
        state.ssrcs.remove(&self.media);
        state.ssrcs.remove(&self.rtx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Kind, ServerMessage};
    use crate::server::outbox::Outlet;
    use crate::server::testing::Test;

    impl Test {
        fn announce(&self, info: ProducerInfo) -> Announced {
            self.room.announce(info, self.events_in.clone())
        }

        /// The ids of those who watch `p`, if its owner was woken since.
        fn heard(&mut self) -> Option<Vec<String>> {
            let PeerEvent::Watched { producer_id } = self.events.try_recv().ok()? else { panic!("another") };
            assert!(self.events.try_recv().is_err(), "woken once");
            Some(self.room.watchers(&producer_id)?.into_iter().map(|watcher| watcher.peer_id).collect())
        }

        fn enter(&self, peer: &str, role: Role) -> Result<(Seat, Outlet, Vec<ProducerInfo>), ErrorBody> {
            let (outbox, outlet) = Outbox::new(Arc::clone(&self.metrics));
            let mut seen = Vec::new();
            let seat =
                self.room.enter(peer, (role, peer.parse().ok()), outbox, 3, |producers| seen = producers)?;
            Ok((seat, outlet, seen))
        }
    }

    fn producer(peer: &str) -> ProducerInfo {
        ProducerInfo { producer_id: "p".into(), peer_id: peer.into(), kind: Kind::Video, native: true }
    }

    fn told(outlet: &mut Outlet) -> Vec<Notification> {
        let mut all = Vec::new();
        while let Ok(Outgoing::Text(text)) = outlet.queue.try_recv() {
            let Ok(ServerMessage::Notification(notification)) = ServerMessage::parse(&text) else {
                panic!("{text}")
            };
            all.push(notification);
        }
        all
    }

    #[tokio::test]
    async fn viewers_are_told_of_producers_and_nobody_of_his_own() {
        let test = Test::new().await;
        let (_share, mut sharer, _) = test.enter("share", Role::Both).unwrap();
        let (_view, mut viewer, _) = test.enter("view", Role::View).unwrap();
        let announced = test.announce(producer("share"));
        assert_eq!(told(&mut viewer), [Notification::NewProducer(producer("share"))]);
        assert!(test.room.has_producer("p"));
        let (_late, _, seen) = test.enter("late", Role::View).unwrap();
        assert_eq!(seen, [producer("share")]);
        drop(announced);
        assert_eq!(told(&mut viewer), [Notification::ProducerClosed { producer_id: "p".into() }]);
        assert!(!test.room.has_producer("p") && told(&mut sharer).is_empty());
    }

    #[tokio::test]
    async fn who_only_shares_sees_no_producers_but_who_leaves() {
        let test = Test::new().await;
        let _announced = test.announce(producer("x"));
        let (_share, mut sharer, seen) = test.enter("share", Role::Share).unwrap();
        assert!(seen.is_empty());
        drop(test.enter("view", Role::View).unwrap());
        assert_eq!(told(&mut sharer), [Notification::PeerLeft { peer_id: "view".into() }]);
    }

    #[tokio::test]
    async fn a_full_room_takes_nobody_until_somebody_leaves() {
        let test = Test::new().await;
        let mut seats: Vec<_> = ["a", "b", "c"].map(|peer| test.enter(peer, Role::View).unwrap()).into();
        assert_eq!(test.enter("d", Role::View).unwrap_err().code, ErrorCode::RoomFull);
        seats.pop();
        assert!(test.enter("d", Role::View).is_ok());
    }

    #[tokio::test]
    async fn an_owner_is_woken_when_the_set_of_watchers_changes_and_only_then() {
        let mut test = Test::new().await;
        let _seats = ["a", "b"].map(|peer| test.enter(peer, Role::View).unwrap());
        let announced = test.announce(producer("share"));
        assert_eq!(test.heard(), None);
        let b = test.room.watch("p", "b").unwrap();
        assert_eq!(test.heard().unwrap(), ["b"]);
        let a = test.room.watch("p", "a").unwrap();
        assert_eq!(test.heard().unwrap(), ["a", "b"]);
        let again = test.room.watch("p", "a").unwrap();
        drop(a);
        assert_eq!(test.heard(), None, "a has one left");
        drop((again, b));
        assert_eq!(test.heard().unwrap(), Vec::<String>::new());
        let last = test.room.watch("p", "a").unwrap();
        drop(announced);
        assert_eq!(test.heard(), None, "the producer is gone");
        drop(last);
        assert!(test.events.try_recv().is_err() && test.room.watch("p", "a").is_none());
    }

    #[tokio::test]
    async fn watchers_have_their_names() {
        let test = Test::new().await;
        let _named = test.enter("a", Role::View).unwrap();
        let (outbox, _outlet) = Outbox::new(Arc::clone(&test.metrics));
        let _nameless = test.room.enter("b", (Role::View, None), outbox, 3, |_| {}).unwrap();
        let _announced = test.announce(producer("share"));
        let _watching = ["a", "b"].map(|peer| test.room.watch("p", peer).unwrap());
        let names = test.room.watchers("p").unwrap().into_iter().map(|watcher| watcher.name);
        assert_eq!(names.collect::<Vec<_>>(), ["a".parse().ok(), None]);
    }

    #[tokio::test]
    async fn ssrcs_are_distinct_and_come_free() {
        let test = Test::new().await;
        let reserved: Vec<Ssrcs> = (0..100).map(|_| test.room.reserve_ssrcs().unwrap()).collect();
        let all: HashSet<u32> = reserved.iter().flat_map(|ssrcs| [ssrcs.media, ssrcs.rtx]).collect();
        assert!(all.len() == 200 && !all.contains(&0));
        drop(reserved);
        assert!(test.room.state().ssrcs.is_empty());
    }
}
