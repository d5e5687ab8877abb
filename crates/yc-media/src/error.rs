//! Why a value was refused.

/// A value outside what its type allows. The message names the value and its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value} is not allowed: {bounds}")]
pub struct MediaError {
    what: &'static str,
    value: String,
    bounds: &'static str,
}

impl MediaError {
    /// The `value` of `what` was refused: `bounds` says what is allowed.
    pub fn new(what: &'static str, value: impl std::fmt::Display, bounds: &'static str) -> Self {
        Self { what, value: value.to_string(), bounds }
    }
}
