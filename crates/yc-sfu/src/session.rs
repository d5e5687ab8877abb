//! The checked reply of `create_native_sender_session`: what a sender may start on.

use std::fmt;
use std::net::SocketAddr;

use yc_rtp::{ExtensionKind, RtpExtension, RtxParams, StreamParams};

use crate::messages::{
    ErrorBody, HeaderExtension, NativeSenderOffer, NativeSenderSession, PROTOCOL_VERSION, RtcpFeedback,
    SrtpKey,
};
use crate::params;

/// A place for a native sender's RTP, checked against what the sender offered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeSession {
    /// For `close_native_sender_session`.
    pub session_id: String,
    /// Where RTP and RTCP go, over UDP.
    pub rtp_target: SocketAddr,
    /// How the stream must look.
    pub stream: StreamParams,
    /// The RTCP feedback that the server may send.
    pub rtcp_feedback: Vec<RtcpFeedback>,
    /// The key that the server protects its RTCP with; there if the sender offered SRTP.
    pub srtp: Option<SrtpKey>,
    /// mediasoup's producer.
    pub producer_id: String,
    /// mediasoup's transport.
    pub transport_id: String,
}

impl NativeSession {
    /// Checks `reply` before the first packet: a stream that does not fit is refused here, not by a picture
    /// that never comes.
    ///
    /// # Errors
    ///
    /// [`InvalidSession`] naming the field, its value and its bounds.
    pub fn validate(
        reply: &NativeSenderSession,
        offer: &NativeSenderOffer,
        rules: SessionRules,
    ) -> Result<Self, InvalidSession> {
        if reply.protocol != PROTOCOL_VERSION {
            return Err(InvalidSession::new("protocol", reply.protocol, PROTOCOL_VERSION));
        }
        if !reply.rtcp_mux {
            return Err(InvalidSession::new("rtcp_mux", false, true));
        }
        let rtp_target = target(&reply.rtp_target)?;
        let codec = params::codec_from_reply(&reply.codec, offer)?;
        let ssrc = ssrc("ssrc", reply.ssrc)?;
        let payload_type = payload_type("payload_type", reply.payload_type)?;
        let mut stream = StreamParams::new(ssrc, payload_type, codec, text("cname", &reply.cname, 255)?);
        stream.rtx = rtx(reply, offer, &stream)?;
        stream.extensions = extensions(&reply.header_extensions)?;
        stream.mid = reply.mid.as_deref().map(|mid| text("mid", mid, 16)).transpose()?;
        Ok(Self {
            session_id: text("session_id", &reply.session_id, 64)?,
            rtp_target,
            stream,
            rtcp_feedback: reply.rtcp_feedback.clone(),
            srtp: srtp(reply, offer, rtp_target, rules)?,
            producer_id: text("producer_id", &reply.producer_id, 64)?,
            transport_id: text("transport_id", &reply.transport_id, 64)?,
        })
    }
}

/// What a sender accepts of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionRules {
    /// Whether RTP may leave this machine unprotected. Default: false.
    pub allow_plain_rtp: bool,
}

impl SessionRules {
    /// Sets [`SessionRules::allow_plain_rtp`].
    pub fn with_plain_rtp(self, allow: bool) -> Self {
        Self { allow_plain_rtp: allow }
    }
}

/// A field of a session that a sender must not start on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value} is not {expected}")]
pub struct InvalidSession {
    field: String,
    value: String,
    expected: String,
}

impl InvalidSession {
    pub(crate) fn new(
        field: impl Into<String>,
        value: impl fmt::Display,
        expected: impl fmt::Display,
    ) -> Self {
        // The value is the peer's and may be of any length: quote it like any other refusal.
        let value = ErrorBody::bad_message(value.to_string()).message;
        Self { field: field.into(), value, expected: expected.to_string() }
    }

