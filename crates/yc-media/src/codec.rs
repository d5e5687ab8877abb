//! Codecs and the profile that an H264 receiver is promised.

use std::fmt;
use std::str::FromStr;

use crate::MediaError;

/// A video codec that a share may be sent in.
///
/// Exhaustive on purpose: a new codec must not compile until every place that decides by codec has
/// decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(clippy::exhaustive_enums, reason = "a new codec must be decided everywhere before it compiles")]
pub enum Codec {
    /// H.264 / AVC.
    H264,
    /// VP8.
    #[cfg_attr(feature = "serde", serde(rename = "VP8"))]
    Vp8,
    /// VP9.
    #[cfg_attr(feature = "serde", serde(rename = "VP9"))]
    Vp9,
    /// AV1.
    #[cfg_attr(feature = "serde", serde(rename = "AV1"))]
    Av1,
}

impl Codec {
    /// The encoding name of the codec's RTP payload format: `H264`, `VP8`, `VP9`, `AV1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }

    /// RTP clock rate in Hz: 90,000 for all video.
    pub const fn clock_rate(self) -> u32 {
        90_000
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = MediaError;

    /// Reads the encoding name in any case, with or without `video/` before it.
    fn from_str(text: &str) -> Result<Self, MediaError> {
        let name = text.strip_prefix("video/").unwrap_or(text);
        [Self::H264, Self::Vp8, Self::Vp9, Self::Av1]
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| MediaError::new("codec", format!("{text:?}"), "one of H264, VP8, VP9, AV1"))
    }
}

/// An H264 profile that browsers receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum H264Profile {
    /// profile_idc 66 with constraint_set1: what every WebRTC receiver must decode (RFC 7742 §6.2).
    ConstrainedBaseline,
    /// profile_idc 66.
    Baseline,
    /// profile_idc 77.
    Main,
    /// profile_idc 100 with constraint sets 4 and 5.
    ConstrainedHigh,
    /// profile_idc 100.
    High,
}

/// The `profile-level-id` of an H264 stream: the three bytes after the NAL header of its SPS.
/// [RFC 6184 §8.1](https://www.rfc-editor.org/rfc/rfc6184#section-8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct H264ProfileLevelId {
    /// profile_idc.
    pub profile_idc: u8,
    /// The constraint_set flags, most significant bit first: "profile-iop".
    pub constraints: u8,
    /// level_idc: ten times the level number.
    pub level_idc: u8,
}

impl H264ProfileLevelId {
    /// Reads it from an SPS NAL unit: header byte first, no start code. `None` if it is not one.
    pub fn from_sps(nal: &[u8]) -> Option<Self> {
        match *nal {
            [header, profile_idc, constraints, level_idc, ..] if header & 0x1f == 7 => {
                Some(Self { profile_idc, constraints, level_idc })
            }
            _ => None,
        }
    }

    /// The profile the bytes stand for, or `None` for one that browsers do not receive.
    /// [RFC 6184 §8.1, table 5](https://www.rfc-editor.org/rfc/rfc6184#section-8.1).
    pub const fn profile(self) -> Option<H264Profile> {
        let set1 = self.constraints & 0x40 != 0;
        match self.profile_idc {
            66 if set1 => Some(H264Profile::ConstrainedBaseline),
            66 => Some(H264Profile::Baseline),
            77 if self.constraints & 0x80 != 0 => Some(H264Profile::ConstrainedBaseline),
            77 => Some(H264Profile::Main),
            100 if self.constraints & 0x0c == 0x0c => Some(H264Profile::ConstrainedHigh),
            100 => Some(H264Profile::High),
            _ => None,
        }
    }
}

impl fmt::Display for H264ProfileLevelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

impl FromStr for H264ProfileLevelId {
    type Err = MediaError;

    /// Reads six hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, MediaError> {
        let bad = || {
            MediaError::new(
                "profile-level-id",
                format!("{text:?}"),
                "six hexadecimal digits, for example 42e01f",
            )
        };
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad());
        Ok(Self { profile_idc: byte(0)?, constraints: byte(2)?, level_idc: byte(4)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_level_id_is_read_from_an_sps_and_written_as_hex() {
        let id = H264ProfileLevelId::from_sps(&[0x67, 0x42, 0xc0, 0x28, 0xd9]).unwrap();
        assert_eq!(id.to_string(), "42c028");
        assert_eq!(id.profile(), Some(H264Profile::ConstrainedBaseline));
        assert_eq!("42c028".parse(), Ok(id));
        assert_eq!(H264ProfileLevelId::from_sps(&[0x68, 0x42, 0xc0, 0x28]), None);
        assert_eq!(H264ProfileLevelId::from_sps(&[0x67, 0x42]), None);
    }

    #[test]
    fn a_bad_profile_level_id_is_refused_with_its_value() {
        for text in ["", "42e01", "42e01fa", "42e0zz", "42é1f"] {
            let error = text.parse::<H264ProfileLevelId>().unwrap_err().to_string();
            assert!(error.contains("six hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn codecs_are_read_by_their_encoding_names() {
        assert_eq!("video/h264".parse(), Ok(Codec::H264));
        assert_eq!("AV1".parse(), Ok(Codec::Av1));
        assert!("h265".parse::<Codec>().unwrap_err().to_string().contains("\"h265\""));
    }
}
