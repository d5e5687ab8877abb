//! One direction's transform of RTP or of RTCP under its session keys.

use std::fmt;

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ctr::{CtrCore, flavors};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::key::Label;
use super::suite::{GCM_TAG_LEN, HMAC_TAG_LEN, RTCP_INDEX_LEN};
use super::{SrtpError, SrtpErrorKind, SrtpMasterKey, SrtpSuite};

/// Encrypts and authenticates in place. What goes with it (indices, repeats) is its owner's.
pub(super) struct SessionCipher {
    transform: Transform,
    /// 112 bits; of AES-GCM 96, then zeros.
    salt: Zeroizing<[u8; 14]>,
}

/// The suites' own keys. Each wipes itself when it is dropped.
enum Transform {
    Gcm128(Box<Aes128Gcm>),
    Gcm256(Box<Aes256Gcm>),
    Cm128 { aes: Box<Aes128>, hmac: Box<Hmac<Sha1>> },
}

impl SessionCipher {
    /// For RTP.
    pub(super) fn rtp(master: &SrtpMasterKey) -> Self {
        Self::derive(master, [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt])
    }

    /// For RTCP.
    pub(super) fn rtcp(master: &SrtpMasterKey) -> Self {
        Self::derive(master, [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt])
    }

    fn derive(master: &SrtpMasterKey, [encryption, authentication, salt]: [Label; 3]) -> Self {
        let suite = master.suite();
        let mut keys = Zeroizing::new([0; 32 + 20 + 14]);
        let (key, rest) = keys.split_at_mut(suite.master_key_len());
        let (hmac_key, rest) = rest.split_at_mut(HMAC_KEY_LEN);
        let salt_bytes = &mut rest[..suite.key_len() - suite.master_key_len()];
        master.derive(encryption, key);
        master.derive(authentication, hmac_key);
        master.derive(salt, salt_bytes);
        Self::from_session_keys(suite, key, hmac_key, salt_bytes)
    }

    /// `hmac_key` counts in the suite that has one.
    pub(super) fn from_session_keys(suite: SrtpSuite, key: &[u8], hmac_key: &[u8], salt: &[u8]) -> Self {
        let fits = "a session key is as long as its master key";
        let transform = match suite {
            SrtpSuite::AeadAes128Gcm => {
                Transform::Gcm128(Box::new(Aes128Gcm::new_from_slice(key).expect(fits)))
            }
            SrtpSuite::AeadAes256Gcm => {
                Transform::Gcm256(Box::new(Aes256Gcm::new_from_slice(key).expect(fits)))
            }
            SrtpSuite::AesCm128HmacSha1_80 => Transform::Cm128 {
                aes: Box::new(Aes128::new_from_slice(key).expect(fits)),
                hmac: Box::new(Hmac::new_from_slice(hmac_key).expect("HMAC takes keys of any length")),
            },
        };
        let mut padded = Zeroizing::new([0; 14]);
        padded[..salt.len()].copy_from_slice(salt);
        Self { transform, salt: padded }
    }

    /// Encrypts what follows the first `header_len` bytes of an RTP packet and appends the tag. `index` has 48 bits:
    /// rollover counter, then sequence number.
    pub(super) fn seal_rtp(&self, packet: &mut Vec<u8>, header_len: usize, ssrc: u32, index: u64) {
        let (header, payload) = packet.split_at_mut(header_len);
        match &self.transform {
            Transform::Gcm128(gcm) => {
                let tag = gcm_seal(&**gcm, &self.nonce(ssrc, index), header, payload);
                packet.extend_from_slice(&tag);
            }
            Transform::Gcm256(gcm) => {
                let tag = gcm_seal(&**gcm, &self.nonce(ssrc, index), header, payload);
                packet.extend_from_slice(&tag);
            }
            Transform::Cm128 { aes, hmac } => {
                self.apply_keystream(aes, ssrc, index, payload);
                let rollover = (index >> 16) as u32;
                let tag = hmac_of(hmac, [packet, &rollover.to_be_bytes()]).finalize().into_bytes();
                packet.extend_from_slice(&tag[..HMAC_TAG_LEN]);
            }
        }
    }

