//! Google congestion control for a screen: delay first, loss where it means something, probes for what is not
//! known.
//!
//! [draft-ietf-rmcat-gcc-02](https://datatracker.ietf.org/doc/html/draft-ietf-rmcat-gcc-02) with what
//! libwebrtc made of it since (trendline, probes, application-limited region), and what a screen needs: it
//! starts at full quality, so a narrow line must be seen at once ([`queue`]); it sends in bursts, so
//! throughput is measured while packets wait ([`acknowledged`]); it is still for long, so nothing is believed
//! of the time in which nothing was sent.
//!
//! Rates inside are `f64` bits per second, times `i64` microseconds, each of the clock it was read from.

mod acknowledged;
mod aimd;
mod application;
mod arrival;
mod loss;
mod overuse;
mod probe;
mod queue;
mod silence;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trendline;

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use super::{BandwidthConfig, BandwidthEstimator, Estimate, PacketOutcome, ProbeCluster, SentPacket, Usage};
use acknowledged::{Peak, Saturated, Throughput};
use aimd::Aimd;
use application::ApplicationLimited;
use arrival::{Arrival, ArrivalGroups};
use loss::{LossControl, LossVerdict};
use overuse::OveruseDetector;
use probe::{Known, Outlook, ProbeResult, Probing};
use queue::Queueing;
use silence::Silence;
use trendline::Trendline;

/// The estimator for screens.
#[derive(Debug)]
pub struct GccEstimator {
    config: BandwidthConfig,
    wanted: f64,
    receiver_bound: Option<Bitrate>,
    /// The latest time seen.
    now: CaptureTime,
    round_trip: Option<Duration>,

    sent: Throughput,
    /// The most that was sent in half a second: now, and in the epoch before. Nobody received more.
    peak: Peak,
    acknowledged: Throughput,
    saturated: Saturated,
    application: ApplicationLimited,

    groups: ArrivalGroups,
    trendline: Trendline,
    overuse: OveruseDetector,
    queue: Queueing,
    usage: Usage,

    aimd: Aimd,
    loss: LossControl,
    probing: Probing,
    stood: Option<Stood>,
    /// When feedback last told of packets.
    heard_at: CaptureTime,
    /// When the estimate was last seen to get through.
    verified_at: CaptureTime,
    /// One more than the highest number that feedback told of.
    told: u64,
    silence: Silence,
}

impl GccEstimator {
    /// Starts as `config` says, with nothing known.
    pub fn new(config: BandwidthConfig) -> Self {
        let lowest = f64::from(config.min.as_bps());
        let highest = f64::from(config.max.as_bps()).max(lowest);
        let start = f64::from(config.start.as_bps());
        Self {
            config,
            wanted: start,
            receiver_bound: None,
            now: CaptureTime::default(),
            round_trip: None,
            sent: Throughput::new(),
            peak: Peak::default(),
            acknowledged: Throughput::new(),
            saturated: Saturated::default(),
            application: ApplicationLimited::default(),
            groups: ArrivalGroups::default(),
            trendline: Trendline::new(),
            overuse: OveruseDetector::new(),
            queue: Queueing::new(),
            usage: Usage::Normal,
            aimd: Aimd::new(start.clamp(lowest, highest), lowest, highest),
            loss: LossControl::new(),
            probing: Probing::new(),
            stood: None,
            heard_at: CaptureTime::default(),
            verified_at: CaptureTime::default(),
            told: 0,
            silence: Silence::default(),
        }
    }

    /// Takes in when packets arrived; answers with whether the delay grew in any of them.
    fn take_in(&mut self, outcomes: &[PacketOutcome]) -> Usage {
        if outcomes.first().is_some_and(|outcome| outcome.sent.sequence > self.told) {
            // Feedback was lost: what it would have told of did not arrive in no time.
            self.acknowledged = Throughput::new();
            self.saturated = Saturated::default();
        }
        let mut seen = Usage::Normal;
        for PacketOutcome { sent: packet, arrived } in outcomes {
            self.told = self.told.max(packet.sequence.saturating_add(1));
            self.loss.add(packet.at, arrived.is_none());
            let Some(arrived) = *arrived else { continue };
            let (sent, arrived) = (micros(packet.at.since_epoch()), micros(arrived));
            let waited = self.queue.add(sent, arrived);
            self.acknowledged.add(arrived, packet.bytes);
            self.saturated.add(arrived, waited, packet.bytes);
            if packet.probe.is_some() {
                // It builds a queue on purpose: that is no trend.
                self.probing.add(packet, sent, arrived);
                continue;
            }
            match self.groups.add(sent, arrived) {
                Arrival::Gathering => {}
                Arrival::Restarted => self.restart(),
                Arrival::Varied(variation) => {
                    if let Some(trend) = self.trendline.add(variation) {
                        self.usage = self.overuse.add(trend, variation.sent, variation.at);
                        if self.usage == Usage::Over {
                            seen = Usage::Over;
                        }
                    }
                }
            }
        }
        if seen == Usage::Over { seen } else { self.usage }
    }

