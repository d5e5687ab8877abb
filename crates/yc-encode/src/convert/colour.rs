//! BGRA to YUV 4:2:0, BT.709 limited range, and YUV 4:2:0 from one plane layout to the other.

use std::ops::Range;

use yc_media::PixelFormat;
use yuv::{
    BufferStoreMut, YuvBiPlanarImageMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix,
    bgra_to_yuv_nv12, bgra_to_yuv420,
};

/// The 7-bit conversion, the fastest. Over all 16.7 million colours no component is further than 1.4 steps
/// of 255 from the exact value; the slower 13-bit one gets to 1.2.
const MODE: YuvConversionMode = YuvConversionMode::Fast;

/// BGRA rows to read: `width` pixels each, `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bgra<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
}

/// The planes of a picture to write and each one's stride in bytes. NV12 leaves the third empty.
#[derive(Debug)]
pub(super) struct Planes<'a> {
    pub(super) bytes: [&'a mut [u8]; 3],
    pub(super) strides: [usize; 3],
}

impl Planes<'_> {
    /// The bytes of `rows` of the luma plane and of the chroma rows below them.
    fn rows(&mut self, rows: Range<usize>) -> [&mut [u8]; 3] {
        let [y, u, v] = &mut self.bytes;
        let [sy, su, sv] = self.strides;
        let chroma = rows.start / 2..rows.end / 2;
        [
            &mut y[rows.start * sy..rows.end * sy],
            &mut u[chroma.start * su..chroma.end * su],
            &mut v[chroma.start * sv..chroma.end * sv],
        ]
    }
}

/// Converts `rows` (even at both ends) of `source`, which are the same rows of `target`.
///
/// `pair` is memory for two rows, kept by the caller.
pub(super) fn convert_rows(
    source: Bgra<'_>,
    target: &mut Planes<'_>,
    format: PixelFormat,
    rows: Range<usize>,
    pair: &mut Vec<u8>,
) -> Result<(), String> {
    let Bgra { bytes, stride, width } = source;
    let strides = target.strides;
    if rows.is_empty() {
        return Ok(());
    }
    // `yuv` walks pairs of whole rows, padding included, and leaves out without a word a pair that ends
    // before its padding does, as the last pair of a picture may.
    let whole = (bytes.len() / (2 * stride) * 2).min(rows.end).max(rows.start);
    convert_whole(
        &bytes[(rows.start * stride).min(bytes.len())..],
        stride,
        width,
        target.rows(rows.start..whole),
        strides,
        format,
    )?;
    if whole < rows.end {
        pair.clear();
        for row in whole..rows.end {
            pair.extend_from_slice(&bytes[row * stride..row * stride + width * 4]);
        }
        convert_whole(pair, width * 4, width, target.rows(whole..rows.end), strides, format)?;
    }
    Ok(())
}

fn convert_whole(
    bgra: &[u8],
    stride: usize,
    width: usize,
    [y, u, v]: [&mut [u8]; 3],
    strides: [usize; 3],
    format: PixelFormat,
) -> Result<(), String> {
    let height = y.len() / strides[0];
    if height == 0 {
        return Ok(());
    }
    let (width, height) = (width as u32, height as u32);
    let [y_stride, u_stride, v_stride] = strides.map(|stride| stride as u32);
    let (range, matrix) = (YuvRange::Limited, YuvStandardMatrix::Bt709);
    let done = if format == PixelFormat::Nv12 {
        let mut image = YuvBiPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y),
            y_stride,
            uv_plane: BufferStoreMut::Borrowed(u),
            uv_stride: u_stride,
            width,
            height,
        };
        bgra_to_yuv_nv12(&mut image, bgra, stride as u32, range, matrix, MODE)
    } else {
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(y),
            y_stride,
            u_plane: BufferStoreMut::Borrowed(u),
            u_stride,
            v_plane: BufferStoreMut::Borrowed(v),
            v_stride,
            width,
            height,
        };
        bgra_to_yuv420(&mut image, bgra, stride as u32, range, matrix, MODE)
    };
    done.map_err(|error| error.to_string())
}

