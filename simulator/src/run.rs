//! The sender's session on one network, with one kind of screen: event after event on a hand-moved clock.
//!
//! ```text
//! trace ─► Encoder ─► SenderSession ─► Path ─► Receiver ─► what the viewer sees
//!            ▲  Aim, MakeKeyframe │      there      │
//!            └────────────────────┘◄──── Path ◄─────┘ RTCP
//!                                        back
//! ```

mod encoding;

use std::collections::VecDeque;
use std::time::Duration;

use yc_media::{H264ProfileLevelId, RateTarget};
use yc_rtp::{
    CodecParams, ExtensionKind, ParamsError, RtpExtension, RtpHeader, RtxParams, StreamParams, rtcp,
};
use yc_sender::bandwidth::BandwidthConfig;
use yc_sender::{SenderConfig, SenderSession, SessionAction, SessionSeeds, Transmit};

use self::encoding::Encoding;
use crate::clock::{clock, drive, earliest, run_time};
use crate::{
    Candidate, DelayHistogram, Encoder, IP_UDP_OVERHEAD, Path, PathError, PathStats, Profile, Receiver,
    ReceiverStats, Score, ScreenChange, Shown, Trace,
};

/// What is run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scenario {
    /// The network.
    pub profile: Profile,
    /// The screen.
    pub trace: Trace,
    /// Decides what chance decides.
    pub seed: u64,
    /// The sender.
    pub config: SenderConfig,
    /// Estimates what the network takes instead of the session's own estimator. Default: none.
    pub estimator: Option<&'static Candidate>,
    /// When viewers come, each of whom needs a key frame. Default: 200 ms.
    pub joins: Vec<Duration>,
}

impl Profile {
    /// Both directions. What chance does to one is apart from what it does to the other.
    pub(crate) fn paths<T: Clone, U: Clone>(&self, seed: u64) -> Result<(Path<T>, Path<U>), RunError> {
        let error = |source| RunError::Profile { profile: self.name, source };
        let forward = Path::new(self.forward.clone(), seed).map_err(error)?;
        let backward = Path::new(self.backward.clone(), seed ^ BACKWARD).map_err(error)?;
        Ok((forward, backward))
    }
}

impl Scenario {
    /// `trace` over `profile` with the sender's defaults.
    pub fn new(profile: &Profile, trace: &Trace, seed: u64) -> Self {
        Self {
            profile: profile.clone(),
            trace: *trace,
            seed,
            config: SenderConfig::default(),
            estimator: None,
            joins: vec![Duration::from_millis(200)],
        }
    }

    /// With another sender.
    #[must_use]
    pub fn with_config(mut self, config: SenderConfig) -> Self {
        self.config = config;
        self
    }

    /// With another estimator than the session's own.
    #[must_use]
    pub fn with_estimator(mut self, estimator: &'static Candidate) -> Self {
        self.estimator = Some(estimator);
        self
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// If the profile cannot be, the session does not take the stream, or it asks to be called again and
    /// again without the time going on.
    pub fn run(&self) -> Result<Record, RunError> {
        Run::new(self)?.finish()
    }

    /// Runs it and says how it went.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn score(&self) -> Result<Score, RunError> {
        Ok(Score::new(self, &self.run()?))
    }
}

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The network cannot be.
    #[error("profile {profile}")]
    Profile {
        /// Its name.
        profile: &'static str,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// The session does not take the stream.
    #[error("the session does not take the stream")]
    Session(#[from] ParamsError),
    /// The session wants to be called now, for ever.
    #[error("the session is due at {0:?} again and again")]
    Stuck(Duration),
}

/// All that a run left behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct Record {
    /// What the screen showed.
    pub changes: Vec<ScreenChange>,
    /// Every frame of the encoder, by number.
    pub frames: Vec<FrameRecord>,
    /// What the viewer saw, in order.
    pub shown: Vec<Shown>,
    /// What the session aimed at, from when on, in bits per second and frames per second.
    pub aims: Vec<(Duration, u32, u32)>,
    /// Datagrams that left the bottleneck: when they were sent, how long they waited, and their bytes on the
    /// link. Only those that arrive are here.
    pub passed: Vec<(Duration, Duration, usize)>,
    /// Datagrams of RTP that were offered to the path: when, and their bytes on the link.
    pub offered: Vec<(Duration, usize)>,
    /// RTP packets that left the session with a sequence number sent before, or in the retransmission stream.
    pub retransmitted: u64,
    /// Pictures that waited because too much had yet to be sent.
    pub postponed: u64,
    /// When the session said that the receiver is silent, if it did.
    pub silent_at: Option<Duration>,
    /// The way there.
    pub forward: PathStats,
    /// How long datagrams waited at the bottleneck.
    pub queue_delays: DelayHistogram,
    /// The way back.
    pub backward: PathStats,
    /// The far end.
    pub receiver: ReceiverStats,
}

