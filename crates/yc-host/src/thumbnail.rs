//! One small picture of a source.

use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use yc_capture::{CaptureConfig, CaptureEvent, CaptureTarget};
use yc_encode::{Converter, FrameInput};
use yc_media::{CpuBuffer, FrameBuffer, PixelFormat, Rect, Resolution, VideoFrame};
use yc_sender::Reason;

use crate::{HostError, Thumbnail};

/// Captures `target` once and makes a thumbnail of at most `max` of it. The picture is waited for up to `deadline`;
/// what the OS takes for opening and stopping comes on top.
pub(crate) fn take(
    target: CaptureTarget,
    max: Resolution,
    deadline: Duration,
) -> Result<Thumbnail, HostError> {
    let frame = first_frame(CaptureConfig::new(target).with_cursor(false), deadline)?;
    let (size, rgb) = small(&frame, max)?;
    let png_base64 = STANDARD.encode(png(size, &rgb)?);
    Ok(Thumbnail { width: size.width(), height: size.height(), png_base64 })
}

fn first_frame(config: CaptureConfig, deadline: Duration) -> Result<VideoFrame, HostError> {
    let mut capture = yc_capture::open_for_one_picture(&config)?.backend;
    let (first, told) = mpsc::sync_channel(1);
    capture.start(Box::new(move |event| {
        if !matches!(event, CaptureEvent::Resized(_) | CaptureEvent::Resumed | CaptureEvent::Blank(_)) {
            // One is enough.
            let _ = first.try_send(event);
        }
    }))?;
    let event = told.recv_timeout(deadline);
    capture.stop();
    let silent = |why: &str| HostError::new(Reason::CaptureSilent.code(), why);
    match event {
        Ok(CaptureEvent::Frame(frame)) => Ok(frame),
        Ok(CaptureEvent::Ended(reason)) => Err(HostError::ended(reason)),
        Ok(CaptureEvent::Failed(error)) => Err(error.into()),
        Ok(_) => Err(silent("the source shows nothing for now")),
        Err(_) => Err(silent(&format!("the source gave no picture within {} ms", deadline.as_millis()))),
    }
}

/// The visible part of `frame` in at most `max`, its shape kept, never enlarged: its size and its RGB pixels.
fn small(frame: &VideoFrame, max: Resolution) -> Result<(Resolution, Vec<u8>), HostError> {
    let accepts = [FrameInput::Cpu(PixelFormat::Bgra8), FrameInput::Cpu(PixelFormat::I420)];
    let made = Converter::new()
        .prepare(frame, &accepts, max)
        .map_err(|error| HostError::new(Reason::CaptureUnsupported.code(), error.to_string()))?;
    // Below 16 pixels to a side the converter puts black beside the picture, for encoders.
    let content = frame.size().fit_into(max);
    let visible = made.visible();
    let (width, height) = (visible.width.min(content.width()), visible.height.min(content.height()));
    let rect = Rect { width, height, ..visible };
    let FrameBuffer::Cpu(buffer) = made.buffer() else {
        return Err(HostError::internal("a thumbnail is not in CPU memory"));
    };
    let size = Resolution::new(width, height).map_err(HostError::internal)?;
    Ok((size, rgb(buffer, rect)))
}

/// The pixels of `rect` as R, G, B. `buffer` is BGRA or I420, and holds `rect`.
fn rgb(buffer: &CpuBuffer, rect: Rect) -> Vec<u8> {
    let mut out = Vec::with_capacity(rect.width as usize * rect.height as usize * 3);
    let (left, width) = (rect.x as usize, rect.width as usize);
    let rows = rect.y as usize..(rect.y + rect.height) as usize;
    if buffer.format() == PixelFormat::Bgra8 {
        let (bytes, stride) = buffer.plane(0);
        for y in rows {
            let row = &bytes[y * stride + left * 4..][..width * 4];
            out.extend(row.as_chunks::<4>().0.iter().flat_map(|[b, g, r, _]| [*r, *g, *b]));
        }
        return out;
    }
    let planes = [buffer.plane(0), buffer.plane(1), buffer.plane(2)];
    let sample = |plane: usize, x: usize, y: usize| f32::from(planes[plane].0[y * planes[plane].1 + x]);
    for y in rows {
        for x in left..left + width {
            let luma = (sample(0, x, y) - 16.0) * (255.0 / 219.0);
            let (u, v) = (sample(1, x / 2, y / 2) - 128.0, sample(2, x / 2, y / 2) - 128.0);
            // BT.709, limited range. [ITU-R BT.709-6 §3](https://www.itu.int/rec/R-REC-BT.709): a float becomes
            // a byte by rounding towards zero, with its bounds held.
            out.push((luma + 1.792_74 * v + 0.5) as u8);
            out.push((luma - 0.213_25 * u - 0.532_91 * v + 0.5) as u8);
            out.push((luma + 2.112_40 * u + 0.5) as u8);
        }
    }
    out
}

