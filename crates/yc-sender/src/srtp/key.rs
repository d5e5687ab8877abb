//! Master keys, and the session keys made of them.

use std::fmt;

use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ctr::Ctr128BE;
use zeroize::Zeroizing;

use super::{SrtpError, SrtpErrorKind, SrtpSuite};

/// What one side protects with: a master key and its master salt.
///
/// It is wiped from memory when it is dropped, and so are the keys that are derived from it. `Debug` shows the suite
/// alone. It cannot be cloned: a key protects one share, since the same key twice would use the same indices twice.
pub struct SrtpMasterKey {
    suite: SrtpSuite,
    /// The key, then the salt. Behind a pointer, so that moving it leaves no copy behind.
    bytes: Zeroizing<Box<[u8]>>,
}

impl SrtpMasterKey {
    /// Makes one of the OS's random bytes.
    ///
    /// # Errors
    ///
    /// `Random` if the OS gives none.
    pub fn generate(suite: SrtpSuite) -> Result<Self, SrtpError> {
        let mut bytes = Zeroizing::new(vec![0; suite.key_len()].into_boxed_slice());
        getrandom::fill(&mut bytes)
            .map_err(|error| SrtpError::new(SrtpErrorKind::Random, error.to_string()))?;
        Ok(Self { suite, bytes })
    }

    /// `bytes` are the master key and then the master salt, [`SrtpSuite::key_len`] of them.
    ///
    /// # Errors
    ///
    /// `InvalidKey` if they are more or fewer.
    pub fn new(suite: SrtpSuite, bytes: &[u8]) -> Result<Self, SrtpError> {
        if bytes.len() != suite.key_len() {
            let why = format!("{} bytes, and {suite} needs {}", bytes.len(), suite.key_len());
            return Err(SrtpError::new(SrtpErrorKind::InvalidKey, why));
        }
        Ok(Self { suite, bytes: Zeroizing::new(bytes.into()) })
    }

    /// As [`SrtpMasterKey::new`], of padded base64, as
    /// [RFC 4568 §6.1](https://www.rfc-editor.org/rfc/rfc4568#section-6.1) has it.
    ///
    /// # Errors
    ///
    /// `InvalidKey` if it is not base64 of the suite's length. The text is not in the message.
    pub fn from_base64(suite: SrtpSuite, text: &str) -> Result<Self, SrtpError> {
        // A peer's text may be of any length; no key's is longer than this.
        let longest = base64::encoded_len(suite.key_len(), true).unwrap_or(usize::MAX);
        if text.len() > longest {
            let why = format!("{} characters of base64, and {suite} has {longest}", text.len());
            return Err(SrtpError::new(SrtpErrorKind::InvalidKey, why));
        }
        let bytes = BASE64.decode(text).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| SrtpError::new(SrtpErrorKind::InvalidKey, "not padded base64"))?;
        Self::new(suite, &bytes)
    }

    /// Master key and master salt in padded base64, for signalling. Whoever has the text can read the share and speak
    /// in its name: it belongs into a protected message and nowhere else.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&*self.bytes)
    }

    /// What it is used with.
    pub fn suite(&self) -> SrtpSuite {
        self.suite
    }

    /// Fills `out` with the session key of `label`.
    pub(super) fn derive(&self, label: Label, out: &mut [u8]) {
        let (key, salt) = self.bytes.split_at(self.suite.master_key_len());
        derive(key, salt, label, out);
    }
}

impl fmt::Debug for SrtpMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpMasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// What a session key is for, [RFC 3711 §4.3.1](https://www.rfc-editor.org/rfc/rfc3711#section-4.3.1) and
/// [§4.3.2](https://www.rfc-editor.org/rfc/rfc3711#section-4.3.2).
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// [RFC 3711 §4.3](https://www.rfc-editor.org/rfc/rfc3711#section-4.3) with a key derivation rate of zero, by AES with
/// the key's own length: [RFC 7714 §11](https://www.rfc-editor.org/rfc/rfc7714#section-11).
fn derive(key: &[u8], salt: &[u8], label: Label, out: &mut [u8]) {
    // 112 bits, or 96 and then zeros.
    let mut iv = Zeroizing::new([0; 16]);
    iv[..salt.len()].copy_from_slice(salt);
    iv[LABEL_AT] ^= label as u8;
    out.fill(0);
    let long_enough = "the key is of its suite's length, and the counter of a block's";
    if key.len() == 32 {
        Ctr128BE::<Aes256>::new_from_slices(key, &*iv).expect(long_enough).apply_keystream(out);
    } else {
        Ctr128BE::<Aes128>::new_from_slices(key, &*iv).expect(long_enough).apply_keystream(out);
    }
}

/// The label is the byte above a 48-bit index that is right-aligned with the 112 bits of the salt.
const LABEL_AT: usize = 7;

