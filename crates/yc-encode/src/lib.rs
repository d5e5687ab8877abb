//! Low-latency screen encoders, colour conversion and scaling for the yc screen-share suite.
#![deny(unsafe_code)]

mod backend;
pub mod backends;
mod config;
mod error;

pub use backend::{EncoderInfo, FrameInput, FrameOptions, VideoEncoderBackend};
pub use backends::{ENABLED, EncoderEntry};
pub use config::EncoderConfig;
pub use error::{EncodeError, EncodeErrorKind};
