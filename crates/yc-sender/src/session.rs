//! One stream's protocol: what goes in by `handle_*`, what comes out by `poll_*`. No threads, no sockets, no
//! clock: the time is an argument, so tests move it by hand.

mod seeds;

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::{Bitrate, CaptureTime, EncodedFrame, RateTarget};
use yc_rtp::extension::PlayoutDelay;
use yc_rtp::rtcp::{self, DelaySinceLastRr, FeedbackParser};
use yc_rtp::{ExtensionKind, FeedbackEvent, ParamsError, RtpStream, StreamParams};

use crate::bandwidth::BandwidthEstimator;
use crate::circuit_breaker::{CircuitBreaker, Path};
use crate::degradation::{Ladder, LevelChange, PressureSample};
use crate::keyframe::KeyframePolicy;
use crate::metrics::{SendStats, SentTimes};
use crate::outbox::{Dropped, FrameTimes, Outbox};
use crate::pacer::Pacer;
use crate::rate_control::RateControl;
use crate::recovery::{Recovery, Resend};
use crate::{DegradationStatus, FeedbackCounters, KeyframeCause, NetworkStatus, PressureCause, SenderConfig};

pub use seeds::SessionSeeds;

/// What the session wants of the encoding side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionAction {
    /// Make the next picture a key frame; if the screen is still, encode the last picture again.
    MakeKeyframe(KeyframeCause),
    /// Aim at another rate.
    Aim(Goal),
    /// The degradation ladder went to another level. What to aim at now is said by `Aim`.
    Degrade(LevelChange),
    /// The receiver has been silent for this long: stop, for nobody is there
    /// ([RFC 8083 §4.1](https://www.rfc-editor.org/rfc/rfc8083#section-4.1)).
    ReceiverSilent(Duration),
}

/// What the encoding side aims at, and a bound that holds however well the encoder aims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Goal {
    /// Bitrate, frame rate and largest picture.
    pub target: RateTarget,
    /// What leaves the encoder is held to this by a token bucket; none: by the encoder's own aim alone.
    pub cap: Option<Bitrate>,
}

impl Goal {
    pub(crate) const fn new(target: RateTarget, cap: Option<Bitrate>) -> Self {
        Self { target, cap }
    }
}

/// What a datagram from [`SenderSession::poll_transmit`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transmit {
    /// An RTP packet.
    Packet,
    /// The last RTP packet of a frame.
    FrameEnd,
    /// RTCP.
    Control,
}

/// Sender reports leave this often. [RFC 3550 §6.2](https://www.rfc-editor.org/rfc/rfc3550#section-6.2) allows
/// 360 divided by the session's kilobits per second, in seconds: less than this from 360 kbit/s on.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// When what waits is worth more than this many times the configured backlog, it is too late: it is dropped.
const BACKLOG_LIMIT: u32 = 4;

/// When what is known to be lost, with what waits behind it, takes longer than so many times that, it is given up for a
/// key frame, which is there sooner.
const LOST_LIMIT: u32 = 4;

/// The part of what may leave that is for what was asked for again while media waits: nearly all of it, because
/// nothing that comes later can be shown without it…
const RESENDS: f64 = 0.9;
/// …but before the first word of the network: most of a key frame may be lost because it leaves too fast, and what
/// follows at once would be lost as well.
const UNHEARD_RESENDS: f64 = 0.04;

/// How long nothing more is encoded after the first frame, until there is word of the network. mediasoup tells of it
/// each 100 ms.
const WAIT_FOR_WORD: Duration = Duration::from_millis(400);

/// A change of the bitrate by less than this part is not worth telling the encoder.
const RATE_STEP: u32 = 32;

