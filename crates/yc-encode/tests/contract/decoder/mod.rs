//! What a receiver sees: OpenH264's decoder, and how far its picture is from the one encoded.

mod sys;

pub(crate) use sys::{Decoded, Decoder};
use yc_media::{FrameBuffer, VideoFrame};

impl Decoded {
    /// Peak signal-to-noise ratio of one plane against a prepared I420 picture, in dB; 100 if equal.
    pub(crate) fn psnr(&self, plane: usize, prepared: &VideoFrame) -> f64 {
        let FrameBuffer::Cpu(buffer) = prepared.buffer() else { panic!("not in CPU memory") };
        let (bytes, stride) = buffer.plane(plane);
        let shift = usize::from(plane > 0);
        let (x, y) = (prepared.visible().x as usize >> shift, prepared.visible().y as usize >> shift);
        let (width, height) = (self.width >> shift, self.height >> shift);
        let squares: u64 = (0..height)
            .map(|row| {
                let expected = &bytes[(y + row) * stride + x..][..width];
                let decoded = &self.planes[plane][row * width..][..width];
                expected.iter().zip(decoded).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum::<u64>()
            })
            .sum();
        if squares == 0 {
            return 100.0;
        }
        10.0 * (255.0 * 255.0 * (width * height) as f64 / squares as f64).log10()
    }
}
