//! A tiny deterministic encoder for the tests of what comes after an encoder.
//!
//! Its access units look like H264 to everything that does not decode: Annex B with SPS, PPS and IDR
//! slices on key frames, a real SPS of the real size, sizes that follow the rate. They show no picture.

use std::collections::BTreeSet;

use yc_media::{
    CaptureTime, Codec, EncodedFrame, FrameBuffer, FrameKind, H264ProfileLevelId, LayerId, PixelFormat,
    RateTarget, Resolution, VideoFrame,
};

use super::bitstream::BitstreamPool;
use super::h264::{self, Level};
use crate::{
    EncodeError, EncodeErrorKind, EncoderConfig, EncoderEntry, EncoderInfo, FrameInput, FrameOptions,
    VideoEncoderBackend,
};

/// The fake encoder as the registry knows it, with nothing scripted.
pub const ENTRY: EncoderEntry = EncoderEntry {
    name: NAME,
    codec: Codec::H264,
    hardware: false,
    open: |config| Ok(Box::new(FakeEncoder::open(config, FakeScript::default())?)),
};

const NAME: &str = "fake";

/// What shall happen at which submitted frame. The first is frame 0.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FakeScript {
    /// Frames that come to nothing, as if the rate control had skipped them. Default: none.
    pub nothing_for: BTreeSet<u64>,
    /// The frame that fails, and how. Default: none.
    pub fails_at: Option<(u64, EncodeErrorKind)>,
}

impl FakeScript {
    /// Lets `frames` come to nothing.
    #[must_use]
    pub fn with_nothing_for(mut self, frames: impl IntoIterator<Item = u64>) -> Self {
        self.nothing_for.extend(frames);
        self
    }

    /// Lets frame number `frame` fail with `kind`, and all after it.
    #[must_use]
    pub fn with_failure_at(mut self, frame: u64, kind: EncodeErrorKind) -> Self {
        self.fails_at = Some((frame, kind));
        self
    }
}

/// The fake encoder.
#[derive(Debug)]
pub struct FakeEncoder {
    info: EncoderInfo,
    script: FakeScript,
    rate: RateTarget,
    temporal_layers: u8,
    size: Option<Resolution>,
    /// Frames submitted.
    submitted: u64,
    /// Frames coded since the last key frame, that one included.
    since_key: u64,
    last: Option<CaptureTime>,
    pending: Option<EncodedFrame>,
    unit: Vec<u8>,
    output: BitstreamPool,
}

impl FakeEncoder {
    /// Opens one that follows `script`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a codec other than H264, `InvalidInput` for a picture larger than any level.
    pub fn open(config: &EncoderConfig, script: FakeScript) -> Result<Self, EncodeError> {
        if config.codec != Codec::H264 {
            return Err(EncodeError::new(EncodeErrorKind::Unsupported, NAME, "opening"));
        }
        let mut unit = Vec::new();
        write_parameter_sets(&mut unit, config.rate.resolution.even(), &config.rate)?;
        let mut info = EncoderInfo::software(NAME, Codec::H264, &[FrameInput::Cpu(PixelFormat::I420)]);
        info.profile_level_id = h264::nal_units(&unit).find_map(H264ProfileLevelId::from_sps);
        Ok(Self {
            info,
            script,
            rate: config.rate,
            temporal_layers: config.temporal_layers,
            size: None,
            submitted: 0,
            since_key: 0,
            last: None,
            pending: None,
            unit,
            output: BitstreamPool::new(),
        })
    }

    fn check(&self, frame: &VideoFrame) -> Result<(), EncodeError> {
        let invalid = |why: &'static str| {
            EncodeError::new(EncodeErrorKind::InvalidInput, NAME, "encoding").with_source(why)
        };
        match frame.buffer() {
            FrameBuffer::Cpu(buffer) if buffer.format() == PixelFormat::I420 => {}
            _ => return Err(invalid("the picture is not I420 in CPU memory")),
        }
        let size = frame.size();
        if size != size.even() || size.width() < 16 || size.height() < 16 {
            return Err(invalid("the picture has an odd side, or one below 16 pixels"));
        }
        if !frame.visible().x.is_multiple_of(2) || !frame.visible().y.is_multiple_of(2) {
            return Err(invalid("the visible part does not begin at even pixels"));
        }
        if self.pending.is_some() {
            return Err(invalid("the frame before was not polled"));
        }
        if self.last.is_some_and(|last| frame.captured_at() <= last) {
            return Err(invalid("captured_at is not later than that of the frame before"));
        }
        Ok(())
    }

    /// The temporal layer of the frame `since_key` frames after a key frame: dyadic, as encoders do.
    fn temporal_layer(&self) -> u8 {
        let period = 1u64 << (self.temporal_layers.clamp(1, 3) - 1);
        let position = self.since_key % period;
        if position == 0 { 0 } else { (period.trailing_zeros() - position.trailing_zeros()) as u8 }
    }
}

