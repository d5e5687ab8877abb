//! The far end: an SFU that is to the sender what mediasoup is, and the viewer behind it.
//!
//! RTP comes in; RTCP goes out as bytes that the sender really reads: receiver reports with a reference time
//! each second, NACK, PLI, transport-wide feedback. Both ends of the way from the SFU to the viewer are one
//! here: a packet that arrives is at the decoder.

mod arrivals;
mod keyframes;
mod nack;
mod reception;
mod viewer;

use std::time::Duration;

use yc_rtp::{ExtensionKind, NtpTime, RtpHeader, RtxParams, StreamParams, rtcp};

pub(crate) use self::arrivals::Arrivals;
use self::keyframes::KeyframeRequests;
use self::nack::{Asked, Missing};
use self::reception::Reception;
pub use self::viewer::Shown;
use self::viewer::{Content, Piece, Viewer};
use crate::encoder::FrameMark;

/// What a receiver saw and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReceiverStats {
    /// RTP packets of the stream that came first, each counted once.
    pub packets: u64,
    /// Packets that were missed and came after all.
    pub recovered: u64,
    /// Packets that were asked for and came after all.
    pub recovered_by_nack: u64,
    /// Packets of the retransmission stream.
    pub rtx_packets: u64,
    /// Packets that had come before, and padding.
    pub redundant: u64,
    /// Packets passed over when a later one came, which may be overtaken only.
    pub missed: u64,
    /// Packets asked for, each time counted.
    pub nacked: u64,
    /// Packets that are no longer asked for.
    pub given_up: u64,
    /// PLIs sent.
    pub plis: u64,
    /// Key frames that began to arrive.
    pub keyframes: u64,
    /// Whole frames that refer to one that was not shown.
    pub undecodable: u64,
    /// Datagrams that are neither RTP of the stream nor RTCP.
    pub foreign: u64,
    /// Bytes of RTP received, headers included.
    pub bytes: u64,
}

/// The far end of one stream. Deterministic, without clock or socket.
///
/// Its own clock is a day and a second apart from the sender's, so that nobody who mixes the two up gets along.
#[derive(Debug)]
pub struct Receiver {
    media: u32,
    payload_type: u8,
    rtx: Option<RtxParams>,
    transport_cc: Option<u8>,
    unwrapper: Unwrapper,
    highest: Option<u64>,
    /// Which of the last packets have come.
    seen: Seen,
    missing: Missing,
    arrivals: Arrivals,
    reception: Reception,
    next_report: Option<Duration>,
    keyframes: KeyframeRequests,
    /// The last key frame that began to arrive.
    keyframe_timestamp: Option<u32>,
    viewer: Viewer,
    shown: Vec<Shown>,
    asked: Vec<u64>,
    stats: ReceiverStats,
}

impl Receiver {
    /// The SSRC that it reports by.
    pub const SSRC: u32 = 0x5f00_0001;

    /// A receiver of the stream that `params` describes.
    pub fn new(params: &StreamParams) -> Self {
        let id = |wanted| params.extensions.iter().find(|one| one.kind == wanted).map(|one| one.id);
        Self {
            media: params.ssrc,
            payload_type: params.payload_type,
            rtx: params.rtx,
            transport_cc: id(ExtensionKind::TransportWideCc),
            unwrapper: Unwrapper::default(),
            highest: None,
            seen: Seen::default(),
            missing: Missing::default(),
            arrivals: Arrivals::default(),
            reception: Reception::default(),
            next_report: None,
            keyframes: KeyframeRequests::default(),
            keyframe_timestamp: None,
            viewer: Viewer::default(),
            shown: Vec::new(),
            asked: Vec::new(),
            stats: ReceiverStats::default(),
        }
    }

    /// Another viewer comes: it needs a key frame.
    pub fn on_join(&mut self) {
        self.keyframes.want();
    }

