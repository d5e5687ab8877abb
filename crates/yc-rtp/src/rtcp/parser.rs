//! Received RTCP into [`FeedbackEvent`]s.

use bytes::Buf;
use smallvec::SmallVec;
use webrtc_rtcp::Packet as Parsed;
use webrtc_rtcp::extended_report::ExtendedReport;
use webrtc_rtcp::goodbye::Goodbye;
use webrtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use webrtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use webrtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use webrtc_rtcp::receiver_report::ReceiverReport;
use webrtc_rtcp::sender_report::SenderReport;
use webrtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::compound::{self, Packet};
use super::fir::FirHistory;
use super::rr::ReportContext;
use super::twcc::TransportFeedback;
use super::xr::{DelaySinceLastRr, ReferenceTimes};
use super::{BYE, HEADER_LEN, PSFB, RR, RTPFB, SDES, SR, VERSION, XR, fir, nack, pli, remb, rr, sr, twcc};
use crate::{FeedbackEvent, NtpTime, RtcpError, StreamParams};

/// Reads what receivers say about the streams of one transport, and remembers what it takes to understand
/// the next of it: which FIR commands were heard, which reference times wait for an answer.
///
/// Bytes from the network never panic, and nothing grows by what they announce: a datagram is 2,048 bytes
/// at most and tells of 1,024 lost packets and the arrival of 8,192 at most; 64 pairs of asker and stream
/// and 32 receivers are remembered. What is said about streams that are not ours is counted and left out.
#[derive(Debug)]
pub struct FeedbackParser {
    streams: SmallVec<[OwnStream; 4]>,
    firs: FirHistory,
    reference_times: ReferenceTimes,
    counts: FeedbackCounts,
}

/// What was read so far, and what was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FeedbackCounts {
    /// Datagrams whose framing was right.
    pub datagrams: u64,
    /// Datagrams that were refused whole.
    pub refused_datagrams: u64,
    /// RTCP packets in the datagrams read.
    pub packets: u64,
    /// Packets whose bodies are not what their types say.
    pub malformed: u64,
    /// Packets of types that the suite has no use for.
    pub unknown: u64,
    /// Transport-wide congestion control feedback, about whichever stream it says it is.
    pub transport_cc: u64,
    /// Packets by transport-wide sequence number not told of, because a datagram announced too many.
    pub statuses_refused: u64,
    /// Reports and requests about streams that are not ours.
    pub foreign: u64,
    /// FIR commands heard again.
    pub fir_repeats: u64,
    /// Lost packets not told of, because a datagram named too many.
    pub nacks_refused: u64,
}

/// What the rest of a datagram may tell of.
#[derive(Debug)]
struct Room {
    /// Lost packets.
    nacks: usize,
    /// Packets by transport-wide sequence number.
    statuses: usize,
}

#[derive(Debug, Clone, Copy)]
struct OwnStream {
    ssrc: u32,
    clock_rate: u32,
}

