//! An encoder's rate and quality, without its pixels.
//!
//! A picture is a number of bits: what it takes to code it sharp, alone. What the viewer lacks of them is the
//! *debt*. A change makes its part of the picture new and with it the debt; a frame pays of the debt what it
//! spends, since what is refined costs in all what it would have cost at once (successive refinement is free
//! for a Gaussian source: [Equitz, Cover](https://doi.org/10.1109/18.75242), 1991; real encoders lose some).
//! How much a frame may spend is what a leaky bucket at the target bitrate lets it.

use std::time::Duration;

use bytes::Bytes;
use yc_media::{CaptureTime, Codec, EncodedFrame, FrameKind, LayerId, RateTarget};

/// A model of an H264 encoder that obeys a new goal from the next frame on.
#[derive(Debug)]
pub struct Encoder {
    target: RateTarget,
    /// The part of the picture's bits that the coded picture lacks, 0.0 to 1.0.
    debt: f64,
    /// The part of the picture that changed since the last frame, 0.0 to 1.0.
    fresh: f64,
    /// Bytes in the bucket, and when that was.
    level: (f64, Duration),
    frames: u32,
}

/// What a frame is, written into its slice so that the far end knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameMark {
    /// Counts the encoder's frames.
    pub number: u32,
    /// The frame that it refers to; a key frame to itself.
    pub reference: u32,
}

/// A frame of the model.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ModelFrame {
    /// The access unit: start codes, parameter sets where it is a key frame, one slice.
    pub encoded: EncodedFrame,
    /// What it is.
    pub mark: FrameMark,
    /// How much of the picture's bits the viewer has by it, 0.0 to 1.0.
    pub sharpness: f64,
}

impl Encoder {
    /// An encoder of a 1080p screen that has coded nothing.
    pub fn new(target: RateTarget) -> Self {
        Self { target, debt: 1.0, fresh: 1.0, level: (0.0, Duration::ZERO), frames: 0 }
    }

    /// Aims at `target` from the next frame on.
    pub fn set_rate(&mut self, target: RateTarget) {
        self.target = target;
        // What the old rate let into the bucket is not owed to a lower one.
        self.level.0 = self.level.0.min(self.bucket());
    }

    /// What it aims at.
    pub fn target(&self) -> RateTarget {
        self.target
    }

    /// The screen changed by `part` of the picture.
    pub fn on_change(&mut self, part: f64) {
        self.debt = self.debt * (1.0 - part) + part;
        self.fresh = self.fresh * (1.0 - part) + part;
    }

    /// How much of what the screen shows is coded, 0.0 to 1.0: the part of the bits, and of the pixels where
    /// the picture is scaled down.
    pub fn sharpness(&self) -> f64 {
        (1.0 - self.debt) * (self.target.resolution.pixels() as f64 / FULL_HD).min(1.0)
    }

    /// Codes the screen, captured at `captured_at`, at `now`.
    pub fn encode(&mut self, now: Duration, captured_at: CaptureTime, kind: FrameKind) -> ModelFrame {
        let is_key = kind == FrameKind::Key || self.frames == 0;
        if is_key {
            // Nothing that was coded before may be referred to.
            (self.debt, self.fresh) = (1.0, 1.0);
        }
        let size = self.target.resolution;
        let picture = PICTURE_BYTES * size.pixels() as f64 / FULL_HD;
        let (before, at) = self.level;
        let level = (before - self.rate() * now.saturating_sub(at).as_secs_f64()).max(0.0);
        let room = (self.bucket() - level).max(0.0);
        // At the coarsest quantizer what is new still has to be coded; what is old may stay as it is.
        let least = self.fresh * picture * COARSEST;
        let spent = room.clamp(least, (self.debt * picture).max(least));
        self.debt = (self.debt - spent / picture).max(0.0);
        self.fresh = 0.0;
        let bytes = spent.max(EMPTY_FRAME) as usize;
        self.level = (level + bytes as f64, now);

        let number = self.frames;
        self.frames += 1;
        let mark = FrameMark { number, reference: if is_key { number } else { number - 1 } };
        let encoded = EncodedFrame {
            data: access_unit(is_key, mark, bytes),
            codec: Codec::H264,
            kind: if is_key { FrameKind::Key } else { FrameKind::Delta },
            captured_at,
            size,
            layer: LayerId::default(),
            qp: Some(self.quantizer()),
        };
        ModelFrame { encoded, mark, sharpness: self.sharpness() }
    }

    /// Bytes a second.
    fn rate(&self) -> f64 {
        f64::from(self.target.bitrate.as_bps()) / 8.0
    }

    /// Bytes that may be spent at once.
    fn bucket(&self) -> f64 {
        self.rate() * BUCKET.as_secs_f64()
    }

    /// Half the bits for six steps of the quantizer, from that of a sharp picture on.
    fn quantizer(&self) -> u8 {
        let coarser = -6.0 * (1.0 - self.debt).max(0.01).log2();
        (f64::from(SHARP_QP) + coarser).round().min(51.0) as u8
    }
}

impl FrameMark {
    /// Seven bits a byte, the eighth set: no start code can arise.
    fn bytes(self) -> [u8; 10] {
        let mut bytes = [0; 10];
        for (at, byte) in bytes.iter_mut().enumerate() {
            let number = if at < 5 { self.number } else { self.reference };
            *byte = 0x80 | (number >> (7 * (at % 5))) as u8;
        }
        bytes
    }

