//! The capture of one output through duplications of it: what to do with what the system tells.
//!
//! The system itself is behind two traits, so that every turn of events can be played by a script. The
//! words are those of Microsoft Learn, "Desktop Duplication API". Windows.Graphics.Capture, which pushes its
//! pictures, is asked for them through a [`Mailbox`], and windows are outputs to it as well.

mod canvas;
#[cfg(test)]
mod fake;
mod mailbox;
mod session;
#[cfg(test)]
mod tests;
mod view;

use std::any::Any;
use std::time::Duration;

use yc_media::{CaptureTime, PixelMemory, Rect, Resolution};

use crate::picture::{PointerShape, Rotation, RowLayout};
use crate::{CaptureError, EndReason, PauseReason};

pub(crate) use mailbox::{Mailbox, Taken as Delivery};
pub(crate) use session::{Options, Session};
pub(crate) use view::Edges;

/// An output of a graphics adapter: what a monitor hangs on.
pub(crate) trait Output {
    /// What it is duplicated by.
    type Duplication: Duplication;

    /// Duplicates the output as it is now. There is no other duplication of it by this capture.
    fn duplicate(&mut self) -> Result<Self::Duplication, Refusal>;
}

/// Why an output cannot be duplicated.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The desktop that is shown now may not be seen: wait until it is another.
    Denied(CaptureError),
    /// There is no such output.
    Gone(CaptureError),
    /// It shows nothing for now: wait until it does.
    Hidden(PauseReason),
    /// It is gone for good.
    Ended(EndReason),
    /// Anything else. While the mode changes it may pass.
    Failed(CaptureError),
}

/// The pictures of one output, until its mode or its desktop changes.
///
/// All methods are called on one thread. The picture that was acquired belongs to the system and is given
/// back soon; [`keep`](Self::keep) copies what changed to a picture of our own on the GPU, from which
/// everything else is made.
pub(crate) trait Duplication {
    /// The backend that errors name.
    const NAME: &'static str;

    /// Memory that the GPU writes to and the CPU can map.
    type Staging: Staging;
    /// A picture on the GPU.
    type Texture: Any + Send + Sync;

    /// How the pictures are stored. After an acquired picture: that one.
    fn mode(&self) -> Mode;

    /// Waits at most `timeout` for news and writes them over `news`; `false` if there were none. After
    /// `true` comes one [`release`](Self::release).
    fn acquire(&mut self, timeout: Duration, news: &mut News) -> Result<bool, Loss>;

    /// Copies `part` of the acquired picture to the kept one.
    fn keep(&mut self, part: Rect) -> Result<(), Loss>;

    /// Gives the acquired picture back.
    fn release(&mut self) -> Result<(), Loss>;

    /// Makes memory for pictures of `size` in the layout of the mode.
    fn make_staging(&mut self, size: Resolution) -> Result<Self::Staging, Loss>;

    /// Has the GPU copy `part` of the kept picture, seen from `corner` of it, to the same place in
    /// `staging`, which is no longer mapped then.
    fn stage(&mut self, corner: (u32, u32), part: Rect, staging: &mut Self::Staging) -> Result<(), Loss>;

    /// Maps `staging`, if it is not mapped, unless the GPU is not done with it: `false`.
    fn map(&mut self, staging: &mut Self::Staging) -> Result<bool, Loss>;

    /// Makes a picture of `size` on the GPU.
    fn make_texture(&mut self, size: Resolution) -> Result<Self::Texture, Loss>;

    /// Has the GPU copy `part` of the kept picture, seen from `corner` of it, to the same place in
    /// `texture`.
    fn copy(&mut self, corner: (u32, u32), part: Rect, texture: &mut Self::Texture) -> Result<(), Loss>;
}

/// Memory that can be mapped. Its bytes are those that are mapped, none if it is not.
pub(crate) trait Staging: PixelMemory + 'static {
    /// Bytes from one row to the next while it is mapped.
    fn pitch(&self) -> usize;

    /// The bytes that are mapped, to draw into.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// How the pictures of a duplication are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mode {
    /// As stored, before it is turned.
    pub(crate) size: Resolution,
    pub(crate) layout: RowLayout,
    pub(crate) rotation: Rotation,
    /// The brightness of white on the desktop, in nits. It means something in scRGB only.
    pub(crate) white: f32,
    /// Which device memory is made on: memory of another is of no use.
    pub(crate) device: u32,
}

/// What happened since the picture before.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// When the picture changed last; `None` if it did not.
    pub(crate) presented: Option<CaptureTime>,
    /// Where it changed: rectangles that were drawn to, and those that others were moved to. In stored
    /// pixels. None of them for a picture that changed means that it is not known.
    pub(crate) changed: Vec<Edges>,
    /// The pointer, if it moved or changed.
    pub(crate) pointer: Option<PointerNews>,
    /// Its new shape, if it has one.
    pub(crate) shape: Option<PointerShape>,
}

impl News {
    /// Forgets all of it, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.presented = None;
        self.changed.clear();
        self.pointer = None;
        self.shape = None;
    }
}

/// Where the pointer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PointerNews {
    pub(crate) at: CaptureTime,
    /// The corner of its shape on the upright output; `None` where it is not to be seen on it.
    pub(crate) position: Option<(i32, i32)>,
}

/// Why a duplication gives no pictures any more.
#[derive(Debug)]
pub(crate) enum Loss {
    /// The mode or the desktop changed: duplicate anew.
    Access,
    /// It will not get better.
    Broken(CaptureError),
}
