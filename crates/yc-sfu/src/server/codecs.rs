//! Our RTP parameters in mediasoup's types.

use std::num::{NonZeroU8, NonZeroU32};

use mediasoup::prelude::{
    MimeTypeAudio, MimeTypeVideo, RtcpFeedback, RtcpParameters, RtpCodecCapability, RtpCodecParameters,
    RtpCodecParametersParameters, RtpEncodingParameters, RtpEncodingParametersRtx,
    RtpHeaderExtensionParameters, RtpParameters,
};
use mediasoup_types::rtp_parameters::RtpCodecParametersParametersValue;
use yc_rtp::{CodecParams, StreamParams};

use crate::messages::FmtpValue;
use crate::params;

/// The codecs of a room. VP8 first: browsers send the first that they have, and all have it. H264 is there once
/// per profile that browsers receive: mediasoup lets a producer in only under its own profile.
pub(super) fn media_codecs() -> Vec<RtpCodecCapability> {
    let h264 = |mode: u32, id: &'static str| {
        video(
            MimeTypeVideo::H264,
            RtpCodecParametersParameters::from([
                ("packetization-mode", mode.into()),
                ("profile-level-id", id.into()),
                ("level-asymmetry-allowed", 1_u32.into()),
            ]),
        )
    };
    vec![
        RtpCodecCapability::Audio {
            mime_type: MimeTypeAudio::Opus,
            preferred_payload_type: None,
            clock_rate: NonZeroU32::new(48_000).expect("not zero"),
            channels: NonZeroU8::new(2).expect("not zero"),
            parameters: RtpCodecParametersParameters::from([("useinbandfec", 1_u32.into())]),
            rtcp_feedback: vec![],
        },
        video(MimeTypeVideo::Vp8, RtpCodecParametersParameters::default()),
        video(MimeTypeVideo::Vp9, RtpCodecParametersParameters::from([("profile-id", 0_u32.into())])),
        h264(1, "42e01f"),
        h264(0, "42e01f"),
        h264(1, "42001f"),
        h264(1, "4d001f"),
        h264(1, "640c1f"),
        h264(1, "64001f"),
        video(MimeTypeVideo::AV1, RtpCodecParametersParameters::default()),
    ]
}

fn video(mime_type: MimeTypeVideo, parameters: RtpCodecParametersParameters) -> RtpCodecCapability {
    RtpCodecCapability::Video {
        mime_type,
        preferred_payload_type: None,
        clock_rate: VIDEO_CLOCK,
        parameters,
        rtcp_feedback: vec![],
    }
}

/// What a producer of `stream` is made with.
pub(super) fn rtp_parameters(stream: &StreamParams) -> RtpParameters {
    let mut parameters = RtpCodecParametersParameters::default();
    for (name, value) in params::fmtp(&stream.codec) {
        let value: RtpCodecParametersParametersValue = match value {
            FmtpValue::Number(number) => number.into(),
            FmtpValue::Text(text) => text.into(),
        };
        parameters.insert(name, value);
    }
    let feedback = params::RTCP_FEEDBACK
        .iter()
        .filter_map(|(kind, parameter)| RtcpFeedback::from_type_parameter(kind, parameter).ok())
        .collect();
    let mut codecs = vec![RtpCodecParameters::Video {
        mime_type: mime_type(&stream.codec),
        payload_type: stream.payload_type,
        clock_rate: VIDEO_CLOCK,
        parameters,
        rtcp_feedback: feedback,
    }];
    if let Some(rtx) = &stream.rtx {
        codecs.push(RtpCodecParameters::Video {
            mime_type: MimeTypeVideo::Rtx,
            payload_type: rtx.payload_type,
            clock_rate: VIDEO_CLOCK,
            parameters: RtpCodecParametersParameters::from([("apt", u32::from(stream.payload_type).into())]),
            rtcp_feedback: vec![],
        });
    }
    let header_extensions = stream
        .extensions
        .iter()
        .filter_map(|extension| {
            let uri = extension.kind.uri().parse().ok()?;
            Some(RtpHeaderExtensionParameters { uri, id: extension.id.into(), encrypt: false })
        })
        .collect();
    let encoding = RtpEncodingParameters {
        ssrc: Some(stream.ssrc),
        rtx: stream.rtx.as_ref().map(|rtx| RtpEncodingParametersRtx { ssrc: rtx.ssrc }),
        ..RtpEncodingParameters::default()
    };
    RtpParameters {
        mid: stream.mid.clone(),
        codecs,
        header_extensions,
        encodings: vec![encoding],
        rtcp: RtcpParameters { cname: Some(stream.cname.clone()), reduced_size: false },
        ..RtpParameters::default()
    }
}

fn mime_type(codec: &CodecParams) -> MimeTypeVideo {
    match codec {
        CodecParams::H264 { .. } => MimeTypeVideo::H264,
        CodecParams::Vp8 => MimeTypeVideo::Vp8,
        CodecParams::Vp9 => MimeTypeVideo::Vp9,
        CodecParams::Av1 => MimeTypeVideo::AV1,
    }
}

const VIDEO_CLOCK: NonZeroU32 = NonZeroU32::new(90_000).expect("not zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_canonical_parameters_is_unknown_to_mediasoup() {
        let codec = CodecParams::H264 { profile_level_id: "42c028".parse().unwrap() };
        let stream = params::canonical(codec, 11, Some(12), "c");
        let json = serde_json::to_value(rtp_parameters(&stream)).unwrap();
        assert_eq!(json["headerExtensions"].as_array().unwrap().len(), params::HEADER_EXTENSIONS.len());
        let feedback = json["codecs"][0]["rtcpFeedback"].as_array().unwrap();
        assert_eq!(feedback.len(), params::RTCP_FEEDBACK.len());
        for (sent, (kind, parameter)) in feedback.iter().zip(params::RTCP_FEEDBACK) {
            assert_eq!((sent["type"].as_str(), sent["parameter"].as_str()), (Some(kind), Some(parameter)));
        }
        assert_eq!(json["codecs"][0]["parameters"]["profile-level-id"], "42c028");
        assert_eq!(json["codecs"][0]["parameters"]["packetization-mode"], 1);
        assert_eq!(json["codecs"][1]["parameters"]["apt"], 96);
        assert_eq!(json["encodings"][0]["ssrc"], 11);
        assert_eq!(json["encodings"][0]["rtx"]["ssrc"], 12);
    }
}
