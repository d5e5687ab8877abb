//! What every encoder backend does.

use std::fmt;

use yc_media::{Codec, EncodedFrame, GpuApi, H264ProfileLevelId, PixelFormat, RateTarget, VideoFrame};

use crate::EncodeError;

/// One encoder implementation, opened for one codec and one configuration.
///
/// # Contract
///
/// - Frames arrive with strictly increasing [`VideoFrame::captured_at`], in a layout that
///   [`EncoderInfo::accepts`] lists, with even sides.
/// - After each [`submit`](Self::submit), call [`poll`](Self::poll) until it returns `Ok(None)`. A submitted
///   frame may come to nothing: an encoder that skips it is no error.
/// - A frame of another size than the one before it reconfigures the encoder: the frame becomes a key frame,
///   and the rate stays what [`set_rate`](Self::set_rate) said last.
/// - A forced key frame is that very frame. Every H264 key frame carries all its parameter sets.
/// - An error of a kind other than `InvalidInput` ends this instance: drop it. What to open next is the caller's
///   policy. `InvalidInput` refuses that one frame, as if it had not been submitted.
pub trait VideoEncoderBackend: Send + fmt::Debug {
    /// Facts fixed at opening.
    fn info(&self) -> &EncoderInfo;

    /// Hands over one frame.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a frame in a layout it does not accept, else as the implementation fails.
    fn submit(&mut self, frame: &VideoFrame, options: FrameOptions) -> Result<(), EncodeError>;

    /// Takes the next finished access unit, or `None` if more input is needed.
    ///
    /// # Errors
    ///
    /// As the implementation fails.
    fn poll(&mut self) -> Result<Option<EncodedFrame>, EncodeError>;

    /// Aims at the bitrate and frame rate of `target` from the next submitted frame on. The resolution is
    /// that of the frames.
    ///
    /// # Errors
    ///
    /// As the implementation fails.
    fn set_rate(&mut self, target: RateTarget) -> Result<(), EncodeError>;
}

/// What an encoder takes without conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameInput {
    /// Pixels in CPU memory of this layout.
    Cpu(PixelFormat),
    /// Pictures of this GPU API.
    Gpu(GpuApi),
}

/// What an encoder knows of itself once it is open.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EncoderInfo {
    /// The implementation's name, as in its [`EncoderEntry`](crate::EncoderEntry).
    pub name: &'static str,
    /// What it encodes into.
    pub codec: Codec,
    /// What it takes without conversion, best first.
    pub accepts: &'static [FrameInput],
    /// Whether the encoding is done by dedicated hardware.
    pub hardware: bool,
    /// Whether it runs at the speed it was made for. `false` for a software encoder built without its SIMD.
    pub accelerated: bool,
    /// The profile and level of its real SPS, for H264.
    pub profile_level_id: Option<H264ProfileLevelId>,
}

impl EncoderInfo {
    /// A software encoder at full speed.
    pub fn software(name: &'static str, codec: Codec, accepts: &'static [FrameInput]) -> Self {
        Self { name, codec, accepts, hardware: false, accelerated: true, profile_level_id: None }
    }
}

/// What is wanted of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FrameOptions {
    /// Encode it as a key frame.
    pub keyframe: bool,
}

impl FrameOptions {
    /// An ordinary frame.
    pub const fn delta() -> Self {
        Self { keyframe: false }
    }

    /// A frame that a decoder can start at.
    pub const fn keyframe() -> Self {
        Self { keyframe: true }
    }
}
