//! A fake output that plays a script, and a fake clock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use yc_media::{CaptureTime, Rect, Resolution};

use super::{Duplication, Edges, Loss, Mode, News, Output, PointerNews, Refusal, Staging};
use crate::picture::{PointerShape, Rotation, RowLayout};
use crate::{CaptureError, CaptureErrorKind, EndReason, PauseReason};

/// What happens next. Without a step nothing does: waiting for news takes its time and brings none.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The output is duplicated in this mode.
    Duplicate(Mode),
    /// It is refused.
    Refuse(Refused),
    /// Nothing happens for as long as the capture waits.
    Silence,
    /// A part of the screen is filled with this pixel, and that is told.
    Paint(Edges, Vec<u8>),
    /// The same without saying where.
    PaintUntold(Edges, Vec<u8>),
    /// A picture that nobody drew is handed out.
    Stale,
    /// The pointer is here, or hidden.
    Point(Option<(i32, i32)>),
    /// The mode is another from the next picture on.
    Turn(Mode),
    /// The next copies take the GPU that many looks.
    Busy(u32),
    LoseAccess,
    LoseDevice,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Refused {
    Denied,
    Gone,
    Failed,
    DeviceLost,
    Minimised,
    Closed,
}

/// The script, and what was asked of the system.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) script: VecDeque<Step>,
    pub(super) duplications: u32,
    pub(super) alive: u32,
    pub(super) kept: Vec<Rect>,
    pub(super) staged: Vec<Rect>,
    pub(super) copied: Vec<Rect>,
    pub(super) memories: u32,
    pub(super) busy: u32,
    acquired: bool,
}

thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "it is const, which clippy does not see on Windows")]
    static NOW: Cell<CaptureTime> = const { Cell::new(CaptureTime::from_epoch(Duration::from_secs(1))) };
}

pub(super) fn now() -> CaptureTime {
    NOW.get()
}

pub(super) fn advance_to(time: CaptureTime) {
    NOW.set(NOW.get().max(time));
}

