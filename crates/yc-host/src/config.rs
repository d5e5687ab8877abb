//! How a host behaves.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use yc_sender::{Backends, PacketTransport};

/// How a host behaves. Start from [`HostConfig::default`] and change what differs.
///
/// How the sender behaves is said by the environment (the variables of `docs/configuration.md`, read at each
/// `prepare`) and then by the request.
#[derive(Clone)]
#[non_exhaustive]
pub struct HostConfig {
    /// Whether `replay:FILE` may be shared. A page that is not the app's own could share any file as a picture with
    /// it. Default: false.
    pub recordings: bool,
    /// Whether the app's own windows are in the picture of a screen: see `CaptureConfig::own_windows`. Default: true.
    pub own_windows: bool,
    /// Whether captures ask for priority: see `CaptureConfig::high_priority`. Default: false.
    pub high_priority: bool,
    /// How long a thumbnail or a listing may take before it is given up, and its thread abandoned. Default: 3 s.
    pub look_deadline: Duration,
    /// Asked at each `prepare`: what to put around the backends and the transport of that share. Default: none.
    pub around: Option<Arc<dyn Fn() -> Around + Send + Sync>>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            recordings: false,
            own_windows: true,
            high_priority: false,
            look_deadline: Duration::from_secs(3),
            around: None,
        }
    }
}

impl HostConfig {
    /// Lets recordings be shared, or not.
    #[must_use]
    pub fn with_recordings(self, recordings: bool) -> Self {
        Self { recordings, ..self }
    }

    /// Leaves the app's own windows in the picture of a screen, or out of it.
    #[must_use]
    pub fn with_own_windows(self, own_windows: bool) -> Self {
        Self { own_windows, ..self }
    }

    /// Asks for captures to be scheduled before ordinary threads, or not.
    #[must_use]
    pub fn with_high_priority(self, high_priority: bool) -> Self {
        Self { high_priority, ..self }
    }

    /// Sets [`HostConfig::look_deadline`].
    #[must_use]
    pub fn with_look_deadline(self, look_deadline: Duration) -> Self {
        Self { look_deadline, ..self }
    }

    /// Asks `around` at each `prepare` for what to put around the backends and the transport.
    #[must_use]
    pub fn with_around(self, around: impl Fn() -> Around + Send + Sync + 'static) -> Self {
        Self { around: Some(Arc::new(around)), ..self }
    }
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("recordings", &self.recordings)
            .field("own_windows", &self.own_windows)
            .field("high_priority", &self.high_priority)
            .field("look_deadline", &self.look_deadline)
            .field("around", &self.around.as_ref().map(|_| ".."))
            .finish()
    }
}

/// Puts something around the backends that a share may open.
pub type AroundBackends = Box<dyn Fn(Backends) -> Backends + Send + Sync>;

/// Puts something around the transport of a share.
pub type AroundTransport = Box<dyn Fn(Box<dyn PacketTransport>) -> Box<dyn PacketTransport> + Send + Sync>;

/// Something of the app's own around one share. It is dropped when the share has ended, or was given up.
#[non_exhaustive]
pub struct Around {
    /// Around the backends.
    pub backends: AroundBackends,
    /// Around the transport.
    pub transport: AroundTransport,
}

impl Around {
    /// `backends` and `transport` pass through these.
    pub fn new(
        backends: impl Fn(Backends) -> Backends + Send + Sync + 'static,
        transport: impl Fn(Box<dyn PacketTransport>) -> Box<dyn PacketTransport> + Send + Sync + 'static,
    ) -> Self {
        Self { backends: Box::new(backends), transport: Box::new(transport) }
    }

    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self::new(|backends| backends, |transport| transport)
    }
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Around")
    }
}
