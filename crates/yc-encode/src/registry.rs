//! Which encoder to open: the enabled backends in the order asked for.

use yc_media::Codec;

use crate::{ENABLED, EncodeError, EncodeErrorKind, EncoderConfig, EncoderEntry, VideoEncoderBackend};

/// An encoder that opened, and why those before it did not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The encoder.
    pub encoder: Box<dyn VideoEncoderBackend>,
    /// Why each entry tried before it could not be opened, in the order tried.
    pub why_not: Vec<EncodeError>,
}

/// Opens the first backend of `order` that encodes `config.codec` here. An empty order is that of
/// [`ENABLED`].
///
/// # Errors
///
/// `InvalidInput` if `order` names a backend that is not compiled in. Otherwise, if none opens, the kind
/// that they all failed with, or `Unsupported` if they differ; the source lists every reason.
pub fn open(order: &[&str], config: &EncoderConfig) -> Result<Opened, EncodeError> {
    open_among(ENABLED, order, config)
}

/// The backends of `order` that encode `codec`, in that order and as often as it names them; every backend of
/// the codec in the order of [`ENABLED`] if it is empty. For who opens them one by one.
///
/// # Errors
///
/// `InvalidInput` if `order` names a backend that is not compiled in, `Unsupported` if none encodes `codec`.
pub fn candidates(order: &[&str], codec: Codec) -> Result<Vec<EncoderEntry>, EncodeError> {
    let found = candidates_among(ENABLED, order, codec)?;
    if found.is_empty() { Err(none(ENABLED, codec, &[])) } else { Ok(found) }
}

fn candidates_among(
    entries: &[EncoderEntry],
    order: &[&str],
    codec: Codec,
) -> Result<Vec<EncoderEntry>, EncodeError> {
    let named = |name: &&str| {
        entries.iter().find(|entry| entry.name == *name).copied().ok_or_else(|| {
            let known: Vec<_> = entries.iter().map(|entry| entry.name).collect();
            let why = format!("no encoder is called {name:?}: there are {}", known.join(", "));
            EncodeError::new(EncodeErrorKind::InvalidInput, NAME, DOING).with_source(why)
        })
    };
    let asked: Vec<EncoderEntry> = if order.is_empty() {
        entries.to_vec()
    } else {
        order.iter().map(named).collect::<Result<_, _>>()?
    };
    Ok(asked.into_iter().filter(|entry| entry.codec == codec).collect())
}

/// [`open`] among `entries` instead of [`ENABLED`]: for an application with a backend of its own.
///
/// # Errors
///
/// As [`open`].
pub fn open_among(
    entries: &[EncoderEntry],
    order: &[&str],
    config: &EncoderConfig,
) -> Result<Opened, EncodeError> {
    let mut why_not = Vec::new();
    for entry in candidates_among(entries, order, config.codec)? {
        match (entry.open)(config) {
            Ok(encoder) => return Ok(Opened { encoder, why_not }),
            Err(error) => {
                tracing::info!(encoder = entry.name, %error, "encoder not opened");
                why_not.push(error);
            }
        }
    }
    Err(none(entries, config.codec, &why_not))
}

fn none(entries: &[EncoderEntry], codec: Codec, why_not: &[EncodeError]) -> EncodeError {
    let kind = match why_not {
        [first, rest @ ..] if rest.iter().all(|error| error.kind() == first.kind()) => first.kind(),
        _ => EncodeErrorKind::Unsupported,
    };
    let why = if why_not.is_empty() {
        let known: Vec<_> = entries.iter().map(|entry| format!("{} ({})", entry.name, entry.codec)).collect();
        format!("no encoder for {codec} was asked for or compiled in; there are {}", known.join(", "))
    } else {
        why_not.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    EncodeError::new(kind, NAME, DOING).with_source(why)
}

const NAME: &str = "registry";
const DOING: &str = "opening an encoder";

#[cfg(test)]
mod tests {
    use yc_media::{Bitrate, FrameRate, RateTarget, Resolution};

    use super::*;

    fn config() -> EncoderConfig {
        let size = Resolution::new(64, 64).unwrap();
        EncoderConfig::screen(
            Codec::H264,
            RateTarget::new(Bitrate::kbps(100), FrameRate::new(30).unwrap(), size),
        )
    }

    fn refuses(name: &'static str) -> EncoderEntry {
        let open: fn(&EncoderConfig) -> _ = match name {
            "lost" => |_| Err(EncodeError::new(EncodeErrorKind::DeviceLost, "lost", "opening")),
            _ => |_| Err(EncodeError::new(EncodeErrorKind::Unsupported, "absent", "opening")),
        };
        EncoderEntry { name, codec: Codec::H264, hardware: true, open }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = open_among(&[refuses("absent")], &["absent", "nvenk"], &config()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::InvalidInput);
        assert!(error.to_string().contains("\"nvenk\": there are absent"), "{error}");
    }

    #[test]
    fn every_reason_is_kept_when_none_opens() {
        let entries = [refuses("absent"), refuses("lost")];
        let error = open_among(&entries, &[], &config()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::Unsupported);
        assert!(error.to_string().contains("absent: not supported here"), "{error}");
        assert!(error.to_string().contains("lost: device lost"), "{error}");
        let error = open_among(&entries, &["lost"], &config()).unwrap_err();
        assert_eq!(error.kind(), EncodeErrorKind::DeviceLost);
        let vp8 = EncoderConfig { codec: Codec::Vp8, ..config() };
        assert!(open_among(&entries, &[], &vp8).unwrap_err().to_string().contains("no encoder for VP8"));
    }

    #[cfg(feature = "openh264")]
    #[test]
    fn the_order_asked_for_is_the_order_tried() {
        let openh264 = *ENABLED.iter().find(|entry| entry.name == "openh264").unwrap();
        let entries = [openh264, refuses("absent"), refuses("lost")];
        let opened = open_among(&entries, &["lost", "absent", "openh264"], &config()).unwrap();
        assert_eq!(opened.encoder.info().name, "openh264");
        let tried: Vec<_> = opened.why_not.iter().map(EncodeError::encoder).collect();
        assert_eq!(tried, ["lost", "absent"]);
        assert!(open_among(&entries, &[], &config()).unwrap().why_not.is_empty());
        assert!(open(&["openh264"], &config()).is_ok());
        let twice = candidates(&["openh264", "openh264"], Codec::H264).unwrap();
        assert_eq!(twice.iter().map(|entry| entry.name).collect::<Vec<_>>(), ["openh264"; 2]);
        assert_eq!(candidates(&[], Codec::Vp8).unwrap_err().kind(), EncodeErrorKind::Unsupported);
    }
}
