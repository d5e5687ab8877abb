//! Transport-wide congestion control feedback.
//! [draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1](https://datatracker.ietf.org/doc/html/draft-holmer-rmcat-transport-wide-cc-extensions-01#section-3.1).
//!
//! Read here and not by the library, which makes a list of a megabyte out of forty bytes.

use super::{HEADER_LEN, RTPFB, append_header};
use crate::FeedbackEvent;

/// What became of a run of packets, by their transport-wide sequence numbers.
///
/// It says nothing of streams: the media SSRC that it is sent with is that of any stream of the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportFeedback {
    /// Transport-wide sequence number of the first packet told of.
    pub base_sequence: u16,
    /// Counts feedback packets, wrapping.
    pub count: u8,
    /// What became of the packets from `base_sequence` on: none if it did not arrive, else when it did, on
    /// the receiver's clock. [`MAX_PACKETS`](Self::MAX_PACKETS) at most.
    pub arrivals: Vec<Option<ArrivalTime>>,
}

impl TransportFeedback {
    /// The most packets that the feedback of one datagram tells of: five seconds of 20 Mbit/s in packets of
    /// 1,500 bytes. Two bytes can announce 8,191 lost packets; the bound keeps a datagram of any length to
    /// a list of 64 KiB.
    pub const MAX_PACKETS: usize = 8_192;

    /// Feedback on the packets from `base_sequence` on.
    pub fn new(base_sequence: u16, count: u8, arrivals: Vec<Option<ArrivalTime>>) -> Self {
        Self { base_sequence, count, arrivals }
    }

    /// Each packet told of, by its transport-wide sequence number, and when it arrived.
    pub fn packets(&self) -> impl Iterator<Item = (u16, Option<ArrivalTime>)> {
        let sequences = (0..).map(|at| self.base_sequence.wrapping_add(at as u16));
        sequences.zip(self.arrivals.iter().copied())
    }

    /// Appends the feedback to `out` as a receiver does, in one RTCP packet of at most 1,200 bytes, and
    /// answers with how many of [`arrivals`](Self::arrivals) it tells of.
    ///
    /// The rest belongs into the next packet. There is a rest if the packet is full, if there are more than
    /// [`MAX_PACKETS`](Self::MAX_PACKETS), or if two packets one after the other arrived more than 8.19 s
    /// apart, which the format cannot say. Of no arrivals nothing is written.
    #[must_use = "what it does not tell of belongs into another packet"]
    pub fn append_to(&self, sender_ssrc: u32, media_ssrc: u32, out: &mut Vec<u8>) -> usize {
        let first = self.arrivals.iter().find_map(|&arrival| arrival).unwrap_or_default();
        let reference = first.0 / ArrivalTime::TICKS_PER_REFERENCE;
        let deltas = deltas(&self.arrivals, reference * ArrivalTime::TICKS_PER_REFERENCE);
        let mut chunks = Vec::new();
        let (mut told, mut left) = (0, MAX_WRITTEN - HEADER_LEN - FIXED_LEN);
        while let Some(room) = left.checked_sub(CHUNK_LEN) {
            let fits = fitting(&deltas[told..], room);
            if fits == 0 {
                break;
            }
            let (chunk, taken) = Chunk::for_start(&deltas[told..told + fits]);
            left = room - deltas[told..told + taken].iter().copied().map(delta_len).sum::<usize>();
            told += taken;
            chunks.push(chunk);
        }
        if told == 0 {
            return 0;
        }

        let len = MAX_WRITTEN - left;
        let padded = len.next_multiple_of(4);
        append_header(FORMAT, RTPFB, padded, out);
        out.extend_from_slice(&sender_ssrc.to_be_bytes());
        out.extend_from_slice(&media_ssrc.to_be_bytes());
        out.extend_from_slice(&self.base_sequence.to_be_bytes());
        out.extend_from_slice(&(told as u16).to_be_bytes());
        out.extend_from_slice(&reference.to_be_bytes()[1..]);
        out.push(self.count);
        for Chunk(bits) in chunks {
            out.extend_from_slice(&bits.to_be_bytes());
        }
        for delta in deltas[..told].iter().copied().flatten() {
            match u8::try_from(delta) {
                Ok(small) => out.push(small),
                Err(_) => out.extend_from_slice(&delta.to_be_bytes()),
            }
        }
        out.resize(out.len() + padded - len, 0);
        told
    }

