//! What comes back and what goes again: transport-wide feedback read, sent packets kept, asked for and
//! written in the retransmission stream.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use webrtc_rtcp::packet::unmarshal;
use yc_media::CaptureTime;
use yc_rtp::rtcp::FeedbackParser;
use yc_rtp::{
    ArrivalTime, CodecParams, HistoryLimits, NtpTime, RtpHeader, RtpPacket, RtpPayload, RtxParams, RtxStream,
    SentHistory, StreamParams, TransportFeedback,
};

/// Feedback on 100 packets of which 3 were lost, beside webrtc-rs's reader in the same run.
fn transport_feedback(c: &mut Criterion) {
    let arrivals = (0..PACKETS).map(|at| (at % 33 != 32).then_some(ArrivalTime::from_ticks(at * 20)));
    let mut datagram = Vec::new();
    let told = TransportFeedback::new(0, 0, arrivals.collect()).append_to(9, 1, &mut datagram);
    assert_eq!(told, PACKETS as usize);

    let mut group = c.benchmark_group("transport_feedback");
    group.throughput(Throughput::Elements(PACKETS.into()));
    group.bench_function("yc/100_packets", |bench| {
        let mut parser = FeedbackParser::new([&params()]);
        bench.iter(|| {
            let read =
                parser.parse(NtpTime::default(), black_box(&datagram), &mut |event| drop(black_box(event)));
            read.expect("good feedback");
        });
    });
    group.bench_function("webrtc-rs/100_packets", |bench| {
        bench.iter(|| drop(black_box(unmarshal(&mut black_box(&datagram[..])).expect("good feedback"))));
    });
    group.finish();
}

/// 100 packets kept, in a history that is full; 100 of them asked for and written again.
fn history(c: &mut Criterion) {
    let frame = Bytes::from_owner(vec![7_u8; PAYLOAD_LEN * PACKETS as usize]);
    let packets: Vec<RtpPacket> = (0..PACKETS as usize)
        .map(|at| {
            let slice = frame.slice(at * PAYLOAD_LEN..(at + 1) * PAYLOAD_LEN);
            let header = RtpHeader::new(101, 0, 0, 1);
            RtpPacket { header, payload: RtpPayload::single(&[0x7c, 0x85], slice) }
        })
        .collect();
    let now = CaptureTime::from_epoch(Duration::from_secs(1));
    let mut next = 0_u16;
    let mut kept = |history: &mut SentHistory, packets: Vec<RtpPacket>| {
        for mut packet in packets {
            packet.header.sequence = next;
            next = next.wrapping_add(1);
            history.insert(now, packet);
        }
        next
    };
    let mut full = SentHistory::new(HistoryLimits::default());
    let fill = HistoryLimits::default().max_packets / packets.len() + 1;
    for _ in 0..fill {
        kept(&mut full, packets.clone());
    }

    let mut group = c.benchmark_group("history");
    group.throughput(Throughput::Elements(PACKETS.into()));
    group.bench_function("insert", |bench| {
        bench.iter_batched(|| packets.clone(), |packets| kept(&mut full, packets), BatchSize::SmallInput);
    });
    group.bench_function("insert_and_send_again", |bench| {
        let mut rtx = RtxStream::new(&params(), 0).expect("RTX is in the parameters");
        let mut wire = Vec::new();
        bench.iter_batched(
            || packets.clone(),
            |packets| {
                let next = kept(&mut full, packets);
                for behind in 1..=PACKETS as u16 {
                    let packet = full.retransmit(now, None, next.wrapping_sub(behind)).expect("it was kept");
                    rtx.write_to(packet, NtpTime::default(), behind, &mut wire);
                    black_box(&wire);
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn params() -> StreamParams {
    let mut params = StreamParams::new(1, 101, CodecParams::Vp8, "bench");
    params.rtx = Some(RtxParams { ssrc: 2, payload_type: 102 });
    params
}

const PACKETS: u32 = 100;
/// What a packet of 1,200 bytes carries behind an FU header.
const PAYLOAD_LEN: usize = 1_170;

criterion_group!(benches, transport_feedback, history);
criterion_main!(benches);