    /// What was known of the delay is worth nothing any more.
    fn restart(&mut self) {
        self.trendline.restart();
        self.overuse.restart();
        self.queue.restart();
        self.usage = Usage::Normal;
        self.stood = None;
    }

    /// What gets through, bounded by what was sent: nothing that feedback says makes it more.
    fn throughput(&self) -> Option<f64> {
        let bound = self.peak.get() * BELIEVED;
        let acknowledged = self.acknowledged.rate(ACKNOWLEDGED_WINDOW);
        self.saturated.rate().or(acknowledged).map(|rate| rate.min(bound))
    }

    /// A round trip, and the time that feedback is waited for.
    fn response(&self) -> Duration {
        self.round_trip.unwrap_or(ASSUMED_ROUND_TRIP).min(LONGEST_ROUND_TRIP) + FEEDBACK_INTERVAL
    }

    /// For how long packets have been waiting at least, in microseconds. Nothing waits where nothing was
    /// sent.
    fn standing(&self) -> i64 {
        if self.now.saturating_since(self.heard_at) > STALE { 0 } else { self.queue.standing() }
    }

    /// How much of the waiting may be none, in microseconds: jitter, and the time that a packet itself takes,
    /// which differs by its length.
    fn noise(&self) -> i64 {
        let packet = Bitrate::bps(self.aimd.rate() as u32).time_for(PACKET / 2);
        micros(packet).min(LONGEST_PACKET) + 2 * self.queue.jitter().min(LONGEST_PACKET)
    }

    /// There is no use in an estimate above this.
    fn ceiling(&self) -> f64 {
        let highest = f64::from(self.config.max.as_bps());
        let bound = self.receiver_bound.map_or(highest, |bound| f64::from(bound.as_bps()));
        let limit = self.loss.limit(self.now).unwrap_or(highest);
        (self.wanted * HEADROOM).min(highest).min(bound).min(limit)
    }

    /// Moves the estimate by what the delay and the loss say.
    fn decide(&mut self, now: CaptureTime, seen: Usage) {
        let standing = self.standing();
        let throughput = self.throughput();
        let through = throughput.unwrap_or(self.aimd.rate());
        let rate = self.aimd.rate();
        let noise = self.noise();
        match self.loss.judge(now, rate, through, standing > NOISE + noise) {
            LossVerdict::Bear => {}
            LossVerdict::Overflow => self.cut(now, through),
            LossVerdict::Try => self.aimd.lower(now, through),
            LossVerdict::Restore(rate) => self.aimd.raise(now, rate),
        }
        let least = if self.application.limited() { NOISE_LIMITED } else { NOISE };
        let trend_over = seen == Usage::Over && standing > least + noise;
        let stands = self.stands(now, standing, through);
        if trend_over || stands {
            self.usage = Usage::Over;
            self.cut(now, through);
        } else if self.usage == Usage::Over {
            // The trend is there, and no queue to speak of: noise is no reason to go down, nor to go up.
            self.usage = Usage::Normal;
            self.aimd.hold(now);
        } else if self.usage == Usage::Under
            || standing > CALM + noise
            || self.application.limited()
            || self.loss.trying()
            || self.aimd.since_cut(now) < self.response()
        {
            self.aimd.hold(now);
        } else {
            let bound = through * GROWTH_BOUND + 10_000.0;
            self.aimd.increase(now, self.response(), self.ceiling().min(bound));
        }
        if self.usage != Usage::Over && throughput.unwrap_or(0.0) > rate.min(self.wanted) * VERIFIED {
            self.verified_at = now;
        }
    }

    /// Goes down to what gets through. Where little is sent, little gets through and says little: unless packets
    /// wait for very long, the estimate then goes down by steps.
    fn cut(&mut self, now: CaptureTime, throughput: f64) {
        let before = self.aimd.rate();
        let sent = self.sent.rate(ACKNOWLEDGED_WINDOW).unwrap_or(0.0);
        let little = self.application.limited()
            && sent < before.min(self.wanted) / 2.0
            && self.standing() < STANDING * 2;
        let throughput = if little { throughput.max(before * STEP_LIMITED) } else { throughput };
        self.aimd.cut(now, throughput, self.response());
        if self.aimd.rate() < before * FAR_DOWN {
            self.probing.renew(now + AFTER_CUT);
        }
    }