    /// The field, as its path in the reply.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it should be.
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

fn target(value: &str) -> Result<SocketAddr, InvalidSession> {
    let refuse = |expected| InvalidSession::new("rtp_target", format!("{value:?}"), expected);
    let target: SocketAddr =
        value.parse().map_err(|_| refuse("ip:port or [ip]:port, with a port from 1 to 65535"))?;
    if target.port() == 0 {
        return Err(refuse("an address with a port from 1 to 65535"));
    }
    if target.ip().is_unspecified() || target.ip().is_multicast() {
        return Err(refuse("the address of one host"));
    }
    Ok(target)
}

/// Dynamic payload types, all outside those that rtcp-mux forbids
/// ([RFC 5761 §4](https://www.rfc-editor.org/rfc/rfc5761#section-4)).
fn payload_type(field: &str, value: u32) -> Result<u8, InvalidSession> {
    u8::try_from(value)
        .ok()
        .filter(|payload_type| (96..=127).contains(payload_type))
        .ok_or_else(|| InvalidSession::new(field, value, "from 96 to 127"))
}

fn ssrc(field: &str, value: u64) -> Result<u32, InvalidSession> {
    u32::try_from(value)
        .ok()
        .filter(|ssrc| *ssrc != 0)
        .ok_or_else(|| InvalidSession::new(field, value, "from 1 to 4294967295"))
}

fn rtx(
    reply: &NativeSenderSession,
    offer: &NativeSenderOffer,
    media: &StreamParams,
) -> Result<Option<RtxParams>, InvalidSession> {
    let Some(rtx) = &reply.rtx else { return Ok(None) };
    if !offer.rtx {
        return Err(InvalidSession::new("rtx", "an object", "null, as it was not offered"));
    }
    let params = RtxParams {
        ssrc: ssrc("rtx.ssrc", rtx.ssrc)?,
        payload_type: payload_type("rtx.payload_type", rtx.payload_type)?,
    };
    if params.ssrc == media.ssrc {
        return Err(InvalidSession::new("rtx.ssrc", rtx.ssrc, "another than ssrc"));
    }
    if params.payload_type == media.payload_type {
        return Err(InvalidSession::new("rtx.payload_type", rtx.payload_type, "another than payload_type"));
    }
    Ok(Some(params))
}

/// Unknown extensions are left out after their ids were checked: a sender need not use any.
fn extensions(replies: &[HeaderExtension]) -> Result<Vec<RtpExtension>, InvalidSession> {
    let mut seen = [false; 15];
    let mut known: Vec<RtpExtension> = Vec::new();
    for (at, reply) in replies.iter().enumerate() {
        let field = format!("header_extensions[{at}].id");
        let id = u8::try_from(reply.id)
            .ok()
            .filter(|id| (1..=14).contains(id))
            .ok_or_else(|| InvalidSession::new(&*field, reply.id, "from 1 to 14"))?;
        if std::mem::replace(&mut seen[usize::from(id)], true) {
            return Err(InvalidSession::new(&*field, id, "an id of its own"));
        }
        let Some(kind) = ExtensionKind::from_uri(&reply.uri) else { continue };
        if known.iter().any(|extension| extension.kind == kind) {
            let field = format!("header_extensions[{at}].uri");
            return Err(InvalidSession::new(field, format!("{:?}", reply.uri), "there once"));
        }
        known.push(RtpExtension { kind, id });
    }
    Ok(known)
}

fn srtp(
    reply: &NativeSenderSession,
    offer: &NativeSenderOffer,
    target: SocketAddr,
    rules: SessionRules,
) -> Result<Option<SrtpKey>, InvalidSession> {
    match (&offer.srtp, &reply.srtp) {
        (Some(ours), Some(theirs)) => {
            if theirs.crypto_suite != ours.crypto_suite {
                let suite = format!("{:?}", theirs.crypto_suite);
                return Err(InvalidSession::new(
                    "srtp.crypto_suite",
                    suite,
                    format!("{:?}", ours.crypto_suite),
                ));
            }
            theirs
                .validate()
                .map_err(|error| InvalidSession::new("srtp.key_base64", "<secret>", error.message))?;
            Ok(Some(theirs.clone()))
        }
        (Some(_), None) => Err(InvalidSession::new("srtp", "null", "a key, as SRTP was offered")),
        (None, Some(_)) => Err(InvalidSession::new("srtp", "an object", "null, as it was not offered")),
        (None, None) if target.ip().is_loopback() || rules.allow_plain_rtp => Ok(None),
        (None, None) => Err(InvalidSession::new(
            "srtp",
            "null",
            format!("a key: plain RTP to {target}, which is not this machine, must be allowed explicitly"),
        )),
    }
}

fn text(field: &str, value: &str, most: usize) -> Result<String, InvalidSession> {
    if (1..=most).contains(&value.len()) && !value.chars().any(char::is_control) {
        return Ok(value.to_owned());
    }
    let expected = format!("1 to {most} bytes without control characters");
    Err(InvalidSession::new(field, format!("{value:?}"), expected))
}

#[cfg(test)]
mod tests {
    use yc_rtp::CodecParams;

