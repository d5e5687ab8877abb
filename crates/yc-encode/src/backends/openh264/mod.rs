//! H264 in software: Cisco's OpenH264, built from source.
//!
//! Constrained baseline for real-time screen content: one reference, no periodic key frame, the rate
//! control by frame budget. The traps of its API are mended in `params.rs` (each setting with its reason)
//! and here.

mod params;
#[allow(unsafe_code)]
mod sys;
mod threads;

use openh264_sys2::SEncParamExt;
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

use params::Stream;
use sys::{Coded, Encoder, Picture};
use threads::Threads;

/// OpenH264 as the registry knows it.
pub(super) const ENTRY: EncoderEntry = EncoderEntry { name: NAME, codec: Codec::H264, hardware: false, open };

const NAME: &str = "openh264";

/// The shortest side it encodes: one macroblock.
const MIN_SIDE: u32 = 16;

#[derive(Debug)]
struct OpenH264 {
    info: EncoderInfo,
    encoder: Encoder,
    /// Held, not read. After `encoder`: fields are dropped in order, and the threads are to be idle by then.
    _pool: Option<Threads>,
    defaults: SEncParamExt,
    stream: Stream,
    /// Threads to ask for, though a size may not allow their slices.
    threads: u8,
    output: BitstreamPool,
    first: Option<CaptureTime>,
    last: Option<CaptureTime>,
    pending: Option<EncodedFrame>,
    /// An error ends the instance; some errors leave the C++ side half taken down.
    failed: bool,
}

fn open(config: &EncoderConfig) -> Result<Box<dyn VideoEncoderBackend>, EncodeError> {
    Ok(Box::new(OpenH264::open(config)?))
}

impl OpenH264 {
    fn open(config: &EncoderConfig) -> Result<Self, EncodeError> {
        const DOING: &str = "opening";
        if config.codec != Codec::H264 {
            return Err(error(
                EncodeErrorKind::Unsupported,
                DOING,
                format!("encodes H264, not {}", config.codec),
            ));
        }
        if !(1..=3).contains(&config.temporal_layers) {
            let why = format!("{} temporal layers are not 1 to 3", config.temporal_layers);
            return Err(error(EncodeErrorKind::InvalidInput, DOING, why));
        }
        if !(1..=4).contains(&config.threads) {
            let why = format!("{} threads are not 1 to 4", config.threads);
            return Err(error(EncodeErrorKind::InvalidInput, DOING, why));
        }
        let size = config.rate.resolution.even();
        let pool = Threads::take(config.threads);
        let threads = if pool.is_some() { config.threads } else { 1 };
        let stream = Stream {
            size,
            bitrate: config.rate.bitrate,
            frame_rate: config.rate.frame_rate,
            temporal_layers: config.temporal_layers,
            threads,
            level: level_of(size, &config.rate, DOING)?,
        };

        let mut encoder = created()?;
        let defaults =
            encoder.default_params().map_err(|code| error(EncodeErrorKind::Failed, DOING, code))?;
        let mut opened = stream;
        if encoder.initialize(&stream.params(&defaults)).is_err() {
            // Some sizes cannot be cut into slices: then one slice, which is slower, not worse. A new
            // object: this one is in an unknown state.
            opened.threads = 1;
            drop(encoder);
            encoder = created()?;
            encoder
                .initialize(&opened.params(&defaults))
                .map_err(|code| error(EncodeErrorKind::Unsupported, DOING, code))?;
        }
        encoder.code_parameter_sets().map_err(|code| error(EncodeErrorKind::Failed, DOING, code))?;
        let sps = encoder.coded().flat_map(h264::nal_units).find_map(H264ProfileLevelId::from_sps);

        let mut info = EncoderInfo::software(NAME, Codec::H264, &[FrameInput::Cpu(PixelFormat::I420)]);
        info.accelerated = encoder.has_simd();
        info.profile_level_id = sps;
        if !info.accelerated {
            tracing::warn!("OpenH264 was built without its SIMD assembly: it is 1.5 to 3 times slower");
        }
        Ok(Self {
            info,
            encoder,
            _pool: pool,
            defaults,
            stream: opened,
            threads,
            output: BitstreamPool::new(),
            first: None,
            last: None,
            pending: None,
            failed: false,
        })
    }

    /// Restarts the stream at another size: the bitrate and the frame rate stay what they are.
    fn resize(&mut self, size: Resolution) -> Result<(), EncodeError> {
        const DOING: &str = "changing the size";
        let rate = RateTarget::new(self.stream.bitrate, self.stream.frame_rate, size);
        let level = level_of(size, &rate, DOING)?;
        let stream = Stream { size, level, threads: self.threads, ..self.stream };
        if self.encoder.reconfigure(&stream.params(&self.defaults)).is_ok() {
            self.stream = stream;
            return Ok(());
        }
        // As at opening: this size may not be cut into slices.
        let stream = Stream { threads: 1, ..stream };
        let mut encoder = created()?;
        encoder
            .initialize(&stream.params(&self.defaults))
            .map_err(|code| error(EncodeErrorKind::Failed, DOING, code))?;
        self.encoder = encoder;
        self.stream = stream;
        Ok(())
    }

