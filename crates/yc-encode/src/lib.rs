//! Low-latency screen encoders, colour conversion and scaling for the yc screen-share suite.
//!
//! Captured pictures go in, access units come out: a [`Converter`] makes each picture what the encoder
//! takes, and a [`VideoEncoderBackend`] encodes it. Which backend runs is decided by [`open()`], from the list
//! of those compiled in and an order of preference.
//!
//! There is no network here and no policy: when a key frame is due, how high the rate shall be and what
//! follows an error are the caller's to decide. Nor are there threads of the crate's own; an encoder may have
//! some inside.
//!
//! ```
//! use std::sync::Arc;
//! use yc_encode::{Converter, EncoderConfig, FrameOptions};
//! use yc_media::{
//!     Bitrate, CaptureTime, Codec, CpuBuffer, FrameBuffer, FrameRate, PixelFormat, PlaneLayout, RateTarget,
//!     Resolution, VideoFrame,
//! };
//!
//! let size = Resolution::new(640, 360)?;
//! let rate = RateTarget::new(Bitrate::kbps(1_000), FrameRate::new(30)?, size);
//! let mut encoder = yc_encode::open(&[], &EncoderConfig::screen(Codec::H264, rate))?.encoder;
//! let mut converter = Converter::new();
//!
//! // What a capture hands over: here, grey.
//! let pixels = Arc::new(vec![128u8; 640 * 360 * 4]);
//! let layout = [PlaneLayout { offset: 0, stride: 640 * 4 }];
//! let buffer = CpuBuffer::new(pixels, PixelFormat::Bgra8, size, &layout)?;
//! let frame = VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::default());
//!
//! let prepared = converter.prepare(&frame, encoder.info().accepts, rate.resolution)?;
//! encoder.submit(&prepared, FrameOptions::delta())?;
//! while let Some(unit) = encoder.poll()? {
//!     assert!(unit.is_key()); // the first one is
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Backends
//!
//! | name | codec | feature | platforms | takes | needs |
//! | --- | --- | --- | --- | --- | --- |
//! | `openh264` | H264 | `openh264` (default) | all | I420 | a C++ compiler; nasm on x86 for its full speed |
//! | `fake` | H264, for tests: shows no picture | `fake` | all | I420 | nothing |
//!
//! A backend is a folder under `backends/` and a line in [`ENABLED`]; the contract suite in `tests/contract`
//! then asks of it what it asks of all: key frames that are the frame they were asked for, parameter sets
//! before each, the rate followed up and down within a tenth, sizes changed in mid-stream, no allocation per
//! frame, text that sharpens.
//!
//! # OpenH264
//!
//! Built from source, by `openh264-sys2`, which assembles its SIMD with nasm and goes on **without a word**
//! where nasm is missing, 1.5 to 3 times slower. This crate's build script warns of that; with
//! `YC_REQUIRE_NASM=1` in the environment it stops the build instead. [`EncoderInfo::accelerated`] says at
//! run time what was really built.
//!
//! Patents: Cisco's promise to pay the H.264 royalties covers the binary that Cisco builds, fetched from Cisco
//! when the product is installed, and nothing else. An OpenH264 compiled from source, as here, leaves those
//! royalties with whoever ships it.
#![deny(unsafe_code)]

mod backend;
pub mod backends;
mod config;
mod convert;
mod error;
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
pub use registry::{Opened, candidates, open, open_among};
