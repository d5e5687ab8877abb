//! The encoder backends, one `cfg` line each, and the list of those compiled in.

use yc_media::Codec;

use crate::{EncodeError, EncoderConfig, VideoEncoderBackend};

#[cfg(any(feature = "fake", feature = "openh264"))]
mod bitstream;
#[cfg(feature = "fake")]
pub mod fake;
#[cfg(any(feature = "fake", feature = "openh264"))]
mod h264;
#[cfg(feature = "openh264")]
mod openh264;

/// One backend as the registry knows it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct EncoderEntry {
    /// The implementation's name, in lower case.
    pub name: &'static str,
    /// What it encodes into.
    pub codec: Codec,
    /// Whether the encoding is done by dedicated hardware.
    pub hardware: bool,
    /// Opens one encoder. [`EncodeErrorKind::Unsupported`](crate::EncodeErrorKind::Unsupported) if this
    /// machine or this configuration cannot be served, with the reason.
    pub open: fn(&EncoderConfig) -> Result<Box<dyn VideoEncoderBackend>, EncodeError>,
}

impl EncoderEntry {
    /// An entry for [`open_among`](crate::open_among): a backend that is not of this crate.
    pub const fn new(
        name: &'static str,
        codec: Codec,
        hardware: bool,
        open: fn(&EncoderConfig) -> Result<Box<dyn VideoEncoderBackend>, EncodeError>,
    ) -> Self {
        Self { name, codec, hardware, open }
    }
}

/// Every backend compiled in, in the order to try them in where nobody asks for another.
pub const ENABLED: &[EncoderEntry] = &[
    #[cfg(feature = "openh264")]
    openh264::ENTRY,
    #[cfg(feature = "fake")]
    fake::ENTRY,
];
