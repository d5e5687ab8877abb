//! `create_native_sender_session`: what the sender offers and what it is told.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use yc_media::{Codec, H264ProfileLevelId};
use yc_rtp::CodecParams;

use super::{ErrorBody, PROTOCOL_VERSION};

/// What a native sender can send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NativeSenderOffer {
    /// Protocol version.
    pub protocol: u32,
    /// 1 to 16 codecs, best first.
    pub codecs: Vec<OfferedCodec>,
    /// Whether the sender can retransmit by RFC 4588. Default: false.
    #[serde(default)]
    pub rtx: bool,
    /// The key that the sender protects with. Default: none, plain RTP.
    #[serde(default)]
    pub srtp: Option<SrtpKey>,
}

impl NativeSenderOffer {
    /// Plain RTP without retransmission.
    pub fn new(codecs: Vec<OfferedCodec>) -> Self {
        Self { protocol: PROTOCOL_VERSION, codecs, rtx: false, srtp: None }
    }

    /// Offers retransmission by RFC 4588.
    pub fn with_rtx(self) -> Self {
        Self { rtx: true, ..self }
    }

    /// Offers SRTP under `key`.
    pub fn with_srtp(self, key: SrtpKey) -> Self {
        Self { srtp: Some(key), ..self }
    }

    /// # Errors
    ///
    /// `bad_message`, naming the field that is out of its bounds.
    pub fn validate(&self) -> Result<(), ErrorBody> {
        if !(1..=16).contains(&self.codecs.len()) {
            return Err(ErrorBody::bad_message(format!(
                "codecs has {} entries, not 1 to 16",
                self.codecs.len()
            )));
        }
        self.srtp.as_ref().map_or(Ok(()), SrtpKey::validate)
    }
}

/// One codec of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OfferedCodec {
    /// `video/H264`, `video/VP8`, `video/VP9` or `video/AV1`.
    pub mime_type: String,
    /// H264: six hexadecimal digits, from the encoder's SPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_level_id: Option<String>,
    /// H264: 1. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packetization_mode: Option<u32>,
}

impl OfferedCodec {
    /// H264, packetization mode 1, of the profile and level that the encoder's SPS says.
    pub fn h264(profile_level_id: H264ProfileLevelId) -> Self {
        Self::from(&CodecParams::H264 { profile_level_id })
    }

    /// What is offered, in types.
    ///
    /// # Errors
    ///
    /// A sentence that says why this is no codec that the suite knows.
    pub fn params(&self) -> Result<CodecParams, String> {
        let codec: Codec = match self.mime_type.get(..6) {
            Some(kind) if kind.eq_ignore_ascii_case("video/") => self.mime_type[6..].parse(),
            _ => self.mime_type.parse(),
        }
        .map_err(|_| {
            format!(
                "mime_type {:?} is not one of video/H264, video/VP8, video/VP9, video/AV1",
                self.mime_type
            )
        })?;
        Ok(match codec {
            Codec::H264 => {
                let mode = self.packetization_mode.unwrap_or(1);
                if mode != 1 {
                    return Err(format!("packetization_mode {mode} is not 1"));
                }
                let id = self.profile_level_id.as_deref().unwrap_or_default();
                let profile_level_id: H264ProfileLevelId = id.parse().map_err(|_| {
                    format!("profile_level_id {id:?} is not six hexadecimal digits, for example 42e01f")
                })?;
                if profile_level_id.profile().is_none() {
                    return Err(format!("profile_level_id {id:?} is not of a profile that browsers receive"));
                }
                CodecParams::H264 { profile_level_id }
            }
            Codec::Vp8 => CodecParams::Vp8,
            Codec::Vp9 => CodecParams::Vp9,
            Codec::Av1 => CodecParams::Av1,
        })
    }
}

impl From<&CodecParams> for OfferedCodec {
    fn from(params: &CodecParams) -> Self {
        let mime_type = format!("video/{}", params.codec());
        let (profile_level_id, packetization_mode) = match params {
            CodecParams::H264 { profile_level_id } => (Some(profile_level_id.to_string()), Some(1)),
            CodecParams::Vp8 | CodecParams::Vp9 | CodecParams::Av1 => (None, None),
        };
        Self { mime_type, profile_level_id, packetization_mode }
    }
}

