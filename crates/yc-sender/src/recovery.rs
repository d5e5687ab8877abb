//! What is done about packets that did not arrive: they are sent again as long as that can help, and a key frame
//! is asked for when it cannot.

mod fates;
mod losses;

use std::collections::VecDeque;
use std::num::NonZeroU8;
use std::time::Duration;

use serde::Serialize;
use yc_media::{Bitrate, CaptureTime};
use yc_rtp::{
    HistoryLimits, NotSent, NtpTime, RtpHeader, RtpPacket, RtpStream, RtxStream, SentHistory, StreamParams,
};

use crate::bandwidth::PacketOutcome;
use crate::token_bucket::TokenBucket;
use fates::Fates;
use losses::LossWatch;

/// Keeps what left, and sends it again on request.
#[derive(Debug)]
pub(crate) struct Recovery {
    history: SentHistory,
    /// Where it was negotiated; else packets are sent again as they were.
    rtx: Option<RtxStream>,
    /// Whether what is sent again without RTX must be as it was.
    as_sent: bool,
    /// Asked for and not looked at yet, in the order of asking.
    asked: VecDeque<Request>,
    fates: Fates,
    /// The first packet of the last key frame: what was before it is of no use any more.
    key_frame: Option<u16>,
    /// Whether its last packet is still to leave.
    key_frame_leaves: bool,
    /// What was before this packet is not sent again.
    needed_from: Option<u16>,
    /// The newest packet that left.
    newest: Option<u16>,
    /// Its timestamp.
    timestamp: u32,
    /// How far back from the newest what is sent as a probe has come.
    probed: u16,
    rtt: Option<Duration>,
    /// What may be sent again: a receiver that asks for everything must not starve the picture.
    budget: TokenBucket,
    /// Whether there is room to send more than was asked for.
    has_room: bool,
    /// Goes so many times more, right behind what it is a copy of.
    copy: Option<(RtpPacket, u32)>,
    tail: Option<Tail>,
    losses: LossWatch,
    keyframe_needed: bool,
    counters: RecoveryCounters,
}

/// What was done about packets that did not arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecoveryCounters {
    /// Packets sent again because a receiver asked.
    pub resent: u64,
    /// Requests left out: the packet had been sent again less than a round trip before, or was about to be.
    pub too_soon: u64,
    /// Requests for what is not kept any more.
    pub too_late: u64,
    /// Requests left out because a key frame came after the packet, or is to come, and would be late for it.
    pub superseded: u64,
    /// Requests for what never left, or for more than can wait.
    pub refused: u64,
    /// Packets sent again without being asked for: the last one of a picture after which nothing came, whose loss
    /// nobody would notice, and copies of what was asked for.
    pub unasked: u64,
    /// Packets sent again because transport-wide feedback told that they had not arrived, before a receiver asked.
    pub told: u64,
    /// Packets sent again, or empty ones, to measure the network.
    pub probing: u64,
}

/// A packet to be sent again.
#[derive(Debug, Clone, Copy)]
struct Request {
    sequence: u16,
    /// Nobody asked: transport-wide feedback told that it did not arrive.
    told: bool,
}

/// The last packet of a picture. What is lost at the end is missed only when something comes after it, which on a
/// screen at rest may be a second later.
#[derive(Debug, Clone, Copy)]
struct Tail {
    sequence: u16,
    /// When it goes again, if nothing else has left by then.
    at: CaptureTime,
    times: u32,
}

/// Longer than from one picture to the next at 30 fps: where pictures follow each other, no tail goes again.
const TAIL_DELAY: Duration = Duration::from_millis(40);

/// A key frame that takes longer to leave is not held up by what was before it: sent again, that would be shown little
/// sooner than the key frame.
const LONG_KEYFRAME: Duration = Duration::from_millis(200);

/// What leaves once more.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one call, and a box would be an allocation a packet"
)]
pub(crate) enum Resend {
    /// This packet.
    Packet(RtpPacket),
    /// Nothing but padding.
    Padding,
}

/// The most requests that wait: mediasoup asks for 1,000 packets at most.
const MAX_ASKED: usize = 1_024;