/// The two keys of a share.
#[derive(Debug)]
pub struct SrtpKeys {
    pub(super) ours: SrtpMasterKey,
    pub(super) theirs: SrtpMasterKey,
}

impl SrtpKeys {
    /// `ours` protects what we send, `theirs` what the receiver answers.
    ///
    /// # Errors
    ///
    /// `InvalidKey` if they are of two suites.
    pub fn new(ours: SrtpMasterKey, theirs: SrtpMasterKey) -> Result<Self, SrtpError> {
        if ours.suite != theirs.suite {
            let why = format!("the receiver's is of {}, ours of {}", theirs.suite, ours.suite);
            return Err(SrtpError::new(SrtpErrorKind::InvalidKey, why));
        }
        Ok(Self { ours, theirs })
    }

    /// What they are used with.
    pub fn suite(&self) -> SrtpSuite {
        self.ours.suite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        crate::srtp::tests::hex(text)
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6");
        let key = SrtpMasterKey::new(SrtpSuite::AesCm128HmacSha1_80, &master).unwrap();
        let derived = |label, len| {
            let mut out = vec![0xff; len];
            key.derive(label, &mut out);
            out
        };
        assert_eq!(derived(Label::RtpEncryption, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(Label::RtpSalt, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let authentication = hex(
            "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
             6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
        );
        assert_eq!(derived(Label::RtpAuthentication, 94), authentication);
    }

    #[test]
    fn the_derivation_with_256_bits_is_that_of_rfc_6188_section_7_2() {
        let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
        let salt = hex("3b04803de51ee7c96423ab5b78d2");
        let derived = |label, len| {
            let mut out = vec![0xff; len];
            derive(&key, &salt, label, &mut out);
            out
        };
        let encryption = hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4");
        assert_eq!(derived(Label::RtpEncryption, 32), encryption);
        assert_eq!(derived(Label::RtpSalt, 14), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(derived(Label::RtpAuthentication, 20), hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
    }

    #[test]
    fn a_key_has_the_length_of_its_suite_or_says_what_is_wrong() {
        for suite in SrtpSuite::ALL {
            let good = vec![7; suite.key_len()];
            assert!(SrtpMasterKey::new(*suite, &good).is_ok());
            for bad in [&good[1..], &[good.clone(), vec![7]].concat(), &[]] {
                let error = SrtpMasterKey::new(*suite, bad).unwrap_err();
                assert_eq!(error.kind(), SrtpErrorKind::InvalidKey);
                let says = format!("{} bytes, and {suite} needs {}", bad.len(), suite.key_len());
                assert!(error.to_string().contains(&says), "{error}");
            }
        }
        let suite = SrtpSuite::AeadAes128Gcm;
        for text in ["AAA", "AAA-", "====", "AAAA", ""] {
            assert_eq!(
                SrtpMasterKey::from_base64(suite, text).unwrap_err().kind(),
                SrtpErrorKind::InvalidKey
            );
        }
        let secret = "s".repeat(10_000);
        let error = SrtpMasterKey::from_base64(suite, &secret).unwrap_err().to_string();
        assert!(error.contains("10000 characters") && !error.contains("ssss"), "{error}");
    }

    #[test]
    fn a_key_comes_back_from_its_text_and_is_another_each_time() {
        for suite in SrtpSuite::ALL {
            let key = SrtpMasterKey::generate(*suite).unwrap();
            let again = SrtpMasterKey::from_base64(*suite, &key.to_base64()).unwrap();
            assert_eq!(*key.bytes, *again.bytes);
            assert_ne!(*key.bytes, *SrtpMasterKey::generate(*suite).unwrap().bytes);
        }
    }

    #[test]
    fn no_key_is_in_what_is_printed() {
        let key = |byte| SrtpMasterKey::new(SrtpSuite::AeadAes128Gcm, &[byte; 28]).unwrap();
        let keys = SrtpKeys::new(key(0x5a), key(0xa5)).unwrap();
        let shown = format!("{keys:?} {keys:#?}");
        assert!(shown.contains("AeadAes128Gcm"), "{shown}");
        for hidden in [&key(0x5a).to_base64(), &key(0xa5).to_base64(), "90", "165", "5a", "a5"] {
            assert!(!shown.contains(hidden), "{shown} shows {hidden}");
        }
    }

    #[test]
    fn two_suites_make_no_pair() {
        let key = |suite| SrtpMasterKey::generate(suite).unwrap();
        let error = SrtpKeys::new(key(SrtpSuite::AeadAes128Gcm), key(SrtpSuite::AeadAes256Gcm)).unwrap_err();
        assert!(error.to_string().contains("AEAD_AES_256_GCM, ours of AEAD_AES_128_GCM"), "{error}");
    }
}