    /// Encrypts what follows the first header of an RTCP compound and appends tag and index.
    /// `index` has 31 bits.
    pub(super) fn seal_rtcp(&self, packet: &mut Vec<u8>, ssrc: u32, index: u32) {
        let word = (ENCRYPTED | index).to_be_bytes();
        let (header, body) = packet.split_at_mut(RTCP_HEADER_LEN);
        let nonce = self.nonce(ssrc, index.into());
        // RFC 7714 §9.2 puts the index last, RFC 3711 §3.4 before the tag.
        match &self.transform {
            Transform::Gcm128(gcm) => {
                let tag = gcm_seal(&**gcm, &nonce, &rtcp_associated(header, word), body);
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&word);
            }
            Transform::Gcm256(gcm) => {
                let tag = gcm_seal(&**gcm, &nonce, &rtcp_associated(header, word), body);
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&word);
            }
            Transform::Cm128 { aes, hmac } => {
                self.apply_keystream(aes, ssrc, index.into(), body);
                packet.extend_from_slice(&word);
                let tag = hmac_of(hmac, [packet]).finalize().into_bytes();
                packet.extend_from_slice(&tag[..HMAC_TAG_LEN]);
            }
        }
    }

    /// Authenticates an SRTCP datagram and decrypts it in place, if it is encrypted: its index says. Answers with the
    /// length of what it holds, and its index. Nothing of it is looked at before it is authentic, but for the fields
    /// that say how to authenticate it.
    pub(super) fn open_rtcp(&self, packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        match &self.transform {
            Transform::Gcm128(gcm) => self.gcm_open_rtcp(&**gcm, packet),
            Transform::Gcm256(gcm) => self.gcm_open_rtcp(&**gcm, packet),
            Transform::Cm128 { aes, hmac } => {
                let end = packet.len().checked_sub(HMAC_TAG_LEN).ok_or_else(too_short)?;
                let len = end.checked_sub(RTCP_INDEX_LEN).filter(|len| *len >= RTCP_HEADER_LEN);
                let len = len.ok_or_else(too_short)?;
                let (covered, tag) = packet.split_at(end);
                hmac_of(hmac, [covered]).verify_truncated_left(tag).map_err(|_| not_authentic())?;
                let word = be_u32(&covered[len..]);
                if word & ENCRYPTED != 0 {
                    let ssrc = be_u32(&covered[4..8]);
                    let body = &mut packet[RTCP_HEADER_LEN..len];
                    self.apply_keystream(aes, ssrc, (word & !ENCRYPTED).into(), body);
                }
                Ok((len, word & !ENCRYPTED))
            }
        }
    }

    fn gcm_open_rtcp<G: Gcm>(&self, gcm: &G, packet: &mut [u8]) -> Result<(usize, u32), SrtpError> {
        let end = packet.len().checked_sub(RTCP_INDEX_LEN).ok_or_else(too_short)?;
        let len = end.checked_sub(GCM_TAG_LEN).filter(|len| *len >= RTCP_HEADER_LEN);
        let len = len.ok_or_else(too_short)?;
        let word = be_u32(&packet[end..]);
        let nonce = self.nonce(be_u32(&packet[4..8]), (word & !ENCRYPTED).into());
        let tag: [u8; GCM_TAG_LEN] = packet[len..end].try_into().map_err(|_| too_short())?;
        let opened = if word & ENCRYPTED != 0 {
            let (header, rest) = packet.split_at_mut(RTCP_HEADER_LEN);
            let associated = rtcp_associated(header, word.to_be_bytes());
            let body = &mut rest[..len - RTCP_HEADER_LEN];
            gcm.decrypt_inout_detached(&nonce.into(), &associated, body.into(), &tag.into())
        } else {
            // All of it is associated data, and then the index: RFC 7714 §9.3. Its place is the tag's.
            packet.copy_within(end.., len);
            let associated = &packet[..len + RTCP_INDEX_LEN];
            gcm.decrypt_inout_detached(&nonce.into(), associated, (&mut [][..]).into(), &tag.into())
        };
        opened.map_err(|_| not_authentic())?;
        Ok((len, word & !ENCRYPTED))
    }

    /// [RFC 7714 §8.1](https://www.rfc-editor.org/rfc/rfc7714#section-8.1) and
    /// [§9.1](https://www.rfc-editor.org/rfc/rfc7714#section-9.1): an RTCP index is the lower half of 48 bits.
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(&self.salt[..]) {
            *byte ^= salt;
        }
        nonce
    }

    /// [RFC 3711 §4.1.1](https://www.rfc-editor.org/rfc/rfc3711#section-4.1.1). It is its own inverse.
    fn apply_keystream(&self, aes: &Aes128, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in iv.iter_mut().zip(&self.salt[..]) {
            *byte ^= salt;
        }
        let keystream: CtrCore<&Aes128, flavors::Ctr128BE> = CtrCore::inner_iv_init(aes, &iv.into());
        keystream.apply_keystream_partial(data.into());
    }
}