    /// Takes in a datagram that arrived at `now`.
    pub fn handle_datagram(&mut self, now: Duration, datagram: &[u8]) {
        if rtcp::is_rtcp(datagram) {
            return self.reception.on_rtcp(now, ntp(now), Self::SSRC, datagram);
        }
        let Ok((header, payload)) = RtpHeader::parse(datagram) else {
            self.stats.foreign += 1;
            return;
        };
        let sequence = self.transport_cc.and_then(|id| header.extensions.value(id));
        if let Some(&[high, low]) = sequence {
            self.arrivals.on_packet(now, u16::from_be_bytes([high, low]));
        }
        self.next_report.get_or_insert(now + REPORT_INTERVAL);
        self.stats.bytes += datagram.len() as u64;
        let payload = &datagram[payload];
        if header.ssrc == self.media && header.payload_type == self.payload_type {
            return self.on_media(now, &header, payload, false);
        }
        let ours = |rtx: &RtxParams| (rtx.ssrc, rtx.payload_type) == (header.ssrc, header.payload_type);
        if self.rtx.is_none_or(|rtx| !ours(&rtx)) {
            self.stats.foreign += 1;
            return;
        }
        self.stats.rtx_packets += 1;
        // RFC 4588 §4: the original sequence number, then the original payload. Padding has neither.
        match payload.split_first_chunk() {
            Some((&original, payload)) => {
                let mut header = header;
                header.sequence = u16::from_be_bytes(original);
                self.on_media(now, &header, payload, true);
            }
            None => self.stats.redundant += 1,
        }
    }

    /// Writes the next datagram that is due by `now` into `out` (its old content is cleared). Answers whether
    /// there is one; call it until there is none.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> bool {
        out.clear();
        if self.next_report.is_some_and(|at| at <= now) {
            self.next_report = Some(now + REPORT_INTERVAL);
            self.reception.write(now, ntp(now), Self::SSRC, self.media, out);
            return true;
        }
        let asked = self.missing.on_timeout(now, self.reception.round_trip());
        self.ask(asked);
        if !self.asked.is_empty() {
            self.write_nack(out);
            return true;
        }
        if self.next_report.is_some() && self.keyframes.poll(now) {
            self.stats.plis += 1;
            // RFC 4585 §6.3.1.
            append_feedback(PSFB, 1, self.media, &[], out);
            return true;
        }
        self.arrivals.write(now, Self::SSRC, self.media, out)
    }

    /// When to call [`poll_transmit`](Self::poll_transmit) next, if nothing comes in before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        // Nobody is asked for anything before the first packet.
        let first = self.next_report?;
        let asked = (!self.asked.is_empty()).then_some(Duration::ZERO);
        let times =
            [Some(first), asked, self.missing.due_at(), self.keyframes.due_at(), self.arrivals.due_at()];
        times.into_iter().flatten().min()
    }

    /// Takes the frames that were shown since the last call.
    pub fn take_shown(&mut self, out: &mut Vec<Shown>) {
        out.append(&mut self.shown);
    }

    /// What it saw and did so far.
    pub fn stats(&self) -> ReceiverStats {
        self.stats
    }

    /// The round trip, once the sender answered a reference time.
    pub fn round_trip(&self) -> Option<Duration> {
        self.reception.round_trip()
    }

    /// A packet of the stream, or one that was retransmitted by another (`by_rtx`).
    fn on_media(&mut self, now: Duration, header: &RtpHeader, payload: &[u8], by_rtx: bool) {
        let sequence = self.unwrapper.unwrap(header.sequence);
        if !by_rtx {
            self.reception.on_packet(now, sequence, header.timestamp);
        }
        if !self.seen.insert(sequence) {
            self.stats.redundant += 1;
            return;
        }
        self.stats.packets += 1;
        if let Some(asked) = self.missing.on_found(sequence) {
            self.stats.recovered += 1;
            self.stats.recovered_by_nack += u64::from(asked);
        }
        let content = read_h264(payload);
        match self.highest {
            Some(highest) if sequence > highest && !by_rtx => {
                self.stats.missed += sequence - highest - 1;
                let gap = highest + 1..sequence;
                if self.missing.on_gap(now, gap.clone()) {
                    self.keyframes.want();
                } else {
                    // What a retransmission brought before its time is not missed.
                    for early in gap.filter(|early| self.seen.contains(*early)) {
                        self.missing.on_found(early);
                    }
                }
                self.highest = Some(sequence);
            }
            None => self.highest = Some(sequence),
            Some(_) => {}
        }
        if content.sps && self.keyframe_timestamp.replace(header.timestamp) != Some(header.timestamp) {
            self.stats.keyframes += 1;
            self.keyframes.on_keyframe();
        }
        let asked = self.missing.on_packet(now);
        self.ask(asked);
        let piece = Piece { timestamp: header.timestamp, marker: header.marker, content };
        let progress = self.viewer.on_packet(now, sequence, piece, &mut self.shown);
        self.stats.undecodable += progress.undecodable;
        if progress.undecodable > 0 {
            self.keyframes.want();
        }
    }

    fn ask(&mut self, asked: Asked) {
        self.stats.nacked += asked.sequences.len() as u64;
        self.stats.given_up += asked.given_up.len() as u64;
        // One that a key frame made superfluous is no loss.
        if asked.given_up.iter().any(|sequence| self.viewer.waits_for(*sequence)) {
            self.keyframes.want();
        }
        self.asked.extend(asked.sequences);
    }

    /// Generic NACK. [RFC 4585 §6.2.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.2.1).
    fn write_nack(&mut self, out: &mut Vec<u8>) {
        let mut items: Vec<(u64, u16)> = Vec::new();
        let mut told = 0;
        for &sequence in &self.asked {
            let full = items.len() == MAX_NACK_ITEMS;
            match items.last_mut() {
                Some((first, mask)) if (1..=16).contains(&sequence.wrapping_sub(*first)) => {
                    *mask |= 1 << (sequence - *first - 1);
                }
                _ if full => break,
                _ => items.push((sequence, 0)),
            }
            told += 1;
        }
        self.asked.drain(..told);
        let words =
            items.iter().map(|&(first, mask)| (first as u32) << 16 | u32::from(mask)).collect::<Vec<_>>();
        append_feedback(RTPFB, 1, self.media, &words, out);
    }
}

