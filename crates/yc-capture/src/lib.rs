//! Screen and window capture for the yc screen-share suite.
#![deny(unsafe_code)]

mod backend;
pub mod backends;
mod config;
mod error;
pub mod synthetic;
mod target;

pub use backend::{CaptureBackend, CaptureEvent, CaptureInfo, CaptureSink, EndReason, PauseReason};
pub use backends::{CaptureEntry, ENABLED};
pub use config::CaptureConfig;
pub use error::{CaptureError, CaptureErrorKind};
pub use target::{CaptureSource, CaptureTarget, SourceKind};
