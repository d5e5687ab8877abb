//! What waits to be read by a client: bounded, and a client that lets it fill up is closed.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::metrics::{Counter, Metrics};

/// A message to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a WebSocket must be able to send each of them")]
pub enum Outgoing {
    /// JSON.
    Text(String),
    /// A WebSocket ping.
    Ping,
    /// The last message.
    Close(CloseReason),
}

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed.
    Done,
    /// The server shuts down.
    ShutDown,
    /// Twenty bad messages.
    TooManyBadMessages,
    /// No `join` in time.
    NotJoined,
    /// Nothing heard for too long.
    Silent,
    /// A message over 256 KiB.
    MessageTooBig,
    /// The media worker of the room died.
    WorkerDied,
    /// Too many messages wait to be read.
    SlowReader,
}

impl CloseReason {
    /// The WebSocket close code ([RFC 6455 §7.4.1](https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1)).
    pub const fn code(self) -> u16 {
        match self {
            Self::Done => 1000,
            Self::ShutDown => 1001,
            Self::TooManyBadMessages | Self::NotJoined | Self::Silent => 1008,
            Self::MessageTooBig => 1009,
            Self::WorkerDied => 1011,
            Self::SlowReader => 1013,
        }
    }

    /// For people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ShutDown => "the server shuts down",
            Self::TooManyBadMessages => "too many bad messages",
            Self::NotJoined => "no join in time",
            Self::Silent => "nothing heard for too long",
            Self::MessageTooBig => "a message over 256 KiB",
            Self::WorkerDied => "the media worker of the room died",
            Self::SlowReader => "messages are read too slowly",
        }
    }
}

/// The sending end of a connection's queue. Never waits.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    close: watch::Sender<Option<CloseReason>>,
    metrics: Arc<Metrics>,
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) queue: mpsc::Receiver<Outgoing>,
    pub(super) close: watch::Receiver<Option<CloseReason>>,
}

impl Outbox {
    pub(super) fn new(metrics: Arc<Metrics>) -> (Self, Outlet) {
        let (queue, waiting) = mpsc::channel(CAPACITY);
        let (close, closed) = watch::channel(None);
        (Self { queue, close, metrics }, Outlet { queue: waiting, close: closed })
    }

    /// Queues a message; a full queue closes the connection.
    pub(super) fn send(&self, message: Outgoing) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(message)
            && self.close(CloseReason::SlowReader)
        {
            self.metrics.add(Counter::SlowClients, 1);
        }
    }

    /// Asks for the connection to be closed. The first reason counts; whether this was it is the result.
    pub(super) fn close(&self, reason: CloseReason) -> bool {
        self.close.send_if_modified(|current| {
            let first = current.is_none();
            current.get_or_insert(reason);
            first
        })
    }
}

/// Waits until the connection is to be closed. Cancel safe.
pub(super) async fn closed(close: &mut watch::Receiver<Option<CloseReason>>) -> CloseReason {
    // An error: nobody is left who could give a reason.
    close.wait_for(Option::is_some).await.ok().and_then(|reason| *reason).unwrap_or(CloseReason::Done)
}

/// Messages that may wait; `docs/signalling.md`, "Limits".
const CAPACITY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_read_is_closed_and_counted_once() {
        let metrics = Arc::new(Metrics::default());
        let (outbox, mut outlet) = Outbox::new(Arc::clone(&metrics));
        for _ in 0..CAPACITY {
            outbox.send(Outgoing::Ping);
        }
        assert_eq!(*outlet.close.borrow(), None);
        outbox.send(Outgoing::Ping);
        outbox.send(Outgoing::Ping);
        assert_eq!(closed(&mut outlet.close).await, CloseReason::SlowReader);
        assert!(metrics.prometheus(0).contains("\nyc_slow_clients_total 1\n"));
    }

    #[tokio::test]
    async fn the_first_reason_to_close_counts() {
        let (outbox, mut outlet) = Outbox::new(Arc::default());
        assert!(outbox.close(CloseReason::WorkerDied));
        assert!(!outbox.close(CloseReason::SlowReader));
        assert_eq!(closed(&mut outlet.close).await, CloseReason::WorkerDied);
    }
}
