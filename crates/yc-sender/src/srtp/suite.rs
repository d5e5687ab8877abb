//! The crypto suites.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{SrtpError, SrtpErrorKind};

/// An SRTP crypto suite. Its text is the name that IANA registered for it
/// ([RFC 4568 §6.2](https://www.rfc-editor.org/rfc/rfc4568#section-6.2),
/// [RFC 7714 §14.1](https://www.rfc-editor.org/rfc/rfc7714#section-14.1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SrtpSuite {
    /// AES-GCM with a key of 128 bits and a tag of 16 bytes.
    AeadAes128Gcm,
    /// AES-GCM with a key of 256 bits and a tag of 16 bytes.
    AeadAes256Gcm,
    /// AES in counter mode with a key of 128 bits, HMAC-SHA1 with a tag of 10 bytes.
    AesCm128HmacSha1_80,
}

impl SrtpSuite {
    /// All of them, in the order in which they are offered: authenticated encryption before counter mode, and the
    /// shorter key first, since it costs fewer rounds and 128 bits are out of anybody's reach.
    pub const ALL: &'static [Self] = &[Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::AesCm128HmacSha1_80];

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of master key and master salt together.
    pub const fn key_len(self) -> usize {
        self.master_key_len() + self.master_salt_len()
    }

    /// By how many bytes an RTP packet grows.
    pub const fn rtp_overhead(self) -> usize {
        self.tag_len()
    }

    /// By how many bytes an RTCP datagram grows: the tag, and the word with its index.
    pub const fn rtcp_overhead(self) -> usize {
        self.tag_len() + RTCP_INDEX_LEN
    }

    pub(super) const fn master_key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    const fn master_salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::AesCm128HmacSha1_80 => 14,
        }
    }

    const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => GCM_TAG_LEN,
            Self::AesCm128HmacSha1_80 => HMAC_TAG_LEN,
        }
    }
}

impl fmt::Display for SrtpSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SrtpSuite {
    type Err = SrtpError;

    /// Reads a registered name, in any case.
    fn from_str(text: &str) -> Result<Self, SrtpError> {
        let found = Self::ALL.iter().find(|suite| suite.name().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| {
            let names = Self::ALL.iter().map(|suite| suite.name()).collect::<Vec<_>>().join(", ");
            SrtpError::new(SrtpErrorKind::InvalidKey, format!("crypto suite {text:?} is not one of {names}"))
        })
    }
}

impl Serialize for SrtpSuite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// [RFC 7714 §14.2](https://www.rfc-editor.org/rfc/rfc7714#section-14.2).
pub(super) const GCM_TAG_LEN: usize = 16;
/// 80 bits, [RFC 3711 §5.2](https://www.rfc-editor.org/rfc/rfc3711#section-5.2).
pub(super) const HMAC_TAG_LEN: usize = 10;
/// The E flag and the index, [RFC 3711 §3.4](https://www.rfc-editor.org/rfc/rfc3711#section-3.4).
pub(super) const RTCP_INDEX_LEN: usize = 4;
