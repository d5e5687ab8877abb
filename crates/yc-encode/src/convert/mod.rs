//! From captured pictures to what an encoder takes: format, size and colour, in at most one copy.

mod colour;

use yc_media::{CpuBuffer, Damage, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame};

use crate::pool::PicturePool;
use crate::scale::{self, Sample, Scaler, Source, Target};
use crate::{EncodeError, EncodeErrorKind, FrameInput};

use colour::{Bgra, Planes};

/// Makes the pictures of one capture into pictures that one encoder takes. One for each encode thread.
///
/// A picture that the encoder takes as it is passes through untouched. Else BGRA is converted to BT.709
/// limited range straight from the captured memory into pooled memory; a picture that is too large is
/// scaled first. Where the damage says that little or nothing changed, only the changed rows are
/// converted anew, with the same result.
///
/// Pictures of an odd size lose their last column or row: 4:2:0 has no half chroma samples. Pictures below
/// 16 pixels to a side get black beside them: no encoder takes less than a macroblock.
///
/// # Damage
///
/// [`VideoFrame::damage`] must cover what changed since the frame handed to
/// [`prepare`](Converter::prepare) before. Who leaves out a frame merges its damage into the next
/// ([`Damage::merge`]); who turns to another capture calls [`reset`](Converter::reset), or hands over a
/// first frame with full damage, as captures begin.
#[derive(Debug, Default)]
pub struct Converter {
    scaler: Scaler,
    pool: PicturePool,
    /// A scaled picture between scaling and conversion.
    scaled: Vec<u8>,
    /// Two rows without padding.
    pair: Vec<u8>,
    plan: Option<Plan>,
    /// Number of the picture converted last by the plan; the first is 1.
    picture: u64,
    /// What changed in the last pictures, by their number modulo the length.
    history: [Changed; HISTORY],
}

/// What is made of what. As long as it stands, pictures follow from the ones before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    from: PixelFormat,
    stored: Resolution,
    /// What is read of the stored picture.
    visible: Rect,
    to: PixelFormat,
    /// The picture inside the output, from its top left corner.
    content: Resolution,
    /// The output.
    coded: Resolution,
}

/// What changed in the output, content coordinates.
#[derive(Debug, Clone, Copy, Default)]
struct Changed(Option<Rect>);

/// Pictures back that the changes are remembered: more than the pool has slots.
const HISTORY: usize = 8;

/// The shortest side of a prepared picture, in pixels: one macroblock.
const MIN_SIDE: u32 = 16;

impl Converter {
    /// A converter that has seen no frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the frames before: the next one is converted whole. For a new capture.
    pub fn reset(&mut self) {
        self.plan = None;
    }

    /// The picture of `frame` in the first layout of `accepts` that it can be made into, not larger than
    /// `max`, its shape kept, both sides even.
    ///
    /// # Errors
    ///
    /// `Unsupported` if it can be made into none of them: pictures on a GPU are taken as they are or not at
    /// all. `InvalidInput` for a picture whose rows do not begin at whole pixels.
    pub fn prepare(
        &mut self,
        frame: &VideoFrame,
        accepts: &[FrameInput],
        max: Resolution,
    ) -> Result<VideoFrame, EncodeError> {
        let buffer = match frame.buffer() {
            FrameBuffer::Cpu(buffer) => buffer,
            FrameBuffer::Gpu(gpu) => {
                let content = frame.size().fit_into(max);
                if accepts.contains(&FrameInput::Gpu(gpu.api())) && is_crop(frame.size(), content) {
                    self.plan = None;
                    return cropped(frame, frame.visible(), content);
                }
                return Err(unsupported(
                    accepts,
                    format!("a {} picture on a GPU ({:?})", frame.size(), gpu.api()),
                ));
            }
            other => return Err(unsupported(accepts, format!("{other:?}"))),
        };
        let from = buffer.format();
        let visible = if from == PixelFormat::Bgra8 {
            frame.visible()
        } else {
            even_inside(frame.visible(), buffer.size())
        };
        let size = Resolution::new(visible.width, visible.height).map_err(invalid)?;
        let content = size.fit_into(max);
        let coded = Resolution::new(content.width().max(MIN_SIDE), content.height().max(MIN_SIDE))
            .map_err(invalid)?;
        if accepts.contains(&FrameInput::Cpu(from)) && is_crop(size, content) && coded == content {
            self.plan = None;
            return cropped(frame, visible, content);
        }
        let to = accepts.iter().find_map(|input| match *input {
            FrameInput::Cpu(to) if convertible(from, to) => Some(to),
            _ => None,
        });
        let to = to.ok_or_else(|| unsupported(accepts, format!("a {from:?} picture")))?;
        let plan = Plan { from, stored: buffer.size(), visible, to, content, coded };
        self.convert(frame, buffer, plan)
    }

