//! Ours against the vectors of the RFCs, and against `rtc-srtp`.

use proptest::prelude::*;
use webrtc_srtp::context::Context;
use webrtc_srtp::crypto::{RTCCryptoProvider, providers::RingProvider};
use webrtc_srtp::option::{srtcp_replay_protection, srtp_no_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

use super::cipher::SessionCipher;
use super::outbound::{LAST_RTCP_INDEX, LAST_RTP_INDEX, REMEMBERED};
use super::*;

/// The bytes of hexadecimal text; what is between digits does not count.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const SSRC: u32 = 0x1234_5678;

fn key(suite: SrtpSuite) -> SrtpMasterKey {
    let bytes: Vec<u8> = (0..suite.key_len()).map(|n| (n * 7 + 3) as u8).collect();
    SrtpMasterKey::new(suite, &bytes).unwrap()
}

fn outbound(suite: SrtpSuite) -> Outbound {
    Outbound::new(&key(suite))
}

fn inbound(suite: SrtpSuite) -> Inbound {
    Inbound::new(&key(suite))
}

/// The other implementation, with the same key.
fn peer(suite: SrtpSuite) -> Context {
    let profile = match suite {
        SrtpSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        SrtpSuite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let bytes: Vec<u8> = (0..suite.key_len()).map(|n| (n * 7 + 3) as u8).collect();
    let (key, salt) = bytes.split_at(suite.master_key_len());
    let (rtp, rtcp) = (srtp_no_replay_protection(), srtcp_replay_protection(64));
    Context::new(key, salt, profile, Some(rtp), Some(rtcp), RingProvider::new().crypto()).unwrap()
}

/// A packet with `sources` CSRCs and an extension of `words` words.
fn rtp(ssrc: u32, sequence: u16, sources: u8, words: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80 | sources | if words.is_some() { 0x10 } else { 0 }, 0x60];
    packet.extend(sequence.to_be_bytes());
    packet.extend(u32::from(sequence).wrapping_mul(3_000).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    (0..sources).for_each(|source| packet.extend([0xc5, 0xc5, 0xc5, source]));
    if let Some(words) = words {
        packet.extend([0xbe, 0xde]);
        packet.extend(words.to_be_bytes());
        // One-byte extensions of 3 bytes each.
        (0..words).for_each(|word| packet.extend([0x12, word as u8, 0xe1, 0xe2]));
    }
    packet.extend(payload);
    packet
}

/// An RR without blocks, then an SDES, so long that it has `words` words in all.
fn rtcp(ssrc: u32, words: u16) -> Vec<u8> {
    let mut compound = vec![0x80, 201, 0, 1];
    compound.extend(ssrc.to_be_bytes());
    compound.extend([0x81, 204]);
    compound.extend((words - 3).to_be_bytes());
    (0..words - 3).for_each(|word| compound.extend([0xab, 0xcd, (word >> 8) as u8, word as u8]));
    compound
}

fn sealed(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    outbound.seal_rtp(&mut packet).unwrap();
    packet
}

fn sealed_rtcp(outbound: &mut Outbound, datagram: &[u8]) -> Vec<u8> {
    let mut datagram = datagram.to_vec();
    outbound.seal_rtcp(&mut datagram).unwrap();
    datagram
}

fn opened(inbound: &mut Inbound, datagram: &[u8]) -> Result<Vec<u8>, SrtpErrorKind> {
    let mut datagram = datagram.to_vec();
    let len = inbound.open_rtcp(&mut datagram).map_err(|error| error.kind())?;
    datagram.truncate(len);
    Ok(datagram)
}

fn suites() -> impl Strategy<Value = SrtpSuite> {
    prop::sample::select(SrtpSuite::ALL)
}

/// RFC 7714 §16 and §17 give session keys.
fn rfc_7714(suite: SrtpSuite) -> SessionCipher {
    let key: Vec<u8> = (0..suite.master_key_len()).map(|n| n as u8).collect();
    SessionCipher::from_session_keys(suite, &key, &[], b"Quid pro quo")
}

const RFC_7714_RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 \
    696e2070 61727465 73207472 6573";
const RFC_7714_RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
    deadbeef deadbeef deadbeef deadbeef";

#[test]
fn rtp_is_protected_as_rfc_7714_section_16_has_it() {
    for (suite, expected) in [
        (
            SrtpSuite::AeadAes128Gcm,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
             1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let mut outbound = Outbound::with_ciphers(rfc_7714(suite), rfc_7714(suite));
        assert_eq!(sealed(&mut outbound, &hex(RFC_7714_RTP)), hex(expected), "{suite}");
    }
}

#[test]
fn rtcp_is_protected_and_opened_as_rfc_7714_section_17_has_it() {
    for (suite, expected) in [
        (
            SrtpSuite::AeadAes128Gcm,
            "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
             86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
             c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ] {
        let mut outbound = Outbound::with_ciphers(rfc_7714(suite), rfc_7714(suite));
        outbound.go_on_from(0x4d61_7273, 0, 0x5d4);
        assert_eq!(sealed_rtcp(&mut outbound, &hex(RFC_7714_RTCP)), hex(expected), "{suite}");
        let mut inbound = Inbound::with_cipher(rfc_7714(suite));
        assert_eq!(opened(&mut inbound, &hex(expected)), Ok(hex(RFC_7714_RTCP)), "{suite}");
        assert_eq!(opened(&mut inbound, &hex(expected)), Err(SrtpErrorKind::Replayed), "{suite}");
    }
}

/// §17.3: the E flag is clear.
#[test]
fn rtcp_that_is_only_authenticated_is_opened_as_rfc_7714_section_17_has_it() {
    let tagged = format!("{RFC_7714_RTCP} 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4");
    let mut inbound = Inbound::with_cipher(rfc_7714(SrtpSuite::AeadAes128Gcm));
    assert_eq!(opened(&mut inbound, &hex(&tagged)), Ok(hex(RFC_7714_RTCP)));
    for at in 0..hex(&tagged).len() {
        let mut tampered = hex(&tagged);
        tampered[at] ^= 1;
        let mut inbound = Inbound::with_cipher(rfc_7714(SrtpSuite::AeadAes128Gcm));
        assert_eq!(opened(&mut inbound, &tampered), Err(SrtpErrorKind::AuthenticationFailed), "byte {at}");
    }
}

#[test]
fn the_keystream_is_that_of_rfc_3711_appendix_b_2() {
    let cipher = SessionCipher::from_session_keys(
        SrtpSuite::AesCm128HmacSha1_80,
        &hex("2B7E151628AED2A6ABF7158809CF4F3C"),
        &[0; 20],
        &hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
    );
    // SSRC, rollover counter and sequence number are zero.
    let mut packet = vec![0; 12 + 0xff02 * 16];
    packet[0] = 0x80;
    cipher.seal_rtp(&mut packet, 12, 0, 0);
    let block = |n: usize| packet[12 + n * 16..][..16].to_vec();
    for (n, keystream) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(block(n), hex(keystream), "block {n:#x}");
    }
}

#[test]
fn a_packet_sent_again_after_the_sequence_began_anew_has_the_index_it_had() {
    for suite in SrtpSuite::ALL {
        let mut outbound = outbound(*suite);
        outbound.go_on_from(SSRC, (7 << 16) | 0xfff0, 0);
        let packets: Vec<Vec<u8>> = (0..0x20_u16)
            .map(|n| rtp(SSRC, 0xfff0_u16.wrapping_add(n), 0, Some(1), &[n as u8; 40]))
            .collect();
        let first: Vec<Vec<u8>> = packets.iter().map(|packet| sealed(&mut outbound, packet)).collect();
        for (packet, before) in packets.iter().zip(&first) {
            assert_eq!(sealed(&mut outbound, packet), *before, "{suite}");
        }
        // And the stream goes on where it was.
        let mut peer = peer(*suite);
        let mut theirs = None;
        // The peer knows nothing of the seven rounds before: it hears of another sender, who began at zero.
        let mut fresh = self::outbound(*suite);
        for packet in packets.iter().chain(&packets[..8]) {
            theirs = Some(peer.decrypt_rtp(&sealed(&mut fresh, packet)).unwrap().to_vec());
        }
        assert_eq!(theirs.as_deref(), Some(&packets[7][..]), "{suite}");
    }
}

#[test]
fn two_packets_never_share_an_index() {
    for suite in SrtpSuite::ALL {
        let mut outbound = outbound(*suite);
        for sequence in 0..3 {
            sealed(&mut outbound, &rtp(SSRC, sequence, 0, Some(1), b"as it was"));
        }
        let mut refuse = |packet: Vec<u8>| {
            let mut packet = packet;
            outbound.seal_rtp(&mut packet).unwrap_err().kind()
        };
        assert_eq!(
            refuse(rtp(SSRC, 1, 0, Some(1), b"as it is ")),
            SrtpErrorKind::Replayed,
            "another payload"
        );
        assert_eq!(refuse(rtp(SSRC, 1, 0, Some(2), b"as it was")), SrtpErrorKind::Replayed, "another header");
        assert_eq!(
            refuse(rtp(SSRC, 65_535, 0, None, b"")),
            SrtpErrorKind::Replayed,
            "before the first round"
        );
        // What was refused changes nothing.
        sealed(&mut outbound, &rtp(SSRC, 1, 0, Some(1), b"as it was"));
        sealed(&mut outbound, &rtp(SSRC + 1, 1, 0, Some(1), b"of another SSRC"));
    }
}

#[test]
fn what_is_too_old_to_know_is_not_sent_again() {
    let mut outbound = outbound(SrtpSuite::AeadAes128Gcm);
    let packet = |sequence: usize| rtp(SSRC, sequence as u16, 0, None, &[sequence as u8; 4]);
    for sequence in 0..=REMEMBERED {
        sealed(&mut outbound, &packet(sequence));
    }
    assert_eq!(outbound.seal_rtp(&mut packet(0)).unwrap_err().kind(), SrtpErrorKind::Replayed);
    sealed(&mut outbound, &packet(1));
    // A gap is nobody's: what was left out may come once.
    sealed(&mut outbound, &packet(REMEMBERED + 1_000));
    sealed(&mut outbound, &packet(REMEMBERED + 999));
    let mut other = rtp(SSRC, (REMEMBERED + 999) as u16, 0, None, b"other");
    assert_eq!(outbound.seal_rtp(&mut other).unwrap_err().kind(), SrtpErrorKind::Replayed);
}

#[test]
fn a_key_that_is_used_up_is_an_error_and_not_a_new_beginning() {
    for suite in SrtpSuite::ALL {
        let mut outbound = outbound(*suite);
        outbound.go_on_from(SSRC, LAST_RTP_INDEX, LAST_RTCP_INDEX);
        sealed(&mut outbound, &rtp(SSRC, 0xffff, 0, None, b"the last"));
        let mut after = rtp(SSRC, 0, 0, None, b"one more");
        assert_eq!(outbound.seal_rtp(&mut after).unwrap_err().kind(), SrtpErrorKind::Exhausted);
        sealed_rtcp(&mut outbound, &rtcp(SSRC, 6));
        for _ in 0..2 {
            let mut after = rtcp(SSRC, 6);
            assert_eq!(outbound.seal_rtcp(&mut after).unwrap_err().kind(), SrtpErrorKind::Exhausted);
            assert_eq!(after, rtcp(SSRC, 6), "it is as it was");
        }
    }
}

#[test]
fn streams_are_bounded_in_number() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let (mut outbound, mut inbound) = (outbound(suite), inbound(suite));
    (0..8).for_each(|ssrc| drop(sealed(&mut outbound, &rtp(ssrc, 0, 0, None, b"x"))));
    let mut ninth = rtp(8, 0, 0, None, b"x");
    assert_eq!(outbound.seal_rtp(&mut ninth).unwrap_err().kind(), SrtpErrorKind::Exhausted);
    for ssrc in 0..20 {
        let datagram = sealed_rtcp(&mut self::outbound(suite), &rtcp(ssrc, 6));
        let expected = if ssrc < 16 { Ok(rtcp(ssrc, 6)) } else { Err(SrtpErrorKind::Exhausted) };
        assert_eq!(opened(&mut inbound, &datagram), expected, "{ssrc}");
    }
}

#[test]
fn what_is_no_packet_is_malformed() {
    for suite in SrtpSuite::ALL {
        let mut outbound = outbound(*suite);
        let good = rtp(SSRC, 0, 2, Some(3), b"payload");
        let header = 12 + 8 + 16;
        for len in 0..header {
            let error = outbound.seal_rtp(&mut good[..len].to_vec()).unwrap_err();
            assert_eq!(error.kind(), SrtpErrorKind::Malformed, "{len} bytes");
        }
        assert_eq!(sealed(&mut outbound, &good[..header]).len(), header + suite.rtp_overhead());
        for len in 0..8 {
            let error = outbound.seal_rtcp(&mut rtcp(SSRC, 6)[..len].to_vec()).unwrap_err();
            assert_eq!(error.kind(), SrtpErrorKind::Malformed, "{len} bytes");
        }
        for len in 0..8 + suite.rtcp_overhead() {
            assert_eq!(
                opened(&mut inbound(*suite), &vec![0x80; len]),
                Err(SrtpErrorKind::Malformed),
                "{len}"
            );
        }
        let shortest = vec![0x80; 8 + suite.rtcp_overhead()];
        assert_eq!(opened(&mut inbound(*suite), &shortest), Err(SrtpErrorKind::AuthenticationFailed));
    }
}

#[test]
fn a_packet_is_protected_where_it_is() {
    for suite in SrtpSuite::ALL {
        let mut outbound = outbound(*suite);
        let mut packet = Vec::with_capacity(1_500);
        for sequence in 0..200 {
            packet.clear();
            packet.extend(rtp(SSRC, sequence, 0, Some(1), &[9; 1_200]));
            let (place, len) = (packet.as_ptr(), packet.len());
            outbound.seal_rtp(&mut packet).unwrap();
            assert_eq!((packet.as_ptr(), packet.len()), (place, len + suite.rtp_overhead()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_we_protect_is_what_the_other_implementation_protects_and_opens(
        suite in suites(),
        first in any::<u16>(),
        steps in prop::collection::vec((1_u16..200, 0_u8..4, prop::option::of(0_u16..6), 0_usize..1_300), 1..40),
    ) {
        let (mut ours, mut theirs, mut receiver) = (outbound(suite), peer(suite), peer(suite));
        let mut sequence = first;
        for (step, sources, words, len) in steps {
            sequence = sequence.wrapping_add(step);
            for ssrc in [SSRC, SSRC + 1] {
                let payload: Vec<u8> = (0..len).map(|n| (n as u32 ^ ssrc) as u8).collect();
                let packet = rtp(ssrc, sequence, sources, words, &payload);
                let protected = sealed(&mut ours, &packet);
                prop_assert_eq!(protected.len(), packet.len() + suite.rtp_overhead());
                let header = packet.len() - len;
                prop_assert_eq!(&protected[..header], &packet[..header], "the header is in the clear");
                prop_assert_eq!(&protected[..], &theirs.encrypt_rtp(&packet).unwrap()[..]);
                prop_assert_eq!(&receiver.decrypt_rtp(&protected).unwrap()[..], &packet[..]);
            }
        }
    }

    #[test]
    fn rtcp_goes_both_ways_between_ours_and_the_other_implementation(
        suite in suites(),
        lengths in prop::collection::vec(4_u16..300, 1..40),
    ) {
        let (mut ours, mut theirs) = (outbound(suite), peer(suite));
        let (mut receiver, mut sender) = (inbound(suite), peer(suite));
        for words in lengths {
            let datagram = rtcp(SSRC, words);
            let protected = sealed_rtcp(&mut ours, &datagram);
            prop_assert_eq!(protected.len(), datagram.len() + suite.rtcp_overhead());
            prop_assert_eq!(&theirs.decrypt_rtcp(&protected).unwrap()[..], &datagram[..]);

            let answer = sender.encrypt_rtcp(&datagram).unwrap();
            prop_assert_eq!(opened(&mut receiver, &answer), Ok(datagram));
            prop_assert_eq!(opened(&mut receiver, &answer), Err(SrtpErrorKind::Replayed));
        }
    }

    #[test]
    fn what_was_changed_anywhere_is_not_let_through(
        suite in suites(),
        words in 4_u16..40,
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut datagram = peer(suite).encrypt_rtcp(&rtcp(SSRC, words)).unwrap().to_vec();
        let mut receiver = inbound(suite);
        let place = at.index(datagram.len());
        datagram[place] ^= 1 << bit;
        prop_assert_eq!(opened(&mut receiver, &datagram), Err(SrtpErrorKind::AuthenticationFailed));
        datagram[place] ^= 1 << bit;
        prop_assert_eq!(opened(&mut receiver, &datagram), Ok(rtcp(SSRC, words)));
    }

    #[test]
    fn no_datagram_without_the_key_is_let_through(
        suite in suites(),
        datagram in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let error = opened(&mut inbound(suite), &datagram).unwrap_err();
        let expected = if datagram.len() < 8 + suite.rtcp_overhead() {
            SrtpErrorKind::Malformed
        } else {
            SrtpErrorKind::AuthenticationFailed
        };
        prop_assert_eq!(error, expected);
        let mut other = Inbound::new(&SrtpMasterKey::generate(suite).unwrap());
        let foreign = sealed_rtcp(&mut outbound(suite), &rtcp(SSRC, 8));
        prop_assert_eq!(opened(&mut other, &foreign), Err(SrtpErrorKind::AuthenticationFailed));
    }
}