pub(super) fn plain(width: u32, height: u32) -> Mode {
    let size = Resolution::new(width, height).unwrap();
    Mode { size, layout: RowLayout::Bgra8, rotation: Rotation::None, white: 80.0, device: 0 }
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeOutput(pub(super) Rc<RefCell<World>>);

#[derive(Debug)]
pub(super) struct FakeDuplication {
    world: Rc<RefCell<World>>,
    mode: Mode,
    screen: Vec<u8>,
    kept: Vec<u8>,
    /// A new duplication tells the pointer's shape.
    shape_told: bool,
}

impl Output for FakeOutput {
    type Duplication = FakeDuplication;

    fn duplicate(&mut self) -> Result<FakeDuplication, Refusal> {
        let mut world = self.0.borrow_mut();
        assert_eq!(world.alive, 0, "two duplications at a time");
        let error = |kind| {
            CaptureError::new(kind, FakeDuplication::NAME, "duplicating the output").with_source("refused")
        };
        match world.script.pop_front() {
            Some(Step::Duplicate(mode)) => {
                world.duplications += 1;
                world.alive += 1;
                let bytes = mode.size.pixels() as usize * mode.layout.bytes();
                Ok(FakeDuplication {
                    world: Rc::clone(&self.0),
                    mode,
                    screen: vec![0; bytes],
                    kept: vec![0; bytes],
                    shape_told: false,
                })
            }
            Some(Step::Refuse(refused)) => Err(match refused {
                Refused::Denied => Refusal::Denied(error(CaptureErrorKind::PermissionDenied)),
                Refused::Gone => Refusal::Gone(error(CaptureErrorKind::NotFound)),
                Refused::Failed => Refusal::Failed(error(CaptureErrorKind::Unsupported)),
                Refused::DeviceLost => Refusal::Failed(error(CaptureErrorKind::DeviceLost)),
                Refused::Minimised => Refusal::Hidden(PauseReason::Unmapped),
                Refused::Closed => Refusal::Ended(EndReason::WindowClosed),
            }),
            other => panic!("duplicated when the script has {other:?}"),
        }
    }
}

impl Drop for FakeDuplication {
    fn drop(&mut self) {
        self.world.borrow_mut().alive -= 1;
    }
}

impl Duplication for FakeDuplication {
    const NAME: &'static str = "fake";

    type Staging = FakeStaging;
    type Texture = Vec<u8>;

    fn mode(&self) -> Mode {
        self.mode
    }

    fn acquire(&mut self, timeout: Duration, news: &mut News) -> Result<bool, Loss> {
        let mut world = self.world.borrow_mut();
        assert!(!world.acquired, "acquired twice");
        *news = News::default();
        match world.script.front() {
            None | Some(Step::Silence) => {
                world.script.pop_front();
                advance_to(now() + timeout);
                return Ok(false);
            }
            // What becomes of a duplication that is still in use is not played.
            Some(Step::Duplicate(_) | Step::Refuse(_)) => {
                panic!("{:?} while access is given", world.script[0])
            }
            Some(_) => {}
        }
        match world.script.pop_front().unwrap() {
            Step::LoseAccess => return Err(Loss::Access),
            Step::LoseDevice => {
                return Err(Loss::Broken(CaptureError::new(
                    CaptureErrorKind::DeviceLost,
                    Self::NAME,
                    "waiting for a picture",
                )));
            }
            Step::Busy(looks) => {
                world.busy = looks;
                return Ok(false);
            }
            Step::Turn(mode) => {
                let bytes = mode.size.pixels() as usize * mode.layout.bytes();
                self.mode = mode;
                self.screen = vec![0; bytes];
                self.kept = vec![0; bytes];
                news.presented = Some(now());
            }
            Step::Paint(edges, pixel) => {
                fill(&mut self.screen, self.mode, edges, &pixel);
                news.presented = Some(now());
                news.changed.push(edges);
            }
            Step::PaintUntold(edges, pixel) => {
                fill(&mut self.screen, self.mode, edges, &pixel);
                news.presented = Some(now());
            }
            Step::Stale => {}
            Step::Point(position) => {
                news.pointer = Some(PointerNews { at: now(), position });
                if !std::mem::replace(&mut self.shape_told, true) {
                    let size = Resolution::new(1, 1).unwrap();
                    news.shape = Some(PointerShape::color(&POINTER, 4, size, (0, 0)).unwrap());
                }
            }
            step => panic!("{step:?} is not news"),
        }
        world.acquired = true;
        Ok(true)
    }

    fn keep(&mut self, part: Rect) -> Result<(), Loss> {
        let mut world = self.world.borrow_mut();
        assert!(world.acquired);
        world.kept.push(part);
        let row = self.mode.size.width() as usize * self.mode.layout.bytes();
        transfer(&self.screen, row, (part.x, part.y), &mut self.kept, row, part, self.mode.layout.bytes());
        Ok(())
    }

    fn release(&mut self) -> Result<(), Loss> {
        let mut world = self.world.borrow_mut();
        assert!(std::mem::take(&mut world.acquired), "released what was not acquired");
        Ok(())
    }

    fn make_staging(&mut self, size: Resolution) -> Result<FakeStaging, Loss> {
        self.world.borrow_mut().memories += 1;
        let pitch = size.width() as usize * self.mode.layout.bytes() + PADDING;
        Ok(FakeStaging { bytes: vec![JUNK; pitch * size.height() as usize], pitch, mapped: false })
    }

    fn stage(&mut self, corner: (u32, u32), part: Rect, staging: &mut FakeStaging) -> Result<(), Loss> {
        let mut world = self.world.borrow_mut();
        assert!(!world.acquired, "the system's picture is held too long");
        world.staged.push(part);
        staging.mapped = false;
        self.copy_kept(corner, part, &mut staging.bytes, staging.pitch);
        Ok(())
    }

    fn map(&mut self, staging: &mut FakeStaging) -> Result<bool, Loss> {
        let mut world = self.world.borrow_mut();
        if world.busy > 0 {
            world.busy -= 1;
            return Ok(false);
        }
        staging.mapped = true;
        Ok(true)
    }

    fn make_texture(&mut self, size: Resolution) -> Result<Vec<u8>, Loss> {
        self.world.borrow_mut().memories += 1;
        Ok(vec![JUNK; size.pixels() as usize * 4])
    }

    fn copy(&mut self, corner: (u32, u32), part: Rect, texture: &mut Vec<u8>) -> Result<(), Loss> {
        self.world.borrow_mut().copied.push(part);
        self.copy_kept(corner, part, texture, self.mode.size.width() as usize * 4);
        Ok(())
    }
}

impl FakeDuplication {
    fn copy_kept(&self, corner: (u32, u32), part: Rect, target: &mut [u8], pitch: usize) {
        let row = self.mode.size.width() as usize * self.mode.layout.bytes();
        let from = (corner.0 + part.x, corner.1 + part.y);
        transfer(&self.kept, row, from, target, pitch, part, self.mode.layout.bytes());
    }
}

#[derive(Debug)]
pub(super) struct FakeStaging {
    bytes: Vec<u8>,
    pitch: usize,
    mapped: bool,
}

impl AsRef<[u8]> for FakeStaging {
    fn as_ref(&self) -> &[u8] {
        if self.mapped { &self.bytes } else { &[] }
    }
}

impl Staging for FakeStaging {
    fn pitch(&self) -> usize {
        self.pitch
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        if self.mapped { &mut self.bytes } else { &mut [] }
    }
}

fn fill(screen: &mut [u8], mode: Mode, edges: Edges, pixel: &[u8]) {
    let part = edges.within(mode.size);
    for y in part.y..part.y + part.height {
        for x in part.x..part.x + part.width {
            let at = (y * mode.size.width() + x) as usize * pixel.len();
            screen[at..at + pixel.len()].copy_from_slice(pixel);
        }
    }
}

fn transfer(
    source: &[u8],
    source_pitch: usize,
    (x, y): (u32, u32),
    target: &mut [u8],
    target_pitch: usize,
    part: Rect,
    pixel: usize,
) {
    for row in 0..part.height as usize {
        let from = (y as usize + row) * source_pitch + x as usize * pixel;
        let to = (part.y as usize + row) * target_pitch + part.x as usize * pixel;
        let bytes = part.width as usize * pixel;
        target[to..to + bytes].copy_from_slice(&source[from..from + bytes]);
    }
}

/// One opaque pixel.
pub(super) const POINTER: [u8; 4] = [1, 2, 3, 255];
/// What stands in memory that nobody wrote to, and between rows.
const JUNK: u8 = 0xee;
const PADDING: usize = 12;