    /// Reads what follows the common header and takes what it tells of from `room`. Answers with how many
    /// packets found no room, too. `None` if it is malformed.
    fn parse(body: &[u8], room: &mut usize) -> Option<(Self, usize)> {
        let (fixed, rest) = body.split_first_chunk::<FIXED_LEN>()?;
        let &[.., base_high, base_low, count_high, count_low, ref_high, ref_mid, ref_low, count] = fixed;
        let announced = usize::from(u16::from_be_bytes([count_high, count_low]));
        if announced == 0 {
            return None;
        }

        // Everything is there, or nothing is used.
        let (mut covered, mut chunks_len, mut deltas_len) = (0, 0, 0);
        while covered < announced {
            let chunk = Chunk(u16::from_be_bytes(*rest[chunks_len..].first_chunk()?));
            let taken = chunk.len().min(announced - covered);
            deltas_len += chunk.deltas_len(taken)?;
            covered += taken;
            chunks_len += CHUNK_LEN;
        }
        let (chunks, mut deltas) = rest.split_at(chunks_len);
        if deltas.len() < deltas_len {
            return None;
        }

        let told = announced.min(*room);
        *room -= told;
        let mut ticks =
            u32::from_be_bytes([0, ref_high, ref_mid, ref_low]) * ArrivalTime::TICKS_PER_REFERENCE;
        let mut arrivals = Vec::with_capacity(told);
        for chunk in chunks.as_chunks::<CHUNK_LEN>().0 {
            let chunk = Chunk(u16::from_be_bytes(*chunk));
            for at in 0..chunk.len().min(told - arrivals.len()) {
                let delta = match chunk.symbol(at) {
                    Symbol::NotReceived => None,
                    Symbol::Small => Some(i32::from(*deltas.split_off_first()?)),
                    Symbol::Large => {
                        let (delta, rest) = deltas.split_first_chunk()?;
                        deltas = rest;
                        Some(i32::from(i16::from_be_bytes(*delta)))
                    }
                    Symbol::Reserved => return None,
                };
                arrivals.push(delta.map(|delta| {
                    ticks = ticks.wrapping_add_signed(delta);
                    ArrivalTime(ticks)
                }));
            }
        }
        let base_sequence = u16::from_be_bytes([base_high, base_low]);
        Some((Self { base_sequence, count, arrivals }, announced - told))
    }
}

/// When a packet arrived, on the clock of the receiver: ticks of 250 µs, wrapping after 12 days.
///
/// The reference time of feedback counts 64 ms in 24 bits, and 64 ms are 256 ticks, so that 32 bits hold
/// every time that feedback can tell, and wrap where it wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ArrivalTime(u32);

impl ArrivalTime {
    /// Microseconds of a tick.
    pub const TICK_MICROS: i64 = 250;

    /// Ticks of one step of the reference time.
    const TICKS_PER_REFERENCE: u32 = 256;

    /// The time `ticks` after the receiver's epoch.
    pub const fn from_ticks(ticks: u32) -> Self {
        Self(ticks)
    }

    /// Ticks of 250 µs since the receiver's epoch, wrapping.
    pub const fn ticks(self) -> u32 {
        self.0
    }

    /// Microseconds from `earlier` to this, negative if this is the earlier one; right as long as they are
    /// less than six days apart.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed() as i64 * Self::TICK_MICROS
    }
}

/// Tells of a packet that is not malformed, as far as there is `room`; answers with how many packets it
/// announces beyond. `None` if it is malformed.
pub(super) fn read(body: &[u8], room: &mut usize, on_event: &mut dyn FnMut(FeedbackEvent)) -> Option<u64> {
    let (feedback, refused) = TransportFeedback::parse(body, room)?;
    if !feedback.arrivals.is_empty() {
        on_event(FeedbackEvent::TransportFeedback(feedback));
    }
    Some(refused as u64)
}

/// What a chunk says of one packet, in two bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    NotReceived,
    /// Received, with a delta of one byte: 0 to 63.75 ms.
    Small,
    /// Received, with a delta of two bytes: -8,192 to 8,191.75 ms.
    Large,
    Reserved,
}