    fn convert(
        &mut self,
        frame: &VideoFrame,
        buffer: &CpuBuffer,
        plan: Plan,
    ) -> Result<VideoFrame, EncodeError> {
        let (layout, bytes) = plan.layout();
        let fresh = self.plan != Some(plan);
        if fresh {
            self.pool.reset(bytes);
            self.picture = 0;
            self.plan = Some(plan);
        }
        let changed = if fresh { Changed(Some(plan.content.rect())) } else { plan.changed(frame.damage()) };
        self.picture += 1;
        let picture = self.picture;
        self.history[picture as usize % HISTORY] = changed;

        // The same picture again: whoever still holds it only reads it.
        let same = changed.0.is_none().then(|| self.pool.holding(picture - 1)).flatten();
        let memory = if let Some(slot) = same {
            slot.picture = picture;
            slot.memory()
        } else {
            let mut result = Ok(());
            let Self { scaler, scaled, pair, history, .. } = self;
            let memory = self.pool.write(picture, |bytes, held| {
                let rect = stale(history, held, picture, &plan);
                if held == 0 && plan.coded != plan.content {
                    plan.blacken(bytes);
                }
                let mut work = Work { plan: &plan, layout: &layout, scaler, scaled, pair };
                result = work.convert(buffer, bytes, rect);
            });
            if let Err(why) = result {
                self.plan = None;
                return Err(
                    EncodeError::new(EncodeErrorKind::InvalidInput, NAME, "converting").with_source(why)
                );
            }
            memory
        };
        let buffer =
            CpuBuffer::new(memory, plan.to, plan.coded, &layout[..plan.to.planes()]).map_err(invalid)?;
        let damage = match changed.0 {
            None => Damage::None,
            Some(rect) if rect == plan.content.rect() => Damage::Full,
            Some(rect) => Damage::Part(rect),
        };
        Ok(VideoFrame::new(FrameBuffer::Cpu(buffer), frame.captured_at()).with_damage(damage))
    }
}

/// What is stale in memory that holds picture number `held` when it is to hold `picture`.
fn stale(history: &[Changed; HISTORY], held: u64, picture: u64, plan: &Plan) -> Rect {
    if held == 0 || picture - held > HISTORY as u64 {
        return plan.content.rect();
    }
    (held + 1..=picture)
        .filter_map(|number| history[number as usize % HISTORY].0)
        .fold(Rect::default(), Rect::union)
}

impl Plan {
    fn scales(&self) -> bool {
        let (width, height) = (self.visible.width, self.visible.height);
        self.content.width() > width
            || self.content.height() > height
            || width - self.content.width() > 1
            || height - self.content.height() > 1
    }

    /// The planes of the output one after the other, and all their bytes.
    fn layout(&self) -> ([PlaneLayout; 3], usize) {
        let mut layout = [PlaneLayout::default(); 3];
        let mut end = 0;
        for (plane, at) in layout.iter_mut().enumerate().take(self.to.planes()) {
            let (row, rows) = self.to.plane_size(plane, self.coded);
            *at = PlaneLayout { offset: end, stride: row };
            end += row * rows;
        }
        (layout, end)
    }

    fn blacken(&self, bytes: &mut [u8]) {
        let luma = (self.coded.pixels() as usize).min(bytes.len());
        if self.to == PixelFormat::Bgra8 {
            bytes.fill(0);
        } else {
            bytes[..luma].fill(16);
            bytes[luma..].fill(128);
        }
    }

    /// Where `damage` of the stored picture shows in the output, rounded outward.
    fn changed(&self, damage: Damage) -> Changed {
        let content = self.content.rect();
        let rect = match damage {
            Damage::None => return Changed(None),
            Damage::Full => return Changed(Some(content)),
            Damage::Part(rect) => rect.intersect(self.visible),
        };
        if rect.is_empty() {
            return Changed(None);
        }
        let (x, y) = (rect.x - self.visible.x, rect.y - self.visible.y);
        let (right, bottom) = (x + rect.width, y + rect.height);
        let (left, right) = span(x, right, self.visible.width, self.content.width(), self.scales());
        let (top, bottom) = span(y, bottom, self.visible.height, self.content.height(), self.scales());
        if left >= right || top >= bottom {
            return Changed(None);
        }
        Changed(Some(Rect { x: left, y: top, width: right - left, height: bottom - top }))
    }
}

