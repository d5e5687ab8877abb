//! What leaves an encoder.

use std::fmt;

use bytes::Bytes;

use crate::{CaptureTime, Codec, Resolution};

/// Whether a decoder can start here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a frame either starts a decoder or does not")]
pub enum FrameKind {
    /// A decoder can start here: it depends on no earlier frame.
    Key,
    /// Depends on earlier frames.
    Delta,
}

/// Which part of a layered stream a frame belongs to. All zero for a plain stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LayerId {
    /// Simulcast encoding, 0 the first; one RTP stream each.
    pub encoding: u8,
    /// Spatial layer inside the encoding, 0 the base.
    pub spatial: u8,
    /// Temporal layer, 0 the base.
    pub temporal: u8,
}

/// One access unit (one encoded picture) of one encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    /// The bytes as the encoder wrote them: Annex B with start codes for H264, a frame for VP8 and VP9,
    /// a temporal unit of OBUs for AV1. A slice of a pooled buffer; cheap to clone.
    pub data: Bytes,
    /// What it is encoded in.
    pub codec: Codec,
    /// Whether a decoder can start here.
    pub kind: FrameKind,
    /// When the picture was captured. Strictly increasing within a stream.
    pub captured_at: CaptureTime,
    /// The size that the decoder will show, in pixels.
    pub size: Resolution,
    /// Which layer it belongs to.
    pub layer: LayerId,
    /// The mean quantizer in the codec's own scale (H264: 0 to 51), where the encoder tells it.
    pub qp: Option<u8>,
}

impl EncodedFrame {
    /// Whether a decoder can start here.
    pub fn is_key(&self) -> bool {
        self.kind == FrameKind::Key
    }
}

impl fmt::Debug for EncodedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedFrame")
            .field("data", &format_args!("<{} bytes>", self.data.len()))
            .field("codec", &self.codec)
            .field("kind", &self.kind)
            .field("captured_at", &self.captured_at)
            .field("size", &self.size)
            .field("layer", &self.layer)
            .field("qp", &self.qp)
            .finish()
    }
}