    fn encode(&mut self, frame: &VideoFrame, options: FrameOptions) -> Result<(), EncodeError> {
        const DOING: &str = "encoding";
        let captured_at = frame.captured_at();
        if self.pending.is_some() {
            return Err(error(EncodeErrorKind::InvalidInput, DOING, "the frame before was not polled"));
        }
        if self.last.is_some_and(|last| captured_at <= last) {
            let why = "captured_at is not later than that of the frame before";
            return Err(error(EncodeErrorKind::InvalidInput, DOING, why));
        }
        let planes = planes_of(frame).map_err(|why| error(EncodeErrorKind::InvalidInput, DOING, why))?;
        let size = frame.size();
        if size != self.stream.size {
            self.resize(size)?;
        }
        if options.keyframe {
            self.encoder.force_keyframe().map_err(|code| error(EncodeErrorKind::Failed, DOING, code))?;
        }
        let first = *self.first.get_or_insert(captured_at);
        self.last = Some(captured_at);
        let picture = Picture {
            width: size.width(),
            height: size.height(),
            planes,
            timestamp_ms: captured_at.saturating_since(first).as_millis() as i64,
        };
        let coded =
            self.encoder.encode(&picture).map_err(|code| error(EncodeErrorKind::Failed, DOING, code))?;
        let (kind, temporal) = match coded {
            Coded::Skipped => return Ok(()),
            Coded::Key => (FrameKind::Key, 0),
            Coded::Delta { temporal } => (FrameKind::Delta, temporal),
        };
        self.pending = Some(EncodedFrame {
            data: self.output.gather(self.encoder.coded_len(), self.encoder.coded()),
            codec: Codec::H264,
            kind,
            captured_at,
            size,
            layer: LayerId { temporal, ..LayerId::default() },
            qp: self.encoder.average_qp(),
        });
        Ok(())
    }

    fn apply_rate(&mut self, target: RateTarget) -> Result<(), EncodeError> {
        const DOING: &str = "setting the rate";
        let failed = |code| error(EncodeErrorKind::Failed, DOING, code);
        let stream = Stream { bitrate: target.bitrate, frame_rate: target.frame_rate, ..self.stream };
        if stream.target_fps() != self.stream.target_fps() {
            self.encoder.set_frame_rate(stream.target_fps()).map_err(failed)?;
        }
        if stream.target_bps() != self.stream.target_bps() {
            self.encoder.set_bitrate(stream.target_bps()).map_err(failed)?;
        }
        self.stream = stream;
        Ok(())
    }

    /// Runs `work` unless an earlier error ended this instance, and remembers one.
    fn unless_failed(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if self.failed {
            return Err(error(EncodeErrorKind::Failed, doing, "an earlier error ended this instance"));
        }
        let result = work(self);
        self.failed = result.is_err();
        result
    }
}

impl VideoEncoderBackend for OpenH264 {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn submit(&mut self, frame: &VideoFrame, options: FrameOptions) -> Result<(), EncodeError> {
        self.unless_failed("encoding", |this| this.encode(frame, options))
    }

    fn poll(&mut self) -> Result<Option<EncodedFrame>, EncodeError> {
        Ok(self.pending.take())
    }

    /// The bitrate ends at what the level of the stream allows (24 Mbit/s at 1080p30) and at 40 Mbit/s.
    fn set_rate(&mut self, target: RateTarget) -> Result<(), EncodeError> {
        self.unless_failed("setting the rate", |this| this.apply_rate(target))
    }
}

fn created() -> Result<Encoder, EncodeError> {
    Encoder::create().ok_or_else(|| error(EncodeErrorKind::Failed, "opening", "no memory for an encoder"))
}

fn level_of(size: Resolution, rate: &RateTarget, doing: &'static str) -> Result<Level, EncodeError> {
    check_size(size).map_err(|why| error(EncodeErrorKind::InvalidInput, doing, why))?;
    Level::for_stream(size, rate.frame_rate, rate.bitrate).ok_or_else(|| {
        let why =
            format!("{size} exceeds the largest picture of H264 level 5.2, 36864 macroblocks (3840x2160)");
        error(EncodeErrorKind::InvalidInput, doing, why)
    })
}

fn check_size(size: Resolution) -> Result<(), String> {
    if !size.width().is_multiple_of(2) || !size.height().is_multiple_of(2) {
        return Err(format!("size {size} has an odd side: crop it to {}", size.even()));
    }
    if size.width() < MIN_SIDE || size.height() < MIN_SIDE {
        return Err(format!("size {size} has a side below {MIN_SIDE} pixels"));
    }
    Ok(())
}

/// The visible part of each plane, and its stride.
fn planes_of(frame: &VideoFrame) -> Result<[(&[u8], usize); 3], String> {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else {
        return Err("the picture is not in CPU memory: it takes I420".to_owned());
    };
    if buffer.format() != PixelFormat::I420 {
        return Err(format!("the picture is {:?}: it takes I420", buffer.format()));
    }
    let visible = frame.visible();
    if !visible.x.is_multiple_of(2) || !visible.y.is_multiple_of(2) {
        return Err(format!("the visible part begins at {},{}: not at even pixels", visible.x, visible.y));
    }
    check_size(frame.size())?;
    Ok([0, 1, 2].map(|plane| {
        let (bytes, stride) = buffer.plane(plane);
        let shift = u32::from(plane > 0);
        (&bytes[(visible.y >> shift) as usize * stride + (visible.x >> shift) as usize..], stride)
    }))
}

fn error(
    kind: EncodeErrorKind,
    doing: &'static str,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> EncodeError {
    EncodeError::new(kind, NAME, doing).with_source(why)
}

#[cfg(test)]
mod tests {
    use yc_media::{Bitrate, Codec, FrameRate, RateTarget};

    use super::*;

    #[test]
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    fn a_build_with_its_assembly_says_so_and_one_without_does_too() {
        let size = Resolution::new(64, 64).unwrap();
        let rate = RateTarget::new(Bitrate::kbps(300), FrameRate::new(30).unwrap(), size);
        let encoder = (ENTRY.open)(&EncoderConfig::screen(Codec::H264, rate)).unwrap();
        assert_eq!(encoder.info().accelerated, cfg!(openh264_assembled));
    }
}