    use super::*;
    use crate::messages::{CryptoSuite, OfferedCodec, RtxReply};

    fn offer() -> NativeSenderOffer {
        NativeSenderOffer::new(vec![OfferedCodec::h264("42c028".parse().unwrap())])
    }

    fn key() -> SrtpKey {
        SrtpKey {
            crypto_suite: CryptoSuite::AeadAes128Gcm,
            key_base64: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==".into(),
        }
    }

    fn reply(offer: &NativeSenderOffer) -> NativeSenderSession {
        let codec = params::select_codec(offer).unwrap();
        let stream = params::canonical(codec, 7, offer.rtx.then_some(8), "yc-1");
        NativeSenderSession {
            protocol: PROTOCOL_VERSION,
            session_id: "s".into(),
            rtp_target: "127.0.0.1:40000".into(),
            rtcp_mux: true,
            payload_type: stream.payload_type.into(),
            ssrc: stream.ssrc.into(),
            codec: params::codec_reply(&stream.codec),
            rtx: stream.rtx.as_ref().map(params::rtx_reply),
            header_extensions: params::extension_replies(&stream.extensions),
            rtcp_feedback: params::feedback_replies(),
            cname: stream.cname,
            mid: stream.mid,
            srtp: offer.srtp.as_ref().map(|_| key()),
            producer_id: "p".into(),
            transport_id: "t".into(),
        }
    }