/// One RTP stream to one receiver: packetizes, paces, reports, listens.
#[derive(Debug)]
pub struct SenderSession {
    stream: RtpStream,
    seeds: SessionSeeds,
    feedback: FeedbackParser,
    pacer: Pacer,
    keyframes: KeyframePolicy,
    rate: RateControl,
    ladder: Ladder,
    /// What the encoding side was told last.
    goal: Goal,
    breaker: CircuitBreaker,
    outbox: Outbox,
    recovery: Recovery,
    /// Frames that left since the status was told.
    sent: Vec<SentTimes>,
    max_packet_len: usize,
    max_backlog: Duration,
    /// Answers to receivers' reference times, reused from report to report.
    delays: Vec<DelaySinceLastRr>,
    actions: VecDeque<SessionAction>,
    next_report: Option<CaptureTime>,
    /// Until when nothing more is to be encoded for want of word of the network.
    word_by: Option<CaptureTime>,
    /// A frame was dropped: what depends on it is dropped too, until a key frame comes.
    broken: bool,
    /// The OS refused packets, and none has left since.
    lost: bool,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    dropped_frames: u64,
    refused: u64,
    packets: u64,
    bytes: u64,
    frames_ended: u64,
    /// Received datagrams that are no RTCP.
    not_rtcp: u64,
    feedback: FeedbackCounters,
}

impl SenderSession {
    /// A session that will send the stream `params` describes.
    ///
    /// # Errors
    ///
    /// If `params` cannot be sent with, or there is no packetizer for its codec.
    pub fn new(
        config: &SenderConfig,
        params: StreamParams,
        seeds: SessionSeeds,
    ) -> Result<Self, ParamsError> {
        let feedback = FeedbackParser::new([&params]);
        let recovery = Recovery::new(&params, seeds.first_rtx_sequence);
        let mut stream = RtpStream::new(params, seeds.first_sequence, seeds.timestamp_offset)?;
        stream.set_capture_epoch(Some(seeds.ntp(CaptureTime::default())));
        // A shared screen is worked with: show each picture at once.
        stream.set_playout_delay(Some(PlayoutDelay::NONE));
        let rate = RateControl::new(config, stream.extension_id(ExtensionKind::TransportWideCc).is_some());
        let target = rate.target();
        let pacer = Pacer::new(config.pacing, target.bitrate);
        let mut session = Self {
            stream,
            seeds,
            feedback,
            pacer,
            keyframes: KeyframePolicy::new(config.keyframes),
            rate,
            ladder: Ladder::new(&config.degradation, target),
            goal: Goal::new(target, None),
            breaker: CircuitBreaker::new(config.failures.rtcp_timeout),
            outbox: Outbox::new(),
            recovery,
            sent: Vec::with_capacity(64),
            max_packet_len: config.max_packet_len,
            max_backlog: config.pacing.max_backlog,
            delays: Vec::new(),
            actions: VecDeque::with_capacity(4),
            next_report: None,
            word_by: None,
            broken: false,
            lost: false,
            counters: Counters::default(),
        };
        session.budget_resends(seeds.anchor);
        Ok(session)
    }

    /// Estimates what the network takes by `estimator` instead of by [`GccEstimator`](crate::bandwidth::GccEstimator). Of use
    /// before the first packet, and only where transport-wide feedback was agreed on.
    #[must_use]
    pub fn with_estimator(mut self, estimator: Box<dyn BandwidthEstimator>) -> Self {
        self.rate.set_estimator(estimator);
        self
    }

    /// Sends packets again byte by byte as they were, where they are no stream of their own (RTX): under SRTP
    /// nothing else may have their indices.
    pub(crate) fn keep_as_sent(&mut self) {
        self.recovery.keep_as_sent();
    }

    /// What the encoder should aim at now.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Takes in an encoded frame: packetizes it and queues the packets.
    pub fn handle_frame(&mut self, now: CaptureTime, frame: &EncodedFrame) {
        self.handle_encoded(now, frame, now);
    }

