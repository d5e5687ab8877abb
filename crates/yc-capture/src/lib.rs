//! Screen and window capture for the yc screen-share suite.
//!
//! One trait, [`CaptureBackend`], and a list of implementations, [`ENABLED`]. A capture pushes
//! [`CaptureEvent`]s from a thread of its own: pictures when something changed, and what becomes of the
//! source. [`list_sources`] finds what there is, [`open`] picks the backend.
//!
//! It does not encode, convert, scale or send, and it does not decide what to do when a capture fails.
//!
//! ```
//! use std::sync::mpsc;
//! use yc_capture::{CaptureConfig, CaptureEvent};
//!
//! let target = "synthetic:640x360".parse()?; // or "screen", "monitor:0", "window:0x3a00007", …
//! let mut capture = yc_capture::open(&CaptureConfig::new(target))?.backend;
//! let (sender, events) = mpsc::channel();
//! capture.start(Box::new(move |event| {
//!     let _ = sender.send(event);
//! }))?;
//! let CaptureEvent::Frame(frame) = events.recv()? else { panic!("the first event is a frame") };
//! assert_eq!(frame.size().to_string(), "640x360");
//! capture.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Backends
//!
//! In the order in which they are tried, but see [`candidates`]. None needs a Cargo feature or a C library.
//!
//! | backend | platform | captures | frames | cursor | what changed |
//! | --- | --- | --- | --- | --- | --- |
//! | `x11` | Linux | screen, monitor, window, region | CPU, BGRA: the memory that the display server wrote | drawn in, or left out | the bounding rectangle, from the server |
//! | `wgc` | Windows 10, version 1903, and later | a monitor, a window, a region of one monitor | CPU, BGRA: the memory that the GPU copied to; GPU where wished and the desktop is not in HDR | drawn in, or left out, by the system | the bounding rectangle, from the system where it tells (Windows 11, version 24H2), else as `gdi` |
//! | `dxgi` | Windows | a monitor, a region of one | CPU, BGRA: the memory that the GPU copied to; GPU where wished and nothing is to be drawn, turned or brought from HDR | drawn in, or left out | the bounding rectangle, from the system |
//! | `gdi` | Windows | screen, monitor, window, region | CPU, BGRA: the memory that GDI drew to | drawn in, or left out | the bounding rectangle of the 64×64 squares that differ |
//! | `synthetic` | all | the built-in moving desktop | CPU, BGRA | none | the bounding rectangle |
//! | `replay` | all | recordings: Y4M, raw BGRA | CPU, I420 or BGRA | none | not known |
//!
//! # Time
//!
//! All frames are stamped by one [`clock`], when the picture is asked of the source; those of `wgc` and
//! `dxgi` by when the system drew it.
//!
//! | platform | clock |
//! | --- | --- |
//! | Windows | `QueryPerformanceCounter` |
//! | elsewhere | `CLOCK_MONOTONIC` |
//!
//! # Memory
//!
//! Pictures live in pools. A frame gives its memory back when its last clone is dropped; nothing of a
//! picture's size is allocated once the stream runs. At most 16 pictures of one capture exist at a time:
//! who holds them all gets no more frames until one is dropped.
//!
//! # Cargo features
//!
//! | feature | adds |
//! | --- | --- |
//! | `x11-tests` | tests that start Xvfb servers and capture them |
#![deny(unsafe_code)]

mod backend;
pub mod backends;
#[cfg_attr(not(windows), allow(dead_code, reason = "the rule of Windows; its tests run everywhere"))]
mod choice;
pub mod clock;
mod config;
mod control;
#[cfg_attr(
    not(windows),
    allow(dead_code, unused_imports, reason = "a backend of Windows uses it; its tests run everywhere")
)]
mod duplication;
mod error;
mod pace;
#[cfg_attr(
    not(windows),
    allow(dead_code, unused_imports, reason = "the backends of Windows use it; its tests run everywhere")
)]
mod picture;
mod pool;
mod registry;
pub mod synthetic;
mod target;

pub use backend::{CaptureBackend, CaptureEvent, CaptureInfo, CaptureSink, EndReason, PauseReason};
pub use backends::{CaptureEntry, ENABLED};
pub use config::{CaptureConfig, FrameMemory};
pub use error::{CaptureError, CaptureErrorKind};
pub use registry::{Opened, candidates, list_sources, most_telling, open, open_for_one_picture};
pub use target::{CaptureSource, CaptureTarget, SourceKind};
