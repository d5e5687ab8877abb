//! Taking pictures from the server into pooled memory, and only the rows that changed.

use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::damage;
use x11rb::protocol::shm;
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, Rectangle};
use x11rb::x11_utils::X11Error;
use yc_media::{CpuBuffer, FrameBuffer, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame};

use super::NAME;
use super::cursor::Cursor;
use super::display::{Display, failed, lost};
use super::inbox::Inbox;
use super::source::View;
use super::sys::Mapping;
use crate::pool::Pool;
use crate::{CaptureError, CaptureErrorKind, clock};

/// Takes pictures of one view at a time.
#[derive(Debug)]
pub(super) struct Grabber {
    damage: damage::Damage,
    view: View,
    /// Each memory knows which part of it is out of date.
    pool: Pool<Segment, Rect>,
    /// What changed since the frame delivered last.
    dirty: Rect,
    /// Whether the server writes into memory that we pass to it.
    shared: bool,
}

/// What became of a picture.
pub(super) enum Grabbed {
    /// A frame, and what of it changed. The damage is still to be set.
    Frame(VideoFrame, Rect),
    /// Every memory is still in use.
    NoMemory,
    /// The server refused: the source has just changed.
    Refused(X11Error),
}

impl Grabber {
    /// Asks to be told what is drawn to `drawable`.
    pub(super) fn new(display: &Display, drawable: u32, view: View) -> Result<Self, CaptureError> {
        let doing = "asking for damage";
        let connection = &display.connection;
        let id = new_id(display)?;
        // One event each time the damaged area grows, until it is subtracted.
        damage::create(connection, id, drawable, damage::ReportLevel::BOUNDING_BOX)
            .map_err(|error| lost(doing, error))?
            .check()
            .map_err(|error| failed(doing, error))?;
        let mut grabber = Self {
            damage: id,
            view,
            pool: Pool::new(),
            dirty: view.size.rect(),
            shared: display.shared_memory,
        };
        if grabber.shared {
            // A server in another container, or behind a proxy, may say that it can and yet cannot.
            match Segment::shared(display, grabber.bytes()) {
                Ok(segment) => segment.release(display)?,
                Err(error) if error.kind() == CaptureErrorKind::DeviceLost => return Err(error),
                Err(error) => {
                    tracing::info!(%error, "no shared memory with the display, copying instead");
                    grabber.shared = false;
                }
            }
        }
        Ok(grabber)
    }

    pub(super) fn view(&self) -> View {
        self.view
    }

    /// Whether pictures come through shared memory.
    pub(super) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether anything changed since the frame delivered last.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Goes on with another view. Everything in it counts as changed.
    pub(super) fn set_view(&mut self, display: &Display, view: View) -> Result<(), CaptureError> {
        if view.size != self.view.size {
            for slot in self.pool.drain() {
                slot.memory().release(display)?;
            }
        }
        self.view = view;
        self.invalidate();
        Ok(())
    }

    /// Counts the whole picture as changed.
    pub(super) fn invalidate(&mut self) {
        self.add_damage(self.view.size.rect());
    }

    /// Takes the damage out of the inbox.
    pub(super) fn take_damage(&mut self, display: &Display, inbox: &mut Inbox) -> Result<(), CaptureError> {
        let told = !inbox.damage.is_empty();
        while let Some((_, area)) = inbox.damage.pop() {
            self.add_damage(to_picture(self.view, area));
        }
        if told && !self.is_dirty() {
            // Start a new bounding box, or the next one reaches from outside the picture into it. What is
            // drawn inside the picture before the server gets here is not in the old box and will be told.
            damage::subtract(&display.connection, self.damage, x11rb::NONE, x11rb::NONE)
                .map_err(|error| lost("reading damage", error))?;
        }
        Ok(())
    }

    fn add_damage(&mut self, area: Rect) {
        self.dirty = self.dirty.union(area);
        for slot in self.pool.iter_mut() {
            slot.state = slot.state.union(area);
        }
    }