/// The even pixels of an output side that change with the pixels `from` to `to` of an input side.
fn span(from: u32, to: u32, input: u32, output: u32, scales: bool) -> (u32, u32) {
    let (from, to) = if scales {
        let scale = f64::from(output) / f64::from(input);
        // Where the output has more pixels, the filter is as wide as an input pixel.
        let reach = scale::SUPPORT * scale.max(1.0) + 0.5;
        let (from, to) = (f64::from(from) * scale - reach, f64::from(to) * scale + reach);
        (from.floor().max(0.0) as u32, to.ceil() as u32)
    } else {
        (from, to)
    };
    (from & !1, to.saturating_add(1).min(output.saturating_add(1)) & !1)
}

/// One conversion of one picture.
struct Work<'a> {
    plan: &'a Plan,
    layout: &'a [PlaneLayout; 3],
    scaler: &'a mut Scaler,
    scaled: &'a mut Vec<u8>,
    pair: &'a mut Vec<u8>,
}

impl Work<'_> {
    /// Writes at least `stale` of the output.
    fn convert(&mut self, buffer: &CpuBuffer, bytes: &mut [u8], stale: Rect) -> Result<(), String> {
        if stale.is_empty() {
            return Ok(());
        }
        let mut planes = split(bytes, self.layout, self.plan);
        if self.plan.from == PixelFormat::Bgra8 {
            self.convert_bgra(buffer, &mut planes, stale)
        } else {
            self.convert_planar(buffer, planes)
        }
    }

    fn convert_bgra(
        &mut self,
        buffer: &CpuBuffer,
        planes: &mut Planes<'_>,
        stale: Rect,
    ) -> Result<(), String> {
        let Plan { visible, content, coded, to, .. } = *self.plan;
        let (bytes, stride) = buffer.plane(0);
        let bytes = &bytes[visible.y as usize * stride + visible.x as usize * 4..];
        let size = (content.width(), content.height());
        if self.plan.scales() {
            let source = Source { bytes, stride, size: (visible.width, visible.height) };
            if to == PixelFormat::Bgra8 {
                let plane = (coded.width(), coded.height());
                let target = Target { bytes: &mut *planes.bytes[0], plane, size };
                return self.scaler.scale(Sample::Four, source, target);
            }
            self.scaled.resize(content.pixels() as usize * 4, 0);
            let target = Target { bytes: self.scaled, plane: size, size };
            self.scaler.scale(Sample::Four, source, target)?;
            let width = size.0 as usize;
            let source = Bgra { bytes: self.scaled, stride: width * 4, width };
            return colour::convert_rows(source, planes, to, 0..size.1 as usize, self.pair);
        }
        let (width, height) = (size.0 as usize, size.1 as usize);
        if to == PixelFormat::Bgra8 {
            colour::copy_rows((bytes, stride), (&mut *planes.bytes[0], planes.strides[0]), width * 4, height);
            return Ok(());
        }
        // `stale` is even at both ends, as `span` makes it.
        let rows = stale.y as usize..(stale.y + stale.height) as usize;
        colour::convert_rows(Bgra { bytes, stride, width }, planes, to, rows, self.pair)
    }

    fn convert_planar(&mut self, buffer: &CpuBuffer, planes: Planes<'_>) -> Result<(), String> {
        let Plan { visible, content, coded, from, to, .. } = *self.plan;
        let (width, height) = (content.width() as usize, content.height() as usize);
        let parts = if from == PixelFormat::Nv12 { 2 } else { 3 };
        let mut sources: [(&[u8], usize); 3] = [(&[], 0); 3];
        for (plane, source) in sources.iter_mut().enumerate().take(parts) {
            let (bytes, stride) = buffer.plane(plane);
            let (x, y) = (visible.x as usize, visible.y as usize);
            let offset = match (from, plane) {
                (_, 0) => y * stride + x,
                (PixelFormat::Nv12, _) => y / 2 * stride + x,
                _ => y / 2 * stride + x / 2,
            };
            *source = (&bytes[offset..], stride);
        }
        if self.plan.scales() {
            let shape = |size: Resolution, plane: usize| match plane {
                0 => (size.width(), size.height()),
                _ => (size.width().div_ceil(2), size.height().div_ceil(2)),
            };
            let read = Resolution::new(visible.width, visible.height).map_err(|error| error.to_string())?;
            let sample =
                |plane: usize| if plane > 0 && from == PixelFormat::Nv12 { Sample::Two } else { Sample::One };
            if from == to {
                for (plane, bytes) in planes.bytes.into_iter().enumerate().take(parts) {
                    let source = Source {
                        bytes: sources[plane].0,
                        stride: sources[plane].1,
                        size: shape(read, plane),
                    };
                    let target = Target { bytes, plane: shape(coded, plane), size: shape(content, plane) };
                    self.scaler.scale(sample(plane), source, target)?;
                }
                return Ok(());
            }
            self.scaled.resize(width * height * 3 / 2, 0);
            let (luma, chroma) = self.scaled.split_at_mut(width * height);
            let (first, second) =
                if parts == 2 { (chroma, &mut [][..]) } else { chroma.split_at_mut(width * height / 4) };
            for (plane, bytes) in [luma, first, second].into_iter().enumerate().take(parts) {
                let source =
                    Source { bytes: sources[plane].0, stride: sources[plane].1, size: shape(read, plane) };
                let target = Target { bytes, plane: shape(content, plane), size: shape(content, plane) };
                self.scaler.scale(sample(plane), source, target)?;
            }
            let (luma, chroma) = self.scaled.split_at(width * height);
            let chroma_stride = if parts == 2 { width } else { width / 2 };
            let (first, second) =
                if parts == 2 { (chroma, &[][..]) } else { chroma.split_at(width * height / 4) };
            rearrange(
                [(luma, width), (first, chroma_stride), (second, chroma_stride)],
                planes,
                from,
                to,
                width,
                height,
            );
            return Ok(());
        }
        rearrange(sources, planes, from, to, width, height);
        Ok(())
    }
}

