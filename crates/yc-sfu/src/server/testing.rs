//! A room on a worker, for the tests of what happens in one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::config::ServerConfig;
use super::metrics::Metrics;
use super::peer::PeerEvent;
use super::room::Room;
use super::workers::WorkerPool;

/// A room on a worker, and what hears of its sessions.
pub(super) struct Test {
    pub(super) room: Arc<Room>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) config: ServerConfig,
    pub(super) events: mpsc::UnboundedReceiver<PeerEvent>,
    pub(super) events_in: mpsc::UnboundedSender<PeerEvent>,
    _pool: WorkerPool,
}

impl Test {
    pub(super) async fn new() -> Self {
        let pool = WorkerPool::start(1, 10_000..=59_999).await.unwrap();
        let (router, load) = pool.create_router().await.unwrap();
        let metrics = Arc::default();
        let room = Room::new("demo".parse().unwrap(), router, load, &metrics);
        let (events_in, events) = mpsc::unbounded_channel();
        Self { room, metrics, config: ServerConfig::default(), events, events_in, _pool: pool }
    }
}