impl VideoEncoderBackend for FakeEncoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn submit(&mut self, frame: &VideoFrame, options: FrameOptions) -> Result<(), EncodeError> {
        self.check(frame)?;
        let number = self.submitted;
        if let Some((at, kind)) = self.script.fails_at.filter(|(at, _)| number >= *at) {
            let why = format!("scripted to fail from frame {at} on");
            return Err(EncodeError::new(kind, NAME, "encoding").with_source(why));
        }
        self.submitted += 1;
        self.last = Some(frame.captured_at());
        let key = options.keyframe || self.size != Some(frame.size());
        if self.script.nothing_for.contains(&number) {
            return Ok(());
        }
        if key {
            self.since_key = 0;
            self.size = Some(frame.size());
        }
        let budget = self.rate.bitrate.as_bps() / 8 / self.rate.frame_rate.as_fps();
        self.unit.clear();
        if key {
            write_parameter_sets(&mut self.unit, frame.size(), &self.rate)?;
        }
        let temporal = self.temporal_layer();
        let bytes = if key { budget.saturating_mul(KEY_FACTOR) } else { budget } as usize;
        write_slice(&mut self.unit, key, self.since_key, temporal == 0, bytes, number);
        self.since_key += 1;
        self.pending = Some(EncodedFrame {
            data: self.output.gather(self.unit.len(), std::iter::once(&self.unit[..])),
            codec: Codec::H264,
            kind: if key { FrameKind::Key } else { FrameKind::Delta },
            captured_at: frame.captured_at(),
            size: frame.size(),
            layer: LayerId { temporal, ..LayerId::default() },
            qp: Some(30),
        });
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<EncodedFrame>, EncodeError> {
        Ok(self.pending.take())
    }

    fn set_rate(&mut self, target: RateTarget) -> Result<(), EncodeError> {
        self.rate = target;
        Ok(())
    }
}

/// A key frame is this many times as large as a delta frame.
const KEY_FACTOR: u32 = 4;

/// [ITU-T H.264 §7.3.2.1.1](https://www.itu.int/rec/T-REC-H.264), constrained baseline.
fn write_parameter_sets(out: &mut Vec<u8>, size: Resolution, rate: &RateTarget) -> Result<(), EncodeError> {
    let level = Level::for_stream(size, rate.frame_rate, rate.bitrate).ok_or_else(|| {
        EncodeError::new(EncodeErrorKind::InvalidInput, NAME, "choosing a level")
            .with_source(format!("{size} exceeds the largest picture of H264 level 5.2, 36864 macroblocks"))
    })?;
    let (width, height) = (size.width().div_ceil(16), size.height().div_ceil(16));
    let (right, bottom) = ((width * 16 - size.width()) / 2, (height * 16 - size.height()) / 2);

    out.extend([0, 0, 0, 1, 0x67, 66, 0xc0, level.idc]);
    let mut bits = Bits::new(out);
    // seq_parameter_set_id, log2_max_frame_num − 4, pic_order_cnt_type, max_num_ref_frames
    bits.exp_golombs([0, 4, 2, 1]);
    bits.put(0, 1); // gaps_in_frame_num_value_allowed_flag
    bits.exp_golomb(width - 1);
    bits.exp_golomb(height - 1);
    bits.put(0b11, 2); // frame_mbs_only_flag, direct_8x8_inference_flag
    bits.put(1, 1); // frame_cropping_flag
    bits.exp_golombs([0, right, 0, bottom]);
    bits.put(0, 1); // vui_parameters_present_flag
    bits.finish();

    out.extend([0, 0, 0, 1, 0x68]);
    let mut bits = Bits::new(out);
    bits.exp_golombs([0, 0]); // pic_parameter_set_id, seq_parameter_set_id
    bits.put(0, 2); // entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag
    bits.exp_golombs([0, 0, 0]); // slice groups, reference indices
    bits.put(0, 3); // weighted prediction
    bits.exp_golombs([0, 0, 0]); // pic_init_qp, pic_init_qs, chroma_qp_index_offset
    bits.put(0, 3); // deblocking control, constrained intra, redundant pictures
    bits.finish();
    Ok(())
}

/// A slice header and as many bytes behind it as make `len` of the slice.
fn write_slice(out: &mut Vec<u8>, key: bool, frame: u64, reference: bool, len: usize, seed: u64) {
    let priority = if reference { 0x60 } else { 0x00 };
    out.extend([0, 0, 0, 1, priority | if key { 5 } else { 1 }]);
    let start = out.len();
    let mut bits = Bits::new(out);
    bits.exp_golomb(0); // first_mb_in_slice
    bits.exp_golomb(if key { 7 } else { 5 }); // slice_type: all slices I, all slices P
    bits.exp_golomb(0); // pic_parameter_set_id
    bits.put((frame & 0xff) as u32, 8); // frame_num
    if key {
        bits.exp_golomb((seed & 0xff) as u32); // idr_pic_id
    }
    bits.finish();
    // No byte is below 16: nothing in it can look like a start code.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while out.len() < start + len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push((state >> 56) as u8 | 0x10);
    }
}