    /// As [`handle_frame`](Self::handle_frame), of a frame that left the encoder at `encoded_at`.
    pub(crate) fn handle_encoded(&mut self, now: CaptureTime, frame: &EncodedFrame, encoded_at: CaptureTime) {
        if frame.is_key() {
            self.keyframes.on_keyframe(now, frame.data.len());
            // It stands for itself: what waits before it would only make it late.
            let dropped = self.outbox.drop_superseded();
            self.on_dropped(&dropped);
        } else if self.broken || self.is_late() {
            return self.drop_frame();
        }
        let times = FrameTimes { captured_at: frame.captured_at, encoded_at, queued_at: now };
        let first = self.stream.next_sequence();
        let Self { outbox, stream, max_packet_len, .. } = self;
        match outbox.queue(times, frame.is_key(), |packets| stream.packetize(frame, *max_packet_len, packets))
        {
            Ok(bytes) => self.pacer.on_queued(bytes),
            Err(error) => {
                tracing::warn!(%error, "a frame could not be packetized");
                return self.drop_frame();
            }
        }
        self.broken = false;
        if frame.is_key() {
            self.recovery.on_keyframe(first, self.pacer.backlog());
        }
    }

    /// Whether what waits is worth nothing any more by the time that it would leave.
    fn is_late(&self) -> bool {
        self.pacer.backlog() > self.max_backlog * BACKLOG_LIMIT
    }

    /// Whether too much was lost for sending it again, as when the network takes less all of a sudden.
    fn is_lost(&self) -> bool {
        let bytes = self.recovery.lost() * self.max_packet_len;
        let lost = self.pacer.rate().time_for(bytes);
        // What little was lost does not keep what waits from being shown.
        lost > self.max_backlog && lost + self.pacer.backlog() > self.max_backlog * LOST_LIMIT
    }

    fn drop_frame(&mut self) {
        self.counters.dropped_frames += 1;
        self.on_broken();
    }

    /// What comes next refers to what was dropped.
    fn on_broken(&mut self) {
        if !self.broken {
            self.broken = true;
            self.keyframes.on_request(KeyframeCause::Lost);
        }
    }

    /// Drops the frames that wait and would be too late. Answers whether there were any.
    fn drop_late(&mut self) -> bool {
        let dropped = self.outbox.drop_late();
        self.on_dropped(&dropped);
        dropped.frames > 0
    }

    /// Frames were dropped of which nothing had left.
    fn on_dropped(&mut self, dropped: &Dropped) {
        self.pacer.on_dropped(dropped.bytes);
        self.counters.dropped_frames += dropped.frames;
        // Their numbers go to what comes next: a gap would be taken for a loss.
        if let Some(sequence) = dropped.first_sequence {
            self.stream.rewind(sequence);
        }
    }

    /// Takes in a received datagram. Nothing in it is trusted; what is malformed is counted.
    pub fn handle_datagram(&mut self, now: CaptureTime, datagram: &[u8]) {
        if !rtcp::is_rtcp(datagram) {
            self.counters.not_rtcp += 1;
            return;
        }
        self.counters.feedback.rtcp_received += 1;
        let ntp = self.seeds.ntp(now);
        let Self { stream, feedback, counters, keyframes, rate, recovery, breaker, .. } = self;
        let ours = stream.params().ssrc;
        let counters = &mut counters.feedback;
        // A datagram that is refused is counted by the parser.
        let _ = feedback.parse(ntp, datagram, &mut |event| {
            breaker.on_report();
            rate.on_feedback(now, &event);
            match event {
                FeedbackEvent::KeyframeWanted { fir: false, .. } => {
                    counters.plis += 1;
                    keyframes.on_request(KeyframeCause::Pli);
                }
                FeedbackEvent::KeyframeWanted { fir: true, .. } => {
                    counters.firs += 1;
                    keyframes.on_request(KeyframeCause::Fir);
                }
                FeedbackEvent::Nack { ssrc, sequences } if ssrc == ours => {
                    counters.nacked_packets += sequences.len() as u64;
                    recovery.on_nack(&sequences);
                }
                FeedbackEvent::TransportFeedback(_) => recovery.on_outcomes(rate.outcomes()),
                FeedbackEvent::ReceiverReport { ssrc, fraction_lost, rtt, .. } if ssrc == ours => {
                    counters.receiver_reports += 1;
                    counters.fraction_lost = fraction_lost;
                    if let Some(rtt) = rtt {
                        counters.rtt_ms = Some(rtt.as_secs_f32() * 1_000.0);
                        rate.on_round_trip(now, rtt);
                        recovery.on_round_trip(rtt);
                    }
                }
                FeedbackEvent::MaxBitrate { bitrate, .. } => {
                    counters.max_bitrate_kbps = Some(bitrate.as_kbps());
                }
                _ => {}
            }
        });
        self.word_by = self.word_by.filter(|_| self.rate.is_unheard());
        self.aim(now);
    }

