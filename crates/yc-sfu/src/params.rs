//! The canonical RTP parameters: the one place that says how a native stream looks on the wire.

use std::collections::BTreeMap;

use yc_media::H264ProfileLevelId;
use yc_rtp::{CodecParams, ExtensionKind, RtpExtension, RtxParams, StreamParams};

use crate::InvalidSession;
use crate::messages::{
    CodecReply, ErrorBody, ErrorCode, FmtpValue, HeaderExtension, NativeSenderOffer, RtcpFeedback, RtxReply,
};

/// Payload type of the media packets. Dynamic range, [RFC 3551 §6](https://www.rfc-editor.org/rfc/rfc3551#section-6);
/// a transport carries one stream, so every session has the same.
pub const MEDIA_PAYLOAD_TYPE: u8 = 96;

/// Payload type of the retransmission packets.
pub const RTX_PAYLOAD_TYPE: u8 = 97;

/// Value of the `mid` extension: a transport carries one stream, so every session has the same.
pub const MID: &str = "0";

/// The header extensions that a native stream may use, under the ids that mediasoup prefers itself. mediasoup
/// reads the dependency descriptor and forwards the last three.
pub const HEADER_EXTENSIONS: [RtpExtension; 7] = [
    RtpExtension { kind: ExtensionKind::Mid, id: 1 },
    RtpExtension { kind: ExtensionKind::AbsSendTime, id: 4 },
    RtpExtension { kind: ExtensionKind::TransportWideCc, id: 5 },
    RtpExtension { kind: ExtensionKind::DependencyDescriptor, id: 7 },
    RtpExtension { kind: ExtensionKind::VideoOrientation, id: 8 },
    RtpExtension { kind: ExtensionKind::AbsCaptureTime, id: 9 },
    RtpExtension { kind: ExtensionKind::PlayoutDelay, id: 10 },
];

