//! Compares decoded pictures with the captured ones, which are drawn again from their frame number.

use anyhow::{Context, Result, ensure};
use yc_capture::synthetic::marker::{self, PixelOrder};
use yc_capture::synthetic::{Scene, SceneKind};

/// The least peak signal-to-noise ratio of a decoded picture's brightness that counts as the same picture,
/// in dB. Another frame of the same desktop stays below 25, a picture with a wrong brightness range below 27.
pub(crate) const LUMA_PSNR_LIMIT: f64 = 30.0;
/// The most by which a channel of the frame number's red and green blocks may be off, of 255. Encoding at 6 Mbit/s
/// was seen to cost them up to 11; BT.601 taken for BT.709 costs 24 or more.
pub(crate) const COLOUR_ERROR_LIMIT: f64 = 18.0;

/// What the moving desktop showed, frame by frame.
#[derive(Debug)]
pub(crate) struct Reference {
    scene: Scene,
    bgra: Vec<u8>,
    shown: Option<u32>,
}

/// One decoded picture against the captured one of the same number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    /// The frame number that was read from the decoded picture.
    pub(crate) marker: u32,
    /// In dB, of the brightness.
    pub(crate) luma_psnr: f64,
    /// In dB, of red, green and blue together; 4:2:0 alone costs some of it.
    pub(crate) rgb_psnr: f64,
    /// Of the frame number's red and green blocks: the largest error of a channel, of 255.
    pub(crate) colour_error: f64,
}

impl Comparison {
    /// Whether it is the captured picture.
    pub(crate) fn matches(&self) -> bool {
        self.luma_psnr >= LUMA_PSNR_LIMIT && self.colour_error <= COLOUR_ERROR_LIMIT
    }
}

impl Reference {
    /// The desktop of this size.
    pub(crate) fn new(width: u32, height: u32) -> Result<Self> {
        let size = yc_media::Resolution::new(width, height).context("the desktop's size")?;
        let scene = Scene::new(size, SceneKind::Desktop);
        Ok(Self { scene, bgra: vec![0; width as usize * height as usize * 4], shown: None })
    }

    /// Compares a picture of RGBA pixels `width` apart; its top left part is what is looked at where it is
    /// larger than the desktop.
    ///
    /// # Errors
    ///
    /// The picture is smaller than the desktop, or no frame number can be read from it.
    pub(crate) fn compare_rgba(&mut self, rgba: &[u8], width: usize) -> Result<Comparison> {
        let (columns, rows) = self.size();
        ensure!(
            width >= columns && rgba.len() >= width * rows * 4,
            "the decoded picture ({width} wide, {} bytes) is smaller than the desktop of {columns}x{rows}",
            rgba.len()
        );
        let number = marker::read_pixels(rgba, width * 4, PixelOrder::Rgba);
        let marker = number.context("the decoded picture shows no readable frame number")?;
        self.show(marker);
        let decoded =
            rgba.chunks_exact(width * 4).take(rows).flat_map(|row| row[..columns * 4].as_chunks::<4>().0);
        let captured = self.bgra.as_chunks::<4>().0;
        let pairs = decoded
            .zip(captured)
            .map(|(&[r, g, b, _], &[cb, cg, cr, _])| ([r, g, b].map(f64::from), [cr, cg, cb].map(f64::from)));
        let colour_error = colour_error(rgba, width);
        Ok(measure(marker, colour_error, pairs))
    }

    /// Compares a picture of I420 planes in BT.709, limited range, of the desktop's size.
    pub(crate) fn compare_i420(&mut self, planes: &[u8]) -> Result<Comparison> {
        let (columns, rows) = self.size();
        let rgba = i420_to_rgba(planes, columns, rows);
        self.compare_rgba(&rgba, columns)
    }

    fn show(&mut self, number: u32) {
        if self.shown != Some(number) {
            let stride = self.size().0 * 4;
            self.scene.render(number, &mut self.bgra, stride);
            self.shown = Some(number);
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.scene.size().width() as usize, self.scene.size().height() as usize)
    }
}

/// The frame number in a picture of I420 planes, read from the brightness alone.
pub(crate) fn marker_of_luma(luma: &[u8], stride: usize) -> Option<u32> {
    let row = luma.get(8 * stride..9 * stride)?;
    let block = |index: usize| row.get(index * 16 + 8).copied();
    // Red is dark and green is bright in BT.709.
    if block(0)? > 110 || !(120..225).contains(&block(marker::BITS as usize + 1)?) {
        return None;
    }
    (1..=marker::BITS as usize).try_fold(0, |number, index| match block(index)? {
        0..=90 => Some(number << 1),
        166.. => Some(number << 1 | 1),
        _ => None,
    })
}

fn measure(marker: u32, colour_error: f64, pairs: impl Iterator<Item = ([f64; 3], [f64; 3])>) -> Comparison {
    let (mut count, mut luma_error, mut rgb_error) = (0.0, 0.0, 0.0);
    for (decoded, captured) in pairs {
        count += 1.0;
        luma_error += (luma(decoded) - luma(captured)).powi(2);
        rgb_error += decoded.iter().zip(captured).map(|(d, c)| (d - c).powi(2)).sum::<f64>();
    }
    Comparison {
        marker,
        luma_psnr: psnr(luma_error / count),
        rgb_psnr: psnr(rgb_error / (3.0 * count)),
        colour_error,
    }
}

