//! The video window: smooth shapes that move against each other, under noise that never repeats.

use yc_media::Rect;

use super::font::{Font, GLYPH_HEIGHT};
use super::motion::{hash, wave};
use super::painter::{Painter, rgb};

/// A video player at a place on the desktop.
pub(super) struct Video {
    area: Rect,
    textures: [Texture; 2],
    noise: Vec<u8>,
}

impl Video {
    pub(super) fn new(area: Rect) -> Self {
        let picture = picture_area(area);
        let size = (picture.width + TRAVEL, picture.height + TRAVEL);
        let noise = (0..NOISE_BYTES).map(|at| (hash(at, 0x9015e) % (NOISE + 1)) as u8).collect();
        Self {
            area,
            textures: [Texture::new(size, [610, 430, 290]), Texture::new(size, [350, 710, 510])],
            noise,
        }
    }

    pub(super) fn changes(&self, from: u32, to: u32, changed: &mut Vec<Rect>) {
        if from != to {
            changed.push(picture_area(self.area));
        }
    }

    pub(super) fn paint(&self, font: &Font, n: u32, painter: &mut Painter<'_>) {
        let Rect { x, y, width, .. } = self.area;
        let title = Rect { x, y, width, height: TITLE_HEIGHT };
        painter.fill(title, rgb(0x202020));
        let title_y = y + (TITLE_HEIGHT - GLYPH_HEIGHT) / 2;
        painter.clipped(title).text(font, x + 10, title_y, b"video player", rgb(0xffffff));

        let picture = picture_area(self.area);
        let clip = painter.clip().intersect(picture);
        let pan = |period_x, period_y| {
            let frame = u64::from(n);
            (wave(frame, period_x) * TRAVEL / 1024, wave(frame + period_y / 4, period_y) * TRAVEL / 1024)
        };
        let (first, second) = (pan(240, 310), pan(170, 130));
        for row in clip.y..clip.y + clip.height {
            let (left, down) = (clip.x - picture.x, row - picture.y);
            let a = self.textures[0].row(left + first.0, down + first.1, clip.width);
            let b = self.textures[1].row(left + second.0, down + second.1, clip.width);
            // The noise of a pixel depends on the frame and its place alone, not on the clip.
            let shift = hash(n, down) % (NOISE_BYTES - 4 * MAX_ROW) / 4 * 4;
            let noise = &self.noise[(shift + left * 4) as usize..];
            let out = painter.row(clip.x, row, clip.width).as_flattened_mut();
            for (((out, &a), &b), &noise) in out.iter_mut().zip(a).zip(b).zip(noise) {
                // At most PEAK + NOISE = 255.
                *out = ((u16::from(a) + u16::from(b)) >> 1) as u8 + noise;
            }
        }
    }
}

/// A smooth picture, larger than the video so that it can be moved about.
struct Texture {
    bytes: Vec<u8>,
    width: u32,
}

impl Texture {
    /// Each of the three colours is the sum of two waves, one along x and one along a diagonal.
    fn new((width, height): (u32, u32), periods: [u64; 3]) -> Self {
        let mut bytes = Vec::with_capacity((width * height) as usize * 4);
        for y in 0..height {
            for x in 0..width {
                for (channel, &period) in periods.iter().enumerate() {
                    let along = wave(u64::from(x) + 97 * channel as u64, period);
                    let across = wave(u64::from(x / 2 + y), period * 2 / 3);
                    bytes.push(((along + across) * PEAK / 2048) as u8);
                }
                bytes.push((PEAK / 2) as u8);
            }
        }
        Self { bytes, width }
    }

    fn row(&self, x: u32, y: u32, width: u32) -> &[u8] {
        let start = (y * self.width + x) as usize * 4;
        &self.bytes[start..start + width as usize * 4]
    }
}

fn picture_area(area: Rect) -> Rect {
    Rect { y: area.y + TITLE_HEIGHT, height: area.height - TITLE_HEIGHT, ..area }
}

/// Rows of a video window above its picture.
pub(super) const TITLE_HEIGHT: u32 = 26;
/// The most pixels in a row of video.
pub(super) const MAX_ROW: u32 = 1280;
/// How far the textures move, in pixels.
const TRAVEL: u32 = 128;
/// The brightest value of a texture, and the most that noise adds to it.
const PEAK: u32 = 247;
const NOISE: u32 = 8;
const NOISE_BYTES: u32 = 1 << 16;
