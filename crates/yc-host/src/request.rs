//! What the commands take. Unknown fields are ignored; a field that does not fit is named with its value and its
//! bounds.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use yc_capture::CaptureTarget;
use yc_media::{Bitrate, FrameRate};
use yc_sender::ContentHint;
use yc_sfu::messages::NativeSenderSession;

use crate::HostError;
use crate::srtp::{SRTP_CHOICES, SrtpChoice};

/// `native_capture_sources`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SourcesRequest {
    /// Whether test sources (the built-in moving desktop) are listed too. Default: false.
    #[serde(default)]
    pub include_test: bool,
}

impl SourcesRequest {
    /// Lists test sources too, or not.
    #[must_use]
    pub fn with_test(self, include_test: bool) -> Self {
        Self { include_test }
    }
}

/// `native_capture_thumbnail`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ThumbnailRequest {
    /// What to show.
    #[serde(deserialize_with = "source")]
    pub source: CaptureTarget,
    /// The most pixels in a row, 16 to 1024. Default: 320.
    #[serde(default = "max_width", deserialize_with = "width")]
    pub max_width: u32,
    /// The most rows, 16 to 1024. Default: 180.
    #[serde(default = "max_height", deserialize_with = "height")]
    pub max_height: u32,
}

impl ThumbnailRequest {
    /// A thumbnail of `source` of at most 320x180 pixels.
    pub fn new(source: CaptureTarget) -> Self {
        Self { source, max_width: max_width(), max_height: max_height() }
    }

    /// Of at most `max_width` by `max_height` pixels, each 16 to 1024.
    #[must_use]
    pub fn within(self, max_width: u32, max_height: u32) -> Self {
        Self { max_width, max_height, ..self }
    }

    pub(crate) fn validate(&self) -> Result<(), HostError> {
        for (name, side) in [("max_width", self.max_width), ("max_height", self.max_height)] {
            if !SIDES.contains(&u64::from(side)) {
                return Err(HostError::bad_request(format!("{name} {side} is not {SIDES_TEXT}")));
            }
        }
        Ok(())
    }
}

/// `native_capture_prepare`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PrepareRequest {
    /// What to share.
    #[serde(deserialize_with = "source")]
    pub source: CaptureTarget,
    /// The most frames per second, 1 to 240. Default: 30.
    #[serde(default, rename = "fps", deserialize_with = "fps")]
    pub frame_rate: Option<FrameRate>,
    /// Video bitrate to aim at, in thousands of bits per second, 30 to 200000. Default: 6000.
    #[serde(default, rename = "bitrate_kbps", deserialize_with = "bitrate")]
    pub bitrate: Option<Bitrate>,
    /// Whether the mouse cursor is in the picture. Default: true.
    #[serde(default)]
    pub cursor: Option<bool>,
    /// What gives way first under pressure. Default: the environment's, else `auto`.
    #[serde(default, deserialize_with = "content")]
    pub content: Option<ContentHint>,
    /// What to protect with. Default: `auto`, the best suite.
    #[serde(default, deserialize_with = "srtp")]
    pub srtp: SrtpChoice,
}

impl PrepareRequest {
    /// Shares `source` as the defaults and the environment say.
    pub fn new(source: CaptureTarget) -> Self {
        Self { source, frame_rate: None, bitrate: None, cursor: None, content: None, srtp: SrtpChoice::Auto }
    }

    /// At most `rate`.
    #[must_use]
    pub fn with_frame_rate(self, rate: FrameRate) -> Self {
        Self { frame_rate: Some(rate), ..self }
    }

    /// Aims at `bitrate`.
    #[must_use]
    pub fn with_bitrate(self, bitrate: Bitrate) -> Self {
        Self { bitrate: Some(bitrate), ..self }
    }

    /// Protects with what `srtp` says.
    #[must_use]
    pub fn with_srtp(self, srtp: SrtpChoice) -> Self {
        Self { srtp, ..self }
    }
}