    /// Takes in how the stages keep up.
    pub(crate) fn handle_pressure(&mut self, now: CaptureTime, sample: &PressureSample) {
        if let Some(change) = self.ladder.on_sample(now, sample) {
            self.actions.push_back(SessionAction::Degrade(change));
        }
        self.aim(now);
    }

    /// Goes one step down the degradation ladder at once. Answers whether there was one.
    pub(crate) fn force_down(&mut self, now: CaptureTime) -> bool {
        let Some(change) = self.ladder.force_down(now, PressureCause::Overload) else { return false };
        self.actions.push_back(SessionAction::Degrade(change));
        self.aim(now);
        true
    }

    /// How far the degradation ladder went, and why.
    pub(crate) fn degradation(&self, now: CaptureTime) -> DegradationStatus {
        self.ladder.status(now)
    }

    /// The bitrate that the network takes, where anybody says so.
    pub(crate) fn available(&self) -> Option<Bitrate> {
        self.rate.available()
    }

    /// What is known of the network.
    pub(crate) fn network(&self) -> NetworkStatus {
        let estimate = self.rate.estimate();
        let unbelieved = self.rate.unbelieved();
        NetworkStatus {
            available_kbps: self.available().map(Bitrate::as_kbps),
            pacing_kbps: self.pacer.rate().as_kbps(),
            loss: estimate.map_or(0.0, |estimate| estimate.loss),
            usage: estimate.map(|estimate| estimate.usage),
            application_limited: estimate.is_some_and(|estimate| estimate.application_limited),
            feedback_refused: unbelieved.unknown + unbelieved.late + unbelieved.implausible,
        }
    }

    /// What is known of the way to the receiver.
    pub(crate) fn path(&self) -> Path {
        self.breaker.path()
    }

    /// Tells the encoding side, if what it shall aim at changed, and the pacer how fast it may be.
    fn aim(&mut self, now: CaptureTime) {
        let network = self.rate.target();
        let shaped = self.ladder.shape(network);
        let goal = Goal::new(shaped.target, shaped.cap);
        match self.rate.estimate() {
            Some(estimate) => self.pacer.set_measured(estimate.bitrate),
            None => self.pacer.set_unmeasured(goal.target.bitrate),
        }
        self.budget_resends(now);
        if self.is_worth_telling(&goal) {
            self.goal = goal;
            self.actions.push_back(SessionAction::Aim(goal));
        }
    }

    /// Says how much of what leaves may be what was asked for again.
    fn budget_resends(&mut self, now: CaptureTime) {
        let share = if self.rate.is_unheard() { UNHEARD_RESENDS } else { RESENDS };
        let bps = f64::from(self.pacer.rate().as_bps()) * share;
        self.recovery.set_budget(now, Bitrate::bps(bps as u32), !self.rate.is_limited());
    }

    fn is_worth_telling(&self, goal: &Goal) -> bool {
        let (new, old) = (goal.target.bitrate.as_bps(), self.goal.target.bitrate.as_bps());
        let as_before =
            Goal { target: RateTarget { bitrate: self.goal.target.bitrate, ..goal.target }, ..*goal };
        // The estimate moves with each feedback, ten times a second and more.
        new.abs_diff(old) >= old / RATE_STEP || as_before != self.goal
    }

