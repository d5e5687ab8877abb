//! Screen content drawn from a seed: a page of text that stands, scrolls or is typed, and a video in it.

use std::sync::Arc;
use std::time::Duration;

use yc_media::{CaptureTime, CpuBuffer, FrameBuffer, PixelFormat, PlaneLayout, Resolution, VideoFrame};

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page of text, nothing moves.
    Still,
    /// Two glyphs more in each frame.
    Typing,
    /// The page scrolls 12 pixels a frame.
    Scroll,
    /// A picture over half of each side of the page, all of it new in each frame.
    Video,
}

/// Frames of one kind and size. Frame `n` is the same picture every time.
pub(crate) struct Scene {
    kind: Kind,
    size: Resolution,
    page: Vec<u8>,
    page_rows: usize,
    noise: Vec<u8>,
}

const CELL: (usize, usize) = (9, 17);
const MARGIN: usize = 24;
const NOISE_SIDE: usize = 1024;

impl Scene {
    pub(crate) fn new(kind: Kind, size: Resolution) -> Self {
        let (width, rows) = (size.width() as usize, size.height() as usize * 3);
        let mut page = [252u8, 250, 248, 0].repeat(width * rows);
        let (columns, lines) =
            (width.saturating_sub(2 * MARGIN) / CELL.0, rows.saturating_sub(MARGIN) / CELL.1);
        for line in 0..lines {
            for column in 0..columns {
                let glyph = hash((line * 4096 + column) as u64 + 1);
                if glyph.is_multiple_of(6) {
                    continue;
                }
                draw(&mut page, width, MARGIN + column * CELL.0, MARGIN + line * CELL.1, hash(glyph % 60));
            }
        }
        let mut state = 1u64;
        let noise = (0..NOISE_SIDE * NOISE_SIDE)
            .flat_map(|at| {
                state = hash(state);
                let (x, y) = ((at % NOISE_SIDE) as u64, (at / NOISE_SIDE) as u64);
                // Patches of colour with grain, as a film has.
                let patch = hash(x / 24 * 977 + y / 24);
                let grain = (state % 25) as u8;
                [
                    (patch as u8 >> 1) + grain,
                    (patch >> 8) as u8 / 2 + grain,
                    (patch >> 16) as u8 / 2 + grain,
                    0,
                ]
            })
            .collect();
        Self { kind, size, page, page_rows: rows, noise }
    }

    /// Frame `n`, captured `n` / `fps` seconds after the first.
    pub(crate) fn frame(&self, n: u64, fps: u32) -> VideoFrame {
        let (width, height) = (self.size.width() as usize, self.size.height() as usize);
        let row = width * 4;
        let shift = if self.kind == Kind::Scroll { n as usize * 12 % (self.page_rows - height) } else { 0 };
        let mut pixels = self.page[shift * row..(shift + height) * row].to_vec();
        match self.kind {
            Kind::Still | Kind::Scroll => {}
            Kind::Typing => self.untype(&mut pixels, n as usize * 2),
            Kind::Video => self.play(&mut pixels, n),
        }
        let layout = [PlaneLayout { offset: 0, stride: row }];
        let buffer = CpuBuffer::new(Arc::new(pixels), PixelFormat::Bgra8, self.size, &layout).unwrap();
        let at = Duration::from_secs(100) + Duration::from_nanos(n * 1_000_000_000 / u64::from(fps));
        VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::from_epoch(at))
    }

    /// Blanks every glyph of the middle of the page after the first `typed`.
    fn untype(&self, pixels: &mut [u8], typed: usize) {
        let (width, height) = (self.size.width() as usize, self.size.height() as usize);
        let columns = (width - 2 * MARGIN) / CELL.0;
        let first = height / CELL.1 / 2;
        let (line, column) = (first + typed / columns, typed % columns);
        for y in MARGIN + line * CELL.1..height {
            let from = if y < MARGIN + (line + 1) * CELL.1 { MARGIN + column * CELL.0 } else { 0 };
            pixels[(y * width + from) * 4..(y + 1) * width * 4].fill(250);
        }
    }

    fn play(&self, pixels: &mut [u8], n: u64) {
        let (width, height) = (self.size.width() as usize, self.size.height() as usize);
        let (wide, high) = ((width / 2).min(NOISE_SIDE / 2), (height / 2).min(NOISE_SIDE / 2));
        let jump = hash(n + 7);
        let (x, y) = (jump as usize % (NOISE_SIDE - wide), (jump >> 20) as usize % (NOISE_SIDE - high));
        for row in 0..high {
            let from = ((y + row) * NOISE_SIDE + x) * 4;
            let to = ((height / 4 + row) * width + width / 4) * 4;
            pixels[to..to + wide * 4].copy_from_slice(&self.noise[from..from + wide * 4]);
        }
    }
}

/// A letter of random strokes, a pixel wide, with the grey edges of smoothed text.
fn draw(page: &mut [u8], width: usize, left: usize, top: usize, glyph: u64) {
    for y in 0..12 {
        for x in 0..7 {
            let stroke = match x {
                0 | 6 => glyph >> (y / 4) & 1,
                3 => glyph >> (4 + y / 4) & 1,
                _ if y % 5 == 0 => glyph >> (8 + y / 5) & 1,
                _ => 0,
            };
            let edge = stroke == 0 && x > 0 && glyph >> (y / 4) & 1 == 1 && x == 1;
            let ink = if stroke == 1 {
                30
            } else if edge {
                180
            } else {
                continue;
            };
            let at = ((top + y) * width + left + x) * 4;
            page[at..at + 3].fill(ink);
        }
    }
}

fn hash(value: u64) -> u64 {
    let mixed = (value ^ value >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}
