//! How datagrams leave and arrive. The only place with a socket: `udp.rs`.

mod batch;
mod udp;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::SrtpError;

pub use udp::UdpTransport;
#[cfg(feature = "native-diagnostic-udp-mirror")]
pub(crate) use udp::loopback_sender;

/// Where RTP and RTCP datagrams go and come from.
///
/// # Contract
///
/// - [`send`](Self::send), [`flush`](Self::flush) and [`recv`](Self::recv) never block; [`wait`](Self::wait) is
///   the only place to wait.
/// - Datagrams leave in the order in which they are given, each whole, at [`flush`](Self::flush) at the latest.
///   What was not flushed when the transport is dropped may be lost.
/// - A datagram that does not leave is refused exactly once: by the error of its [`send`](Self::send), or at the
///   next [`flush`](Self::flush). None is tried again later: late video is worthless.
/// - A wake-up that comes while nobody waits ends the next wait at once.
pub trait PacketTransport: Send + fmt::Debug {
    /// Takes one datagram, and may hold it back until [`flush`](Self::flush) to send it together with others.
    /// What is in the buffer afterwards is the transport's (it may encrypt it in place): clear it before its
    /// next use.
    ///
    /// # Errors
    ///
    /// If this datagram is refused at once; those held back are not touched. By kind: see [`TransportError`].
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError>;

    /// Hands what is held back to the OS, and appends to `refused` which of the datagrams that
    /// [`send`](Self::send) took since the flush before did not leave, in their order.
    fn flush(&mut self, refused: &mut Vec<Refused>);

    /// Takes one received datagram into `buffer` and answers with its length, or `None` if none waits. What is in
    /// `buffer` behind it has no meaning: a transport may decrypt in place.
    ///
    /// # Errors
    ///
    /// By kind: see [`TransportError`].
    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError>;

    /// Waits until a datagram arrives, somebody wakes it, or `timeout` is over.
    ///
    /// # Errors
    ///
    /// By kind: see [`TransportError`].
    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError>;

    /// A handle that ends a wait from another thread.
    fn waker(&self) -> TransportWaker;
}

/// Ends a [`PacketTransport::wait`] from another thread.
#[derive(Clone)]
pub struct TransportWaker(Arc<dyn Fn() + Send + Sync>);

impl TransportWaker {
    /// A waker that calls `wake`, which must not block.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Ends the present or the next wait.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for TransportWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportWaker")
    }
}

/// Datagrams that were taken and did not leave, and why: one system call's worth, or a part of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// Which of the datagrams that [`PacketTransport::send`] took (by answering `Ok`) since the flush before,
    /// counted from 0. Never empty.
    pub datagrams: Range<usize>,
    /// Why. All of them are lost for this one reason.
    pub error: TransportError,
}

impl Refused {
    /// These `datagrams` did not leave, because of `error`.
    pub fn new(datagrams: Range<usize>, error: TransportError) -> Self {
        Self { datagrams, error }
    }
}

/// The error that refused the datagram `number`, counted as [`Refused::datagrams`] counts.
pub(crate) fn refusal_of(refused: &[Refused], number: usize) -> Option<&TransportError> {
    refused.iter().find(|refused| refused.datagrams.contains(&number)).map(|refused| &refused.error)
}

/// A datagram that did not leave or arrive.
#[derive(Debug, thiserror::Error)]
#[error("{kind} while {doing}: {source}")]
pub struct TransportError {
    kind: TransportErrorKind,
    doing: &'static str,
    source: io::Error,
}

/// What is wrong with the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TransportErrorKind {
    /// The OS's buffer is full for the moment.
    Full,
    /// The peer's host says that nobody listens, or there is no route to it for the moment.
    Unreachable,
    /// The datagram is larger than the path takes.
    TooLarge,
    /// The datagram could not be encrypted, and so did not leave.
    Unprotected,
    /// The socket broke.
    Failed,
}

impl TransportErrorKind {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Full,
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Self::Unreachable,
            _ if is_no_buffers(error) => Self::Full,
            _ if is_too_large(error) => Self::TooLarge,
            _ => Self::Failed,
        }
    }

    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Full => "send_buffer_full",
            Self::Unreachable => "peer_unreachable",
            Self::TooLarge => "datagram_too_large",
            Self::Unprotected => "not_protected",
            Self::Failed => "socket_failed",
        }
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// ENOBUFS: std has no kind for it. 105 on Linux, 55 on macOS, WSAENOBUFS on Windows.
fn is_no_buffers(error: &io::Error) -> bool {
    let code = if cfg!(windows) {
        10_055
    } else if cfg!(target_vendor = "apple") {
        55
    } else {
        105
    };
    error.raw_os_error() == Some(code)
}

fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error() == Some(message_too_large())
}

/// EMSGSIZE: std has no kind for it. 90 on Linux, 40 on macOS, WSAEMSGSIZE on Windows.
pub(crate) const fn message_too_large() -> i32 {
    if cfg!(windows) {
        10_040
    } else if cfg!(target_vendor = "apple") {
        40
    } else {
        90
    }
}

impl TransportError {
    /// An OS error that happened while `doing` (a phrase such as "sending").
    pub fn new(doing: &'static str, source: io::Error) -> Self {
        Self { kind: TransportErrorKind::of(&source), doing, source }
    }

    /// A datagram that may not leave as it is.
    pub(crate) fn unprotected(error: SrtpError) -> Self {
        let kind = TransportErrorKind::Unprotected;
        Self { kind, doing: "protecting", source: io::Error::other(error) }
    }

    pub(crate) fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}