impl fmt::Debug for SessionCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.transform {
            Transform::Gcm128(_) => "AEAD_AES_128_GCM",
            Transform::Gcm256(_) => "AEAD_AES_256_GCM",
            Transform::Cm128 { .. } => "AES_CM_128_HMAC_SHA1_80",
        })
    }
}

/// AES-GCM with a nonce of 96 bits and a tag of 128.
trait Gcm: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16> {}

impl<G: AeadInOut<NonceSize = aes_gcm::aead::consts::U12, TagSize = aes_gcm::aead::consts::U16>> Gcm for G {}

fn gcm_seal(gcm: &impl Gcm, nonce: &[u8; 12], associated: &[u8], data: &mut [u8]) -> [u8; GCM_TAG_LEN] {
    let sealed = gcm.encrypt_inout_detached(nonce.into(), associated, data.into());
    sealed.expect("a datagram is far below the 64 GiB that AES-GCM takes").into()
}

/// [RFC 7714 §9.2](https://www.rfc-editor.org/rfc/rfc7714#section-9.2).
fn rtcp_associated(header: &[u8], word: [u8; RTCP_INDEX_LEN]) -> [u8; RTCP_HEADER_LEN + RTCP_INDEX_LEN] {
    let mut associated = [0; RTCP_HEADER_LEN + RTCP_INDEX_LEN];
    associated[..RTCP_HEADER_LEN].copy_from_slice(header);
    associated[RTCP_HEADER_LEN..].copy_from_slice(&word);
    associated
}

fn hmac_of<const N: usize>(hmac: &Hmac<Sha1>, parts: [&[u8]; N]) -> Hmac<Sha1> {
    let mut hmac = hmac.clone();
    for part in parts {
        hmac.update(part);
    }
    hmac
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn too_short() -> SrtpError {
    SrtpError::new(SrtpErrorKind::Malformed, "it is too short for SRTCP")
}

fn not_authentic() -> SrtpError {
    SrtpError::new(SrtpErrorKind::AuthenticationFailed, "its tag is not the key's")
}

/// The header of an RTCP packet with the SSRC of who sent it, which stays in the clear.
pub(super) const RTCP_HEADER_LEN: usize = 8;
/// The E flag, [RFC 3711 §3.4](https://www.rfc-editor.org/rfc/rfc3711#section-3.4).
const ENCRYPTED: u32 = 1 << 31;
/// 160 bits, [RFC 3711 §5.2](https://www.rfc-editor.org/rfc/rfc3711#section-5.2).
const HMAC_KEY_LEN: usize = 20;