    /// Reads the mark from what follows the header of a slice.
    pub(crate) fn read(slice: &[u8]) -> Option<Self> {
        let bytes = slice.first_chunk::<10>()?;
        let number = |bytes: &[u8]| {
            bytes.iter().rev().fold(0_u32, |number, byte| (number << 7) | u32::from(byte & 0x7f))
        };
        Some(Self { number: number(&bytes[..5]), reference: number(&bytes[5..]) })
    }
}

fn access_unit(is_key: bool, mark: FrameMark, bytes: usize) -> Bytes {
    let mut data = Vec::with_capacity(bytes.max(64));
    if is_key {
        data.extend(PARAMETER_SETS);
    }
    data.extend([0, 0, 0, 1, if is_key { 0x65 } else { 0x41 }]);
    data.extend(mark.bytes());
    data.resize(bytes.max(data.len()), 0x55);
    Bytes::from(data)
}

/// A text-heavy desktop of 1920×1080, sharp: between the 100 and 200 kB that encoders were seen to take.
const PICTURE_BYTES: f64 = 150_000.0;
const FULL_HD: f64 = 1920.0 * 1080.0;
/// The part of a picture's bits that is left at the coarsest quantizer.
const COARSEST: f64 = 0.12;
/// A frame in which nothing is coded.
const EMPTY_FRAME: f64 = 300.0;
/// How much of the target bitrate may be spent at once.
const BUCKET: Duration = Duration::from_millis(250);
/// The quantizer of a sharp picture: `StillConfig::sharp_qp`'s default.
const SHARP_QP: u8 = 18;
/// SPS and PPS of constrained baseline.
const PARAMETER_SETS: [u8; 17] =
    [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0xd9, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80];

#[cfg(test)]
mod tests {
    use yc_media::{Bitrate, FrameRate, Resolution};

    use super::*;

    fn encoder(kbps: u32) -> Encoder {
        Encoder::new(target(kbps))
    }

    fn target(kbps: u32) -> RateTarget {
        RateTarget::new(
            Bitrate::kbps(kbps),
            FrameRate::new(30).unwrap(),
            Resolution::new(1920, 1080).unwrap(),
        )
    }

    fn at(millis: u64) -> (Duration, CaptureTime) {
        let now = Duration::from_millis(millis);
        (now, CaptureTime::from_epoch(now))
    }

    fn encode(encoder: &mut Encoder, millis: u64, kind: FrameKind) -> ModelFrame {
        let (now, captured_at) = at(millis);
        encoder.encode(now, captured_at, kind)
    }

    #[test]
    fn a_key_frame_takes_what_the_rate_lets_it_and_the_rest_follows() {
        let mut encoder = encoder(2_000);
        let key = encode(&mut encoder, 0, FrameKind::Delta);
        assert!(key.encoded.is_key(), "the first frame always is one");
        assert_eq!(key.encoded.data.len(), 62_500, "250 ms at 2 Mbit/s");
        let mut frames = 0;
        while encoder.sharpness() < 0.99 {
            frames += 1;
            encode(&mut encoder, frames * 33, FrameKind::Delta);
        }
        // 86 kB more at 250 kB/s.
        assert!((10..=12).contains(&frames), "{frames}");
        assert_eq!(encode(&mut encoder, 10_000, FrameKind::Delta).encoded.qp, Some(18));
        let empty = encode(&mut encoder, 11_000, FrameKind::Delta);
        assert_eq!((empty.encoded.data.len(), empty.sharpness), (300, 1.0));
    }

    #[test]
    fn at_the_coarsest_quantizer_it_spends_more_than_it_may() {
        let mut encoder = encoder(100);
        assert_eq!(encode(&mut encoder, 0, FrameKind::Key).encoded.data.len(), 18_000);
        encoder.on_change(0.2);
        assert_eq!(encode(&mut encoder, 33, FrameKind::Delta).encoded.data.len(), 3_600);
    }

    #[test]
    fn what_moves_is_coded_at_the_target_bitrate() {
        for kbps in [1_000, 2_000, 4_000] {
            let mut encoder = encoder(kbps);
            let mut bytes = 0;
            for frame in 0..300 {
                encoder.on_change(0.19);
                let coded = encode(&mut encoder, frame * 1_000 / 30, FrameKind::Delta).encoded.data.len();
                bytes += if frame < 30 { 0 } else { coded };
            }
            let achieved = bytes as f64 * 8.0 / 9_000.0;
            assert!((achieved / f64::from(kbps) - 1.0).abs() < 0.05, "{achieved} of {kbps}");
        }
    }

    #[test]
    fn a_new_goal_holds_from_the_next_frame_on() {
        let mut encoder = encoder(6_000);
        for frame in 0..30 {
            encoder.on_change(0.3);
            encode(&mut encoder, frame * 33, FrameKind::Delta);
        }
        encoder.set_rate(target(2_000));
        encoder.on_change(0.3);
        // What leaves the full bucket in the 33 ms since the last frame.
        assert_eq!(encode(&mut encoder, 990, FrameKind::Delta).encoded.data.len(), 8_250);
    }

    #[test]
    fn the_mark_is_read_back() {
        for mark in [(0, 0), (1, 0), (u32::MAX, u32::MAX - 1), (0x0102_0304, 0x8000_0000)] {
            let mark = FrameMark { number: mark.0, reference: mark.1 };
            assert_eq!(FrameMark::read(&mark.bytes()), Some(mark));
        }
        assert_eq!(FrameMark::read(&[0x80; 9]), None);
    }
}