/// The largest error of a channel in the middle of the number's first block, red, and last block, green.
fn colour_error(rgba: &[u8], width: usize) -> f64 {
    let block = marker::BLOCK as usize;
    let (edge, middle) = (block / 4, block / 2);
    let mut largest: f64 = 0.0;
    for (index, colour) in [(0, [255.0, 0.0, 0.0]), (marker::BITS as usize + 1, [0.0, 255.0, 0.0])] {
        let left = index * block + edge;
        for (channel, ideal) in colour.into_iter().enumerate() {
            let sum: f64 = (edge..edge + middle)
                .flat_map(|y| {
                    (left..left + middle).map(move |x| f64::from(rgba[(y * width + x) * 4 + channel]))
                })
                .sum();
            largest = largest.max((sum / (middle * middle) as f64 - ideal).abs());
        }
    }
    largest
}

fn luma([r, g, b]: [f64; 3]) -> f64 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// In dB for 8 bits; at most 100, for a picture without any error.
fn psnr(mean_square_error: f64) -> f64 {
    if mean_square_error <= 0.0 {
        100.0
    } else {
        (10.0 * (255.0 * 255.0 / mean_square_error).log10()).min(100.0)
    }
}

/// BT.709, limited range.
/// [ITU-R BT.709-6](https://www.itu.int/rec/R-REC-BT.709-6-201506-I/en), tables 3 and 4.
fn i420_to_rgba(planes: &[u8], columns: usize, rows: usize) -> Vec<u8> {
    let (half, pixels) = (columns.div_ceil(2), columns * rows);
    let (luma, chroma) = planes.split_at(pixels);
    let (blue, red) = chroma.split_at(half * rows.div_ceil(2));
    let mut rgba = Vec::with_capacity(pixels * 4);
    for (index, &y) in luma.iter().enumerate() {
        let at = index / columns / 2 * half + index % columns / 2;
        let y = 1.164_384 * (f64::from(y) - 16.0);
        let (u, v) = (f64::from(blue[at]) - 128.0, f64::from(red[at]) - 128.0);
        let rgb = [y + 1.792_741 * v, y - 0.213_249 * u - 0.532_909 * v, y + 2.112_402 * u];
        rgba.extend(rgb.map(|value| value.round().clamp(0.0, 255.0) as u8));
        rgba.push(255);
    }
    rgba
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgba_of(number: u32) -> (Reference, Vec<u8>) {
        let mut reference = Reference::new(640, 360).unwrap();
        reference.show(number);
        let rgba = reference.bgra.as_chunks::<4>().0.iter().flat_map(|&[b, g, r, a]| [r, g, b, a]).collect();
        (reference, rgba)
    }

    #[test]
    fn the_captured_picture_itself_matches() {
        let (mut reference, rgba) = rgba_of(4711);
        let comparison = reference.compare_rgba(&rgba, 640).unwrap();
        assert_eq!((comparison.marker, comparison.luma_psnr), (4711, 100.0));
        assert!(comparison.matches());
    }

    #[test]
    fn another_frame_under_the_same_number_does_not_match() {
        let (mut reference, mut rgba) = rgba_of(100);
        let (_, other) = rgba_of(400);
        let below_the_marker = 640 * 4 * marker::BLOCK as usize;
        rgba[below_the_marker..].copy_from_slice(&other[below_the_marker..]);
        let comparison = reference.compare_rgba(&rgba, 640).unwrap();
        assert!(!comparison.matches(), "{comparison:?}");
    }

    #[test]
    fn a_wrong_brightness_range_does_not_match() {
        let (mut reference, mut rgba) = rgba_of(7);
        for value in &mut rgba {
            *value = (16 + u32::from(*value) * 219 / 255) as u8;
        }
        let comparison = reference.compare_rgba(&rgba, 640).unwrap();
        assert!(!comparison.matches(), "{comparison:?}");
    }

    #[test]
    fn the_colours_of_another_standard_do_not_match() {
        let (mut reference, mut rgba) = rgba_of(7);
        // As BT.601 to colour differences, as BT.709 back.
        for pixel in rgba.as_chunks_mut::<4>().0 {
            let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(f64::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            let (blue, red) = ((b - y) / 1.772, (r - y) / 1.402);
            let rgb = [y + 1.5748 * red, y - 0.1873 * blue - 0.4681 * red, y + 1.8556 * blue];
            pixel[..3].copy_from_slice(&rgb.map(|value| value.round().clamp(0.0, 255.0) as u8));
        }
        let comparison = reference.compare_rgba(&rgba, 640).unwrap();
        assert!(comparison.luma_psnr > LUMA_PSNR_LIMIT && !comparison.matches(), "{comparison:?}");
    }

    #[test]
    fn a_picture_without_a_number_or_too_small_is_an_error() {
        let mut reference = Reference::new(640, 360).unwrap();
        assert!(reference.compare_rgba(&vec![80; 640 * 360 * 4], 640).is_err());
        assert!(reference.compare_rgba(&[0; 16], 640).is_err());
    }

    #[test]
    fn i420_is_read_and_compared_as_bt709() {
        let (mut reference, rgba) = rgba_of(0x5a_00f1);
        let mut planes = vec![0; 640 * 360 * 3 / 2];
        for (at, &[r, g, b, _]) in rgba.as_chunks::<4>().0.iter().enumerate() {
            let y = luma([r, g, b].map(f64::from));
            planes[at] = (16.0 + y * 219.0 / 255.0).round() as u8;
            let half = 640 * 360 + at / 640 / 2 * 320 + at % 640 / 2;
            planes[half] = (128.0 + (f64::from(b) - y) / 1.8556 * 224.0 / 255.0).round() as u8;
            planes[half + 320 * 180] = (128.0 + (f64::from(r) - y) / 1.5748 * 224.0 / 255.0).round() as u8;
        }
        assert_eq!(marker_of_luma(&planes, 640), Some(0x5a_00f1));
        let comparison = reference.compare_i420(&planes).unwrap();
        assert!(comparison.matches(), "{comparison:?}");
    }
}