/// Writes a planar picture of `width` × `height` pixels in another plane layout, or in the same.
fn rearrange(
    [y, u, v]: [(&[u8], usize); 3],
    planes: Planes<'_>,
    from: PixelFormat,
    to: PixelFormat,
    width: usize,
    height: usize,
) {
    let [sy, su, sv] = planes.strides;
    let [to_y, to_u, to_v] = planes.bytes;
    colour::copy_rows(y, (to_y, sy), width, height);
    match (from, to) {
        (PixelFormat::I420, PixelFormat::Nv12) => colour::interleave(u, v, (to_u, su), width / 2, height / 2),
        (PixelFormat::Nv12, PixelFormat::I420) => {
            colour::deinterleave(u, (to_u, su), (to_v, sv), width / 2, height / 2);
        }
        (PixelFormat::Nv12, _) => colour::copy_rows(u, (to_u, su), width, height / 2),
        _ => {
            colour::copy_rows(u, (to_u, su), width / 2, height / 2);
            colour::copy_rows(v, (to_v, sv), width / 2, height / 2);
        }
    }
}

fn split<'a>(bytes: &'a mut [u8], layout: &[PlaneLayout; 3], plan: &Plan) -> Planes<'a> {
    let mut rest = bytes;
    let bytes = [0, 1, 2].map(|plane| {
        if plane >= plan.to.planes() {
            return &mut [][..];
        }
        let (row, rows) = plan.to.plane_size(plane, plan.coded);
        let (taken, left) = std::mem::take(&mut rest).split_at_mut(row * rows);
        rest = left;
        taken
    });
    Planes { bytes, strides: layout.map(|plane| plane.stride) }
}

fn convertible(from: PixelFormat, to: PixelFormat) -> bool {
    use PixelFormat::{Bgra8, I420, Nv12};
    matches!((from, to), (Bgra8, Bgra8 | I420 | Nv12) | (I420 | Nv12, I420 | Nv12))
}

/// Whether `content` is all of `size` but for a last odd column or row.
fn is_crop(size: Resolution, content: Resolution) -> bool {
    let side = |size: u32, content: u32| content <= size && size - content <= 1;
    side(size.width(), content.width()) && side(size.height(), content.height())
}

/// The part of `visible` that begins and ends between chroma samples; around it, if it is one pixel.
fn even_inside(visible: Rect, stored: Resolution) -> Rect {
    let side = |at: u32, length: u32, limit: u32| {
        let (from, to) = (at + (at & 1), (at + length) & !1);
        if from < to { (from, to - from) } else { (at & !1, 2.min(limit - (at & !1))) }
    };
    let (x, width) = side(visible.x, visible.width, stored.width());
    let (y, height) = side(visible.y, visible.height, stored.height());
    Rect { x, y, width, height }
}

fn cropped(frame: &VideoFrame, visible: Rect, content: Resolution) -> Result<VideoFrame, EncodeError> {
    let rect = Rect { width: content.width(), height: content.height(), ..visible };
    frame.clone().with_visible(rect).map_err(invalid)
}

fn unsupported(accepts: &[FrameInput], what: String) -> EncodeError {
    EncodeError::new(EncodeErrorKind::Unsupported, NAME, "preparing a picture")
        .with_source(format!("{what} cannot be made into any of {accepts:?}"))
}

fn invalid(error: yc_media::MediaError) -> EncodeError {
    EncodeError::new(EncodeErrorKind::InvalidInput, NAME, "preparing a picture").with_source(error)
}

const NAME: &str = "converter";

#[cfg(test)]
mod tests;