    /// Whether packets wait for too long, and less must be sent for it. A queue that does not shrink although
    /// less is sent than got through, and nothing is lost, is none: the way became longer (another network,
    /// another route).
    fn stands(&mut self, now: CaptureTime, standing: i64, throughput: f64) -> bool {
        if standing < CALM + self.noise() {
            self.stood = None;
            return false;
        }
        let present = Stood { since: now, waited: standing, throughput };
        let Some(stood) = self.stood else {
            self.stood = Some(present);
            return standing >= STANDING;
        };
        let sent = self.sent.rate(ACKNOWLEDGED_WINDOW).unwrap_or(0.0);
        let grows = standing > stood.waited + GROWN || self.loss.loss() > LOSSY || sent > stood.throughput;
        if standing >= STANDING && grows {
            self.stood = Some(Stood { waited: standing.max(stood.waited), ..present });
            return true;
        }
        if now.saturating_since(stood.since) < LONG_STAND + self.response() {
            return false;
        }
        self.stood = Some(present);
        if standing <= stood.waited * 85 / 100 {
            return false;
        }
        if sent > stood.throughput * LESS {
            // Send less to see.
            return true;
        }
        self.queue.rebase();
        self.probing.renew(now);
        self.stood = None;
        false
    }

    fn read_probe(&mut self, now: CaptureTime) {
        let ceiling = self.ceiling();
        let known = Known { rate: self.aimd.rate(), ceiling, old: self.aimd.capacity().unwrap_or(0.0) * OLD };
        let Some(result) = self.probing.conclude(now, known) else { return };
        let rate = match result {
            ProbeResult::Through(rate) => {
                self.verified_at = now;
                rate
            }
            // Nothing but probes tells of a line that is hardly used: with what they err by, up and down.
            ProbeResult::Saturated(rate) if self.application.limited() && rate < self.aimd.rate() => {
                let between = (self.aimd.rate() + rate) / 2.0;
                return self.aimd.lower(now, between);
            }
            ProbeResult::Saturated(rate) => rate,
        };
        self.aimd.raise(now, rate.min(ceiling).min(self.peak.get().max(self.aimd.rate()) * PROBE_BELIEVED));
    }

    fn plan(&mut self, now: CaptureTime) {
        let outlook = Outlook {
            rate: self.aimd.rate(),
            wanted: self.wanted,
            ceiling: self.ceiling(),
            calm: self.usage != Usage::Over
                && self.standing() < CALM + self.noise()
                && self.aimd.since_cut(now) > AFTER_CUT
                && !(self.aimd.rate() < NARROW && self.aimd.at_capacity())
                && !self.loss.trying()
                && !self.silence.backed_off(),
            application_limited: self.application.limited(),
            unverified: now.saturating_since(self.verified_at),
            jitter: Duration::from_micros(self.queue.jitter().unsigned_abs()),
        };
        self.probing.plan(now, &outlook);
    }

    /// Time never goes back.
    fn come_to(&mut self, now: CaptureTime) -> CaptureTime {
        self.now = self.now.max(now);
        self.application.advance(self.now);
        self.sent.advance(micros(self.now.since_epoch()));
        self.now
    }
}

impl BandwidthEstimator for GccEstimator {
    fn on_sent(&mut self, packet: &SentPacket) {
        let now = self.come_to(packet.at);
        let rate = self.aimd.rate();
        self.application.on_sent(now, packet.bytes, rate);
        self.sent.add(micros(now.since_epoch()), packet.bytes);
        self.peak.add(now, self.sent.rate(ACKNOWLEDGED_WINDOW).unwrap_or(rate));
        if self.told > 0 {
            // Where nobody ever answers there is no such feedback, and nothing to be learned.
            self.silence.on_sent(now);
        }
    }

    fn on_feedback(&mut self, now: CaptureTime, outcomes: &[PacketOutcome]) {
        let now = self.come_to(now);
        if outcomes.is_empty() {
            return;
        }
        if self.silence.on_feedback() {
            self.probing.renew(now);
        }
        self.heard_at = now;
        let seen = self.take_in(outcomes);
        self.decide(now, seen);
        self.read_probe(now);
        self.plan(now);
    }

    fn on_round_trip(&mut self, now: CaptureTime, rtt: Duration) {
        self.come_to(now);
        self.round_trip = Some(rtt);
    }

    fn set_receiver_bound(&mut self, now: CaptureTime, bound: Option<Bitrate>) {
        self.come_to(now);
        self.receiver_bound = bound;
    }

