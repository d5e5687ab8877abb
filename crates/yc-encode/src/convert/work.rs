//! The conversion of one picture by its plan.

use yc_media::{CpuBuffer, PixelFormat, Rect, Resolution};

use crate::scale::{Sample, Scaler, Source, Target};

use super::colour::{self, Bgra, Planes};
use super::plan::Plan;

/// The planes of a picture to read and each one's stride in bytes. NV12 leaves the third empty.
type PlanesIn<'a> = [(&'a [u8], usize); 3];

/// One conversion, with the memory that is kept from one to the next.
pub(super) struct Work<'a> {
    pub(super) plan: &'a Plan,
    pub(super) scaler: &'a mut Scaler,
    /// A scaled picture between scaling and conversion.
    pub(super) scaled: &'a mut Vec<u8>,
    /// Two rows without padding.
    pub(super) pair: &'a mut Vec<u8>,
}

impl Work<'_> {
    /// Writes at least `stale` (even at all sides) of the output to `bytes`.
    pub(super) fn convert(
        &mut self,
        buffer: &CpuBuffer,
        bytes: &mut [u8],
        stale: Rect,
    ) -> Result<(), String> {
        if stale.is_empty() {
            return Ok(());
        }
        let planes = planes_out(bytes, self.plan.to, self.plan.coded);
        if self.plan.from == PixelFormat::Bgra8 {
            self.convert_bgra(buffer, planes, stale)
        } else {
            self.convert_planar(buffer, planes)
        }
    }

    fn convert_bgra(
        &mut self,
        buffer: &CpuBuffer,
        mut planes: Planes<'_>,
        stale: Rect,
    ) -> Result<(), String> {
        let Plan { visible, content, to, .. } = *self.plan;
        let (width, height) = (content.width() as usize, content.height() as usize);
        let (bytes, stride) = buffer.plane(0);
        let bytes = &bytes[visible.y as usize * stride + visible.x as usize * 4..];
        if !self.plan.scales() {
            if to == PixelFormat::Bgra8 {
                let [target, ..] = planes.bytes;
                colour::copy_rows((bytes, stride), (target, planes.strides[0]), width * 4, height);
                return Ok(());
            }
            let rows = stale.y as usize..(stale.y + stale.height) as usize;
            return colour::convert_rows(Bgra { bytes, stride, width }, &mut planes, to, rows, self.pair);
        }
        let source = Source { bytes, stride, size: (visible.width, visible.height) };
        let size = (content.width(), content.height());
        if to == PixelFormat::Bgra8 {
            let [target, ..] = planes.bytes;
            let target = Target { bytes: target, stride: planes.strides[0], size };
            return self.scaler.scale(Sample::Four, source, target);
        }
        self.scaled.resize(width * height * 4, 0);
        let target = Target { bytes: self.scaled, stride: width * 4, size };
        self.scaler.scale(Sample::Four, source, target)?;
        let source = Bgra { bytes: self.scaled, stride: width * 4, width };
        colour::convert_rows(source, &mut planes, to, 0..height, self.pair)
    }

    fn convert_planar(&mut self, buffer: &CpuBuffer, planes: Planes<'_>) -> Result<(), String> {
        let Plan { visible, content, from, to, .. } = *self.plan;
        let mut sources: PlanesIn<'_> = [(&[], 0); 3];
        for (plane, source) in sources.iter_mut().enumerate().take(from.planes()) {
            let (bytes, stride) = buffer.plane(plane);
            let (x, y) = (visible.x as usize, visible.y as usize);
            let at = match (plane, from) {
                (0, _) => y * stride + x,
                (_, PixelFormat::Nv12) => y / 2 * stride + x,
                _ => y / 2 * stride + x / 2,
            };
            *source = (&bytes[at..], stride);
        }
        if !self.plan.scales() {
            rearrange(sources, planes, from, to, content);
            return Ok(());
        }
        let read = (visible.width, visible.height);
        if from == to {
            return scale_planes(self.scaler, sources, read, planes, content, from);
        }
        self.scaled.resize(content.pixels() as usize * 3 / 2, 0);
        let between = planes_out(self.scaled, from, content);
        scale_planes(self.scaler, sources, read, between, content, from)?;
        rearrange(planes_in(self.scaled, from, content), planes, from, to, content);
        Ok(())
    }
}

fn scale_planes(
    scaler: &mut Scaler,
    sources: PlanesIn<'_>,
    read: (u32, u32),
    planes: Planes<'_>,
    content: Resolution,
    format: PixelFormat,
) -> Result<(), String> {
    let targets = planes.bytes.into_iter().zip(planes.strides);
    for (plane, ((bytes, stride), target)) in
        sources.into_iter().zip(targets).enumerate().take(format.planes())
    {
        let shape = |(width, height): (u32, u32)| match plane {
            0 => (width, height),
            _ => (width.div_ceil(2), height.div_ceil(2)),
        };
        let sample = if plane > 0 && format == PixelFormat::Nv12 { Sample::Two } else { Sample::One };
        let source = Source { bytes, stride, size: shape(read) };
        let size = shape((content.width(), content.height()));
        scaler.scale(sample, source, Target { bytes: target.0, stride: target.1, size })?;
    }
    Ok(())
}

/// Writes a planar picture of `size` in another plane layout, or in the same.
fn rearrange(
    [y, u, v]: PlanesIn<'_>,
    planes: Planes<'_>,
    from: PixelFormat,
    to: PixelFormat,
    size: Resolution,
) {
    let (width, height) = (size.width() as usize, size.height() as usize);
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

/// The planes of a picture without padding, one after the other in `bytes`.
fn planes_out(bytes: &mut [u8], format: PixelFormat, size: Resolution) -> Planes<'_> {
    let mut rest = bytes;
    let mut strides = [0; 3];
    let bytes = [0, 1, 2].map(|plane| {
        if plane >= format.planes() {
            return &mut [][..];
        }
        let (row, rows) = format.plane_size(plane, size);
        strides[plane] = row;
        let (taken, left) = std::mem::take(&mut rest).split_at_mut(row * rows);
        rest = left;
        taken
    });
    Planes { bytes, strides }
}

/// [`planes_out`], to read.
fn planes_in(bytes: &[u8], format: PixelFormat, size: Resolution) -> PlanesIn<'_> {
    let mut rest = bytes;
    [0, 1, 2].map(|plane| {
        if plane >= format.planes() {
            return (&[][..], 0);
        }
        let (row, rows) = format.plane_size(plane, size);
        let (taken, left) = rest.split_at(row * rows);
        rest = left;
        (taken, row)
    })
}