impl Record {
    /// Nothing has happened; the screen will show `changes`.
    pub(crate) fn new(changes: Vec<ScreenChange>) -> Self {
        Self {
            changes,
            frames: Vec::new(),
            shown: Vec::new(),
            aims: Vec::new(),
            passed: Vec::new(),
            offered: Vec::new(),
            retransmitted: 0,
            postponed: 0,
            silent_at: None,
            forward: PathStats::default(),
            queue_delays: DelayHistogram::new(),
            backward: PathStats::default(),
            receiver: ReceiverStats::default(),
        }
    }

    /// The session aims at `target` from `now` on.
    fn on_aim(&mut self, now: Duration, target: RateTarget) {
        self.aims.push((now, target.bitrate.as_bps(), target.frame_rate.as_fps()));
    }
}

/// A frame of the encoder.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FrameRecord {
    /// When its picture was captured.
    pub captured_at: Duration,
    /// Whether it is a key frame.
    pub is_key: bool,
    /// Its bytes.
    pub bytes: usize,
    /// How much of the picture it brings the viewer to, 0.0 to 1.0.
    pub sharpness: f64,
}

/// A run that is under way.
struct Run<'a> {
    scenario: &'a Scenario,
    now: Duration,
    session: SenderSession,
    encoding: Encoding,
    changes: VecDeque<ScreenChange>,
    joins: VecDeque<Duration>,
    forward: Path<Vec<u8>>,
    backward: Path<Vec<u8>>,
    receiver: Receiver,
    datagram: Vec<u8>,
    /// The highest sequence number that was sent.
    sent: Option<u16>,
    record: Record,
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, RunError> {
        let Scenario { profile, trace, seed, config, .. } = scenario;
        let params = stream_params();
        let seeds = SessionSeeds::new(FIRST_SEQUENCE, 0xffff_ff00, clock(Duration::ZERO), UNIX);
        let mut session = SenderSession::new(config, params.clone(), seeds)?;
        if let Some(estimator) = scenario.estimator {
            session = session.with_estimator((estimator.make)(BandwidthConfig::new(config.bitrate)));
        }
        let (forward, backward) = profile.paths(*seed)?;
        let changes = trace.changes(profile.duration, *seed);
        let goal = session.goal().target;
        let mut record = Record::new(changes.clone());
        record.on_aim(Duration::ZERO, goal);
        Ok(Self {
            scenario,
            now: Duration::ZERO,
            encoding: Encoding::new(config, Encoder::new(goal)),
            session,
            changes: changes.into(),
            joins: scenario.joins.iter().copied().collect(),
            forward,
            backward,
            receiver: Receiver::new(&params),
            datagram: Vec::with_capacity(2_048),
            sent: None,
            record,
        })
    }

    fn finish(mut self) -> Result<Record, RunError> {
        drive(self.scenario.profile.duration, |now| {
            self.now = now;
            self.happen();
            self.next_event()
        })?;
        let record = &mut self.record;
        record.forward = self.forward.stats();
        record.backward = self.backward.stats();
        record.queue_delays = self.forward.queue_delays().clone();
        record.receiver = self.receiver.stats();
        Ok(self.record)
    }

    fn next_event(&self) -> Duration {
        earliest([
            self.session.poll_timeout().map(run_time),
            self.changes.front().map(|change| change.at),
            self.joins.front().copied(),
            self.encoding.due_at(self.now, self.session.has_room()),
            self.forward.next_due(),
            self.backward.next_due(),
            self.receiver.poll_timeout(),
        ])
    }

    /// What is due at the present time, in the order of the picture above.
    fn happen(&mut self) {
        let now = self.now;
        while let Some(change) = self.changes.pop_front_if(|change| change.at <= now) {
            self.encoding.on_change(change);
        }
        while self.joins.pop_front_if(|at| *at <= now).is_some() {
            self.receiver.on_join();
        }
        while let Some(arrival) = self.forward.pop_due(now) {
            self.record.passed.push((arrival.sent_at, arrival.queued, arrival.bytes));
            self.receiver.handle_datagram(now, &arrival.payload);
        }
        self.receiver.take_shown(&mut self.record.shown);
        while self.receiver.poll_transmit(now, &mut self.datagram) {
            let bytes = self.datagram.len() + IP_UDP_OVERHEAD;
            self.backward.push(now, bytes, std::mem::take(&mut self.datagram));
        }
        while let Some(arrival) = self.backward.pop_due(now) {
            self.session.handle_datagram(clock(now), &arrival.payload);
        }
        if let Some(frame) = self.encoding.finished(now) {
            self.session.handle_frame(clock(now), &frame.encoded);
        }
        self.session.handle_timeout(clock(now));
        self.transmit();
        while let Some(action) = self.session.poll_action() {
            self.act(action);
        }
        if let Some(frame) = self.encoding.step(now, self.session.has_room(), &mut self.record.postponed) {
            self.record.frames.push(frame);
        }
    }

    fn transmit(&mut self) {
        let now = clock(self.now);
        while let Some(transmit) = self.session.poll_transmit(now, &mut self.datagram) {
            self.session.on_sent(transmit, self.datagram.len());
            let bytes = self.datagram.len() + IP_UDP_OVERHEAD;
            if transmit != Transmit::Control {
                self.record.offered.push((self.now, bytes));
                self.record.retransmitted += u64::from(self.is_retransmission());
            }
            // The path keeps the datagram; the next is written into another buffer.
            self.forward.push(self.now, bytes, std::mem::take(&mut self.datagram));
        }
    }

    /// Whether the datagram that was written last repeats one.
    fn is_retransmission(&mut self) -> bool {
        if rtcp::is_rtcp(&self.datagram) {
            return false;
        }
        let Ok((header, payload)) = RtpHeader::parse(&self.datagram) else { return false };
        if header.ssrc == RTX.ssrc {
            return !payload.is_empty();
        }
        let ahead = self.sent.map_or(1, |sent| header.sequence.wrapping_sub(sent).cast_signed());
        if ahead > 0 {
            self.sent = Some(header.sequence);
        }
        ahead <= 0
    }

    fn act(&mut self, action: SessionAction) {
        match action {
            SessionAction::MakeKeyframe(_) => self.encoding.keyframe_wanted = true,
            SessionAction::Aim(goal) => {
                self.encoding.encoder.set_rate(goal.target);
                self.record.on_aim(self.now, goal.target);
            }
            SessionAction::ReceiverSilent(_) => {
                self.record.silent_at.get_or_insert(self.now);
            }
            // What the ladder changed is said by `Aim`.
            _ => {}
        }
    }
}

/// The stream that is sent: what a mediasoup producer of H264 is negotiated with.
pub(crate) fn stream_params() -> StreamParams {
    let profile_level_id = H264ProfileLevelId { profile_idc: 0x42, constraints: 0xc0, level_idc: 0x28 };
    let mut params = StreamParams::new(SSRC, 101, CodecParams::H264 { profile_level_id }, "simulator");
    params.rtx = Some(RTX);
    params.extensions = vec![
        RtpExtension { kind: ExtensionKind::AbsSendTime, id: 4 },
        RtpExtension { kind: ExtensionKind::TransportWideCc, id: 5 },
    ];
    params
}

const SSRC: u32 = 0x0a0b_0c0d;
const RTX: RtxParams = RtxParams { ssrc: 0x0a0b_0c0e, payload_type: 102 };
/// Wraps soon.
const FIRST_SEQUENCE: u16 = 65_000;
const UNIX: Duration = Duration::from_secs(1_700_000_000);
/// Sets the chances of the way back apart from those of the way there.
const BACKWARD: u64 = 0x6261_636b;
