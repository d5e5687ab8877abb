//! Frames out of the kept picture, in memory that is used again.

use yc_media::{CpuBuffer, FrameBuffer, GpuApi, GpuBuffer, PixelFormat, PlaneLayout, Rect, Resolution};

use super::view::View;
use super::{Duplication, Loss, Options, Staging};
use crate::picture::{Changes, Pointer, RowLayout, Rows, ToneMap, assemble, is_blank};
use crate::pool::Pool;
use crate::{CaptureError, CaptureErrorKind};

/// Makes the frames of one view.
pub(super) struct Canvas<D: Duplication> {
    view: View,
    memory: Memory<D>,
    /// What changed since the frame delivered last, in the upright part.
    dirty: Rect,
    /// Finds out what changed of that, where it is not told.
    compare: Option<Changes>,
}

/// Where frames live. Each memory knows which part of it is out of date.
enum Memory<D: Duplication> {
    /// In the memory that the GPU wrote to: nothing is copied by the CPU.
    Mapped(Pool<D::Staging, Rect>),
    /// In memory of our own, turned and converted out of what the GPU wrote.
    Assembled(Box<Assembled<D>>),
    /// On the GPU.
    Textures(Pool<D::Texture, Rect>),
}

struct Assembled<D: Duplication> {
    staging: D::Staging,
    /// In stored pixels.
    stale: Rect,
    tone: Option<ToneMap>,
    pool: Pool<Vec<u8>, Rect>,
}

/// What became of a frame.
pub(super) enum Taken {
    Frame(Picture),
    /// The picture is the one before, and was not wanted again.
    Same,
    /// The GPU is not done.
    NotYet,
    /// Every memory is still in use.
    NoMemory,
}

/// The content of a frame.
pub(super) struct Picture {
    pub(super) buffer: FrameBuffer,
    /// What differs from the frame before.
    pub(super) changed: Rect,
    /// Whether it is black all over, where the CPU has seen it.
    pub(super) blank: Option<bool>,
}

impl<D: Duplication> Canvas<D> {
    /// For frames of `view`, on the GPU if that is wished and the pixels are those of a frame.
    pub(super) fn new(view: View, options: Options, duplication: &mut D) -> Result<Self, Loss> {
        let memory = if !view.is_plain() {
            let tone = (view.mode.layout == RowLayout::Rgba16F).then(|| ToneMap::new(view.mode.white));
            let staging = duplication.make_staging(view.stored)?;
            Memory::Assembled(Box::new(Assembled {
                staging,
                stale: view.stored.rect(),
                tone,
                pool: Pool::new(),
            }))
        } else if options.gpu() {
            Memory::Textures(Pool::new())
        } else {
            Memory::Mapped(Pool::new())
        };
        let compare = options.compare.then(|| Changes::new(view.stored));
        Ok(Self { view, memory, dirty: view.size.rect(), compare })
    }

    pub(super) fn view(&self) -> View {
        self.view
    }

    /// Whether anything changed since the frame delivered last.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Says that `part` of the stored part changed in the kept picture.
    pub(super) fn add_damage(&mut self, part: Rect) {
        let upright = self.view.upright(part);
        self.dirty = self.dirty.union(upright);
        match &mut self.memory {
            Memory::Mapped(pool) => spoil(pool, upright),
            Memory::Textures(pool) => spoil(pool, upright),
            Memory::Assembled(assembled) => {
                assembled.stale = assembled.stale.union(part);
                spoil(&mut assembled.pool, upright);
            }
        }
    }