/// Requests reach back no further: it is more than is kept.
const LOOK_BACK: u16 = 1 << 13;

/// How much of it may leave at once: a burst of losses is made up for before the picture freezes.
const BUDGET_BURST: Duration = Duration::from_millis(500);

/// So many of the newest packets are sent as a probe before the newest come again.
const PROBED_BACK: u16 = 64;

/// The longest padding that a packet can have.
const PADDING: NonZeroU8 = NonZeroU8::MAX;

impl Recovery {
    pub(crate) fn new(params: &StreamParams, first_rtx_sequence: u16) -> Self {
        Self {
            history: SentHistory::new(HistoryLimits::default()),
            rtx: RtxStream::new(params, first_rtx_sequence),
            as_sent: false,
            asked: VecDeque::with_capacity(MAX_ASKED),
            fates: Fates::new(),
            key_frame: None,
            key_frame_leaves: false,
            needed_from: None,
            newest: None,
            timestamp: 0,
            probed: 0,
            rtt: None,
            budget: TokenBucket::new(Bitrate::bps(1), BUDGET_BURST, CaptureTime::default()),
            has_room: true,
            copy: None,
            tail: None,
            losses: LossWatch::default(),
            keyframe_needed: false,
            counters: RecoveryCounters::default(),
        }
    }

    /// What is sent again without RTX is as it was from now on, its stamps included.
    pub(crate) fn keep_as_sent(&mut self) {
        self.as_sent = true;
    }

