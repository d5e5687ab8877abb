//! The frame number inside the picture.
//!
//! 26 blocks of 16×16 pixels at the top left: one red, 24 for the bits of the number (most significant
//! first, white is 1 and black 0), one green. Blocks of that size survive any video encoding, so a decoded
//! picture tells which captured picture it was.

use yc_media::{FrameBuffer, PixelFormat, Rect, VideoFrame};

/// Width and height of one block in pixels.
pub const BLOCK: u32 = 16;
/// Pixels in a row of the whole marker.
pub const WIDTH: u32 = BLOCK * (BITS + 2);
/// Numbers are taken modulo 2^24.
pub const BITS: u32 = 24;

/// In which order the four bytes of a pixel lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelOrder {
    /// B, G, R, X.
    Bgra,
    /// R, G, B, X.
    Rgba,
}

/// Where the marker lies in every picture.
pub(super) const AREA: Rect = Rect { x: 0, y: 0, width: WIDTH, height: BLOCK };

/// Draws the marker of `n` into BGRA pixels whose rows are `stride` bytes apart. A picture smaller than
/// the marker gets the part that fits.
pub fn draw(bgra: &mut [u8], stride: usize, n: u32) {
    for row in bgra.chunks_mut(stride.max(1)).take(BLOCK as usize) {
        let pixels = row.as_chunks_mut().0;
        let width = pixels.len().min(WIDTH as usize);
        draw_row(&mut pixels[..width], n, 0);
    }
}

/// Draws a part of one row of the marker of `n`: the pixels from `x` on.
pub(super) fn draw_row(pixels: &mut [[u8; 4]], n: u32, x: u32) {
    for (x, pixel) in (x..).zip(pixels) {
        *pixel = block_colour(n, x / BLOCK);
    }
}

/// The number in a picture, or `None` if there is no marker in it or its pixels are not BGRA in CPU memory.
pub fn read(frame: &VideoFrame) -> Option<u32> {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else { return None };
    let visible = frame.visible();
    if buffer.format() != PixelFormat::Bgra8 || visible.width < WIDTH || visible.height < BLOCK {
        return None;
    }
    let (bytes, stride) = buffer.plane(0);
    let start = visible.y as usize * stride + visible.x as usize * 4;
    read_pixels(&bytes[start..], stride, PixelOrder::Bgra)
}

/// The number in a picture of 4-byte pixels whose rows are `stride` bytes apart, or `None` if there is no
/// marker in it.
///
/// Reads the middle of each block, so a lossy picture will do.
pub fn read_pixels(bytes: &[u8], stride: usize, order: PixelOrder) -> Option<u32> {
    let mean = |block: u32| block_mean(bytes, stride, order, block);
    let [r, g, b] = mean(0)?;
    if r < 128 || g > 100 || b > 100 {
        return None;
    }
    let [r, g, b] = mean(BITS + 1)?;
    if g < 128 || r > 100 || b > 100 {
        return None;
    }
    let mut n = 0;
    for bit in 0..BITS {
        let [r, g, b] = mean(1 + bit)?;
        let grey = (r + g + b) / 3;
        // A clean block is near 0 or 255: what lies between is no marker.
        let one = match grey {
            0..=95 => 0,
            160.. => 1,
            _ => return None,
        };
        n = n << 1 | one;
    }
    Some(n)
}

/// The mean red, green and blue of the middle 8×8 pixels of a block.
fn block_mean(bytes: &[u8], stride: usize, order: PixelOrder, block: u32) -> Option<[u32; 3]> {
    const EDGE: usize = 4;
    const SIDE: usize = BLOCK as usize - 2 * EDGE;
    let left = (block * BLOCK) as usize + EDGE;
    if stride < WIDTH as usize * 4 {
        return None;
    }
    let mut sum = [0u32; 3];
    for y in EDGE..EDGE + SIDE {
        let start = y * stride + left * 4;
        for pixel in bytes.get(start..start + SIDE * 4)?.as_chunks::<4>().0 {
            for (total, &value) in sum.iter_mut().zip(pixel) {
                *total += u32::from(value);
            }
        }
    }
    let [first, green, third] = sum.map(|total| total / (SIDE * SIDE) as u32);
    Some(match order {
        PixelOrder::Bgra => [third, green, first],
        PixelOrder::Rgba => [first, green, third],
    })
}

fn block_colour(n: u32, block: u32) -> [u8; 4] {
    match block {
        0 => [0, 0, 255, 255],
        1..=BITS if n >> (BITS - block) & 1 == 1 => [255; 4],
        1..=BITS => [0, 0, 0, 255],
        _ => [0, 255, 0, 255],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use yc_media::{CaptureTime, CpuBuffer, PlaneLayout, Resolution};

    use super::*;

    const STRIDE: usize = 432 * 4;

    fn picture(n: u32) -> Vec<u8> {
        let mut pixels = vec![77; STRIDE * 20];
        draw(&mut pixels, STRIDE, n);
        pixels
    }

    proptest! {
        #[test]
        fn what_is_drawn_is_read_back_even_from_a_lossy_picture(n in 0u32..1 << BITS, noise in 0u8..60) {
            let mut pixels = picture(n);
            for (at, byte) in pixels.iter_mut().enumerate() {
                let change = noise.saturating_mul((at % 3) as u8) / 2;
                *byte = if at % 2 == 0 { byte.saturating_add(change) } else { byte.saturating_sub(change) };
            }
            prop_assert_eq!(read_pixels(&pixels, STRIDE, PixelOrder::Bgra), Some(n));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..4000), stride in 0usize..4000,
        ) {
            let _ = read_pixels(&bytes, stride, PixelOrder::Rgba);
            draw(&mut bytes.clone(), stride, 5);
        }
    }

    #[test]
    fn the_byte_order_is_told_by_the_end_blocks() {
        let mut pixels = picture(0xa5_5a01);
        assert_eq!(read_pixels(&pixels, STRIDE, PixelOrder::Rgba), None);
        for pixel in pixels.as_chunks_mut::<4>().0 {
            pixel.swap(0, 2);
        }
        assert_eq!(read_pixels(&pixels, STRIDE, PixelOrder::Rgba), Some(0xa5_5a01));
    }

    #[test]
    fn a_frame_is_read_at_its_visible_part() {
        let mut pixels = vec![0; STRIDE * 40];
        draw(&mut pixels[STRIDE * 8 + 40..], STRIDE, 99);
        let buffer = CpuBuffer::new(
            Arc::new(pixels),
            PixelFormat::Bgra8,
            Resolution::new(432, 40).unwrap(),
            &[PlaneLayout { offset: 0, stride: STRIDE }],
        )
        .unwrap();
        let frame = VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::default());
        assert_eq!(read(&frame), None);
        let visible = Rect { x: 10, y: 8, width: 420, height: 30 };
        assert_eq!(read(&frame.clone().with_visible(visible).unwrap()), Some(99));
        let narrow = Rect { width: 415, ..visible };
        assert_eq!(read(&frame.with_visible(narrow).unwrap()), None);
    }
}