/// Copies `height` rows of `row` bytes.
pub(super) fn copy_rows(
    (source, source_stride): (&[u8], usize),
    (target, target_stride): (&mut [u8], usize),
    row: usize,
    height: usize,
) {
    for (from, to) in source.chunks(source_stride).zip(target.chunks_mut(target_stride)).take(height) {
        to[..row].copy_from_slice(&from[..row]);
    }
}

/// Writes two chroma planes of `width` samples a row as one interleaved plane.
pub(super) fn interleave(
    u: (&[u8], usize),
    v: (&[u8], usize),
    (target, stride): (&mut [u8], usize),
    width: usize,
    height: usize,
) {
    let rows = u.0.chunks(u.1).zip(v.0.chunks(v.1)).zip(target.chunks_mut(stride)).take(height);
    for ((u, v), uv) in rows {
        for ((pair, &u), &v) in uv.chunks_exact_mut(2).zip(&u[..width]).zip(&v[..width]) {
            pair.copy_from_slice(&[u, v]);
        }
    }
}

/// Writes one interleaved chroma plane of `width` pairs a row as two planes.
pub(super) fn deinterleave(
    (source, stride): (&[u8], usize),
    u: (&mut [u8], usize),
    v: (&mut [u8], usize),
    width: usize,
    height: usize,
) {
    let rows = source.chunks(stride).zip(u.0.chunks_mut(u.1)).zip(v.0.chunks_mut(v.1)).take(height);
    for ((uv, u), v) in rows {
        for ((pair, u), v) in uv.chunks_exact(2).zip(&mut u[..width]).zip(&mut v[..width]) {
            (*u, *v) = (pair[0], pair[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// BT.709 limited range in floating point, of the mean colour of a block. ITU-R BT.709-6 §3.2 to §3.4.
    fn reference(bgr: [f64; 3]) -> [f64; 3] {
        let [b, g, r] = bgr.map(|component| component / 255.0);
        let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        [16.0 + 219.0 * y, 128.0 + 224.0 * (b - y) / 1.8556, 128.0 + 224.0 * (r - y) / 1.5748]
    }

    fn convert(bgra: &[u8], width: usize, height: usize, stride: usize, format: PixelFormat) -> [Vec<u8>; 3] {
        let (half_width, half_height) = (width / 2, height / 2);
        let mut y = vec![0; width * height];
        let nv12 = format == PixelFormat::Nv12;
        let mut u = vec![0; half_width * half_height * if nv12 { 2 } else { 1 }];
        let mut v = vec![0; if nv12 { 0 } else { half_width * half_height }];
        let strides = if nv12 { [width, width, 0] } else { [width, half_width, half_width] };
        let mut planes = Planes { bytes: [&mut y, &mut u, &mut v], strides };
        let source = Bgra { bytes: bgra, stride, width };
        convert_rows(source, &mut planes, format, 0..height, &mut Vec::new()).unwrap();
        if nv12 {
            let uv = u;
            let (mut u, mut v) = (vec![0; half_width * half_height], vec![0; half_width * half_height]);
            deinterleave((&uv, width), (&mut u, half_width), (&mut v, half_width), half_width, half_height);
            return [y, u, v];
        }
        [y, u, v]
    }

    fn max_error(bgra: &[u8], width: usize, height: usize, format: PixelFormat) -> [f64; 3] {
        let [y, u, v] = convert(bgra, width, height, width * 4, format);
        let pixel = |x: usize, row: usize| {
            let at = (row * width + x) * 4;
            [0, 1, 2].map(|component| f64::from(bgra[at + component]))
        };
        let mut error = [0f64; 3];
        for row in 0..height {
            for x in 0..width {
                error[0] = error[0].max((reference(pixel(x, row))[0] - f64::from(y[row * width + x])).abs());
            }
        }
        for row in 0..height / 2 {
            for x in 0..width / 2 {
                let block = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| pixel(2 * x + dx, 2 * row + dy));
                let mean = [0, 1, 2].map(|c| block.iter().map(|pixel| pixel[c]).sum::<f64>() / 4.0);
                let [_, cb, cr] = reference(mean);
                let at = row * (width / 2) + x;
                error[1] = error[1].max((cb - f64::from(u[at])).abs());
                error[2] = error[2].max((cr - f64::from(v[at])).abs());
            }
        }
        error
    }

    /// The stated accuracy, and a little more for chroma, whose mean of four pixels is rounded before.
    const LIMIT: f64 = 1.6;

    #[test]
    fn greys_and_primaries_come_out_as_bt709_limited() {
        let cases: [([u8; 3], [u8; 3]); 9] = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([128, 128, 128], [126, 128, 128]),
            ([0, 0, 255], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([255, 0, 0], [32, 240, 118]),
            ([255, 255, 0], [188, 154, 16]),
            ([255, 0, 255], [78, 214, 230]),
            ([0, 255, 255], [219, 16, 138]),
        ];
        for (bgr, expected) in cases {
            let bgra = [bgr[0], bgr[1], bgr[2], 0].repeat(64 * 4);
            for format in [PixelFormat::I420, PixelFormat::Nv12] {
                let [y, u, v] = convert(&bgra, 64, 4, 256, format);
                for (plane, expected) in [(y, expected[0]), (u, expected[1]), (v, expected[2])] {
                    let worst = plane.iter().map(|&value| value.abs_diff(expected)).max();
                    assert!(worst <= Some(1), "{bgr:?} gave {:?} for {expected}", &plane[..4]);
                }
            }
        }
        for grey in 0..=255u8 {
            let [_, u, v] = convert(&[grey, grey, grey, 0].repeat(64 * 2), 64, 2, 256, PixelFormat::I420);
            assert!(u.iter().chain(&v).all(|&chroma| chroma == 128), "grey {grey} is not grey: {}", u[0]);
        }
    }

    #[test]
    fn saturated_colours_stay_within_the_stated_error() {
        let levels = [0u8, 1, 64, 127, 128, 191, 254, 255];
        let mut bgra = Vec::new();
        for b in levels {
            for g in levels {
                for r in levels {
                    bgra.extend([b, g, r, 255].repeat(2));
                }
            }
        }
        // 512 colours, two pixels each in a row; the row below repeats them.
        let doubled = bgra.repeat(2);
        for format in [PixelFormat::I420, PixelFormat::Nv12] {
            let error = max_error(&doubled, 1024, 2, format);
            assert!(error.iter().all(|&error| error <= LIMIT), "{format:?}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn random_colours_stay_within_the_stated_error(
            pairs in 1usize..40,
            height in 1usize..4,
            seed in any::<[u8; 32]>(),
        ) {
            let (width, height) = (pairs * 2, height * 2);
            let mut state = u64::from_le_bytes(seed[..8].try_into().unwrap()) | 1;
            let bgra: Vec<u8> = (0..width * height * 4).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            }).collect();
            for format in [PixelFormat::I420, PixelFormat::Nv12] {
                let error = max_error(&bgra, width, height, format);
                prop_assert!(error.iter().all(|&error| error <= LIMIT), "{:?}: {:?}", format, error);
            }
        }

        #[test]
        fn padding_between_rows_changes_nothing(pairs in 1usize..20, height in 1usize..4, padding in 1usize..9) {
            let (width, height, padding) = (pairs * 2, height * 2, padding * 4);
            let tight: Vec<u8> = (0..width * height * 4).map(|at| (at * 37 % 251) as u8).collect();
            let mut padded = Vec::new();
            for row in tight.chunks(width * 4) {
                padded.extend_from_slice(row);
                padded.extend(std::iter::repeat_n(0xaa, padding));
            }
            padded.truncate(padded.len() - padding);
            for format in [PixelFormat::I420, PixelFormat::Nv12] {
                prop_assert_eq!(
                    convert(&tight, width, height, width * 4, format),
                    convert(&padded, width, height, width * 4 + padding, format)
                );
            }
        }
    }
}