impl Symbol {
    const fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::NotReceived,
            1 => Self::Small,
            2 => Self::Large,
            _ => Self::Reserved,
        }
    }

    fn of(delta: Option<i16>) -> Self {
        match delta {
            None => Self::NotReceived,
            Some(0..=255) => Self::Small,
            Some(_) => Self::Large,
        }
    }

    const fn delta_len(self) -> Option<usize> {
        match self {
            Self::NotReceived => Some(0),
            Self::Small => Some(1),
            Self::Large => Some(2),
            Self::Reserved => None,
        }
    }
}

/// A packet chunk: two bytes that say what became of some packets.
///
/// A run has the first bit 0, two bits of symbol and 13 bits of length; a vector has the first bit 1, then
/// a bit that says how long its symbols are: 14 of one bit or 7 of two bits.
#[derive(Debug, Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    /// The chunk that says most of the start of `deltas`, and of how many of them.
    fn for_start(deltas: &[Option<i16>]) -> (Self, usize) {
        let symbol = |at: usize| Symbol::of(deltas[at]);
        // A vector is always whole: what follows the last packet in it is not read.
        let bits = deltas.len().min(14);
        let (head, len, width) = if (0..bits).all(|at| symbol(at) != Symbol::Large) {
            (VECTOR, bits, 1)
        } else {
            (VECTOR | TWO_BITS, deltas.len().min(7), 2)
        };
        let same = (0..deltas.len().min(RUN_LEN.into())).take_while(|&at| symbol(at) == symbol(0)).count();
        if same >= len {
            return (Self((symbol(0) as u16) << 13 | same as u16), same);
        }
        // The first packet stands in the highest bits.
        let vector =
            (0..len).fold(head, |vector, at| vector | (symbol(at) as u16) << (14 - width * (at + 1)));
        (Self(vector), len)
    }

    /// How many packets it tells of, if so many were announced.
    const fn len(self) -> usize {
        match (self.0 & VECTOR != 0, self.0 & TWO_BITS != 0) {
            (false, _) => (self.0 & RUN_LEN) as usize,
            (true, false) => 14,
            (true, true) => 7,
        }
    }

    /// What became of its packet number `at`, which is below [`len`](Self::len).
    const fn symbol(self, at: usize) -> Symbol {
        match (self.0 & VECTOR != 0, self.0 & TWO_BITS != 0) {
            (false, _) => Symbol::from_bits(self.0 >> 13),
            (true, false) => Symbol::from_bits((self.0 >> (13 - at)) & 1),
            (true, true) => Symbol::from_bits(self.0 >> (12 - 2 * at)),
        }
    }

    /// Bytes of the deltas of its first `count` packets; `None` if one has the reserved symbol.
    fn deltas_len(self, count: usize) -> Option<usize> {
        if self.0 & VECTOR == 0 {
            return Some(self.symbol(0).delta_len()? * count);
        }
        (0..count).map(|at| self.symbol(at).delta_len()).sum()
    }
}

/// The delta of each packet from the one received before it, the first's from `reference`, as far as 16
/// bits hold them.
fn deltas(arrivals: &[Option<ArrivalTime>], reference: u32) -> Vec<Option<i16>> {
    let mut before = reference;
    let deltas = arrivals.iter().take(TransportFeedback::MAX_PACKETS).map_while(|&arrival| {
        let Some(ArrivalTime(ticks)) = arrival else { return Some(None) };
        let delta = i16::try_from(ticks.wrapping_sub(before).cast_signed()).ok()?;
        before = ticks;
        Some(Some(delta))
    });
    deltas.collect()
}

/// How many packets from the start have their deltas in `room` bytes.
fn fitting(deltas: &[Option<i16>], room: usize) -> usize {
    let mut used = 0;
    let fits = deltas.iter().take_while(|&&delta| {
        used += delta_len(delta);
        used <= room
    });
    fits.count()
}

fn delta_len(delta: Option<i16>) -> usize {
    Symbol::of(delta).delta_len().unwrap_or_default()
}

/// FMT of transport-wide congestion control.
pub(super) const FORMAT: u8 = 15;

/// Both SSRCs, base sequence number, status count, reference time and feedback count.
const FIXED_LEN: usize = 16;
const CHUNK_LEN: usize = 2;
/// What a receiver keeps a packet to, so that it passes wherever media does.
const MAX_WRITTEN: usize = 1_200;

