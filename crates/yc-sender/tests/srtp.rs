//! The whole sender under SRTP, and a receiver with another implementation of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

#[cfg(feature = "native-diagnostic-udp-mirror")]
use std::collections::HashSet;
#[cfg(feature = "native-diagnostic-udp-mirror")]
use std::net::UdpSocket;

use support::{DrivenCapture, Driver, PATIENCE, Receiver, SSRC, params};
use webrtc_srtp::context::Context;
use webrtc_srtp::crypto::{RTCCryptoProvider, providers::RingProvider};
use webrtc_srtp::protection_profile::ProtectionProfile;
use yc_rtp::{RtpHeader, rtcp};
use yc_sender::{
    PreparedSender, Protection, Sender, SenderConfig, SenderErrorKind, SrtpKeys, SrtpMasterKey, SrtpSuite,
    UdpTransport,
};

/// The receiver's end of SRTP.
struct Peer {
    /// Opens what the sender protected.
    opens: Context,
    /// Protects what the receiver answers.
    protects: Context,
}

fn bytes(suite: SrtpSuite, ours: bool) -> Vec<u8> {
    (0..suite.key_len()).map(|n| n as u8 ^ if ours { 0x55 } else { 0xaa }).collect()
}

fn context(suite: SrtpSuite, ours: bool) -> Context {
    let (profile, key_len) = match suite {
        SrtpSuite::AeadAes128Gcm => (ProtectionProfile::AeadAes128Gcm, 16),
        SrtpSuite::AeadAes256Gcm => (ProtectionProfile::AeadAes256Gcm, 32),
        _ => (ProtectionProfile::Aes128CmHmacSha1_80, 16),
    };
    let bytes = bytes(suite, ours);
    let (key, salt) = bytes.split_at(key_len);
    Context::new(key, salt, profile, None, None, RingProvider::new().crypto()).unwrap()
}

impl Peer {
    fn new(suite: SrtpSuite) -> Self {
        Self { opens: context(suite, true), protects: context(suite, false) }
    }
}

fn keys(suite: SrtpSuite) -> SrtpKeys {
    let key = |ours| SrtpMasterKey::new(suite, &bytes(suite, ours)).unwrap();
    SrtpKeys::new(key(true), key(false)).unwrap()
}

fn start(config: SenderConfig, suite: SrtpSuite) -> (Sender, Driver, Receiver) {
    let (capture, driver) = DrivenCapture::new(640, 360);
    let receiver = Receiver::new();
    let prepared = PreparedSender::with_capture(config, capture).unwrap();
    let params = params(&prepared);
    let protection = Protection::Srtp(keys(suite));
    (prepared.start(params, receiver.address(), protection).unwrap(), driver, receiver)
}

/// A PLI of our stream. [RFC 4585 §6.3.1]
fn pli() -> Vec<u8> {
    [&[0x81, 206, 0, 2, 0, 0, 0, 9], SSRC.to_be_bytes().as_slice()].concat()
}

/// Takes datagrams until `wanted` wants one, opened. All of them must open and fit.
fn opened(
    receiver: &mut Receiver,
    peer: &mut Peer,
    max_packet_len: usize,
    mut wanted: impl FnMut(&[u8]) -> bool,
) {
    loop {
        let datagram = receiver.datagram(PATIENCE).expect("a datagram comes");
        assert!(datagram.len() <= max_packet_len, "{} bytes", datagram.len());
        let plain = if rtcp::is_rtcp(&datagram) {
            peer.opens.decrypt_rtcp(&datagram).unwrap()
        } else {
            peer.opens.decrypt_rtp(&datagram).unwrap()
        };
        if wanted(&plain) {
            return;
        }
    }
}

#[test]
fn pictures_arrive_in_every_suite_within_the_packet_length_and_a_true_pli_is_heard() {
    for suite in SrtpSuite::ALL {
        let mut config = SenderConfig::default();
        config.max_packet_len = 600;
        let (mut sender, driver, mut receiver) = start(config, *suite);
        let mut peer = Peer::new(*suite);
        driver.picture(1);
        let (mut reports, mut longest, mut sps) = (0, 0, 0);
        opened(&mut receiver, &mut peer, 600, |plain| {
            if rtcp::is_rtcp(plain) {
                assert_eq!(plain[1], 200, "a sender report");
                reports += 1;
                return false;
            }
            longest = longest.max(plain.len() + suite.rtp_overhead());
            let (header, payload) = RtpHeader::parse(plain).unwrap();
            sps += u32::from(matches!(plain[payload.start] & 0x1f, 7 | 24));
            header.marker
        });
        assert_eq!(reports, 1, "{suite}");
        assert!(sps > 0, "{suite}");
        assert!(longest > 590, "{suite}: the room for {longest} bytes is used");

        receiver.reply(&peer.protects.encrypt_rtcp(&pli()).unwrap());
        while sender.status().feedback.plis == 0 {
            opened(&mut receiver, &mut peer, 600, |_| true);
        }
        let status = sender.status().srtp.unwrap();
        assert_eq!(
            (status.suite, status.rtcp_rejected, status.not_protected),
            (*suite, Default::default(), 0)
        );
        assert!(sender.stop());
    }
}