/// [RFC 4585 §6.1](https://www.rfc-editor.org/rfc/rfc4585#section-6.1).
fn append_feedback(packet_type: u8, format: u8, media: u32, words: &[u32], out: &mut Vec<u8>) {
    let [high, low] = (2 + words.len() as u16).to_be_bytes();
    out.extend([0x80 | format, packet_type, high, low]);
    for word in [Receiver::SSRC, media].iter().chain(words) {
        out.extend(word.to_be_bytes());
    }
}

/// What an H264 payload holds. [RFC 6184 §5.2](https://www.rfc-editor.org/rfc/rfc6184#section-5.2).
fn read_h264(payload: &[u8]) -> Content {
    let Some((&indicator, rest)) = payload.split_first() else {
        return Content { empty: true, ..Content::default() };
    };
    let mut content = Content::default();
    match indicator & 0x1f {
        // STAP-A: length and unit, again and again.
        24 => {
            let mut units = rest;
            while let Some((&len, after)) = units.split_first_chunk() {
                let Some((unit, next)) = after.split_at_checked(usize::from(u16::from_be_bytes(len))) else {
                    break;
                };
                if let Some((&head, body)) = unit.split_first() {
                    read_unit(head & 0x1f, body, &mut content);
                }
                units = next;
            }
        }
        // FU-A: the first fragment tells what it is of.
        28 => {
            if let Some((&head, body)) = rest.split_first()
                && head & 0x80 != 0
            {
                read_unit(head & 0x1f, body, &mut content);
            }
        }
        unit => read_unit(unit, rest, &mut content),
    }
    content
}

fn read_unit(unit: u8, body: &[u8], content: &mut Content) {
    match unit {
        7 => content.sps = true,
        1 | 5 => content.mark = content.mark.or(FrameMark::read(body)),
        _ => {}
    }
}

/// The receiver's wall clock.
fn ntp(now: Duration) -> NtpTime {
    NtpTime::from_unix(Duration::from_secs(1_700_086_401) + now)
}

/// Sequence numbers of 16 bits into ones that do not wrap.
#[derive(Debug, Default)]
struct Unwrapper {
    last: Option<u64>,
}

impl Unwrapper {
    /// The number next to the last one that ends in `sequence`. The first begins above 65,536, so that there
    /// is room for those before it.
    fn unwrap(&mut self, sequence: u16) -> u64 {
        let last = self.last.unwrap_or(0x1_0000 + u64::from(sequence));
        let ahead = sequence.wrapping_sub(last as u16).cast_signed();
        let unwrapped = last.saturating_add_signed(ahead.into());
        // A late one does not lead back.
        self.last = Some(last.max(unwrapped));
        unwrapped
    }
}

/// Which of the last 16,384 packets have come.
#[derive(Debug)]
struct Seen {
    /// By sequence number, modulo their count.
    sequences: Vec<u64>,
}

impl Seen {
    /// Answers whether it had not come before. One that is too old to tell counts as if it had.
    fn insert(&mut self, sequence: u64) -> bool {
        let at = self.at(sequence);
        let is_new = self.sequences[at] < sequence;
        if is_new {
            self.sequences[at] = sequence;
        }
        is_new
    }

    fn contains(&self, sequence: u64) -> bool {
        self.sequences[self.at(sequence)] == sequence
    }

    fn at(&self, sequence: u64) -> usize {
        sequence as usize % self.sequences.len()
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { sequences: vec![0; 16_384] }
    }
}

/// How often mediasoup sends reports about video.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// What fits into one packet of 1,200 bytes with room to spare.
const MAX_NACK_ITEMS: usize = 256;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;

#[cfg(test)]
mod tests;