const VECTOR: u16 = 1 << 15;
const TWO_BITS: u16 = 1 << 14;
/// The length of a run.
const RUN_LEN: u16 = 0x1fff;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 8] = [0, 0, 0, 9, 0, 0, 0, 1];

    fn at(ticks: u32) -> Option<ArrivalTime> {
        Some(ArrivalTime(ticks))
    }

    #[track_caller]
    fn check_read(behind_ssrcs: &[u8], expected: Option<TransportFeedback>) {
        let mut room = TransportFeedback::MAX_PACKETS;
        let found = TransportFeedback::parse(&[&HEAD, behind_ssrcs].concat(), &mut room);
        assert_eq!(found, expected.map(|feedback| (feedback, 0)));
    }

    /// Written exactly so, and read back from it.
    #[track_caller]
    fn check_both(feedback: &TransportFeedback, behind_ssrcs: &[u8]) {
        check_read(behind_ssrcs, Some(feedback.clone()));
        let mut out = Vec::new();
        assert_eq!(feedback.append_to(9, 1, &mut out), feedback.arrivals.len());
        let words = (HEAD.len() + behind_ssrcs.len()) / 4;
        assert_eq!(out, [&[0x8f, 205, 0, words as u8], &HEAD[..], behind_ssrcs].concat());
    }

    #[test]
    fn runs_of_received_packets_have_a_delta_each() {
        let feedback =
            TransportFeedback::new(0xfffe, 7, vec![at(0x0102_0304), at(0x0102_0304), at(0x0102_0403)]);
        let bytes = [0xff, 0xfe, 0, 3, 1, 2, 3, 7, 0x20, 3, 4, 0, 255, 0, 0, 0];
        check_both(&feedback, &bytes);
        assert_eq!(feedback.packets().map(|(sequence, _)| sequence).collect::<Vec<_>>(), [0xfffe, 0xffff, 0]);
    }

    /// The draft's own picture (§3.1.3): 221 packets not received.
    #[test]
    fn a_run_of_lost_packets_has_no_deltas() {
        let mut arrivals = vec![None; 221];
        check_both(
            &TransportFeedback::new(1, 0, arrivals.clone()),
            &[0, 1, 0, 221, 0, 0, 0, 0, 0, 0xdd, 0, 0],
        );
        arrivals.push(at(256));
        check_both(
            &TransportFeedback::new(1, 0, arrivals),
            &[0, 1, 0, 222, 0, 0, 1, 0, 0, 0xdd, 0x20, 1, 0, 0, 0, 0],
        );
    }

    /// The draft's own picture (§3.1.4): one lost, five received, three lost, three received, two lost.
    #[test]
    fn a_vector_of_one_bit_symbols_tells_of_fourteen_packets() {
        let mut arrivals = vec![None, at(1), at(3), at(6), at(10), at(15), None, None, None];
        arrivals.extend([at(21), at(28), at(36), None, None]);
        let bytes = [0, 5, 0, 14, 0, 0, 0, 1, 0b1001_1111, 0b0001_1100, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0];
        check_both(&TransportFeedback::new(5, 1, arrivals), &bytes);
    }

    #[test]
    fn a_vector_of_two_bit_symbols_tells_of_seven_packets() {
        // Lost, small, large, large and negative, lost, small, small; the eighth in a chunk of its own.
        let arrivals = vec![None, at(512), at(768), at(767), None, at(1_022), at(1_022), at(1_023)];
        let bytes = [
            0,
            5,
            0,
            8,
            0,
            0,
            2,
            1,
            0b1100_0110,
            0b1000_0101,
            0x20,
            1, // chunks
            0,
            1,
            0,
            0xff,
            0xff,
            255,
            0,
            1, // deltas
        ];
        check_both(&TransportFeedback::new(5, 1, arrivals), &bytes);
    }

    #[test]
    fn deltas_reach_from_one_end_of_sixteen_bits_to_the_other() {
        let arrivals = vec![at(0), at(0x7fff), at(u32::MAX), at(0)];
        let bytes = [0, 0, 0, 4, 0, 0, 0, 0, 0b1101_1010, 0b0100_0000, 0, 0x7f, 0xff, 0x80, 0, 1];
        check_read(&bytes, Some(TransportFeedback::new(0, 0, arrivals)));
    }

    #[test]
    fn the_reference_time_wraps_with_the_ticks() {
        let arrivals = vec![at(u32::MAX), at(0), at(u32::MAX)];
        let bytes = [0, 0, 0, 3, 0xff, 0xff, 0xff, 0, 0b1101_0110, 0, 255, 1, 0xff, 0xff, 0, 0];
        check_both(&TransportFeedback::new(0, 0, arrivals), &bytes);
        let (late, early) = (ArrivalTime::from_ticks(3), ArrivalTime::from_ticks(u32::MAX));
        assert_eq!((late.since(early), early.since(late), late.since(late)), (1_000, -1_000, 0));
        assert_eq!((late.ticks(), ArrivalTime(1 << 30).since(ArrivalTime(0))), (3, 250 << 30));
    }

    #[test]
    fn symbols_beyond_the_announced_packets_mean_nothing() {
        // A run of 8,191 and a vector with the reserved symbol behind its first two.
        check_read(
            &[0, 0, 0, 1, 0, 0, 0, 0, 0x3f, 0xff, 9, 0],
            Some(TransportFeedback::new(0, 0, vec![at(9)])),
        );
        check_read(
            &[0, 0, 0, 2, 0, 0, 0, 0, 0b1101_0011, 0xff, 9, 0],
            Some(TransportFeedback::new(0, 0, vec![at(9), None])),
        );
        // A run of none adds nothing.
        check_read(
            &[0, 0, 0, 1, 0, 0, 0, 0, 0x20, 0, 0x20, 1, 9, 0, 0, 0],
            Some(TransportFeedback::new(0, 0, vec![at(9)])),
        );
    }

    #[test]
    fn what_is_not_whole_is_malformed() {
        check_read(&[], None);
        check_read(&[0, 0, 0, 1, 0, 0, 0], None);
        check_read(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None); // of no packets
        check_read(&[0, 0, 0, 1, 0, 0, 0, 0], None); // no chunk
        check_read(&[0, 0, 0, 3, 0, 0, 0, 0, 0, 2], None); // a chunk too few
        check_read(&[0, 0, 0, 3, 0, 0, 0, 0, 0x20, 3, 1, 2], None); // a delta too few
        check_read(&[0, 0, 0, 1, 0, 0, 0, 0, 0x40, 1, 1], None); // half a delta
        check_read(&[0, 0, 0, 1, 0, 0, 0, 0, 0x60, 1, 1, 1], None); // the reserved symbol
        // The draft's picture of a two-bit vector (§3.1.4) is older than the reservation.
        check_read(&[0, 0, 0, 7, 0, 0, 0, 0, 0b1100_1101, 0b0101_0000, 1, 2, 3, 0, 0, 0], None);
    }

    #[test]
    fn a_datagram_tells_of_so_many_packets_and_no_more() {
        // 65,535 lost packets announced by 18 bytes.
        let mut body = [&HEAD[..], &[0, 0, 0xff, 0xff, 0, 0, 0, 0]].concat();
        body.extend([0x1f, 0xff].repeat(9));
        let mut room = 10_000;
        let (feedback, refused) = TransportFeedback::parse(&body, &mut room).unwrap();
        assert_eq!((feedback.arrivals.len(), refused, room), (10_000, 55_535, 0));
        assert_eq!(feedback.arrivals.capacity(), 10_000);
        let (feedback, refused) = TransportFeedback::parse(&body, &mut room).unwrap();
        assert_eq!((feedback.arrivals.capacity(), refused), (0, 65_535));
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_next_packet() {
        let mut out = vec![1, 2, 3];
        let none = TransportFeedback::new(0, 0, Vec::new());
        assert_eq!((none.append_to(9, 1, &mut out), out.len()), (0, 3));

        // 8.19 s apart is too long for a delta.
        let apart = TransportFeedback::new(0, 0, vec![at(100), None, at(100 + 0x8000), at(0)]);
        assert_eq!(apart.append_to(9, 1, &mut Vec::new()), 2);
        let lost = TransportFeedback::new(0, 0, vec![None; 10_000]);
        assert_eq!(lost.append_to(9, 1, &mut Vec::new()), TransportFeedback::MAX_PACKETS);

        let full = TransportFeedback::new(0, 0, (0..2_000).map(|ticks| at(ticks * 256)).collect());
        out.clear();
        let told = full.append_to(9, 1, &mut out);
        assert!(out.len() <= 1_200 && (500..600).contains(&told), "{told} packets in {} bytes", out.len());
        let (read, refused) = TransportFeedback::parse(&out[4..], &mut { 8_192 }).unwrap();
        assert_eq!((&read.arrivals[..], refused), (&full.arrivals[..told], 0));
    }
}