    /// Takes a picture, and the cursor into it.
    ///
    /// Only the rows that changed since a memory was filled last are fetched, in one request. Whatever was
    /// drawn before the server answered it is told before the answer; so if some of that lies outside the
    /// fetched rows, they are fetched once more, and the picture is the screen as it was at one moment.
    pub(super) fn grab(
        &mut self,
        display: &Display,
        inbox: &mut Inbox,
        cursor: Option<&mut Cursor>,
    ) -> Result<Grabbed, CaptureError> {
        let doing = "taking a picture";
        self.take_damage(display, inbox)?;
        let (view, size, stride) = (self.view, self.view.size, self.stride());
        let (bytes, shared) = (self.bytes(), self.shared);
        let make = || {
            let segment = if shared { Segment::shared(display, bytes)? } else { Segment::plain(bytes) };
            Ok::<_, CaptureError>((segment, size.rect()))
        };
        let Some(slot) = self.pool.take(make)? else { return Ok(Grabbed::NoMemory) };
        let (segment, stale) = slot.parts();
        let mut changed = std::mem::take(&mut self.dirty);
        let mut later = Rect::default();
        let mut time;
        let mut tries = 0;
        loop {
            let subtracted = damage::subtract(&display.connection, self.damage, x11rb::NONE, x11rb::NONE)
                .map_err(|error| lost(doing, error))?
                .sequence_number();
            tries += 1;
            let rows = if tries < MOST_TRIES { rows_of(*stale, size) } else { size.rect() };
            time = clock::now();
            if rows.is_empty() {
                break;
            }
            let asked = match segment.fetch(display, view, rows, stride) {
                Ok(asked) => asked,
                Err(ReplyError::X11Error(error)) => {
                    *stale = size.rect();
                    self.dirty = size.rect();
                    return Ok(Grabbed::Refused(error));
                }
                Err(error) => return Err(failed(doing, error)),
            };
            *stale = Rect::default();
            inbox.drain(display)?;
            let mut missed = false;
            while let Some((told, area)) = inbox.damage.pop() {
                let area = to_picture(view, area);
                let fetched = rows.contains(area);
                if told < asked && !fetched {
                    missed = true;
                }
                if told < subtracted && fetched {
                    changed = changed.union(area);
                } else {
                    // Of areas that were damaged again after the subtraction the server will not tell
                    // again until the next one: they stay dirty even if this picture shows them.
                    *stale = stale.union(area);
                    later = later.union(area);
                }
            }
            if !missed || tries >= MOST_TRIES {
                break;
            }
            changed = changed.union(std::mem::take(&mut later));
        }
        if let Some(cursor) = cursor {
            changed = changed.union(cursor.damage(size));
            let drawn = cursor.draw(segment.bytes_mut(), stride, size);
            *stale = stale.union(drawn);
        }
        let memory = slot.share();
        // The other memories miss what came while this one was filled.
        let missed_by_others = changed.union(later);
        for slot in self.pool.iter_mut() {
            if !std::ptr::eq(slot.memory(), &*memory) {
                slot.state = slot.state.union(missed_by_others);
            }
        }
        self.dirty = later;
        let buffer = CpuBuffer::new(memory, PixelFormat::Bgra8, size, &[PlaneLayout { offset: 0, stride }])
            .expect("the memory was made for this size");
        Ok(Grabbed::Frame(VideoFrame::new(FrameBuffer::Cpu(buffer), time), changed))
    }

    fn stride(&self) -> usize {
        self.view.size.width() as usize * 4
    }

    fn bytes(&self) -> usize {
        self.stride() * self.view.size.height() as usize
    }
}

/// The memory of one picture.
#[derive(Debug)]
struct Segment {
    memory: Memory,
    /// The server's name of it, if it is shared.
    id: shm::Seg,
}

#[derive(Debug)]
enum Memory {
    Shared(Mapping),
    Plain(Vec<u8>),
}

impl Segment {
    fn shared(display: &Display, bytes: usize) -> Result<Self, CaptureError> {
        let doing = "sharing memory with the display";
        let (mapping, fd) = Mapping::new(bytes)
            .map_err(|error| CaptureError::new(CaptureErrorKind::Failed, NAME, doing).with_source(error))?;
        let id = new_id(display)?;
        shm::attach_fd(&display.connection, id, fd, false)
            .map_err(|error| lost(doing, error))?
            .check()
            .map_err(|error| failed(doing, error))?;
        Ok(Self { memory: Memory::Shared(mapping), id })
    }

