//! A deterministic moving desktop, drawn as a pure function of a frame number.
//!
//! It is what tests, benches and demonstrations capture: frame `n` of a [`Scene`] is the same picture on
//! every machine and every run, and carries `n` itself as a [`marker`] that survives encoding.
//!
//! ```
//! use yc_capture::synthetic::{marker, Scene, SceneCanvas, SceneKind};
//! use yc_media::Resolution;
//!
//! let mut canvas = SceneCanvas::new(Scene::new(Resolution::new(640, 360)?, SceneKind::Desktop));
//! canvas.draw(41);
//! let changed = canvas.draw(42); // repaints only what differs from frame 41
//! assert!(!changed.is_empty());
//! assert_eq!(marker::read_pixels(canvas.pixels(), canvas.stride(), marker::PixelOrder::Bgra), Some(42));
//! # Ok::<(), yc_media::MediaError>(())
//! ```

mod canvas;
mod editor;
mod font;
pub mod marker;
mod motion;
mod painter;
mod scene;
mod video;

pub use canvas::SceneCanvas;
pub(crate) use canvas::damage_of;
pub use scene::{Scene, SceneKind, UnknownScene};