/// `native_capture_start`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct StartRequest {
    /// The reply of `create_native_sender_session`, as it is.
    pub session: NativeSenderSession,
    /// Whether RTP may leave this machine unprotected. Default: false.
    #[serde(default)]
    pub allow_plain_rtp: bool,
}

impl StartRequest {
    /// Starts on `session`.
    pub fn new(session: NativeSenderSession) -> Self {
        Self { session, allow_plain_rtp: false }
    }

    /// Lets RTP leave this machine unprotected, or not.
    #[must_use]
    pub fn with_plain_rtp(self, allow_plain_rtp: bool) -> Self {
        Self { allow_plain_rtp, ..self }
    }
}

/// Reads `data`, and names the field that does not fit.
pub(crate) fn read<T: DeserializeOwned>(data: Value) -> Result<T, HostError> {
    // A command without data is one with nothing in it.
    let data = if data.is_null() { Value::Object(serde_json::Map::new()) } else { data };
    if !data.is_object() {
        return Err(HostError::bad_request(format!("data {} is not an object", cut(&data.to_string()))));
    }
    serde_path_to_error::deserialize(data).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "data".to_owned() } else { format!("data.{path}") };
        HostError::bad_request(format!("{field}: {}", cut(&error.inner().to_string())))
    })
}

/// What a peer sent may be of any length: enough of it to know it by.
pub(crate) fn cut(text: &str) -> String {
    if text.len() <= MOST_QUOTED {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MOST_QUOTED)])
}

const MOST_QUOTED: usize = 300;

const SIDES: std::ops::RangeInclusive<u64> = 16..=1_024;
const SIDES_TEXT: &str = "a whole number from 16 to 1024 pixels";

fn max_width() -> u32 {
    320
}

fn max_height() -> u32 {
    180
}

fn source<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CaptureTarget, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let bounds = "screen, monitor:INDEX, window:ID, region:WxH+X+Y, synthetic:WxH or replay:FILE, as the list of sources says";
    let Some(text) = value.as_str() else { return Err(refused(&value, bounds)) };
    text.parse().map_err(|_| refused(&value, bounds))
}

fn width<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(number(deserializer, SIDES, SIDES_TEXT)?.unwrap_or_else(max_width))
}

fn height<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(number(deserializer, SIDES, SIDES_TEXT)?.unwrap_or_else(max_height))
}

fn fps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FrameRate>, D::Error> {
    let fps = number(deserializer, 1..=240, "a whole number from 1 to 240 frames per second")?;
    fps.map(FrameRate::new).transpose().map_err(D::Error::custom)
}

fn bitrate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bitrate>, D::Error> {
    let kbps = number(deserializer, 30..=200_000, "a whole number from 30 to 200000 kbit/s")?;
    Ok(kbps.map(Bitrate::kbps))
}

fn content<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContentHint>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match (&value, value.as_str().map(str::parse)) {
        (Value::Null, _) => Ok(None),
        (_, Some(Ok(hint))) => Ok(Some(hint)),
        _ => Err(refused(&value, "auto, text or motion")),
    }
}

fn srtp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SrtpChoice, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match (&value, value.as_str().map(str::parse)) {
        (Value::Null, _) => Ok(SrtpChoice::Auto),
        (_, Some(Ok(choice))) => Ok(choice),
        _ => Err(refused(&value, SRTP_CHOICES)),
    }
}

/// A whole number within `range`; none where there is none.
fn number<'de, D: Deserializer<'de>>(
    deserializer: D,
    range: std::ops::RangeInclusive<u64>,
    bounds: &str,
) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().filter(|number| range.contains(number));
    number.and_then(|number| u32::try_from(number).ok()).map(Some).ok_or_else(|| refused(&value, bounds))
}