#[test]
fn forged_tampered_and_repeated_feedback_changes_nothing_but_the_counts() {
    let suite = SrtpSuite::AeadAes128Gcm;
    let (mut sender, driver, mut receiver) = start(SenderConfig::default(), suite);
    let mut peer = Peer::new(suite);
    driver.picture(1);
    opened(&mut receiver, &mut peer, 1_200, |plain| !rtcp::is_rtcp(plain));
    let good = peer.protects.encrypt_rtcp(&pli()).unwrap();
    receiver.reply(&good);
    while sender.status().feedback.plis == 0 {
        opened(&mut receiver, &mut peer, 1_200, |_| true);
    }
    let before = sender.status();
    let mut tampered = peer.protects.encrypt_rtcp(&pli()).unwrap();
    tampered[10] ^= 1;
    // The receiver's own key for the other direction: an echo of ours.
    let echo = context(suite, true).encrypt_rtcp(&pli()).unwrap();
    for _ in 0..50 {
        receiver.reply(&pli());
        receiver.reply(&tampered);
        receiver.reply(&echo);
        receiver.reply(&good);
        receiver.reply(b"no RTCP");
    }
    let rejected = |sender: &Sender| sender.status().srtp.unwrap().rtcp_rejected;
    while {
        let now = rejected(&sender);
        now.authentication + now.replayed + now.malformed < 250
    } {
        opened(&mut receiver, &mut peer, 1_200, |_| true);
    }
    let (now, status) = (rejected(&sender), sender.status());
    // Twelve bytes are too few for SRTCP under AES-GCM.
    assert_eq!((now.malformed, now.authentication, now.replayed), (100, 100, 50));
    assert_eq!(status.feedback, before.feedback, "nothing of it reached the session");
    assert!(status.key_frames.total <= before.key_frames.total + 1, "the one that was asked for");
    assert!(sender.stop());
}

#[test]
fn what_was_lost_is_sent_again_under_its_index_as_it_was() {
    for suite in SrtpSuite::ALL {
        let (mut sender, driver, mut receiver) = start(SenderConfig::default(), *suite);
        let mut peer = Peer::new(*suite);
        driver.picture(1);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        while sent.len() < 4 {
            let datagram = receiver.datagram(PATIENCE).expect("a datagram comes");
            if !rtcp::is_rtcp(&datagram) {
                sent.push(datagram);
            }
        }
        // A generic NACK. [RFC 4585 §6.2.1]
        let mut nack = vec![0x81, 205, 0, 3, 0, 0, 0, 9];
        nack.extend(SSRC.to_be_bytes());
        nack.extend(&sent[1][2..4]);
        nack.extend([0, 0]);
        receiver.reply(&peer.protects.encrypt_rtcp(&nack).unwrap());
        while receiver.datagram(PATIENCE).expect("it comes again") != sent[1] {}
        let status = sender.status();
        assert_eq!((status.srtp.unwrap().not_protected, status.dropped.packets_refused), (0, 0), "{suite}");
        assert!(sender.stop());
    }
}

#[test]
fn plain_rtp_to_another_machine_is_refused_by_the_sender_itself() {
    let refused = |start: &dyn Fn(PreparedSender) -> Result<Sender, yc_sender::SenderError>| {
        let (capture, _driver) = DrivenCapture::new(64, 64);
        let prepared = PreparedSender::with_capture(SenderConfig::default(), capture).unwrap();
        let error = start(prepared).unwrap_err();
        assert_eq!(error.kind(), SenderErrorKind::Config);
        assert!(error.to_string().contains("must be allowed explicitly"), "{error}");
    };
    let far = "192.0.2.1:40000".parse().unwrap();
    refused(&|prepared| {
        let params = params(&prepared);
        prepared.start(params, far, Protection::PlainOnLoopback)
    });
    refused(&|prepared| {
        let params = params(&prepared);
        let transport = UdpTransport::connect(Receiver::new().address()).unwrap();
        prepared.start_on(params, Box::new(transport), Protection::PlainOnLoopback)
    });
    // What the environment says in place of the negotiation is held to the same.
    let mut config = SenderConfig::default();
    config.rtp_target = Some(far);
    let (capture, _driver) = DrivenCapture::new(64, 64);
    let prepared = PreparedSender::with_capture(config, capture).unwrap();
    let params = params(&prepared);
    let near = Receiver::new().address();
    let error = prepared.start(params, near, Protection::PlainOnLoopback).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:40000"), "{error}");
}

#[test]
fn a_status_holds_no_key() {
    let suite = SrtpSuite::AesCm128HmacSha1_80;
    let (mut sender, _driver, _receiver) = start(SenderConfig::default(), suite);
    let status = sender.status();
    let shown = format!("{status:?} {sender:?}");
    assert!(shown.contains("AesCm128HmacSha1_80"));
    for ours in [true, false] {
        let key = SrtpMasterKey::new(suite, &bytes(suite, ours)).unwrap();
        assert!(!shown.contains(&key.to_base64()));
        assert!(!shown.contains(&format!("{:?}", bytes(suite, ours))));
    }
    assert!(sender.stop());
}

/// The mirror shows what leaves before it is encrypted.
#[cfg(feature = "native-diagnostic-udp-mirror")]
#[test]
#[expect(clippy::disallowed_methods, reason = "the mirror's target")]
fn the_mirror_copies_what_is_sent_before_it_is_protected() {
    let mirror = UdpSocket::bind("127.0.0.1:0").unwrap();
    mirror.set_read_timeout(Some(PATIENCE)).unwrap();
    let suite = SrtpSuite::AeadAes256Gcm;
    let mut config = SenderConfig::default();
    config.diagnostic_mirror = Some(mirror.local_addr().unwrap());
    let (mut sender, driver, mut receiver) = start(config, suite);
    let mut peer = Peer::new(suite);
    driver.picture(1);
    let mut sent = HashSet::new();
    opened(&mut receiver, &mut peer, 1_200, |plain| {
        sent.insert(plain.to_vec());
        sent.len() == 5
    });
    let mut buffer = [0; 2_048];
    let mut same = 0;
    while same < 5 {
        let len = mirror.recv(&mut buffer).unwrap();
        same += usize::from(sent.contains(&buffer[..len]));
    }
    assert!(sender.stop());
}