    /// Makes a frame of the kept picture, with the pointer in it where the CPU can draw. To be called again
    /// after [`Taken::NotYet`]: the GPU is asked once only. A picture that turns out to be the one before is a
    /// frame only if it is `wanted`.
    pub(super) fn take(
        &mut self,
        duplication: &mut D,
        pointer: Option<&mut Pointer>,
        wanted: bool,
    ) -> Result<Taken, Loss> {
        let view = self.view;
        let moved = pointer.as_ref().map_or(Rect::default(), |pointer| pointer.damage(view.size));
        let (buffer, blank) = match &mut self.memory {
            Memory::Mapped(pool) => {
                // What was not mapped in time is the newest that is free, so it is what comes next time.
                let make = || Ok::<_, Loss>((duplication.make_staging(view.size)?, view.size.rect()));
                let Some(slot) = pool.take(make)? else { return Ok(Taken::NoMemory) };
                let (staging, stale) = slot.parts();
                if !map(duplication, view, staging, stale)? {
                    return Ok(Taken::NotYet);
                }
                let source = rows::<D>(staging, view.size, RowLayout::Bgra8)?;
                self.dirty = compare(&mut self.compare, source, self.dirty);
                if !wanted && self.dirty.union(moved).is_empty() {
                    return Ok(Taken::Same);
                }
                let blank = is_blank(source);
                let stride = staging.pitch();
                *stale = draw(pointer, staging.bytes_mut(), stride, view.size);
                let planes = [PlaneLayout { offset: 0, stride }];
                let buffer = CpuBuffer::new(slot.share(), PixelFormat::Bgra8, view.size, &planes)
                    .map_err(|error| broken::<D>("reading a picture", error))?;
                (FrameBuffer::Cpu(buffer), Some(blank))
            }
            Memory::Assembled(assembled) => {
                let Assembled { staging, stale, tone, pool } = &mut **assembled;
                if !map(duplication, view, staging, stale)? {
                    return Ok(Taken::NotYet);
                }
                let source = rows::<D>(staging, view.stored, view.mode.layout)?;
                if self.compare.is_some() {
                    self.dirty = view.upright(compare(&mut self.compare, source, view.stored.rect()));
                    if !wanted && self.dirty.union(moved).is_empty() {
                        return Ok(Taken::Same);
                    }
                }
                let stride = view.size.width() as usize * 4;
                let bytes = stride * view.size.height() as usize;
                let make = || Ok::<_, Loss>((vec![0; bytes], view.size.rect()));
                let Some(slot) = pool.take(make)? else { return Ok(Taken::NoMemory) };
                let (pixels, stale) = slot.parts();
                assemble(source, view.mode.rotation, tone.as_ref(), *stale, pixels, stride);
                *stale = draw(pointer, pixels, stride, view.size);
                let planes = [PlaneLayout { offset: 0, stride }];
                let buffer = CpuBuffer::new(slot.share(), PixelFormat::Bgra8, view.size, &planes)
                    .expect("the memory was made for this size");
                (FrameBuffer::Cpu(buffer), Some(is_blank(source)))
            }
            Memory::Textures(pool) => {
                let make = || Ok::<_, Loss>((duplication.make_texture(view.size)?, view.size.rect()));
                let Some(slot) = pool.take(make)? else { return Ok(Taken::NoMemory) };
                let (texture, stale) = slot.parts();
                if !stale.is_empty() {
                    duplication.copy(view.corner(), *stale, texture)?;
                    *stale = Rect::default();
                }
                (FrameBuffer::Gpu(GpuBuffer::new(slot.share(), GpuApi::D3d11, view.size)), None)
            }
        };
        let changed = std::mem::take(&mut self.dirty).union(moved);
        Ok(Taken::Frame(Picture { buffer, changed, blank }))
    }
}

fn spoil<M>(pool: &mut Pool<M, Rect>, part: Rect) {
    for slot in pool.iter_mut() {
        slot.state = slot.state.union(part);
    }
}

/// Brings `staging` up to date and maps it; `false` if the GPU is not done.
fn map<D: Duplication>(
    duplication: &mut D,
    view: View,
    staging: &mut D::Staging,
    stale: &mut Rect,
) -> Result<bool, Loss> {
    if !stale.is_empty() {
        duplication.stage(view.corner(), *stale, staging)?;
        *stale = Rect::default();
    }
    duplication.map(staging)
}

/// What of `told` really changed, where pictures are compared.
fn compare(changes: &mut Option<Changes>, rows: Rows<'_>, told: Rect) -> Rect {
    changes.as_mut().map_or(told, |changes| changes.look(rows, rows.size.rect()))
}

fn rows<D: Duplication>(staging: &D::Staging, size: Resolution, layout: RowLayout) -> Result<Rows<'_>, Loss> {
    Rows::new(staging.as_ref(), staging.pitch(), size, layout)
        .map_err(|error| broken::<D>("reading a picture", error))
}

/// Draws the pointer, if there is one, and returns where.
fn draw(pointer: Option<&mut Pointer>, pixels: &mut [u8], stride: usize, size: Resolution) -> Rect {
    pointer.map_or(Rect::default(), |pointer| pointer.draw(pixels, stride, size))
}

fn broken<D: Duplication>(doing: &'static str, error: yc_media::MediaError) -> Loss {
    Loss::Broken(CaptureError::new(CaptureErrorKind::Failed, D::NAME, doing).with_source(error))
}