    fn check(
        offer: &NativeSenderOffer,
        change: impl FnOnce(&mut NativeSenderSession),
    ) -> Result<NativeSession, String> {
        let mut reply = reply(offer);
        change(&mut reply);
        NativeSession::validate(&reply, offer, SessionRules::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_canonical_reply_becomes_the_canonical_stream() {
        let offer = offer().with_rtx();
        let session = check(&offer, |_| ()).unwrap();
        let codec = CodecParams::H264 { profile_level_id: "42c028".parse().unwrap() };
        assert_eq!(session.stream, params::canonical(codec, 7, Some(8), "yc-1"));
        assert_eq!(session.rtp_target, "127.0.0.1:40000".parse().unwrap());
    }

    #[test]
    fn each_bad_field_is_named_with_its_value_and_its_bounds() {
        type Change = fn(&mut NativeSenderSession);
        let cases: [(Change, &str); 17] = [
            (|r| r.protocol = 2, "protocol 2 is not 1"),
            (|r| r.rtcp_mux = false, "rtcp_mux false is not true"),
            (|r| r.rtp_target = "localhost:5".into(), "rtp_target \"localhost:5\" is not ip:port"),
            (
                |r| r.rtp_target = "127.0.0.1:0".into(),
                "rtp_target \"127.0.0.1:0\" is not an address with a port",
            ),
            (
                |r| r.rtp_target = "0.0.0.0:5".into(),
                "rtp_target \"0.0.0.0:5\" is not the address of one host",
            ),
            (|r| r.payload_type = 95, "payload_type 95 is not from 96 to 127"),
            (|r| r.payload_type = 128, "payload_type 128 is not from 96 to 127"),
            (|r| r.ssrc = 0, "ssrc 0 is not from 1 to 4294967295"),
            (|r| r.ssrc = 1 << 32, "ssrc 4294967296 is not"),
            (|r| r.header_extensions[2].id = 15, "header_extensions[2].id 15 is not from 1 to 14"),
            (|r| r.header_extensions[2].id = 1, "header_extensions[2].id 1 is not an id of its own"),
            (|r| r.header_extensions[1].uri = r.header_extensions[0].uri.clone(), "header_extensions[1].uri"),
            (|r| r.rtx = Some(RtxReply { payload_type: 97, ssrc: 8 }), "rtx an object is not null"),
            (|r| r.srtp = Some(key()), "srtp an object is not null"),
            (|r| r.cname.clear(), "cname \"\" is not 1 to 255 bytes"),
            (|r| r.cname = "a\nb".into(), "cname \"a\\nb\""),
            (|r| r.codec.clock_rate = 1, "codec.clock_rate 1 is not 90000"),
        ];
        for (change, says) in cases {
            let message = check(&offer(), change).unwrap_err();
            assert!(message.contains(says), "{message} does not say {says}");
        }
    }

    #[test]
    fn a_retransmission_stream_must_differ_from_the_media_stream() {
        let offer = offer().with_rtx();
        let rtx = |payload_type, ssrc| {
            move |r: &mut NativeSenderSession| r.rtx = Some(RtxReply { payload_type, ssrc })
        };
        assert!(check(&offer, rtx(97, 7)).unwrap_err().contains("rtx.ssrc 7"));
        assert!(check(&offer, rtx(96, 8)).unwrap_err().contains("rtx.payload_type 96"));
        assert!(check(&offer, rtx(64, 8)).unwrap_err().contains("rtx.payload_type 64"));
        assert_eq!(check(&offer, |r| r.rtx = None).unwrap().stream.rtx, None);
    }

    #[test]
    fn plain_rtp_leaves_the_machine_only_where_it_was_allowed() {
        let away = |r: &mut NativeSenderSession| r.rtp_target = "192.0.2.1:40000".into();
        assert!(check(&offer(), away).unwrap_err().contains("srtp null is not a key"));
        let mut far = reply(&offer());
        away(&mut far);
        assert!(
            NativeSession::validate(&far, &offer(), SessionRules::default().with_plain_rtp(true)).is_ok()
        );
        let secure = offer().with_srtp(key());
        assert_eq!(check(&secure, away).unwrap().srtp, Some(key()));
    }

    #[test]
    fn srtp_is_answered_with_a_key_of_the_same_suite() {
        let offer = offer().with_srtp(key());
        assert!(check(&offer, |r| r.srtp = None).unwrap_err().contains("SRTP was offered"));
        let other = |r: &mut NativeSenderSession| {
            r.srtp = Some(SrtpKey { crypto_suite: CryptoSuite::AeadAes256Gcm, ..key() })
        };
        assert!(check(&offer, other).unwrap_err().contains("srtp.crypto_suite AeadAes256Gcm"));
        let short =
            |r: &mut NativeSenderSession| r.srtp = Some(SrtpKey { key_base64: "AAAA".into(), ..key() });
        let message = check(&offer, short).unwrap_err();
        assert!(message.contains("srtp.key_base64") && !message.contains("AAAA"), "{message}");
    }

    #[test]
    fn extensions_of_a_later_server_are_left_out() {
        let session = check(&offer(), |r| r.header_extensions[0].uri = "urn:later".into()).unwrap();
        assert!(session.stream.extensions.iter().all(|extension| extension.kind != ExtensionKind::Mid));
        assert_eq!(session.stream.extensions.len(), params::HEADER_EXTENSIONS.len() - 1);
    }
}
