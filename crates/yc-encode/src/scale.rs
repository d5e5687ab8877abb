//! Scaling: one plane into another.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pic_scale::{
    BufferStore, ImageSize, ImageStore, ImageStoreMut, PicScaleError, Resampling, ResamplingFunction,
    ThreadingPolicy,
};

/// Scales planes. The filter weights of the last few sizes and the memory in between are kept.
#[derive(Default)]
pub(crate) struct Scaler {
    plans: Vec<(Key, Plan)>,
    scratch: Vec<u8>,
}

/// How far a changed pixel shows, in output pixels to each side: the filter's width.
pub(crate) const SUPPORT: f64 = 2.0;

/// The sharpest text for its time. RMS contrast of a dense page of text (73.6) scaled from 1080p to 720p, and
/// the time for it on one thread of a shared x86-64 server: bilinear 49.1 in 1.8 ms, Hamming 50.7 in 2.0 ms,
/// Catmull-Rom 54.2 in 2.3 ms, Lanczos 56.2 in 2.9 ms. Both of the last overshoot beside strokes, on a white
/// page into white, which hides it; Lanczos rings on for another pixel.
const FILTER: ResamplingFunction = ResamplingFunction::CatmullRom;

/// What one pixel of a plane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    /// One byte: Y, U or V.
    One,
    /// Two bytes: U and V interleaved.
    Two,
    /// Four bytes: BGRA. The fourth is a colour like the others.
    Four,
}

/// Pixels to read: rows of `size` pixels, `stride` bytes apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) stride: usize,
    pub(crate) size: (u32, u32),
}

/// Pixels to write: rows of `size` pixels, `stride` bytes apart.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) stride: usize,
    pub(crate) size: (u32, u32),
}

type Key = (Sample, (u32, u32), (u32, u32));

enum Plan {
    One(Arc<Resampling<u8, 1>>),
    Two(Arc<Resampling<u8, 2>>),
    Four(Arc<Resampling<u8, 4>>),
}

impl Scaler {
    /// Plans kept: the planes of one picture, and of the one before it where two sizes take turns.
    const KEPT: usize = 6;

    /// Scales `source` into `target`.
    pub(crate) fn scale(
        &mut self,
        sample: Sample,
        source: Source<'_>,
        target: Target<'_>,
    ) -> Result<(), String> {
        let key = (sample, source.size, target.size);
        let at = match self.plans.iter().position(|(planned, _)| *planned == key) {
            Some(at) => at,
            None => {
                if self.plans.len() == Self::KEPT {
                    self.plans.remove(0);
                }
                self.plans.push((key, Plan::new(key).map_err(|error| error.to_string())?));
                self.plans.len() - 1
            }
        };
        let scratch = &mut self.scratch;
        match &self.plans[at].1 {
            Plan::One(plan) => run(&**plan, source, target, scratch),
            Plan::Two(plan) => run(&**plan, source, target, scratch),
            Plan::Four(plan) => run(&**plan, source, target, scratch),
        }
        .map_err(|error| error.to_string())
    }
}

impl Plan {
    fn new((sample, from, to): Key) -> Result<Self, PicScaleError> {
        let size = |(width, height): (u32, u32)| ImageSize::new(width as usize, height as usize);
        let (from, to) = (size(from), size(to));
        // The encode thread's own work: no pool of threads beside it.
        let scaler = pic_scale::Scaler::new(FILTER).set_threading_policy(ThreadingPolicy::Single);
        Ok(match sample {
            Sample::One => Self::One(scaler.plan_planar_resampling(from, to)?),
            Sample::Two => Self::Two(scaler.plan_cbcr_resampling(from, to)?),
            Sample::Four => Self::Four(scaler.plan_rgba_resampling(from, to, false)?),
        })
    }
}

fn run<const N: usize>(
    plan: &Resampling<u8, N>,
    source: Source<'_>,
    target: Target<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), PicScaleError> {
    let needed = plan.scratch_size();
    if scratch.len() < needed {
        scratch.resize(needed, 0);
    }
    let source = ImageStore::<u8, N> {
        buffer: Cow::Borrowed(source.bytes),
        channels: N,
        width: source.size.0 as usize,
        height: source.size.1 as usize,
        stride: source.stride,
        bit_depth: 8,
    };
    let mut target = ImageStoreMut::<u8, N> {
        buffer: BufferStore::Borrowed(target.bytes),
        channels: N,
        width: target.size.0 as usize,
        height: target.size.1 as usize,
        stride: target.stride,
        bit_depth: 8,
    };
    plan.resample_with_scratch(&source, &mut target, scratch)
}