/// An SRTP crypto suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CryptoSuite {
    /// [RFC 7714](https://www.rfc-editor.org/rfc/rfc7714), 256-bit key.
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
    /// [RFC 7714](https://www.rfc-editor.org/rfc/rfc7714), 128-bit key.
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// [RFC 4568 §6.2](https://www.rfc-editor.org/rfc/rfc4568#section-6.2), 80-bit tag.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// [RFC 4568 §6.2](https://www.rfc-editor.org/rfc/rfc4568#section-6.2), 32-bit tag.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
}

impl CryptoSuite {
    const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Its registered name, as it is on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Bytes of master key and master salt together.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32 + 12,
            Self::AeadAes128Gcm => 16 + 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
        }
    }
}

impl fmt::Display for CryptoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CryptoSuite {
    type Err = ErrorBody;

    /// Reads a registered name.
    fn from_str(text: &str) -> Result<Self, ErrorBody> {
        Self::ALL.into_iter().find(|suite| suite.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            ErrorBody::bad_message(format!("crypto_suite {} is not one of {names}", super::excerpt(text)))
        })
    }
}

/// An SRTP master key. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 4568 keys are these two")]
pub struct SrtpKey {
    /// What it is used with.
    pub crypto_suite: CryptoSuite,
    /// Master key, then master salt, in padded base64.
    pub key_base64: String,
}

impl SrtpKey {
    /// # Errors
    ///
    /// `bad_message` if the key is not base64 of the suite's length.
    pub fn validate(&self) -> Result<(), ErrorBody> {
        let wanted = self.crypto_suite.key_len();
        match base64_len(&self.key_base64) {
            Some(len) if len == wanted => Ok(()),
            Some(len) => Err(ErrorBody::bad_message(format!(
                "srtp.key_base64 holds {len} bytes, {:?} needs {wanted}",
                self.crypto_suite
            ))),
            None => Err(ErrorBody::bad_message("srtp.key_base64 is not padded base64")),
        }
    }
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKey").field("crypto_suite", &self.crypto_suite).finish_non_exhaustive()
    }
}

/// How many bytes padded base64 holds, or `None` if it is not that.
fn base64_len(text: &str) -> Option<usize> {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    (text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(alphabet))
        .then(|| text.len() / 4 * 3 - padding)
}

/// The reply to an offer, as it is on the wire: [`NativeSession::validate`](crate::NativeSession::validate)
/// makes something to rely on of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made by servers field by field; a new field is a new version")]
pub struct NativeSenderSession {
    /// Protocol version.
    pub protocol: u32,
    /// For `close_native_sender_session`.
    pub session_id: String,
    /// `ip:port`, `[ip]:port`: where RTP and RTCP go.
    pub rtp_target: String,
    /// Whether RTCP shares the port.
    pub rtcp_mux: bool,
    /// Payload type of the media packets.
    pub payload_type: u32,
    /// Synchronization source of the media packets.
    pub ssrc: u64,
    /// What to send.
    pub codec: CodecReply,
    /// Retransmission, if it was offered.
    #[serde(default)]
    pub rtx: Option<RtxReply>,
    /// The header extensions that may be used.
    #[serde(default)]
    pub header_extensions: Vec<HeaderExtension>,
    /// The RTCP feedback that the server may send.
    #[serde(default)]
    pub rtcp_feedback: Vec<RtcpFeedback>,
    /// CNAME to send in SDES.
    pub cname: String,
    /// Value of the `mid` extension.
    #[serde(default)]
    pub mid: Option<String>,
    /// The key that the server protects its RTCP with.
    #[serde(default)]
    pub srtp: Option<SrtpKey>,
    /// mediasoup's producer.
    pub producer_id: String,
    /// mediasoup's transport.
    pub transport_id: String,
}