/// The RTCP feedback that a native stream takes, as type and parameter
/// ([RFC 4585 §4.2](https://www.rfc-editor.org/rfc/rfc4585#section-4.2)).
///
/// mediasoup sends transport-cc where a stream has the transport-wide sequence number, and REMB only where it
/// has not but carries abs-send-time.
pub const RTCP_FEEDBACK: [(&str, &str); 5] =
    [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", ""), ("goog-remb", "")];

/// A stream with the canonical payload types, extensions and `mid`.
pub fn canonical(
    codec: CodecParams,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    cname: impl Into<String>,
) -> StreamParams {
    let mut stream = StreamParams::new(ssrc, MEDIA_PAYLOAD_TYPE, codec, cname);
    stream.rtx = rtx_ssrc.map(|ssrc| RtxParams { ssrc, payload_type: RTX_PAYLOAD_TYPE });
    stream.extensions = HEADER_EXTENSIONS.to_vec();
    stream.mid = Some(MID.to_owned());
    stream
}

/// The first codec of `offer` that a native stream can have.
///
/// # Errors
///
/// `unsupported_codec`, with the reason for each codec of the offer.
pub fn select_codec(offer: &NativeSenderOffer) -> Result<CodecParams, ErrorBody> {
    let mut reasons = Vec::new();
    for codec in &offer.codecs {
        match codec.params() {
            Ok(params) => return Ok(params),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(ErrorBody::new(ErrorCode::UnsupportedCodec, reasons.join("; ")))
}

/// The format parameters of `codec`.
pub fn fmtp(codec: &CodecParams) -> BTreeMap<String, FmtpValue> {
    let number = |name: &str, value| (name.to_owned(), FmtpValue::Number(value));
    match codec {
        CodecParams::H264 { profile_level_id } => BTreeMap::from([
            number(PACKETIZATION_MODE, 1),
            number(LEVEL_ASYMMETRY_ALLOWED, 1),
            (PROFILE_LEVEL_ID.to_owned(), FmtpValue::Text(profile_level_id.to_string())),
        ]),
        CodecParams::Vp9 => BTreeMap::from([number(PROFILE_ID, 0)]),
        CodecParams::Vp8 | CodecParams::Av1 => BTreeMap::new(),
    }
}

/// `codec` as a reply has it.
pub fn codec_reply(codec: &CodecParams) -> CodecReply {
    CodecReply {
        mime_type: format!("video/{}", codec.codec()),
        clock_rate: codec.codec().clock_rate(),
        fmtp: fmtp(codec),
    }
}

/// The retransmission stream as a reply has it.
pub fn rtx_reply(rtx: &RtxParams) -> RtxReply {
    RtxReply { payload_type: rtx.payload_type.into(), ssrc: rtx.ssrc.into() }
}

/// The header extensions as a reply has them.
pub fn extension_replies(extensions: &[RtpExtension]) -> Vec<HeaderExtension> {
    extensions
        .iter()
        .map(|extension| HeaderExtension { uri: extension.kind.uri().to_owned(), id: extension.id.into() })
        .collect()
}

/// [`RTCP_FEEDBACK`] as a reply has it.
pub fn feedback_replies() -> Vec<RtcpFeedback> {
    RTCP_FEEDBACK
        .iter()
        .map(|(kind, parameter)| RtcpFeedback {
            kind: (*kind).to_owned(),
            parameter: (*parameter).to_owned(),
        })
        .collect()
}

/// The codec of a reply, if it is one of those offered. The profile-level-id of the result is the offered one:
/// the level of what is sent is the encoder's.
///
/// # Errors
///
/// [`InvalidSession`] naming the field.
pub fn codec_from_reply(
    reply: &CodecReply,
    offer: &NativeSenderOffer,
) -> Result<CodecParams, InvalidSession> {
    let offered: Vec<CodecParams> = offer.codecs.iter().filter_map(|codec| codec.params().ok()).collect();
    let names =
        || offered.iter().map(|codec| format!("video/{}", codec.codec())).collect::<Vec<_>>().join(", ");
    let same_mime =
        |codec: &&CodecParams| reply.mime_type.eq_ignore_ascii_case(&format!("video/{}", codec.codec()));
    let Some(first) = offered.iter().find(same_mime) else {
        let bounds = format!("one of those offered: {}", names());
        return Err(InvalidSession::new("codec.mime_type", format!("{:?}", reply.mime_type), bounds));
    };
    let clock_rate = first.codec().clock_rate();
    if reply.clock_rate != clock_rate {
        return Err(InvalidSession::new("codec.clock_rate", reply.clock_rate, clock_rate));
    }
    match first {
        CodecParams::H264 { .. } => h264_from_fmtp(&reply.fmtp, offered.iter().filter(same_mime)),
        CodecParams::Vp9 => {
            let profile = number(&reply.fmtp, PROFILE_ID).unwrap_or(0);
            if profile != 0 {
                return Err(InvalidSession::new("codec.fmtp.profile-id", profile, 0));
            }
            Ok(CodecParams::Vp9)
        }
        CodecParams::Vp8 => Ok(CodecParams::Vp8),
        CodecParams::Av1 => Ok(CodecParams::Av1),
    }
}

fn h264_from_fmtp<'a>(
    fmtp: &BTreeMap<String, FmtpValue>,
    offered: impl Iterator<Item = &'a CodecParams>,
) -> Result<CodecParams, InvalidSession> {
    let text = |name: &str| fmtp.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string);
    // Absent means 0: RFC 6184 §8.1.
    if number(fmtp, PACKETIZATION_MODE) != Some(1) {
        return Err(InvalidSession::new("codec.fmtp.packetization-mode", text(PACKETIZATION_MODE), 1));
    }
    let answered: H264ProfileLevelId = match fmtp.get(PROFILE_LEVEL_ID) {
        Some(FmtpValue::Text(id)) => id.parse().ok(),
        Some(FmtpValue::Number(id)) => id.to_string().parse().ok(),
        None => None,
    }
    .ok_or_else(|| {
        let bounds = "six hexadecimal digits, for example 42e01f";
        InvalidSession::new("codec.fmtp.profile-level-id", text(PROFILE_LEVEL_ID), bounds)
    })?;
    let asymmetric = number(fmtp, LEVEL_ASYMMETRY_ALLOWED) == Some(1);
    let ids: Vec<H264ProfileLevelId> = offered
        .filter_map(|codec| match codec {
            CodecParams::H264 { profile_level_id } => Some(*profile_level_id),
            CodecParams::Vp8 | CodecParams::Vp9 | CodecParams::Av1 => None,
        })
        .collect();
    let fits = |id: &&H264ProfileLevelId| {
        same_profile(**id, answered) && (asymmetric || id.level_idc <= answered.level_idc)
    };
    ids.iter().find(fits).map(|id| CodecParams::H264 { profile_level_id: *id }).ok_or_else(|| {
        let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let level = if asymmetric { "" } else { ", and at least its level" };
        InvalidSession::new(
            "codec.fmtp.profile-level-id",
            text(PROFILE_LEVEL_ID),
            format!("of the same profile as what was offered ({ids}){level}"),
        )
    })
}

/// Whether two H264 streams are of one profile, by the table of
/// [RFC 6184 §8.1](https://www.rfc-editor.org/rfc/rfc6184#section-8.1), whatever their levels.
pub fn same_profile(a: H264ProfileLevelId, b: H264ProfileLevelId) -> bool {
    a.profile().is_some() && a.profile() == b.profile()
}

fn number(fmtp: &BTreeMap<String, FmtpValue>, name: &str) -> Option<u32> {
    fmtp.get(name).and_then(FmtpValue::as_number)
}

const PACKETIZATION_MODE: &str = "packetization-mode";
const LEVEL_ASYMMETRY_ALLOWED: &str = "level-asymmetry-allowed";
const PROFILE_LEVEL_ID: &str = "profile-level-id";
const PROFILE_ID: &str = "profile-id";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::messages::OfferedCodec;

    fn h264(id: &str) -> CodecParams {
        CodecParams::H264 { profile_level_id: id.parse().unwrap() }
    }

    fn offer(codecs: &[CodecParams]) -> NativeSenderOffer {
        NativeSenderOffer::new(codecs.iter().map(OfferedCodec::from).collect())
    }

    #[test]
    fn extension_ids_are_unique_and_of_the_one_byte_form() {
        let ids: HashSet<u8> = HEADER_EXTENSIONS.iter().map(|extension| extension.id).collect();
        let kinds: HashSet<_> = HEADER_EXTENSIONS.iter().map(|extension| extension.kind).collect();
        assert_eq!((ids.len(), kinds.len()), (ExtensionKind::ALL.len(), ExtensionKind::ALL.len()));
        assert!(ids.iter().all(|id| (1..=14).contains(id)), "{ids:?}");
    }

    #[test]
    fn every_codec_comes_back_from_its_own_reply() {
        for codec in [h264("42c028"), h264("640c1f"), CodecParams::Vp8, CodecParams::Vp9, CodecParams::Av1] {
            assert_eq!(
                codec_from_reply(&codec_reply(&codec), &offer(std::slice::from_ref(&codec))),
                Ok(codec)
            );
        }
    }

    #[test]
    fn the_first_codec_that_can_be_is_selected() {
        let mut offer = offer(&[h264("42c028"), CodecParams::Vp8]);
        assert_eq!(select_codec(&offer), Ok(h264("42c028")));
        offer.codecs[0].packetization_mode = Some(0);
        assert_eq!(select_codec(&offer), Ok(CodecParams::Vp8));
        offer.codecs[1].mime_type = "video/H266".into();
        let error = select_codec(&offer).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedCodec);
        assert!(error.message.contains("packetization_mode 0") && error.message.contains("H266"), "{error}");
    }

    #[test]
    fn the_level_of_an_answer_does_not_matter_but_its_profile_does() {
        let offer = offer(&[h264("42c028")]);
        for (answer, good) in
            [("42e01f", true), ("42c034", true), ("4d8028", true), ("42001f", false), ("640028", false)]
        {
            let result = codec_from_reply(&codec_reply(&h264(answer)), &offer);
            assert_eq!(result.is_ok(), good, "{answer}: {result:?}");
            if let Ok(codec) = result {
                assert_eq!(codec, h264("42c028"), "what is sent is what was offered");
            }
        }
    }

    #[test]
    fn without_level_asymmetry_the_answer_must_reach_the_level() {
        let offer = offer(&[h264("42c028")]);
        for (answer, good) in [("42e028", true), ("42e033", true), ("42e01f", false)] {
            let mut reply = codec_reply(&h264(answer));
            reply.fmtp.remove(LEVEL_ASYMMETRY_ALLOWED);
            assert_eq!(codec_from_reply(&reply, &offer).is_ok(), good, "{answer}");
        }
    }

    #[test]
    fn a_codec_reply_that_cannot_be_is_refused_by_field() {
        let offer = offer(&[h264("42c028"), CodecParams::Vp9]);
        let reply = codec_reply(&h264("42c028"));
        let with = |name: &str, value: Option<FmtpValue>| {
            let mut reply = reply.clone();
            match value {
                Some(value) => reply.fmtp.insert(name.to_owned(), value),
                None => reply.fmtp.remove(name),
            };
            reply
        };
        let vp9 = CodecReply {
            fmtp: BTreeMap::from([(PROFILE_ID.to_owned(), FmtpValue::Number(2))]),
            ..codec_reply(&CodecParams::Vp9)
        };
        for (bad, says) in [
            (CodecReply { mime_type: "video/VP8".into(), ..reply.clone() }, "codec.mime_type \"video/VP8\""),
            (CodecReply { clock_rate: 48_000, ..reply.clone() }, "codec.clock_rate 48000 is not 90000"),
            (with(PACKETIZATION_MODE, None), "packetization-mode nothing is not 1"),
            (with(PACKETIZATION_MODE, Some(FmtpValue::Number(0))), "packetization-mode 0 is not 1"),
            (with(PROFILE_LEVEL_ID, None), "profile-level-id nothing"),
            (with(PROFILE_LEVEL_ID, Some(FmtpValue::Text("x".into()))), "profile-level-id \"x\""),
            (vp9, "profile-id 2 is not 0"),
        ] {
            let message = codec_from_reply(&bad, &offer).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        let as_text = with(PACKETIZATION_MODE, Some(FmtpValue::Text("1".into())));
        assert!(codec_from_reply(&as_text, &offer).is_ok());
    }
}
