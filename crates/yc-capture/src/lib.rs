//! Screen and window capture for the yc screen-share suite.
#![deny(unsafe_code)]

mod backend;
pub mod backends;
pub mod clock;
mod config;
mod control;
mod error;
mod pace;
mod pool;
mod registry;
pub mod synthetic;
mod target;

pub use backend::{CaptureBackend, CaptureEvent, CaptureInfo, CaptureSink, EndReason, PauseReason};
pub use backends::{CaptureEntry, ENABLED};
pub use config::CaptureConfig;
pub use error::{CaptureError, CaptureErrorKind};
pub use registry::{Opened, list_sources, open};
pub use target::{CaptureSource, CaptureTarget, SourceKind};