fn refused<E: Error>(value: &Value, bounds: &str) -> E {
    E::custom(format!("{} is not {bounds}", cut(&value.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yc_sender::SrtpSuite;

    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let prepare: PrepareRequest = read(json!({"source": "screen"})).unwrap();
        assert_eq!(prepare, PrepareRequest::new(CaptureTarget::Screen));
        let thumbnail: ThumbnailRequest = read(json!({"source": "screen"})).unwrap();
        assert_eq!((thumbnail.max_width, thumbnail.max_height), (320, 180));
        assert_eq!(read::<SourcesRequest>(Value::Null).unwrap(), SourcesRequest::default());
    }

    #[test]
    fn each_field_is_read() {
        let data = json!({
            "source": "window:0x10", "fps": 60, "bitrate_kbps": 900, "cursor": false, "content": "text", "srtp": "aead_aes_256_gcm",
            "more": 1,
        });
        let prepare: PrepareRequest = read(data).unwrap();
        assert_eq!(prepare.source, CaptureTarget::Window(16));
        assert_eq!(prepare.frame_rate.map(FrameRate::as_fps), Some(60));
        assert_eq!(prepare.bitrate, Some(Bitrate::kbps(900)));
        assert_eq!((prepare.cursor, prepare.content), (Some(false), Some(ContentHint::Text)));
        assert_eq!(prepare.srtp, SrtpChoice::Suite(SrtpSuite::AeadAes256Gcm));
        let prepare: PrepareRequest = read(json!({"source": "screen", "srtp": null})).unwrap();
        assert_eq!(prepare.srtp, SrtpChoice::Auto);
    }

    #[test]
    fn a_bad_field_is_named_with_its_value_and_its_bounds() {
        let prepare = |field: &str, value: Value| {
            let mut data = json!({"source": "screen"});
            data[field] = value;
            read::<PrepareRequest>(data).unwrap_err()
        };
        for (error, says) in [
            (prepare("source", json!("scren")), "data.source: \"scren\" is not screen, monitor:INDEX"),
            (prepare("source", json!(7)), "data.source: 7 is not screen"),
            (prepare("fps", json!(0)), "data.fps: 0 is not a whole number from 1 to 240"),
            (prepare("fps", json!(241)), "data.fps: 241"),
            (prepare("fps", json!(29.5)), "data.fps: 29.5"),
            (prepare("fps", json!("30")), "data.fps: \"30\""),
            (
                prepare("bitrate_kbps", json!(29)),
                "data.bitrate_kbps: 29 is not a whole number from 30 to 200000",
            ),
            (prepare("bitrate_kbps", json!(-1)), "data.bitrate_kbps: -1"),
            (prepare("bitrate_kbps", json!(u64::MAX)), "data.bitrate_kbps: 18446744073709551615"),
            (prepare("cursor", json!("yes")), "data.cursor: "),
            (prepare("content", json!("film")), "data.content: \"film\" is not auto, text or motion"),
            (prepare("srtp", json!("on")), "data.srtp: \"on\" is not auto, aead_aes_128_gcm"),
            (prepare("srtp", json!(false)), "data.srtp: false is not auto"),
            (read::<PrepareRequest>(json!({})).unwrap_err(), "missing field `source`"),
            (read::<PrepareRequest>(json!([])).unwrap_err(), "data [] is not an object"),
            (
                read::<ThumbnailRequest>(json!({"source": "screen", "max_width": 15})).unwrap_err(),
                "data.max_width: 15 is not a whole number from 16 to 1024 pixels",
            ),
            (
                read::<StartRequest>(json!({"session": {"protocol": "1"}})).unwrap_err(),
                "data.session.protocol: ",
            ),
        ] {
            assert_eq!(error.code, HostError::BAD_REQUEST);
            assert!(error.message.contains(says), "{} does not say {says}", error.message);
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let error = read::<PrepareRequest>(json!({"source": "é".repeat(10_000)})).unwrap_err();
        assert!(error.message.len() < 1_000, "{}", error.message.len());
    }
}
