//! Why an encoder could not be opened or went on no longer.

use std::fmt;

/// An encoder that failed: what the caller can do, which one, doing what, and the source.
#[derive(Debug, thiserror::Error)]
#[error("{encoder}: {kind} while {doing}{}", detail(.source))]
pub struct EncodeError {
    kind: EncodeErrorKind,
    encoder: &'static str,
    doing: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

fn detail(source: &Option<Box<dyn std::error::Error + Send + Sync>>) -> String {
    source.as_ref().map(|source| format!(": {source}")).unwrap_or_default()
}

/// What the caller of a failed encoder can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the failure policy must decide every kind before it compiles")]
pub enum EncodeErrorKind {
    /// This machine or build cannot do it: try the next backend.
    Unsupported,
    /// The device or its driver is gone: open again.
    DeviceLost,
    /// A frame or an option is out of bounds: correct it.
    InvalidInput,
    /// Anything else that the implementation refused.
    Failed,
}

impl fmt::Display for EncodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "not supported here",
            Self::DeviceLost => "device lost",
            Self::InvalidInput => "invalid input",
            Self::Failed => "failed",
        })
    }
}

impl EncodeError {
    /// An error of `kind` in `encoder` while `doing` (a phrase such as "opening").
    pub fn new(kind: EncodeErrorKind, encoder: &'static str, doing: &'static str) -> Self {
        Self { kind, encoder, doing, source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do.
    pub fn kind(&self) -> EncodeErrorKind {
        self.kind
    }

    /// The implementation it happened in.
    pub fn encoder(&self) -> &'static str {
        self.encoder
    }
}
