//! Protecting a packet, in each suite, beside webrtc-rs's context in the same run.
//!
//! Ours protects in the buffer that the packet is in and keeps count of what was sent under which index; theirs
//! makes a new buffer for each packet.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use webrtc_srtp::context::Context;
use webrtc_srtp::crypto::{RTCCryptoProvider, providers::RingProvider};
use webrtc_srtp::protection_profile::ProtectionProfile;
use yc_sender::{
    PacketTransport, Refused, SrtpKeys, SrtpMasterKey, SrtpSuite, SrtpTransport, TransportError,
    TransportWaker,
};

fn srtp(c: &mut Criterion) {
    let mut group = c.benchmark_group("srtp");
    group.throughput(Throughput::Bytes(PACKET_LEN as u64));
    for (suite, profile, key_len) in [
        (SrtpSuite::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm, 16),
        (SrtpSuite::AeadAes256Gcm, ProtectionProfile::AeadAes256Gcm, 32),
        (SrtpSuite::AesCm128HmacSha1_80, ProtectionProfile::Aes128CmHmacSha1_80, 16),
    ] {
        group.bench_function(BenchmarkId::new("yc", suite), |bench| {
            let key = || SrtpMasterKey::new(suite, &vec![7; suite.key_len()]).expect("a key");
            let keys = SrtpKeys::new(key(), key()).expect("one suite");
            let mut transport = SrtpTransport::new(Box::new(Nowhere), keys);
            let mut packet = Vec::with_capacity(2_048);
            let mut sequence = 0_u16;
            bench.iter(|| {
                sequence = sequence.wrapping_add(1);
                write(&mut packet, sequence);
                transport.send(black_box(&mut packet)).expect("a packet of its own");
            });
        });
        group.bench_function(BenchmarkId::new("rtc-srtp", suite), |bench| {
            let bytes = vec![7; suite.key_len()];
            let (key, salt) = bytes.split_at(key_len);
            let provider = RingProvider::new();
            let context = Context::new(key, salt, profile, None, None, provider.crypto());
            let mut context = context.expect("a key");
            let mut packet = Vec::with_capacity(2_048);
            let mut sequence = 0_u16;
            bench.iter(|| {
                sequence = sequence.wrapping_add(1);
                write(&mut packet, sequence);
                black_box(context.encrypt_rtp(&packet).expect("a packet"));
            });
        });
    }
    group.finish();
}

fn write(packet: &mut Vec<u8>, sequence: u16) {
    packet.clear();
    packet.resize(PACKET_LEN, 0x5a);
    packet[..2].copy_from_slice(&[0x80, 0x60]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
}

/// Takes everything and gives nothing.
#[derive(Debug)]
struct Nowhere;

impl PacketTransport for Nowhere {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        black_box(datagram);
        Ok(())
    }

    fn flush(&mut self, _refused: &mut Vec<Refused>) {}

    fn recv(&mut self, _buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        Ok(None)
    }

    fn wait(&mut self, _timeout: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn waker(&self) -> TransportWaker {
        TransportWaker::new(|| {})
    }
}

const PACKET_LEN: usize = 1_184;

criterion_group!(benches, srtp);
criterion_main!(benches);
