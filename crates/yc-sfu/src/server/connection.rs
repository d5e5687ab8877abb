//! One WebSocket from its opening to its end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::SfuServer;
use super::metrics::{Counter, Gauge};
use super::outbox::{CloseReason, Outbox, Outgoing, Outlet, closed};
use super::peer::{Peer, PeerEvent, check_protocol, failed};
use super::random;
use crate::messages::{Action, ErrorBody, ErrorCode, Join, Joined, PROTOCOL_VERSION, Request, ServerMessage};

/// A message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a WebSocket must be able to receive each of them")]
pub enum Incoming {
    /// Text.
    Text(String),
    /// Binary: a bad message.
    Binary,
    /// A message over the limit.
    TooBig,
    /// A ping or pong: the client lives.
    Alive,
}

/// Serves one WebSocket. Returns when it is closed, after everything of its peer is.
pub(super) async fn serve<I, O>(server: Arc<SfuServer>, incoming: I, outgoing: O)
where
    I: Stream<Item = Incoming> + Unpin + Send,
    O: Sink<Outgoing> + Unpin + Send + 'static,
{
    let _held = server.metrics.hold(Gauge::Connections);
    let (outbox, outlet) = Outbox::new(Arc::clone(&server.metrics));
    let closed = outlet.close.clone();
    // Its own task: a client that does not read must not hold up its own requests, nor keep its peer.
    let writer = tokio::spawn(write(outlet, outgoing));
    let reason = Connection::new(server, outbox.clone()).run(incoming, closed).await;
    outbox.close(reason);
    let _ = writer.await;
}

/// Sends what is queued until the connection is to be closed; then, if the client still reads, the rest and the
/// close frame.
async fn write<O: Sink<Outgoing> + Unpin>(outlet: Outlet, mut outgoing: O) {
    let Outlet { mut queue, mut close } = outlet;
    let reason = loop {
        let message = tokio::select! {
            reason = closed(&mut close) => break reason,
            message = queue.recv() => match message {
                Some(message) => message,
                None => break CloseReason::Done,
            },
        };
        tokio::select! {
            reason = closed(&mut close) => break reason,
            sent = outgoing.send(message) => if sent.is_err() { return },
        }
    };
    let _ = timeout(GOODBYE, async {
        // Who reads too slowly would not read the rest either.
        while reason != CloseReason::SlowReader
            && let Ok(message) = queue.try_recv()
        {
            outgoing.feed(message).await.ok()?;
        }
        outgoing.send(Outgoing::Close(reason)).await.ok()?;
        outgoing.close().await.ok()
    })
    .await;
}

struct Connection {
    server: Arc<SfuServer>,
    outbox: Outbox,
    peer: Option<Peer>,
    events: mpsc::UnboundedReceiver<PeerEvent>,
    events_in: mpsc::UnboundedSender<PeerEvent>,
    /// When it was opened, or left its room.
    outside_since: Instant,
    bad_messages: u32,
}

impl Connection {
    fn new(server: Arc<SfuServer>, outbox: Outbox) -> Self {
        // Unbounded, but each thing that a peer has makes a few events at most, and one at a time of who watches.
        let (events_in, events) = mpsc::unbounded_channel();
        Self { server, outbox, peer: None, events, events_in, outside_since: Instant::now(), bad_messages: 0 }
    }

    /// Reads until there is a reason to close. Dropping `self` closes everything of the peer.
    async fn run<I>(mut self, mut incoming: I, mut close: watch::Receiver<Option<CloseReason>>) -> CloseReason
    where
        I: Stream<Item = Incoming> + Unpin,
    {
        let config = self.server.config.clone();
        let mut shutdown = self.server.shutdown.subscribe();
        let mut pings = interval(config.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let joined = self.peer.is_some();
            let deadline = heard + config.idle_timeout;
            let due = self.peer.as_ref().and_then(Peer::due_at);
            tokio::select! {
                reason = closed(&mut close) => return reason,
                () = stopped(&mut shutdown) => return CloseReason::ShutDown,
                () = sleep_until(self.outside_since + config.join_timeout), if !joined => return CloseReason::NotJoined,
                () = sleep_until(deadline) => return CloseReason::Silent,
                _ = pings.tick() => self.outbox.send(Outgoing::Ping),
                Some(event) = self.events.recv() => {
                    if let Some(peer) = &mut self.peer {
                        peer.on_event(event);
                    }
                }
                // Who watches is told only here, so after the reply that made the producer.
                () = sleep_until(due.unwrap_or(deadline)), if due.is_some() => {
                    if let Some(peer) = &mut self.peer {
                        peer.on_time(Instant::now());
                    }
                }
                message = incoming.next() => {
                    heard = Instant::now();
                    match message {
                        None => return CloseReason::Done,
                        Some(Incoming::TooBig) => return CloseReason::MessageTooBig,
                        Some(Incoming::Alive) => {}
                        Some(Incoming::Binary) => {
                            self.server.metrics.add(Counter::Messages, 1);
                            self.refuse(None, ErrorBody::bad_message("messages are text, this one is binary"));
                        }
                        Some(Incoming::Text(text)) => self.on_text(&text).await,
                    }
                    if self.bad_messages >= MAX_BAD_MESSAGES {
                        return CloseReason::TooManyBadMessages;
                    }
                }
            }
        }
    }

