//! What sender and receiver agree on before the first packet.

use std::fmt;

use yc_media::{Codec, H264ProfileLevelId};

use crate::ParamsError;
use crate::extension::ExtensionMap;

/// One RTP stream as a receiver must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamParams {
    /// Synchronization source of the media packets.
    pub ssrc: u32,
    /// Payload type of the media packets, 0 to 127 outside 64 to 95 (RFC 5761 §4).
    pub payload_type: u8,
    /// What the payload is.
    pub codec: CodecParams,
    /// Retransmission, where it was negotiated.
    pub rtx: Option<RtxParams>,
    /// The header extensions that may be used, with the ids agreed on.
    pub extensions: Vec<RtpExtension>,
    /// Canonical name that ties the streams of one sender together (RFC 3550 §6.5.1).
    pub cname: String,
    /// Media id for the `mid` extension, where it was negotiated.
    pub mid: Option<String>,
}

impl StreamParams {
    /// A stream with no retransmission and no header extension.
    pub fn new(ssrc: u32, payload_type: u8, codec: CodecParams, cname: impl Into<String>) -> Self {
        Self { ssrc, payload_type, codec, rtx: None, extensions: Vec::new(), cname: cname.into(), mid: None }
    }

    /// Checks that the parameters can be sent with, and answers with the extension ids by what they carry.
    ///
    /// # Errors
    ///
    /// If a payload type is not 0 to 63 or 96 to 127, media and retransmission share an SSRC or a payload
    /// type, an extension id is not 1 to 14 or stands twice, the CNAME is not 1 to 255 bytes long, or the
    /// mid not 1 to 16.
    pub fn validate(&self) -> Result<ExtensionMap, ParamsError> {
        for payload_type in [Some(self.payload_type), self.rtx.map(|rtx| rtx.payload_type)] {
            if let Some(value @ (64..=95 | 128..)) = payload_type {
                return Err(ParamsError::PayloadType(value));
            }
        }
        if let Some(rtx) = self.rtx {
            if rtx.ssrc == self.ssrc {
                return Err(ParamsError::RtxClash { what: "SSRC", value: rtx.ssrc });
            }
            if rtx.payload_type == self.payload_type {
                return Err(ParamsError::RtxClash { what: "payload type", value: rtx.payload_type.into() });
            }
        }
        check_length("the CNAME", &self.cname, 255)?;
        if let Some(mid) = &self.mid {
            check_length("the mid", mid, 16)?;
        }
        ExtensionMap::new(&self.extensions)
    }
}

fn check_length(what: &'static str, text: &str, max: usize) -> Result<(), ParamsError> {
    match text.len() {
        len if len == 0 || len > max => Err(ParamsError::TextLength { what, len, max }),
        _ => Ok(()),
    }
}

/// A codec with what its payload format needs agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a new codec must be decided everywhere before it compiles")]
pub enum CodecParams {
    /// H264, packetization mode 1.
    H264 {
        /// What the encoder's SPS says.
        profile_level_id: H264ProfileLevelId,
    },
    /// VP8.
    Vp8,
    /// VP9, profile 0.
    Vp9,
    /// AV1, main profile.
    Av1,
}

impl CodecParams {
    /// The codec alone.
    pub fn codec(&self) -> Codec {
        match self {
            Self::H264 { .. } => Codec::H264,
            Self::Vp8 => Codec::Vp8,
            Self::Vp9 => Codec::Vp9,
            Self::Av1 => Codec::Av1,
        }
    }
}

/// A retransmission stream. [RFC 4588](https://www.rfc-editor.org/rfc/rfc4588).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 4588 defines these two")]
pub struct RtxParams {
    /// Its own synchronization source.
    pub ssrc: u32,
    /// Its own payload type.
    pub payload_type: u8,
}

/// One header extension under the id agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 8285 defines these two")]
pub struct RtpExtension {
    /// What it carries.
    pub kind: ExtensionKind,
    /// Its id in the one-byte form, 1 to 14 (RFC 8285 §4.2).
    pub id: u8,
}

/// A header extension that the suite knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtensionKind {
    /// Media id.
    Mid,
    /// 24-bit time of sending.
    AbsSendTime,
    /// 16-bit transport-wide sequence number.
    TransportWideCc,
    /// NTP time of capture.
    AbsCaptureTime,
    /// Bounds on the receiver's buffer.
    PlayoutDelay,
    /// Rotation of the picture.
    VideoOrientation,
    /// AV1 and scalable H264 dependency descriptor.
    DependencyDescriptor,
}

impl ExtensionKind {
    /// Every extension that the suite knows.
    pub const ALL: [Self; 7] = [
        Self::Mid,
        Self::AbsSendTime,
        Self::TransportWideCc,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::VideoOrientation,
        Self::DependencyDescriptor,
    ];

    /// The URI that names it in a negotiation.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportWideCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// The extension that `uri` names, if the suite knows it.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

impl fmt::Display for ExtensionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> StreamParams {
        let mut params = StreamParams::new(1, 101, CodecParams::Vp8, "cname");
        params.rtx = Some(RtxParams { ssrc: 2, payload_type: 102 });
        params.mid = Some("0".into());
        params
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut StreamParams), message: &str) {
        let mut params = params();
        change(&mut params);
        assert_eq!(params.validate().unwrap_err().to_string(), message);
    }

    #[test]
    fn what_cannot_be_sent_with_is_refused_by_name() {
        assert!(params().validate().is_ok());
        check(|p| p.payload_type = 72, "payload type 72 is not 0 to 63 or 96 to 127 (RFC 5761 §4)");
        check(|p| p.payload_type = 128, "payload type 128 is not 0 to 63 or 96 to 127 (RFC 5761 §4)");
        check(
            |p| p.rtx = Some(RtxParams { ssrc: 2, payload_type: 64 }),
            "payload type 64 is not 0 to 63 or 96 to 127 (RFC 5761 §4)",
        );
        check(
            |p| p.rtx = Some(RtxParams { ssrc: 1, payload_type: 102 }),
            "SSRC 1 is both the media's and the retransmission's",
        );
        check(
            |p| p.rtx = Some(RtxParams { ssrc: 2, payload_type: 101 }),
            "payload type 101 is both the media's and the retransmission's",
        );
        check(|p| p.cname.clear(), "the CNAME is 0 bytes long, not 1 to 255");
        check(|p| p.cname = "c".repeat(256), "the CNAME is 256 bytes long, not 1 to 255");
        check(|p| p.mid = Some("m".repeat(17)), "the mid is 17 bytes long, not 1 to 16");
        check(
            |p| p.extensions.push(RtpExtension { kind: ExtensionKind::VideoOrientation, id: 15 }),
            "id 15 of header extension urn:3gpp:video-orientation is not 1 to 14",
        );
    }
}