/// The codec of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 8866 §6.6 and §6.15 define these")]
pub struct CodecReply {
    /// `video/H264`, `video/VP8`, `video/VP9` or `video/AV1`.
    pub mime_type: String,
    /// In Hz.
    pub clock_rate: u32,
    /// Format parameters.
    #[serde(default)]
    pub fmtp: BTreeMap<String, FmtpValue>,
}

/// A format parameter's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "JSON has these two scalars for it")]
pub enum FmtpValue {
    /// A number.
    Number(u32),
    /// Text.
    Text(String),
}

impl FmtpValue {
    /// The number, also where it was written as text.
    pub fn as_number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl fmt::Display for FmtpValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// The retransmission stream of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 4588 defines these two")]
pub struct RtxReply {
    /// Its payload type.
    pub payload_type: u32,
    /// Its synchronization source.
    pub ssrc: u64,
}

/// A header extension and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 8285 defines these two")]
pub struct HeaderExtension {
    /// What it carries.
    pub uri: String,
    /// Its id, 1 to 14.
    pub id: u32,
}

/// One kind of RTCP feedback, in the words of RFC 4585 §4.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "RFC 4585 §4.2 defines these two")]
pub struct RtcpFeedback {
    /// `nack`, `ccm`, `goog-remb`, `transport-cc`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `pli`, `fir` or nothing.
    #[serde(default)]
    pub parameter: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offered_codecs_are_read_as_they_are_written() {
        for params in [
            CodecParams::H264 { profile_level_id: "42c028".parse().unwrap() },
            CodecParams::Vp8,
            CodecParams::Vp9,
            CodecParams::Av1,
        ] {
            assert_eq!(OfferedCodec::from(&params).params(), Ok(params));
        }
    }

    #[test]
    fn an_offered_codec_that_cannot_be_is_refused_by_field() {
        let h264 = OfferedCodec::h264("42c028".parse().unwrap());
        for (codec, field) in [
            (OfferedCodec { mime_type: "video/H265".into(), ..h264.clone() }, "mime_type \"video/H265\""),
            (OfferedCodec { mime_type: "é".into(), ..h264.clone() }, "mime_type"),
            (OfferedCodec { packetization_mode: Some(0), ..h264.clone() }, "packetization_mode 0"),
            (OfferedCodec { profile_level_id: None, ..h264.clone() }, "profile_level_id"),
            (OfferedCodec { profile_level_id: Some("42".into()), ..h264.clone() }, "profile_level_id \"42\""),
            (OfferedCodec { profile_level_id: Some("7a0028".into()), ..h264 }, "profile_level_id \"7a0028\""),
        ] {
            let message = codec.params().unwrap_err();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn a_suite_is_read_by_the_name_that_is_on_the_wire() {
        for suite in CryptoSuite::ALL {
            assert_eq!(suite.name().parse(), Ok(suite));
            assert_eq!(serde_json::to_value(suite).unwrap(), suite.name());
        }
        let error = "AES_CM_256".parse::<CryptoSuite>().unwrap_err();
        assert!(error.message.contains("\"AES_CM_256\" is not one of AEAD_AES_256_GCM, "), "{error}");
    }

    #[test]
    fn an_srtp_key_has_the_length_of_its_suite_and_stays_out_of_logs() {
        let key = |crypto_suite, key_base64: &str| SrtpKey { crypto_suite, key_base64: key_base64.into() };
        let gcm = key(CryptoSuite::AeadAes128Gcm, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(gcm.validate(), Ok(()));
        assert!(!format!("{gcm:?}").contains("AAAA"));
        for (bad, says) in [
            (key(CryptoSuite::AeadAes256Gcm, &gcm.key_base64), "28 bytes"),
            (key(CryptoSuite::AeadAes128Gcm, "AAA"), "not padded base64"),
            (key(CryptoSuite::AeadAes128Gcm, "AAA-"), "not padded base64"),
            (key(CryptoSuite::AeadAes128Gcm, "===="), "not padded base64"),
            (key(CryptoSuite::AeadAes128Gcm, ""), "0 bytes"),
        ] {
            let message = bad.validate().unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
    }
}
