//! The shared nouns of the yc screen-share suite.
//!
//! Capture, encode and RTP do not know each other; they meet in these types. There is no I/O here, no
//! clock, no thread and no `unsafe`, and no behaviour beyond checking what a value may be.
//!
//! ```
//! use yc_media::{Bitrate, FrameRate, RateTarget, Resolution};
//!
//! let target = RateTarget::new(Bitrate::kbps(4_000), FrameRate::new(30).unwrap(), Resolution::new(1920, 1080).unwrap());
//! assert_eq!(target.bitrate.as_bps(), 4_000_000);
//! ```
#![forbid(unsafe_code)]

mod codec;
mod encoded;
mod error;
mod frame;
mod geometry;
mod rate;
mod time;

pub use codec::{Codec, H264Profile, H264ProfileLevelId};
pub use encoded::{EncodedFrame, FrameKind, LayerId};
pub use error::MediaError;
pub use frame::{
    CpuBuffer, Damage, FrameBuffer, GpuApi, GpuBuffer, PixelFormat, PixelMemory, PlaneLayout, VideoFrame,
};
pub use geometry::{Rect, Resolution};
pub use rate::{Bitrate, FrameRate, RateTarget};
pub use time::CaptureTime;
