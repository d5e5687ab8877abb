//! The window on a Windows desktop.

#[allow(unsafe_code)]
mod sys;

use anyhow::{Context, Result};
use yc_capture::clock;
use yc_capture::synthetic::{Scene, SceneCanvas};
use yc_media::{CaptureTime, Rect, Resolution};

use crate::options::Options;
use sys::Window;

/// The window, and the picture that is painted into it.
pub(crate) struct Stage {
    window: Window,
    canvas: SceneCanvas,
}

impl Stage {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        sys::see_own_pixels();
        let [width, height] = sys::screen_size().map(i32::unsigned_abs);
        let whole = Resolution::new(width, height).context("the screen")?;
        let place = options.window.unwrap_or_else(|| options.size.unwrap_or(whole).rect());
        let size = Resolution::new(place.width, place.height)?;
        let window = Window::open(&options.title, place, options.window.is_none());
        let window = window.context("opening the window")?;
        let canvas = SceneCanvas::new(Scene::new(size, options.scene));
        Ok(Self { window, canvas })
    }

    /// The window's id.
    pub(crate) fn id(&self) -> u64 {
        self.window.id()
    }

    /// Draws frame `n`.
    pub(crate) fn draw(&mut self, n: u32) -> Result<()> {
        let changed = self.canvas.draw(n).iter().copied().reduce(Rect::union);
        changed.map_or(Ok(()), |changed| self.paint(changed))
    }

    /// Handles messages until `time`. `false` once the window is closed.
    pub(crate) fn wait_until(&mut self, time: CaptureTime) -> Result<bool> {
        loop {
            let told = self.window.messages();
            if told.closed {
                return Ok(false);
            }
            if told.exposed {
                self.paint(self.canvas.size().rect())?;
            }
            let left = time.saturating_since(clock::now());
            if left.is_zero() {
                return Ok(true);
            }
            sys::wait_for_message(left);
        }
    }

    fn paint(&self, area: Rect) -> Result<()> {
        let painted = self.window.paint(self.canvas.pixels(), self.canvas.size(), area);
        painted.context("painting the window")
    }
}