fn png(size: Resolution, rgb: &[u8]) -> Result<Vec<u8>, HostError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.width(), size.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(HostError::internal)?;
    writer.write_image_data(rgb).map_err(HostError::internal)?;
    writer.finish().map_err(HostError::internal)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use yc_media::{CaptureTime, PlaneLayout};

    use super::*;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    /// A BGRA picture, red left of `split` and blue right of it.
    fn two_colours(size: Resolution, split: u32) -> VideoFrame {
        let row = (0..size.width()).flat_map(|x| if x < split { [0, 0, 255, 0] } else { [255, 0, 0, 0] });
        let row: Vec<u8> = row.collect();
        let stride = row.len();
        let planes = [PlaneLayout { offset: 0, stride }];
        let memory = Arc::new(row.repeat(size.height() as usize));
        let buffer = CpuBuffer::new(memory, PixelFormat::Bgra8, size, &planes).unwrap();
        VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::default())
    }

    #[test]
    fn a_picture_is_made_smaller_in_its_shape_and_never_larger() {
        for (from, max, to) in [
            (size(1920, 1080), size(320, 180), size(320, 180)),
            (size(1000, 1000), size(320, 180), size(180, 180)),
            (size(64, 48), size(320, 180), size(64, 48)),
            (size(8, 6), size(320, 180), size(8, 6)),
        ] {
            let (made, rgb) = small(&two_colours(from, from.width() / 2), max).unwrap();
            assert_eq!(made, to);
            assert_eq!(rgb.len() as u64, to.pixels() * 3);
            assert_eq!(rgb[..3], [255, 0, 0]);
            assert_eq!(rgb[rgb.len() - 3..], [0, 0, 255]);
        }
    }

    #[test]
    fn what_is_not_visible_is_not_shown() {
        let visible = Rect { x: 40, y: 10, width: 40, height: 20 };
        let frame = two_colours(size(80, 40), 40).with_visible(visible).unwrap();
        let (made, rgb) = small(&frame, size(320, 180)).unwrap();
        assert_eq!(made, size(40, 20));
        assert!(rgb.chunks(3).all(|pixel| pixel == [0, 0, 255]));
    }

    #[test]
    fn an_i420_picture_has_its_colours() {
        // Red, green and blue of BT.709 in limited range.
        for (yuv, expected) in [
            ([63u8, 102, 240], [255u8, 0, 0]),
            ([173, 42, 26], [0, 255, 0]),
            ([32, 240, 118], [0, 0, 255]),
            ([235, 128, 128], [255, 255, 255]),
        ] {
            let planes = [(0, 16), (256, 8), (320, 8)].map(|(offset, stride)| PlaneLayout { offset, stride });
            let memory: Vec<u8> =
                (0..384).map(|at| yuv[usize::from(at >= 256) + usize::from(at >= 320)]).collect();
            let buffer = CpuBuffer::new(Arc::new(memory), PixelFormat::I420, size(16, 16), &planes).unwrap();
            let frame = VideoFrame::new(FrameBuffer::Cpu(buffer), CaptureTime::default());
            let (_, rgb) = small(&frame, size(320, 180)).unwrap();
            let near = rgb[..3].iter().zip(expected).all(|(is, should)| is.abs_diff(should) <= 2);
            assert!(near, "{:?} is not {expected:?}", &rgb[..3]);
        }
    }
}