    fn set_wanted(&mut self, now: CaptureTime, wanted: Bitrate) {
        let now = self.come_to(now);
        let wanted = f64::from(wanted.as_bps());
        if wanted > self.wanted && self.told > 0 {
            self.probing.renew(now);
        }
        self.wanted = wanted;
    }

    fn handle_timeout(&mut self, now: CaptureTime) {
        let now = self.come_to(now);
        if self.silence.backs_off(now) {
            let half = self.aimd.rate() / 2.0;
            self.aimd.lower(now, half);
        }
        if self.told > 0 {
            self.plan(now);
        }
    }

    fn poll_timeout(&self) -> Option<CaptureTime> {
        let probe = if self.told > 0 { self.probing.due() } else { None };
        [probe, self.silence.due()].into_iter().flatten().min()
    }

    fn poll_probe(&mut self) -> Option<ProbeCluster> {
        self.probing.poll()
    }

    fn estimate(&self) -> Estimate {
        let waiting = (self.standing() - DRAIN_FROM) as f64 / DRAIN_OVER as f64;
        let drained = self.aimd.rate() * (1.0 - DRAIN_MOST * waiting.clamp(0.0, 1.0));
        let bound = self.receiver_bound.unwrap_or(self.config.max).min(self.config.max);
        Estimate {
            bitrate: Bitrate::bps(drained as u32).min(bound).max(self.config.min),
            loss: self.loss.loss() as f32,
            round_trip: self.round_trip,
            usage: self.usage,
            application_limited: self.application.limited(),
        }
    }
}

/// A queue that was found to stand.
#[derive(Debug, Clone, Copy)]
struct Stood {
    since: CaptureTime,
    /// For how long packets waited, in microseconds.
    waited: i64,
    /// What got through then.
    throughput: f64,
}

/// Microseconds, bounded so that sums and differences of a few fit.
fn micros(time: Duration) -> i64 {
    time.as_micros().min(1 << 53) as i64
}

/// Throughput is measured over this, in microseconds. R_hat of the draft, §5.5.
const ACKNOWLEDGED_WINDOW: i64 = 500_000;

/// More than this many times what was sent is not believed to have got through: arrivals bunch up a little.
const BELIEVED: f64 = 1.5;

/// A probe that gets through at up to this many times the known capacity found nothing new.
const OLD: f64 = 1.05;

/// A probe is a short burst above what was sent before it: the bound of the estimate by it.
const PROBE_BELIEVED: f64 = 4.0;

/// The estimate grows to so many times the throughput: draft, §5.5.
const GROWTH_BOUND: f64 = 1.5;

/// What got through is this part of the estimate: it is no guess.
const VERIFIED: f64 = 0.8;

/// More than what is wanted lets key frames leave faster.
const HEADROOM: f64 = 1.5;

/// Until it was measured.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);
const LONGEST_ROUND_TRIP: Duration = Duration::from_millis(500);

/// Feedback comes this often.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);

/// A long packet, and the most that the length of packets explains of their waiting, in microseconds.
const PACKET: usize = 1_200;
const LONGEST_PACKET: i64 = 20_000;

/// On a line this narrow, in bits per second, the packets of a probe are a queue of their own: none is sent
/// while the line is full.
const NARROW: f64 = 400_000.0;

/// Waiting below this is noise, in microseconds; what a sender that sends little sees is noisier.
const NOISE: i64 = 5_000;
const NOISE_LIMITED: i64 = 25_000;

/// Waiting above this is too long; below [`CALM`] a probe does not add to any, in microseconds.
const STANDING: i64 = 50_000;
const CALM: i64 = 15_000;

/// What waited this long ago waits no more.
const STALE: Duration = Duration::from_secs(1);

/// A queue that stands has grown if packets wait for this much longer, in microseconds.
const GROWN: i64 = 5_000;

/// A queue that stands and loses this part is full.
const LOSSY: f64 = 0.02;

/// Sending less than this part of what got through lets a queue shrink. One that has not after this long is
/// none.
const LESS: f64 = 0.93;
const LONG_STAND: Duration = Duration::from_millis(800);

/// What waits is drained: from this long a wait on, the estimate is lowered for as long as it lasts, by up to
/// [`DRAIN_MOST`] of it at [`DRAIN_OVER`] more. Microseconds.
const DRAIN_FROM: i64 = 20_000;
const DRAIN_OVER: i64 = 240_000;
const DRAIN_MOST: f64 = 0.5;

/// A sender that sends little is cut as if at least this part of the estimate got through.
const STEP_LIMITED: f64 = 0.8;

/// A cut to less than this part is more than the usual swing about the capacity: it may have been a short
/// trouble.
const FAR_DOWN: f64 = 0.7;

/// A probe waits for so long after a cut.
const AFTER_CUT: Duration = Duration::from_secs(1);