    fn plain(bytes: usize) -> Self {
        Self { memory: Memory::Plain(vec![0; bytes]), id: 0 }
    }

    /// Lets the server forget it. Frames may still hold it.
    fn release(&self, display: &Display) -> Result<(), CaptureError> {
        if let Memory::Shared(_) = self.memory {
            shm::detach(&display.connection, self.id)
                .map_err(|error| lost("letting go of shared memory", error))?;
        }
        Ok(())
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Shared(mapping) => mapping.bytes_mut(),
            Memory::Plain(bytes) => bytes,
        }
    }

    /// Fetches whole rows and returns the number of the request that did.
    fn fetch(&mut self, display: &Display, view: View, rows: Rect, stride: usize) -> Result<u64, ReplyError> {
        let connection = &display.connection;
        let start = rows.y as usize * stride;
        // Both stay below 16384.
        let (y, width, height) = (view.y + rows.y as i16, rows.width as u16, rows.height as u16);
        let format = ImageFormat::Z_PIXMAP;
        match &mut self.memory {
            Memory::Shared(_) => {
                let all = u32::MAX;
                let cookie = shm::get_image(
                    connection,
                    view.drawable,
                    view.x,
                    y,
                    width,
                    height,
                    all,
                    format.into(),
                    self.id,
                    start as u32,
                )?;
                let asked = cookie.sequence_number();
                cookie.reply()?;
                Ok(asked)
            }
            Memory::Plain(bytes) => {
                let cookie =
                    connection.get_image(format, view.drawable, view.x, y, width, height, u32::MAX)?;
                let asked = cookie.sequence_number();
                let image = cookie.reply()?;
                let target = &mut bytes[start..start + rows.height as usize * stride];
                let length = target.len().min(image.data.len());
                target[..length].copy_from_slice(&image.data[..length]);
                Ok(asked)
            }
        }
    }
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        match &self.memory {
            Memory::Shared(mapping) => mapping.bytes(),
            Memory::Plain(bytes) => bytes,
        }
    }
}

/// Damage of the drawable as a part of the picture.
fn to_picture(view: View, area: Rectangle) -> Rect {
    let side = |at: i16, length: u16, origin: i32, bound: u32| {
        let start = (i32::from(at) - origin).clamp(0, bound as i32);
        let end = (i32::from(at) + i32::from(length) - origin).clamp(0, bound as i32);
        // Both lie in 0..=bound.
        (start as u32, (end - start) as u32)
    };
    let (x, width) = side(area.x, area.width, view.origin.0, view.size.width());
    let (y, height) = side(area.y, area.height, view.origin.1, view.size.height());
    if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
}

/// The whole rows that `area` touches.
fn rows_of(area: Rect, size: Resolution) -> Rect {
    if area.is_empty() { area } else { Rect { x: 0, width: size.width(), ..area } }
}

fn new_id(display: &Display) -> Result<u32, CaptureError> {
    display.connection.generate_id().map_err(|error| {
        CaptureError::new(CaptureErrorKind::Failed, NAME, "asking for an identifier").with_source(error)
    })
}

/// When something draws faster than we fetch, the whole picture is taken in the end: it is one request.
const MOST_TRIES: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_outside_the_picture_is_cut_off() {
        let view =
            View { drawable: 1, x: 100, y: 50, origin: (100, 50), size: Resolution::new(20, 10).unwrap() };
        let picture = |x, y, width, height| to_picture(view, Rectangle { x, y, width, height });
        assert_eq!(picture(0, 0, 1000, 1000), view.size.rect());
        assert_eq!(picture(105, 45, 5, 7), Rect { x: 5, y: 0, width: 5, height: 2 });
        assert!(picture(0, 0, 100, 1000).is_empty());
        assert!(picture(120, 50, 5, 5).is_empty());
        assert!(picture(-32768, -32768, 65535, 10).is_empty());
    }
}