impl fmt::Debug for Scaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned: Vec<_> = self.plans.iter().map(|(key, _)| key).collect();
        f.debug_struct("Scaler").field("planned", &planned).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scale(sample: Sample, bytes: &[u8], stride: usize, from: (u32, u32), to: (u32, u32)) -> Vec<u8> {
        let pixel = match sample {
            Sample::One => 1,
            Sample::Two => 2,
            Sample::Four => 4,
        };
        let mut out = vec![0; (to.0 * to.1) as usize * pixel];
        let target = Target { bytes: &mut out, stride: to.0 as usize * pixel, size: to };
        Scaler::default().scale(sample, Source { bytes, stride, size: from }, target).unwrap();
        out
    }

    #[test]
    fn a_flat_plane_stays_flat_and_only_its_target_is_written() {
        let bytes = vec![77u8; 10 * 9 + 8];
        let mut plane = vec![0u8; 6 * 5];
        let source = Source { bytes: &bytes, stride: 10, size: (8, 10) };
        let target = Target { bytes: &mut plane, stride: 6, size: (4, 3) };
        Scaler::default().scale(Sample::One, source, target).unwrap();
        let expected: Vec<u8> = (0..30).map(|at| if at % 6 < 4 && at / 6 < 3 { 77 } else { 0 }).collect();
        assert_eq!(plane, expected);
    }

    #[test]
    fn the_ignored_byte_of_bgrx_does_not_darken_the_picture() {
        let scaled = scale(Sample::Four, &[200u8, 100, 50, 0].repeat(64), 32, (8, 8), (4, 4));
        assert!(scaled.chunks(4).all(|pixel| pixel[..3] == [200, 100, 50]), "{scaled:?}");
    }

    #[test]
    fn a_picture_that_is_not_there_is_an_error() {
        let mut scaler = Scaler::default();
        let mut out = [0; 16];
        let short = Source { bytes: &[0; 10], stride: 4, size: (4, 4) };
        assert!(
            scaler.scale(Sample::One, short, Target { bytes: &mut out, stride: 2, size: (2, 2) }).is_err()
        );
        let empty = Source { bytes: &[], stride: 0, size: (0, 4) };
        assert!(
            scaler.scale(Sample::One, empty, Target { bytes: &mut out, stride: 2, size: (2, 2) }).is_err()
        );
    }

    #[test]
    fn the_weights_of_a_few_sizes_are_kept() {
        let mut scaler = Scaler::default();
        let bytes = [9; 64];
        for side in (1..20).chain([19, 19]) {
            let mut out = vec![0; (side * side) as usize];
            let source = Source { bytes: &bytes, stride: 8, size: (8, 8) };
            let target = Target { bytes: &mut out, stride: side as usize, size: (side, side) };
            scaler.scale(Sample::One, source, target).unwrap();
            assert!(out.iter().all(|&value| value == 9), "{side}");
        }
        assert_eq!(scaler.plans.len(), Scaler::KEPT);
    }

    proptest! {
        #[test]
        fn padding_between_rows_changes_nothing(
            from in (1u32..70, 1u32..40), to in (1u32..70, 1u32..40), padding in 1usize..20,
        ) {
            for (sample, pixel) in [(Sample::One, 1), (Sample::Two, 2), (Sample::Four, 4)] {
                let row = from.0 as usize * pixel;
                let tight: Vec<u8> = (0..row * from.1 as usize).map(|at| (at * 37 % 251) as u8).collect();
                let mut padded: Vec<u8> = tight
                    .chunks(row)
                    .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0xaa, padding)))
                    .collect();
                padded.truncate(padded.len() - padding);
                prop_assert_eq!(
                    scale(sample, &tight, row, from, to),
                    scale(sample, &padded, row + padding, from, to)
                );
            }
        }
    }
}