impl FeedbackParser {
    /// A parser of what is said about `streams` and their retransmissions.
    pub fn new<'a>(streams: impl IntoIterator<Item = &'a StreamParams>) -> Self {
        let own = streams.into_iter().flat_map(|params| {
            let clock_rate = params.codec.codec().clock_rate();
            [Some(params.ssrc), params.rtx.map(|rtx| rtx.ssrc)]
                .into_iter()
                .flatten()
                .map(move |ssrc| OwnStream { ssrc, clock_rate })
        });
        Self {
            streams: own.collect(),
            firs: FirHistory::default(),
            reference_times: ReferenceTimes::default(),
            counts: FeedbackCounts::default(),
        }
    }

    /// Reads one datagram that arrived at `now` and tells of every fact in it that concerns a stream of
    /// ours. Packets with malformed bodies are counted and passed over.
    ///
    /// # Errors
    ///
    /// If the datagram is not a sequence of RTCP packets; nothing is told of it then.
    pub fn parse(
        &mut self,
        now: NtpTime,
        datagram: &[u8],
        on_event: &mut dyn FnMut(FeedbackEvent),
    ) -> Result<(), RtcpError> {
        let packets = compound::packets(datagram).inspect_err(|_| self.counts.refused_datagrams += 1)?;
        self.counts.datagrams += 1;
        let mut room = Room { nacks: nack::MAX_SEQUENCES, statuses: TransportFeedback::MAX_PACKETS };
        for packet in packets {
            self.counts.packets += 1;
            if self.read(now, packet, &mut room, on_event).is_none() {
                self.counts.malformed += 1;
            }
        }
        Ok(())
    }

    /// What was read so far.
    pub fn counts(&self) -> FeedbackCounts {
        self.counts
    }

    /// Replaces what is in `out` by the answers to the reference times that arrived since the last call,
    /// one a receiver: put them into the next report.
    pub fn take_delays(&mut self, now: NtpTime, out: &mut Vec<DelaySinceLastRr>) {
        self.reference_times.take(now, out);
    }

    /// `None` if the packet's body is malformed.
    fn read(
        &mut self,
        now: NtpTime,
        packet: Packet<'_>,
        room: &mut Room,
        on_event: &mut dyn FnMut(FeedbackEvent),
    ) -> Option<()> {
        let Self { streams, firs, reference_times, counts } = self;
        let clock_rate =
            |ssrc: u32| streams.iter().find(|stream| stream.ssrc == ssrc).map(|stream| stream.clock_rate);
        let is_ours = |ssrc: u32| clock_rate(ssrc).is_some();
        let context = ReportContext { now, clock_rate: &clock_rate };
        match (packet.packet_type, packet.count) {
            (SR, _) => {
                counts.foreign += sr::read(&decode::<SenderReport>(packet)?, &context, on_event);
            }
            (RR, _) => {
                counts.foreign += rr::read(&decode::<ReceiverReport>(packet)?, &context, on_event);
            }
            (BYE, _) => super::bye::read(&decode::<Goodbye>(packet)?, on_event),
            (XR, _) => reference_times.read(&decode::<ExtendedReport>(packet)?, now, on_event),
            (RTPFB, nack::FORMAT) => {
                let tally =
                    nack::read(&decode::<TransportLayerNack>(packet)?, is_ours, &mut room.nacks, on_event);
                counts.foreign += tally.foreign;
                counts.nacks_refused += tally.refused;
            }
            (RTPFB, twcc::FORMAT) => {
                counts.transport_cc += 1;
                counts.statuses_refused += twcc::read(packet.body, &mut room.statuses, on_event)?;
            }
            (PSFB, pli::FORMAT) => {
                counts.foreign += pli::read(&decode::<PictureLossIndication>(packet)?, is_ours, on_event);
            }
            (PSFB, fir::FORMAT) => {
                let tally = firs.read(&decode::<FullIntraRequest>(packet)?, is_ours, on_event);
                counts.foreign += tally.foreign;
                counts.fir_repeats += tally.repeats;
            }
            (PSFB, remb::FORMAT) if remb::is_remb(packet.body) => {
                let estimate = decode::<ReceiverEstimatedMaximumBitrate>(packet)?;
                counts.foreign += remb::read(&estimate, packet.body, is_ours, on_event);
            }
            // The receiver's name is of no use to a sender.
            (SDES, _) => {}
            _ => counts.unknown += 1,
        }
        Some(())
    }
}

/// One packet through the library, alone and without padding, so that one bad packet does not spoil the
/// others and no padding is read as feedback.
fn decode<T: 'static + Clone>(packet: Packet<'_>) -> Option<T> {
    let [high, low] = ((packet.body.len() / 4) as u16).to_be_bytes();
    let header: [u8; HEADER_LEN] = [VERSION << 6 | packet.count, packet.packet_type, high, low];
    let mut bytes = header.as_slice().chain(packet.body);
    let parsed: Vec<Box<dyn Parsed>> = webrtc_rtcp::packet::unmarshal(&mut bytes).ok()?;
    match &parsed[..] {
        [one] => one.as_any().downcast_ref::<T>().cloned(),
        _ => None,
    }
}