    /// Asks for a key frame, under the same bounds as a receiver's request.
    pub fn request_keyframe(&mut self, cause: KeyframeCause) {
        self.keyframes.on_request(cause);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: CaptureTime) {
        if self.rate.handle_timeout(now) {
            self.aim(now);
        }
        self.pacer.handle_timeout(now);
        self.word_by = self.word_by.filter(|at| *at > now);
        // Nothing is learnt from a probe that leaves before it is known how the first packets fared.
        if self.rate.estimate().is_some()
            && self.pacer.probing().is_none()
            && let Some(cluster) = self.rate.poll_probe()
        {
            self.pacer.begin_probe(now, cluster);
        }
        // The network may take less all of a sudden: what waits then takes longer than it is worth.
        if self.is_late() && self.drop_late() {
            self.on_broken();
        }
        if self.is_lost() {
            self.recovery.give_up();
            self.drop_late();
            self.on_broken();
        }
        if self.recovery.take_keyframe_needed() {
            self.keyframes.on_request(KeyframeCause::Lost);
        }
        if let Some(cause) = self.keyframes.poll(now, self.goal.target.bitrate) {
            self.actions.push_back(SessionAction::MakeKeyframe(cause));
        }
        // Nobody reports about a stream that has not begun.
        if self.next_report.is_some()
            && let Some(silence) = self.breaker.look(now)
        {
            self.actions.push_back(SessionAction::ReceiverSilent(silence));
        }
    }

    /// Writes the next datagram that may leave now into `datagram` (its old content is cleared), and says
    /// what it is. Tell its fate by [`on_sent`](Self::on_sent) or [`on_refused`](Self::on_refused): of several in
    /// the order in which they were written.
    pub fn poll_transmit(&mut self, now: CaptureTime, datagram: &mut Vec<u8>) -> Option<Transmit> {
        datagram.clear();
        if self.next_report.is_some_and(|at| at <= now) {
            self.next_report = Some(now + REPORT_INTERVAL);
            let ntp = self.seeds.ntp(now);
            self.feedback.take_delays(ntp, &mut self.delays);
            self.stream.write_report(ntp, now, &self.delays, datagram);
            self.recovery.append_report(ntp, self.stream.timestamp(now), datagram);
            return Some(Transmit::Control);
        }
        if self.pacer.next_at() > now {
            return None;
        }
        // What a receiver waits for goes before what it does not know of yet.
        if let Some(resend) = self.recovery.next_asked(now) {
            self.write_resend(now, &resend, datagram);
            return Some(Transmit::Packet);
        }
        let Some((mut packet, ended)) = self.outbox.next() else {
            if let Some(resend) = self.recovery.next_tail(now) {
                self.write_resend(now, &resend, datagram);
                return Some(Transmit::Packet);
            }
            self.pacer.probing()?;
            let Some(resend) = self.recovery.next_probing(now) else {
                self.pacer.end_probe();
                return None;
            };
            self.write_resend(now, &resend, datagram);
            return Some(Transmit::Packet);
        };
        let sequence = self.rate.on_sent(now, packet.wire_len(), self.pacer.probing());
        self.stream.stamp(&mut packet, self.seeds.ntp(now), sequence);
        packet.write_to(datagram);
        self.pacer.on_sent(now, datagram.len(), true);
        self.stream.on_sent(&packet);
        // The first packet brings the first report, so that a receiver knows the clock from the start.
        if self.next_report.is_none() {
            self.next_report = Some(now);
            self.word_by = self.rate.is_unheard().then(|| now + WAIT_FOR_WORD);
        }
        let marker = packet.header.marker;
        self.recovery.on_sent(now, sequence, packet);
        if let Some(times) = ended {
            // One that the OS then refuses was sent too late to matter for the times of the others.
            self.sent.push(SentTimes {
                packetize: times.queued_at.saturating_since(times.encoded_at),
                send: now.saturating_since(times.queued_at),
                total: now.saturating_since(times.captured_at),
            });
        }
        Some(if marker { Transmit::FrameEnd } else { Transmit::Packet })
    }

    /// Writes what was kept once more, stamped anew unless it must be as it was. Of the latter feedback cannot
    /// tell: it has the number that it was lost under.
    fn write_resend(&mut self, now: CaptureTime, resend: &Resend, datagram: &mut Vec<u8>) {
        if let Some(packet) = self.recovery.as_sent(resend) {
            packet.write_to(datagram);
            self.stream.on_sent(packet);
            return self.pacer.on_sent(now, datagram.len(), false);
        }
        let bytes = self.recovery.wire_len(resend);
        let sequence = self.rate.on_sent(now, bytes, self.pacer.probing());
        self.recovery.write(resend, &mut self.stream, self.seeds.ntp(now), sequence, datagram);
        self.pacer.on_sent(now, datagram.len(), false);
    }