    async fn on_text(&mut self, text: &str) {
        self.server.metrics.add(Counter::Messages, 1);
        match Request::parse(text) {
            Err(bad) => self.refuse(bad.id, bad.error),
            Ok(Request { id, action: Action::Join(join) }) => {
                if let Err(error) = self.join(id, &join).await {
                    self.refuse(Some(id), error);
                }
            }
            Ok(Request { id, action }) => match self.handle(action).await {
                Ok(data) => self.reply(Some(id), &Ok(data)),
                Err(error) => self.refuse(Some(id), error),
            },
        }
    }

    async fn handle(&mut self, action: Action) -> Result<Value, ErrorBody> {
        let Some(peer) = &mut self.peer else {
            let message = format!("{} needs join before it", action.name());
            return Err(ErrorBody::new(ErrorCode::NotJoined, message));
        };
        if action == Action::Leave {
            tracing::info!(peer = peer.id(), "left");
            self.peer = None;
            self.outside_since = Instant::now();
            // What happened to the old peer's things is of no interest to the next.
            (self.events_in, self.events) = mpsc::unbounded_channel();
            return Ok(json!({}));
        }
        peer.handle(action).await
    }

    /// Enters a room. The reply is queued on the way.
    async fn join(&mut self, id: u64, join: &Join) -> Result<(), ErrorBody> {
        check_protocol(join.protocol)?;
        if self.peer.is_some() {
            return Err(ErrorBody::new(ErrorCode::AlreadyJoined, "this connection has joined"));
        }
        let key = &self.server.key;
        key.verify(&join.token.0, &join.room, join.role, SystemTime::now()).inspect_err(|error| {
            self.server.metrics.add(Counter::RejectedTokens, 1);
            tracing::warn!(room = %join.room, role = %join.role, reason = error.message, "token refused");
        })?;
        let room = self.server.room(&join.room).await?;
        let peer_id = random::id().map_err(|error| failed("making a peer id", &error))?;
        let capabilities = serde_json::to_value(room.router().rtp_capabilities())
            .map_err(|error| failed("writing the router's capabilities", &error))?;
        let max_peers = self.server.config.max_peers;
        let seat = room.enter(
            &peer_id,
            (join.role, join.name.clone()),
            self.outbox.clone(),
            max_peers,
            |producers| {
                let joined = Joined {
                    protocol: PROTOCOL_VERSION,
                    peer_id: peer_id.clone(),
                    router_rtp_capabilities: capabilities,
                    producers,
                };
                let data = serde_json::to_value(joined).expect("messages have string keys");
                self.reply(Some(id), &Ok(data));
            },
        )?;
        tracing::info!(peer = peer_id, room = %join.room, role = %join.role, "joined");
        let (server, outbox, events) =
            (Arc::clone(&self.server), self.outbox.clone(), self.events_in.clone());
        self.peer = Some(Peer::new(server, seat, join.role, outbox, events));
        Ok(())
    }

    fn refuse(&mut self, id: Option<u64>, error: ErrorBody) {
        if error.code == ErrorCode::BadMessage {
            self.bad_messages += 1;
            self.server.metrics.add(Counter::BadMessages, 1);
        } else {
            self.server.metrics.add(Counter::RefusedRequests, 1);
        }
        self.reply(id, &Err(error));
    }

    fn reply(&self, id: Option<u64>, result: &Result<Value, ErrorBody>) {
        self.outbox.send(Outgoing::Text(ServerMessage::reply_json(id, result)));
    }
}

/// Waits until the server shuts down. Cancel safe.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error: the server is gone altogether.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Bad messages that close a connection; `docs/signalling.md`, "Errors".
const MAX_BAD_MESSAGES: u32 = 20;

/// Longest wait for a client to take the last messages.
const GOODBYE: Duration = Duration::from_secs(1);
