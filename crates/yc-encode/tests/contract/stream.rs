//! An encoder at work: one entry, one converter, frames in and access units out.

use std::sync::{PoisonError, RwLock};

use yc_encode::{Converter, ENABLED, EncoderConfig, EncoderEntry, FrameOptions, VideoEncoderBackend};
use yc_media::{Bitrate, Codec, EncodedFrame, FrameRate, RateTarget, Resolution, VideoFrame};

use crate::sps;

pub(crate) fn size(width: u32, height: u32) -> Resolution {
    Resolution::new(width, height).unwrap()
}

pub(crate) fn rate(kbps: u32, fps: u32, size: Resolution) -> RateTarget {
    RateTarget::new(Bitrate::kbps(kbps), FrameRate::new(fps).unwrap(), size)
}

pub(crate) fn config(kbps: u32, size: Resolution) -> EncoderConfig {
    EncoderConfig::screen(Codec::H264, rate(kbps, 30, size))
}

/// Tests run beside each other, but for those that look at the whole process.
static PROCESS: RwLock<()> = RwLock::new(());

/// Asks `check` of every enabled encoder that can be opened here; one must be.
pub(crate) fn for_each_encoder(check: impl Fn(&'static EncoderEntry)) {
    let _beside = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
    ask_each(check);
}

/// [`for_each_encoder`] with the process for itself: its memory, its threads, and those that an encoder may
/// lend to one stream of the process at a time.
pub(crate) fn for_each_encoder_alone(check: impl Fn(&'static EncoderEntry)) {
    let _alone = PROCESS.write().unwrap_or_else(PoisonError::into_inner);
    ask_each(check);
}

fn ask_each(check: impl Fn(&'static EncoderEntry)) {
    let mut asked = 0;
    for entry in ENABLED.iter().filter(|entry| entry.codec == Codec::H264) {
        // Hardware may be compiled in and absent; software has no excuse.
        if entry.hardware && (entry.open)(&config(1_000, size(640, 360))).is_err() {
            continue;
        }
        println!("asking {}", entry.name);
        check(entry);
        asked += 1;
    }
    assert!(asked > 0, "no encoder to ask");
}

/// [`for_each_encoder`] that encodes pictures: the fake one writes noise.
pub(crate) fn for_each_picture_encoder(check: impl Fn(&'static EncoderEntry)) {
    for_each_encoder(|entry| {
        if entry.name != "fake" {
            check(entry);
        }
    });
}

pub(crate) struct Stream {
    pub(crate) encoder: Box<dyn VideoEncoderBackend>,
    pub(crate) converter: Converter,
    pub(crate) max: Resolution,
}

impl Stream {
    pub(crate) fn open(entry: &EncoderEntry, config: &EncoderConfig) -> Self {
        let encoder = (entry.open)(config).unwrap_or_else(|error| panic!("{error}"));
        Self { encoder, converter: Converter::new(), max: config.rate.resolution }
    }

    pub(crate) fn prepare(&mut self, frame: &VideoFrame) -> VideoFrame {
        self.converter.prepare(frame, self.encoder.info().accepts, self.max).unwrap()
    }

    /// Encodes `frame`; an encoder with a delay is not real-time, so what comes is of this frame.
    pub(crate) fn encode(&mut self, frame: &VideoFrame, options: FrameOptions) -> Option<EncodedFrame> {
        let prepared = self.prepare(frame);
        self.encoder.submit(&prepared, options).unwrap();
        let encoded = self.encoder.poll().unwrap();
        if let Some(encoded) = &encoded {
            assert_eq!(encoded.captured_at, frame.captured_at());
            assert!(self.encoder.poll().unwrap().is_none(), "two access units of one frame");
        }
        encoded
    }
}

/// The NAL unit types of an access unit.
pub(crate) fn types(frame: &EncodedFrame) -> Vec<u8> {
    sps::nal_units(&frame.data).iter().map(|nal| nal[0] & 0x1f).collect()
}

pub(crate) fn sps_of(frame: &EncodedFrame) -> Option<sps::Sps> {
    sps::nal_units(&frame.data).into_iter().find(|nal| nal[0] & 0x1f == 7).map(sps::Sps::read)
}