    /// A datagram of [`poll_transmit`](Self::poll_transmit), of `bytes`, was handed to the OS.
    pub fn on_sent(&mut self, transmit: Transmit, bytes: usize) {
        if transmit != Transmit::Control {
            self.counters.packets += 1;
            self.counters.bytes += bytes as u64;
            // The path takes packets again, and what follows a lost one refers to it.
            if std::mem::take(&mut self.lost) {
                self.keyframes.on_request(KeyframeCause::Lost);
            }
        }
        if transmit == Transmit::FrameEnd {
            self.counters.frames_ended += 1;
        }
    }

    /// A datagram of [`poll_transmit`](Self::poll_transmit) was refused by the OS and is lost.
    pub fn on_refused(&mut self, transmit: Transmit) {
        if transmit != Transmit::Control {
            self.counters.refused += 1;
            self.lost = true;
        }
    }

    /// The next thing wanted of the encoding side.
    pub fn poll_action(&mut self) -> Option<SessionAction> {
        self.actions.pop_front()
    }

    /// When something is due next, if nothing comes in before.
    pub fn poll_timeout(&self) -> Option<CaptureTime> {
        let next_at = self.pacer.next_at();
        let waits = !self.outbox.is_empty() || self.pacer.probing().is_some();
        let packet = waits.then_some(next_at);
        let resend = self.recovery.next_at(next_at).map(|at| at.max(next_at));
        let tail = self.recovery.tail_at().filter(|_| self.outbox.is_empty()).map(|at| at.max(next_at));
        let keyframe = self.keyframes.due_at(self.goal.target.bitrate);
        let estimate = self.next_report.and(self.rate.poll_timeout());
        [self.next_report, packet, resend, tail, keyframe, estimate, self.word_by].into_iter().flatten().min()
    }

    /// How long it takes until everything that waits has left.
    pub fn backlog(&self) -> Duration {
        self.pacer.backlog()
    }

    /// Whether another frame may be encoded. Not while too much waits; and not for a moment after the first one: what
    /// the network takes is not known yet, and a second frame would only be in the way of the first.
    pub fn has_room(&self) -> bool {
        self.word_by.is_none() && self.backlog() <= self.max_backlog
    }

    /// Writes a goodbye into `datagram` (its old content is cleared). Answers whether there is one: a stream
    /// that never began does not end.
    pub fn goodbye(&mut self, now: CaptureTime, datagram: &mut Vec<u8>) -> bool {
        datagram.clear();
        if self.next_report.is_none() {
            return false;
        }
        let ntp = self.seeds.ntp(now);
        self.stream.write_goodbye(ntp, now, datagram);
        self.recovery.append_goodbye(datagram);
        true
    }

    /// Copies the counters to where the status reads them.
    pub(crate) fn publish(&mut self, now: CaptureTime, stats: &mut SendStats) {
        for times in self.sent.drain(..) {
            stats.on_times(now, times);
        }
        stats.degradation = self.degradation(now);
        stats.path = self.path();
        let counters = &self.counters;
        stats.network_limits = self.rate.is_limited();
        stats.network = self.network();
        stats.recovery = self.recovery.counters();
        stats.packets = counters.packets;
        stats.bytes = counters.bytes;
        stats.refused = counters.refused;
        stats.unpacketized = counters.dropped_frames;
        stats.backlog = self.backlog();
        stats.keyframe_requests = self.keyframes.requests();
        let heard = self.feedback.counts();
        stats.feedback = FeedbackCounters {
            malformed: counters.not_rtcp + heard.refused_datagrams + heard.malformed,
            foreign: heard.foreign,
            transport_cc: heard.transport_cc,
            ..counters.feedback
        };
        while stats.frames < counters.frames_ended {
            stats.on_frame_sent(now);
        }
    }
}
