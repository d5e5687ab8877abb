//! mediasoup workers, and which room goes to which.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mediasoup::prelude::{Router, RouterOptions, Worker, WorkerManager, WorkerSettings};
use mediasoup::worker::WorkerLogLevel;

use super::codecs;

/// The workers of a server.
#[derive(Debug)]
pub(super) struct WorkerPool {
    workers: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    worker: Worker,
    rooms: Arc<AtomicUsize>,
    dead: Arc<AtomicBool>,
}

impl WorkerPool {
    pub(super) async fn start(count: usize, ports: RangeInclusive<u16>) -> std::io::Result<Self> {
        let manager = WorkerManager::new();
        let mut workers = Vec::with_capacity(count);
        for at in 0..count {
            let mut settings = WorkerSettings::default();
            settings.log_level = WorkerLogLevel::Warn;
            settings.rtc_port_range = ports.clone();
            let worker = manager.create_worker(settings).await?;
            let dead = Arc::new(AtomicBool::new(false));
            let mark = Arc::clone(&dead);
            worker
                .on_dead(move |exit| {
                    mark.store(true, Ordering::Relaxed);
                    tracing::error!(worker = at, ?exit, "a mediasoup worker died");
                })
                .detach();
            workers.push(Slot { worker, rooms: Arc::default(), dead });
        }
        Ok(Self { workers })
    }

    /// A router on the living worker with the fewest rooms.
    pub(super) async fn create_router(&self) -> Result<(Router, Load), String> {
        let slot = self
            .workers
            .iter()
            .filter(|slot| !slot.dead.load(Ordering::Relaxed))
            .min_by_key(|slot| slot.rooms.load(Ordering::Relaxed))
            .ok_or("every mediasoup worker is dead")?;
        // Counted before the router is there, so that rooms made at once spread too.
        let load = Load::of(&slot.rooms);
        let options = RouterOptions::new(codecs::media_codecs());
        let router = slot.worker.create_router(options).await.map_err(|error| error.to_string())?;
        Ok((router, load))
    }

    pub(super) fn count(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn alive(&self) -> usize {
        self.workers.iter().filter(|slot| !slot.dead.load(Ordering::Relaxed)).count()
    }
}

/// A room's weight on its worker, for as long as it lives.
#[derive(Debug)]
pub(super) struct Load(Arc<AtomicUsize>);

impl Load {
    fn of(rooms: &Arc<AtomicUsize>) -> Self {
        rooms.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(rooms))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rooms_spread_over_the_workers_and_free_them_again() {
        let pool = WorkerPool::start(2, 10_000..=59_999).await.unwrap();
        assert_eq!((pool.count(), pool.alive()), (2, 2));
        let first = pool.create_router().await.unwrap();
        let second = pool.create_router().await.unwrap();
        assert_ne!(first.0.worker().id(), second.0.worker().id());
        let freed = first.0.worker().id();
        drop(first);
        let third = pool.create_router().await.unwrap();
        assert_eq!(third.0.worker().id(), freed);
    }
}