    /// The packet that `resend` is, if it must leave as it did before.
    pub(crate) fn as_sent<'a>(&self, resend: &'a Resend) -> Option<&'a RtpPacket> {
        match resend {
            Resend::Packet(packet) if self.as_sent && self.rtx.is_none() => Some(packet),
            Resend::Packet(_) | Resend::Padding => None,
        }
    }

    /// A packet left for the first time, under this transport-wide number.
    pub(crate) fn on_sent(&mut self, now: CaptureTime, transport_sequence: u16, packet: RtpPacket) {
        self.fates.on_sent(transport_sequence, Some(packet.header.sequence));
        let RtpHeader { sequence, timestamp, marker, .. } = packet.header;
        (self.newest, self.timestamp, self.probed) = (Some(sequence), timestamp, 0);
        // Numbers are told apart as long as they are not half a cycle from each other.
        for bound in [&mut self.key_frame, &mut self.needed_from] {
            *bound = bound.map(|bound| {
                let least = sequence.wrapping_sub(LOOK_BACK);
                if is_before(bound, least) { least } else { bound }
            });
        }
        self.losses.on_sent(now);
        self.tail = self.rtx.as_ref().filter(|_| marker).and_then(|_| {
            let times = self.losses.tail_copies().max(u32::from(self.key_frame_leaves));
            (times > 0).then_some(Tail { sequence, at: now + TAIL_DELAY, times })
        });
        self.key_frame_leaves &= !marker;
        self.history.insert(now, packet);
    }

    /// A key frame begins with the packet under `first`, and it takes `leaves_in` until all of it has left.
    pub(crate) fn on_keyframe(&mut self, first: u16, leaves_in: Duration) {
        self.key_frame = Some(first);
        self.key_frame_leaves = true;
        if leaves_in > LONG_KEYFRAME {
            self.give_up_before(first);
        }
    }

    /// Nothing that has left so far is sent again: a key frame is to come.
    pub(crate) fn give_up(&mut self) {
        if let Some(newest) = self.newest {
            self.give_up_before(newest.wrapping_add(1));
        }
    }

    fn give_up_before(&mut self, sequence: u16) {
        self.needed_from = Some(sequence);
        self.copy = None;
        self.fates.forget_all();
    }

    /// How many packets are known to be lost and have not been sent again.
    pub(crate) fn lost(&self) -> usize {
        self.fates.lost()
    }

    pub(crate) fn on_round_trip(&mut self, rtt: Duration) {
        self.rtt = Some(rtt);
    }

    /// A receiver asks for these.
    pub(crate) fn on_nack(&mut self, sequences: &[u16]) {
        for &sequence in sequences {
            if self.asked.len() == MAX_ASKED {
                self.counters.refused += 1;
            } else if self.fates.begin_waiting(sequence) {
                self.asked.push_back(Request { sequence, told: false });
            } else {
                self.counters.too_soon += 1;
            }
        }
    }

    /// Transport-wide feedback told this. What was lost goes again without being asked for: the request may be late
    /// or lost itself, and a receiver asks a second time only when a round trip and more has gone by.
    pub(crate) fn on_outcomes(&mut self, outcomes: &[PacketOutcome]) {
        // Without RTX what goes again may have to leave as it was, and feedback could not tell of it.
        if self.rtx.is_none() {
            return;
        }
        let Self { fates, asked, needed_from, .. } = self;
        fates.on_outcomes(outcomes, |sequence| {
            let is_taken =
                asked.len() < MAX_ASKED && needed_from.is_none_or(|from| !is_before(sequence, from));
            // One that was asked for as well may wait twice: only the first leaves.
            if is_taken {
                asked.push_back(Request { sequence, told: true });
            }
            is_taken
        });
    }

    /// What was asked for may leave at `rate` from now on, and twice only if there is room for more.
    pub(crate) fn set_budget(&mut self, now: CaptureTime, rate: Bitrate, has_room: bool) {
        self.budget.set_rate(now, rate);
        self.has_room = has_room;
    }

    /// When what was asked for may leave, if something was.
    pub(crate) fn next_at(&self, now: CaptureTime) -> Option<CaptureTime> {
        let asked = !self.asked.is_empty() || self.copy.is_some();
        asked.then(|| self.budget.next_ready(now))
    }

    /// When the last packet of the last picture goes again, if it does.
    pub(crate) fn tail_at(&self) -> Option<CaptureTime> {
        self.tail.map(|tail| tail.at)
    }

    /// The last packet of the last picture, if nothing has left after it for a while.
    pub(crate) fn next_tail(&mut self, now: CaptureTime) -> Option<Resend> {
        let tail = self.tail.filter(|tail| tail.at <= now)?;
        let times = tail.times - 1;
        self.tail = (times > 0).then_some(Tail { at: now + TAIL_DELAY, times, ..tail });
        let packet =
            self.history.retransmit(now, self.rtt.map(|rtt| rtt.min(TAIL_DELAY)), tail.sequence).ok()?;
        self.counters.unasked += 1;
        Some(Resend::Packet(packet.clone()))
    }

    /// The next packet that was asked for and can be sent again.
    pub(crate) fn next_asked(&mut self, now: CaptureTime) -> Option<Resend> {
        if !self.budget.ready(now) {
            return None;
        }
        if let Some((packet, times)) = self.copy.take() {
            if times > 1 {
                self.copy = Some((packet.clone(), times - 1));
            }
            self.counters.unasked += 1;
            self.budget.take(now, packet.wire_len());
            return Some(Resend::Packet(packet));
        }
        while let Some(Request { sequence, told }) = self.asked.pop_front() {
            self.fates.end_waiting(sequence);
            if told && !self.fates.is_lost(sequence) {
                continue;
            }
            if self.needed_from.is_some_and(|from| is_before(sequence, from)) {
                self.counters.superseded += 1;
                continue;
            }
            let is_first = self.history.times_sent(sequence) == Some(1);
            // What is known to be lost is not on its way.
            let rtt = self.rtt.filter(|_| !told);
            match self.history.retransmit(now, rtt, sequence) {
                Ok(packet) => {
                    let counter = if told { &mut self.counters.told } else { &mut self.counters.resent };
                    *counter += 1;
                    self.budget.take(now, packet.wire_len());
                    let packet = packet.clone();
                    if is_first {
                        self.losses.on_lost();
                    }
                    // Another try would take a round trip and the receiver's patience, too long for the picture.
                    if self.rtx.is_some() && self.has_room {
                        self.copy = Some((packet.clone(), self.losses.copies(is_first)));
                    }
                    return Some(Resend::Packet(packet));
                }
                // Whoever needs it asks.
                Err(_) if told => self.fates.forget(sequence),
                Err(NotSent::TooSoon) => self.counters.too_soon += 1,
                Err(NotSent::TooOld) => {
                    self.counters.too_late += 1;
                    self.keyframe_needed |= self.is_needed(sequence);
                }
                Err(_) => self.counters.refused += 1,
            }
        }
        None
    }

    /// Whether a picture that is still to come may refer to the packet under `sequence`: it belongs to the last key
    /// frame, or to what came after it.
    fn is_needed(&self, sequence: u16) -> bool {
        self.key_frame.is_some_and(|key_frame| !is_before(sequence, key_frame))
    }

    /// Whether something is gone for good that pictures still refer to. Said once.
    pub(crate) fn take_keyframe_needed(&mut self) -> bool {
        std::mem::take(&mut self.keyframe_needed)
    }

    /// Something to send for a probe when no media waits: what left last, once more, so that it makes up for a
    /// loss that nobody has told of yet; else padding. None where nothing can be sent that the receiver would
    /// not take for media.
    pub(crate) fn next_probing(&mut self, now: CaptureTime) -> Option<Resend> {
        self.rtx.as_ref()?;
        let newest = self.newest?;
        self.counters.probing += 1;
        while self.probed < PROBED_BACK {
            let sequence = newest.wrapping_sub(self.probed);
            self.probed += 1;
            if let Ok(packet) = self.history.retransmit(now, self.rtt, sequence) {
                return Some(Resend::Packet(packet.clone()));
            }
        }
        self.probed = 0;
        Some(Resend::Padding)
    }

    /// The bytes of `resend` on the wire.
    pub(crate) fn wire_len(&self, resend: &Resend) -> usize {
        match (resend, &self.rtx) {
            (Resend::Packet(packet), Some(_)) => packet.wire_len() + RtxStream::OVERHEAD,
            (Resend::Packet(packet), None) => packet.wire_len(),
            (Resend::Padding, Some(rtx)) => rtx.padding_overhead() + usize::from(PADDING.get()),
            (Resend::Padding, None) => 0,
        }
    }

    /// Appends the report of the stream of what was sent again, if there is one, to the report in `out`.
    pub(crate) fn append_report(&self, now: NtpTime, timestamp: u32, out: &mut Vec<u8>) {
        if let Some(rtx) = &self.rtx {
            rtx.append_report(now, timestamp, out);
        }
    }

    /// Appends the end of that stream to the goodbye in `out`.
    pub(crate) fn append_goodbye(&self, out: &mut Vec<u8>) {
        if let Some(rtx) = &self.rtx {
            rtx.append_goodbye(out);
        }
    }

    /// Replaces what is in `out` by `resend`, as what leaves `at` under the number `transport_sequence`.
    pub(crate) fn write(
        &mut self,
        resend: &Resend,
        stream: &mut RtpStream,
        at: NtpTime,
        transport_sequence: u16,
        out: &mut Vec<u8>,
    ) {
        let sequence = match resend {
            Resend::Packet(packet) => Some(packet.header.sequence),
            Resend::Padding => None,
        };
        self.fates.on_sent(transport_sequence, sequence);
        match (resend, &mut self.rtx) {
            (Resend::Packet(packet), Some(rtx)) => rtx.write_to(packet, at, transport_sequence, out),
            (Resend::Packet(packet), None) => {
                stream.write_again(packet, at, transport_sequence, out);
                stream.on_sent(packet);
            }
            (Resend::Padding, Some(rtx)) => {
                rtx.write_padding(PADDING, self.timestamp, at, transport_sequence, out);
            }
            // Padding is asked for only where there is a stream for it.
            (Resend::Padding, None) => out.clear(),
        }
    }

    pub(crate) fn counters(&self) -> RecoveryCounters {
        self.counters
    }
}

/// Whether the packet under `a` is before that under `b`, where less than half a cycle lies between them.
fn is_before(a: u16, b: u16) -> bool {
    a.wrapping_sub(b).cast_signed() < 0
}
