//! The server's side: rooms, peers and RTP ingest on mediasoup workers in this process.
//!
//! It knows no HTTP: whoever accepts WebSockets gives their two halves to [`SfuServer::serve`].
//!
//! A room lives on one worker, and from its first peer to its last. Everything that a peer makes hangs on its
//! connection: transports, producers, consumers and native sessions are closed by dropping them, so the end of a
//! WebSocket is the end of all of it.

mod codecs;
mod config;
mod connection;
mod diagnostics;
mod ingest;
mod metrics;
mod outbox;
mod peer;
mod random;
mod room;
#[cfg(test)]
mod testing;
mod token;
mod watchers;
mod workers;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::{Sink, Stream};
use tokio::sync::watch;

pub use config::{InvalidVariable, MediaAddress, ServerConfig};
pub use connection::Incoming;
pub use outbox::{CloseReason, Outgoing};
pub use token::{Token, TokenKey};

use crate::messages::{ErrorBody, RoomName};
use metrics::Metrics;
use peer::failed;
use room::Room;
use workers::WorkerPool;

/// A running server.
pub struct SfuServer {
    config: ServerConfig,
    key: TokenKey,
    pool: WorkerPool,
    rooms: Mutex<HashMap<RoomName, Weak<Room>>>,
    metrics: Arc<Metrics>,
    shutdown: watch::Sender<bool>,
}

impl SfuServer {
    /// Starts the workers. Room tokens must be signed with `key`.
    ///
    /// # Errors
    ///
    /// If a worker does not start.
    pub async fn start(config: ServerConfig, key: TokenKey) -> std::io::Result<Arc<Self>> {
        let pool = WorkerPool::start(config.workers.get(), config.rtc_ports.clone()).await?;
        Ok(Arc::new(Self {
            config,
            key,
            pool,
            rooms: Mutex::default(),
            metrics: Arc::default(),
            shutdown: watch::Sender::new(false),
        }))
    }

    /// Serves one WebSocket: `incoming` ends when it is closed. Returns after everything of its peer is closed.
    pub fn serve<I, O>(self: Arc<Self>, incoming: I, outgoing: O) -> impl Future<Output = ()> + Send
    where
        I: Stream<Item = Incoming> + Unpin + Send,
        O: Sink<Outgoing> + Unpin + Send + 'static,
    {
        connection::serve(self, incoming, outgoing)
    }

    /// Closes every connection with code 1001, now and from here on.
    pub fn shut_down(&self) {
        self.shutdown.send_replace(true);
    }

    /// The key that room tokens are signed with.
    pub fn token_key(&self) -> &TokenKey {
        &self.key
    }

    /// Whether every worker lives.
    pub fn is_healthy(&self) -> bool {
        self.pool.alive() == self.pool.count()
    }

    /// The metrics in Prometheus' text format.
    pub fn metrics_text(&self) -> String {
        self.metrics.prometheus(self.pool.alive())
    }

    /// The room of that name, made if it is not there.
    async fn room(&self, name: &RoomName) -> Result<Arc<Room>, ErrorBody> {
        if let Some(room) = self.living_room(name) {
            return Ok(room);
        }
        // Not under the lock: the worker may take its time, and other rooms must not wait for it.
        let (router, load) =
            self.pool.create_router().await.map_err(|error| failed("creating a router", &error))?;
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(name).and_then(Weak::upgrade) {
            // Another peer was faster; the router made here closes.
            return Ok(room);
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Room::new(name.clone(), router, load, &self.metrics);
        rooms.insert(name.clone(), Arc::downgrade(&room));
        Ok(room)
    }

    fn living_room(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).get(name).and_then(Weak::upgrade)
    }
}

impl fmt::Debug for SfuServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SfuServer").field("config", &self.config).finish_non_exhaustive()
    }
}
