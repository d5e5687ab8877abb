//! Pictures of a source, and what they show that the one before did not.

use std::time::Duration;

use windows::core::Result;
use yc_media::{
    CaptureTime, CpuBuffer, Damage, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame,
};

use super::source::View;
use super::sys::{self, Canvas, Painter};
use crate::clock;
use crate::picture::{BlankWatch, Changes, Pointer, RowLayout, Rows, is_blank};
use crate::pool::Pool;

/// What one look gave.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// `None` if it shows nothing new, or every memory is still in use.
    pub(super) frame: Option<VideoFrame>,
    /// Whether pictures are black all over from now on, or no longer.
    pub(super) blank: Option<bool>,
}

/// Takes pictures and knows what the last one showed.
#[derive(Debug)]
pub(super) struct Pictures {
    painter: Painter,
    pool: Pool<Canvas, ()>,
    changes: Changes,
    /// `None` if it is left out.
    pointer: Option<ShownPointer>,
    blank: BlankWatch,
    /// Whether the compositor prints the window, whose own context is black.
    printing: bool,
    size: Resolution,
    /// The time of the frame delivered last.
    delivered: Option<CaptureTime>,
}

impl Pictures {
    /// Of a source of `size`, with the cursor in it or not.
    pub(super) fn new(size: Resolution, cursor: bool) -> Result<Self> {
        Ok(Self {
            painter: Painter::new()?,
            pool: Pool::new(),
            changes: Changes::new(size),
            pointer: cursor.then(ShownPointer::default),
            blank: BlankWatch::default(),
            printing: false,
            size,
            delivered: None,
        })
    }

    /// Goes on in another size; answers whether it is another.
    pub(super) fn set_size(&mut self, size: Resolution) -> bool {
        if size == self.size {
            return false;
        }
        self.size = size;
        self.pool.drain().for_each(drop);
        self.changes = Changes::new(size);
        true
    }

    /// Takes a picture of `view`, which has the size set last. One that shows nothing new is a frame only if it is
    /// `wanted`.
    ///
    /// # Errors
    ///
    /// If GDI refuses: the source has just changed, or may not be read.
    pub(super) fn take(&mut self, view: View, wanted: bool) -> Result<Taken> {
        let size = self.size;
        let Some(slot) = self.pool.take(|| Canvas::new(size).map(|canvas| (canvas, ())))? else {
            return Ok(Taken::default());
        };
        let (canvas, ()) = slot.parts();
        let time = clock::now();
        match view.window {
            // A program that does not answer draws nothing new either.
            Some(window) if self.printing => {
                if self.painter.print(canvas, window).is_err() {
                    return Ok(Taken::default());
                }
            }
            _ => self.painter.copy(canvas, view)?,
        }
        let first = self.delivered.is_none();
        let is_black = is_blank(rows(canvas, size));
        let mut blank = self.blank.look(is_black);
        if let Some(window) = view.window
            && !self.printing
            && is_black
            && (first || blank == Some(true))
        {
            // What a GPU draws is not in the window's context; the compositor has it.
            match self.painter.print(canvas, window) {
                Ok(()) => self.printing = !is_blank(rows(canvas, size)),
                Err(_) => self.painter.copy(canvas, view)?,
            }
            if self.printing {
                (self.blank, blank) = (BlankWatch::default(), None);
            }
        }
        let mut changed = self.changes.look(rows(canvas, size), size.rect());
        if let Some(pointer) = &mut self.pointer {
            changed = changed.union(pointer.look(view.origin, size));
        }
        if changed.is_empty() && !wanted && !first {
            return Ok(Taken { frame: None, blank });
        }
        let stride = stride(size);
        if let Some(pointer) = &mut self.pointer {
            pointer.pointer.draw(canvas.bytes_mut(), stride, size);
        }
        let buffer =
            CpuBuffer::new(slot.share(), PixelFormat::Bgra8, size, &[PlaneLayout { offset: 0, stride }])
                .expect("the canvas was made for this size");
        // Two frames on one tick of a coarse clock still get times of their own.
        let time = match self.delivered {
            Some(last) if time <= last => last + Duration::from_nanos(1),
            _ => time,
        };
        self.delivered = Some(time);
        let damage = damage(changed, first);
        Ok(Taken { frame: Some(VideoFrame::new(FrameBuffer::Cpu(buffer), time).with_damage(damage)), blank })
    }
}

fn damage(changed: Rect, first: bool) -> Damage {
    match (first, changed.is_empty()) {
        (true, _) => Damage::Full,
        (false, true) => Damage::None,
        (false, false) => Damage::Part(changed),
    }
}

fn rows(canvas: &Canvas, size: Resolution) -> Rows<'_> {
    Rows::new(canvas.as_ref(), stride(size), size, RowLayout::Bgra8)
        .expect("the canvas was made for this size")
}

fn stride(size: Resolution) -> usize {
    size.width() as usize * 4
}

/// The pointer, and which of the system's shapes it was last seen in.
#[derive(Debug, Default)]
struct ShownPointer {
    pointer: Pointer,
    shape: isize,
}

impl ShownPointer {
    /// Where it is now in a picture that starts at `origin`: what it changes there.
    fn look(&mut self, origin: (i32, i32), size: Resolution) -> Rect {
        match sys::pointer() {
            Some(now) => {
                if now.shape != self.shape {
                    self.shape = now.shape;
                    // One that cannot be read keeps the shape before it.
                    if let Some(shape) = sys::shape(now.shape) {
                        self.pointer.set_shape(shape);
                    }
                }
                let at = (now.at.0.saturating_sub(origin.0), now.at.1.saturating_sub(origin.1));
                self.pointer.move_to(at);
            }
            None => self.pointer.hide(),
        }
        self.pointer.damage(size)
    }
}
