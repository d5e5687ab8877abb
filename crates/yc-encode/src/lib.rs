//! Low-latency screen encoders, colour conversion and scaling for the yc screen-share suite.
#![deny(unsafe_code)]

mod backend;
pub mod backends;
mod bitstream;
mod config;
mod convert;
mod error;
mod h264;
mod pool;
mod registry;
mod scale;

pub use backend::{EncoderInfo, FrameInput, FrameOptions, VideoEncoderBackend};
#[cfg(feature = "fake")]
pub use backends::fake;
pub use backends::{ENABLED, EncoderEntry};
pub use config::EncoderConfig;
pub use convert::Converter;
pub use error::{EncodeError, EncodeErrorKind};
pub use registry::{Opened, open, open_among};
