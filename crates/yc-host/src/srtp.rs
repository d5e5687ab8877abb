//! Between the words of signalling and the sender's own: keys, and what is offered.

use std::fmt;
use std::str::FromStr;

use yc_sender::{Protection, SrtpError, SrtpKeys, SrtpMasterKey, SrtpSuite};
use yc_sfu::messages::{ErrorBody, SrtpKey};

/// What a share offers to protect with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SrtpChoice {
    /// The best suite; where there is somebody to try the next if the server does not take it, each in turn.
    #[default]
    Auto,
    /// This suite and no other.
    Suite(SrtpSuite),
    /// None: plain RTP, which leaves this machine only where that is allowed explicitly.
    Off,
}

impl SrtpChoice {
    /// The suites to offer, one after the other.
    pub fn suites(&self) -> &[SrtpSuite] {
        match self {
            Self::Auto => SrtpSuite::ALL,
            Self::Suite(suite) => std::slice::from_ref(suite),
            Self::Off => &[],
        }
    }
}

impl FromStr for SrtpChoice {
    type Err = String;

    /// Reads `auto`, `off` or the name of a suite, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        if text.eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        text.parse().map(Self::Suite).map_err(|_| format!("{text:?} is not {SRTP_CHOICES}"))
    }
}

impl fmt::Display for SrtpChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Suite(suite) => f.write_str(suite.name()),
            Self::Off => f.write_str("off"),
        }
    }
}

/// `key` as an offer has it.
///
/// # Errors
///
/// If the signalling has no such suite.
pub fn offered_key(key: &SrtpMasterKey) -> Result<SrtpKey, ErrorBody> {
    Ok(SrtpKey { crypto_suite: key.suite().name().parse()?, key_base64: key.to_base64() })
}

/// What to protect with: `ours` and the server's key, or nothing where no key was offered and none came.
///
/// # Errors
///
/// `InvalidKey` where the server's key is not of our suite's length.
pub fn protection(
    ours: Option<SrtpMasterKey>,
    theirs: Option<&SrtpKey>,
    allow_plain_rtp: bool,
) -> Result<Protection, SrtpError> {
    match (ours, theirs) {
        (Some(ours), theirs) => {
            // Without a key it fails, too: what was to be protected never goes in the clear.
            let text = theirs.map_or("", |key| &key.key_base64);
            let theirs = SrtpMasterKey::from_base64(ours.suite(), text)?;
            Ok(Protection::Srtp(SrtpKeys::new(ours, theirs)?))
        }
        (None, _) if allow_plain_rtp => Ok(Protection::PlainAnywhere),
        (None, _) => Ok(Protection::PlainOnLoopback),
    }
}

pub(crate) const SRTP_CHOICES: &str =
    "auto, aead_aes_128_gcm, aead_aes_256_gcm, aes_cm_128_hmac_sha1_80 or off";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_in_any_case_and_auto_offers_the_best_first() {
        for (text, suites) in [
            ("auto", SrtpSuite::ALL),
            ("AEAD_AES_256_GCM", &[SrtpSuite::AeadAes256Gcm]),
            ("aes_cm_128_hmac_sha1_80", &[SrtpSuite::AesCm128HmacSha1_80]),
            ("Off", &[]),
        ] {
            let choice: SrtpChoice = text.parse().unwrap();
            assert_eq!(choice.suites(), suites);
            assert!(choice.to_string().eq_ignore_ascii_case(text));
        }
        assert_eq!(SrtpChoice::Auto.suites()[0], SrtpSuite::AeadAes128Gcm);
        let error = "on".parse::<SrtpChoice>().unwrap_err();
        assert_eq!(error, format!("\"on\" is not {SRTP_CHOICES}"));
    }

    #[test]
    fn every_suite_of_the_sender_can_be_offered() {
        for suite in SrtpSuite::ALL {
            let key = SrtpMasterKey::generate(*suite).unwrap();
            let offered = offered_key(&key).unwrap();
            assert_eq!((offered.crypto_suite.name(), offered.validate()), (suite.name(), Ok(())));
        }
    }

    #[test]
    fn what_was_to_be_protected_never_goes_in_the_clear() {
        let ours = || Some(SrtpMasterKey::generate(SrtpSuite::AeadAes128Gcm).unwrap());
        let theirs = offered_key(&ours().unwrap()).unwrap();
        for allow in [false, true] {
            assert!(protection(ours(), None, allow).is_err());
            assert!(matches!(protection(ours(), Some(&theirs), allow), Ok(Protection::Srtp(_))));
        }
        assert!(matches!(protection(None, None, false), Ok(Protection::PlainOnLoopback)));
        assert!(matches!(protection(None, None, true), Ok(Protection::PlainAnywhere)));
    }
}
