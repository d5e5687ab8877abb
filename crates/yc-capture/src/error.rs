//! Why a capture could not be opened or went on no longer.

use std::fmt;

/// A capture that failed: what the caller can do, in which backend, doing what, and the source.
#[derive(Debug, thiserror::Error)]
#[error("{backend}: {kind} while {doing}{}", detail(.source))]
pub struct CaptureError {
    kind: CaptureErrorKind,
    backend: &'static str,
    doing: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn detail(source: &Option<Box<dyn std::error::Error + Send + Sync>>) -> String {
    source.as_ref().map(|source| format!(": {source}")).unwrap_or_default()
}

/// What the caller of a failed capture can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the failure policy must decide every kind before it compiles")]
pub enum CaptureErrorKind {
    /// This machine or build cannot do it: try the next backend.
    Unsupported,
    /// The user or the OS forbids it: ask.
    PermissionDenied,
    /// There is no such source: let the user pick another.
    NotFound,
    /// The connection to the display or the device is gone: open again.
    DeviceLost,
    /// An option or the source's content is out of bounds: correct it.
    InvalidInput,
    /// Anything else that the OS refused.
    Failed,
}

impl fmt::Display for CaptureErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "not supported here",
            Self::PermissionDenied => "permission denied",
            Self::NotFound => "no such source",
            Self::DeviceLost => "device lost",
            Self::InvalidInput => "invalid input",
            Self::Failed => "failed",
        })
    }
}

impl CaptureError {
    /// An error of `kind` in `backend` while `doing` (a phrase such as "connecting to the display").
    pub fn new(kind: CaptureErrorKind, backend: &'static str, doing: &'static str) -> Self {
        Self { kind, backend, doing, source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> CaptureErrorKind {
        self.kind
    }

    /// The backend it happened in.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// Started a second time.
    pub(crate) fn already_running(backend: &'static str) -> Self {
        Self::new(CaptureErrorKind::Failed, backend, "starting").with_source("the capture runs already")
    }

    /// The OS gave no thread.
    pub(crate) fn no_thread(backend: &'static str, error: std::io::Error) -> Self {
        Self::new(CaptureErrorKind::Failed, backend, "starting its thread").with_source(error)
    }
}