/// Writes an RBSP, most significant bit first, with emulation prevention.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    byte: u8,
    used: u8,
    zeros: u8,
}

impl<'a> Bits<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, byte: 0, used: 0, zeros: 0 }
    }

    fn put(&mut self, value: u32, bits: u32) {
        for bit in (0..bits).rev() {
            self.byte = self.byte << 1 | (value >> bit & 1) as u8;
            self.used += 1;
            if self.used == 8 {
                if self.zeros >= 2 && self.byte <= 3 {
                    self.out.push(3);
                    self.zeros = 0;
                }
                self.zeros = if self.byte == 0 { self.zeros + 1 } else { 0 };
                self.out.push(self.byte);
                (self.byte, self.used) = (0, 0);
            }
        }
    }

    /// ue(v), §9.1.
    fn exp_golomb(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(0, length);
        self.put(value + 1, length + 1);
    }

    fn exp_golombs(&mut self, values: impl IntoIterator<Item = u32>) {
        values.into_iter().for_each(|value| self.exp_golomb(value));
    }

    /// rbsp_trailing_bits.
    fn finish(mut self) {
        self.put(1, 1);
        while self.used != 0 {
            self.put(0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use yc_media::{Bitrate, CpuBuffer, FrameRate, PlaneLayout};

    use super::*;

    fn open(script: FakeScript) -> FakeEncoder {
        let size = Resolution::new(64, 48).unwrap();
        let rate = RateTarget::new(Bitrate::kbps(240), FrameRate::new(30).unwrap(), size);
        FakeEncoder::open(&EncoderConfig::screen(Codec::H264, rate).with_temporal_layers(3), script).unwrap()
    }

    fn frame(number: u64) -> VideoFrame {
        let planes = [(0, 64), (64 * 48, 32), (64 * 48 + 32 * 24, 32)];
        let planes = planes.map(|(offset, stride)| PlaneLayout { offset, stride });
        let memory = Arc::new(vec![128u8; 64 * 48 * 3 / 2]);
        let buffer =
            CpuBuffer::new(memory, PixelFormat::I420, Resolution::new(64, 48).unwrap(), &planes).unwrap();
        let at = CaptureTime::from_epoch(Duration::from_millis(number * 33));
        VideoFrame::new(FrameBuffer::Cpu(buffer), at)
    }

    fn encode(encoder: &mut FakeEncoder, number: u64, options: FrameOptions) -> Option<EncodedFrame> {
        encoder.submit(&frame(number), options).unwrap();
        encoder.poll().unwrap()
    }

    #[test]
    fn key_frames_carry_parameter_sets_and_sizes_follow_the_rate() {
        let mut encoder = open(FakeScript::default());
        let types = |frame: &EncodedFrame| -> Vec<u8> {
            h264::nal_units(&frame.data).map(|nal| nal[0] & 0x1f).collect()
        };
        let key = encode(&mut encoder, 1, FrameOptions::delta()).unwrap();
        assert_eq!(types(&key), [7, 8, 5]);
        let delta = encode(&mut encoder, 2, FrameOptions::delta()).unwrap();
        assert_eq!(types(&delta), [1]);
        assert_eq!(delta.data.len(), 1_000 + 5);
        let forced = encode(&mut encoder, 3, FrameOptions::keyframe()).unwrap();
        assert_eq!(types(&forced), [7, 8, 5]);
        assert_eq!(encoder.info().profile_level_id.unwrap().to_string(), "42c01f");
    }

    #[test]
    fn temporal_layers_are_dyadic() {
        let mut encoder = open(FakeScript::default());
        let layers: Vec<_> = (1..=9)
            .map(|number| encode(&mut encoder, number, FrameOptions::delta()).unwrap().layer.temporal)
            .collect();
        assert_eq!(layers, [0, 2, 1, 2, 0, 2, 1, 2, 0]);
    }

    #[test]
    fn the_script_is_followed() {
        let script =
            FakeScript::default().with_nothing_for([1, 2]).with_failure_at(4, EncodeErrorKind::DeviceLost);
        let mut encoder = open(script);
        let came: Vec<_> =
            (1..=4).map(|number| encode(&mut encoder, number, FrameOptions::delta()).is_some()).collect();
        assert_eq!(came, [true, false, false, true]);
        let error = encoder.submit(&frame(5), FrameOptions::delta()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::DeviceLost);
    }
}
