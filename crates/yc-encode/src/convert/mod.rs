//! From captured pictures to what an encoder takes: format, size and colour, in at most one copy.

mod colour;
mod plan;
mod work;

use yc_media::{CpuBuffer, Damage, FrameBuffer, PixelFormat, Rect, Resolution, VideoFrame};

use crate::pool::PicturePool;
use crate::scale::Scaler;
use crate::{EncodeError, EncodeErrorKind, FrameInput};

use plan::{Changed, Plan};
use work::Work;

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
                result = Work { plan: &plan, scaler, scaled, pair }.convert(buffer, bytes, rect);
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
