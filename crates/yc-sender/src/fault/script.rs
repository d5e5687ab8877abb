//! What shall go wrong: rules, and which of them make sense.

use std::time::Duration;

use yc_capture::EndReason;
use yc_media::Resolution;

use super::text::{FaultError, Refusal, kinds_of, printed, words_of};

/// What shall go wrong, where and when: rules in the order in which they are asked. The first that fits a
/// call decides it.
///
/// Built by [`FaultScript::with`] or read from text; `Display` writes what `FromStr` reads. Default: no rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultScript {
    rules: Vec<FaultRule>,
}

impl FaultScript {
    /// No rule: everything passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `rule` after those that are there.
    ///
    /// # Errors
    ///
    /// If the rule makes no sense: a fault that its call does not know, a number or a time out of bounds.
    pub fn with(mut self, rule: FaultRule) -> Result<Self, FaultError> {
        rule.check().map_err(|refusal| FaultError::of_rule(&rule, refusal))?;
        self.rules.push(rule);
        Ok(self)
    }

    /// Adds the rules of `other` after those that are there.
    #[must_use]
    pub fn followed_by(mut self, other: Self) -> Self {
        self.rules.extend(other.rules);
        self
    }

    /// The rules, in the order in which they are asked.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    pub(super) fn push_checked(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }
}

/// One thing that shall go wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultRule {
    /// The call that it happens to.
    pub call: FaultCall,
    /// Which candidate of [`Backends::captures`](crate::Backends::captures) or
    /// [`Backends::encoders`](crate::Backends::encoders) it happens to, from 0. Default: `None`, to each.
    pub index: Option<usize>,
    /// To which of the calls between `after` and `until`. Default: to all.
    pub when: FaultWhen,
    /// From when on, since the [`Faults`](super::Faults) were made; 0 to [`FaultRule::LONGEST`]. Default: 0.
    pub after: Duration,
    /// Until when, since the [`Faults`](super::Faults) were made; later than `after`, up to
    /// [`FaultRule::LONGEST`]. Default: `None`, for ever.
    pub until: Option<Duration>,
    /// What happens.
    pub fault: Fault,
}

impl FaultRule {
    /// The longest time in a rule: a day.
    pub const LONGEST: Duration = Duration::from_secs(86_400);

    /// Lets `fault` happen to every `call`.
    pub fn new(call: FaultCall, fault: Fault) -> Self {
        Self { call, index: None, when: FaultWhen::Always, after: Duration::ZERO, until: None, fault }
    }

    /// Only to the candidate number `index`, from 0.
    #[must_use]
    pub fn with_index(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    /// Only to these calls.
    #[must_use]
    pub fn with_when(mut self, when: FaultWhen) -> Self {
        self.when = when;
        self
    }

    /// Only from `after` on. Earlier calls are not counted.
    #[must_use]
    pub fn with_after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    /// Only before `until`.
    #[must_use]
    pub fn with_until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether the clock must be read to tell if it fits.
    pub(super) fn is_timed(&self) -> bool {
        self.after > Duration::ZERO || self.until.is_some()
    }

    fn check(&self) -> Result<(), Refusal> {
        check_index(self.call, self.index)?;
        check_when(self.when)?;
        check_window(self.after, self.until)?;
        check_fault(self.call, self.fault)
    }
}

/// A call that a fault can happen to. In text: `STAGE.CALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultCall {
    /// `capture.open`: opening a capture.
    CaptureOpen,
    /// `capture.start`: [`CaptureBackend::start`](yc_capture::CaptureBackend::start).
    CaptureStart,
    /// `capture.stop`: [`CaptureBackend::stop`](yc_capture::CaptureBackend::stop).
    CaptureStop,
    /// `capture.request_frame`: [`CaptureBackend::request_frame`](yc_capture::CaptureBackend::request_frame).
    CaptureRequestFrame,
    /// `capture.set_frame_rate`: [`CaptureBackend::set_frame_rate`](yc_capture::CaptureBackend::set_frame_rate).
    CaptureSetFrameRate,
    /// `capture.frame`: a picture that the capture delivers, on the capture's own thread.
    CaptureFrame,
    /// `encoder.open`: opening an encoder.
    EncoderOpen,
    /// `encoder.submit`: [`VideoEncoderBackend::submit`](yc_encode::VideoEncoderBackend::submit).
    EncoderSubmit,
    /// `encoder.poll`: [`VideoEncoderBackend::poll`](yc_encode::VideoEncoderBackend::poll), also one that has
    /// nothing to give.
    EncoderPoll,
    /// `encoder.set_rate`: [`VideoEncoderBackend::set_rate`](yc_encode::VideoEncoderBackend::set_rate).
    EncoderSetRate,
    /// `encoder.drop`: dropping an encoder.
    EncoderDrop,
    /// `transport.send`: [`PacketTransport::send`](crate::PacketTransport::send).
    TransportSend,
    /// `transport.recv`: [`PacketTransport::recv`](crate::PacketTransport::recv), also one that has nothing to
    /// give.
    TransportRecv,
    /// `transport.wait`: [`PacketTransport::wait`](crate::PacketTransport::wait).
    TransportWait,
}

/// Which stage a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Capture,
    Encoder,
    Transport,
}

impl FaultCall {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::CaptureOpen
            | Self::CaptureStart
            | Self::CaptureStop
            | Self::CaptureRequestFrame
            | Self::CaptureSetFrameRate
            | Self::CaptureFrame => Stage::Capture,
            Self::EncoderOpen
            | Self::EncoderSubmit
            | Self::EncoderPoll
            | Self::EncoderSetRate
            | Self::EncoderDrop => Stage::Encoder,
            Self::TransportSend | Self::TransportRecv | Self::TransportWait => Stage::Transport,
        }
    }

    /// Whether this call can be hit by `fault`, of whatever kind, size or reason.
    fn knows(self, fault: Fault) -> bool {
        match fault {
            Fault::Hang | Fault::Slow(_) | Fault::Panic => true,
            // What cannot return an error cannot fail; a picture can be replaced by its capture's failure.
            Fault::Fail(_) => !matches!(
                self,
                Self::CaptureStop | Self::CaptureRequestFrame | Self::CaptureSetFrameRate | Self::EncoderDrop
            ),
            Fault::Drop => matches!(
                self,
                Self::CaptureRequestFrame
                    | Self::CaptureSetFrameRate
                    | Self::CaptureFrame
                    | Self::EncoderPoll
                    | Self::EncoderSetRate
                    | Self::TransportSend
                    | Self::TransportRecv
            ),
            Fault::Size(_) | Fault::End(_) => self == Self::CaptureFrame,
        }
    }
}

/// What happens to a call. In text: `WHAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `fail:KIND`: it fails, and the real call is not made. `capture.frame`: instead of the picture the
    /// capture delivers `Failed`, and nothing after it.
    Fail(FaultKind),
    /// `hang`: it does not return before [`Faults::release`](super::Faults::release); then the real call is
    /// made.
    Hang,
    /// `slow:TIME`: it takes this long before the real call is made; 0 to [`FaultRule::LONGEST`].
    Slow(Duration),
    /// `panic`: it panics, and the real call is not made.
    Panic,
    /// `drop`: it seems to succeed and comes to nothing. What `recv` or `poll` would have given is thrown
    /// away.
    Drop,
    /// `size:WxH`: the picture is delivered in this size, after a `Resized` where the size is new: its top left
    /// part if it is large enough, else a plain grey picture.
    Size(Resolution),
    /// `end:REASON`: instead of the picture the capture delivers `Ended`, and nothing after it.
    End(EndReason),
}

/// The kind of error that a call fails with. In text: `KIND`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// Capture and encoder, `unsupported`: this machine or build cannot do it.
    Unsupported,
    /// Capture, `permission_denied`: the user or the OS forbids it.
    PermissionDenied,
    /// Capture, `not_found`: there is no such source.
    NotFound,
    /// Capture and encoder, `device_lost`: the device, its driver or the display is gone.
    DeviceLost,
    /// Capture and encoder, `invalid_input`: a frame or an option is out of bounds.
    InvalidInput,
    /// Every stage, `failed`: anything else.
    Failed,
    /// Transport, `full`: the OS's buffer is full for the moment.
    Full,
    /// Transport, `unreachable`: nobody listens there, or there is no route.
    Unreachable,
    /// Transport, `too_large`: the datagram is larger than the path takes.
    TooLarge,
}

/// Which calls a rule is for. Counted from 1 for each candidate by itself, over the life of the
/// [`Faults`](super::Faults): a backend that is opened again goes on counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FaultWhen {
    /// Every call.
    #[default]
    Always,
    /// `N`: this one call.
    Nth(u64),
    /// `N..`: this call and all after it.
    From(u64),
    /// `N..M`: this call, that call and those between them.
    Between(u64, u64),
    /// `/N`: every call whose number N divides.
    Every(u64),
}

impl FaultWhen {
    pub(super) fn fits(self, count: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => count == n,
            Self::From(n) => count >= n,
            Self::Between(first, last) => (first..=last).contains(&count),
            Self::Every(n) => count.is_multiple_of(n),
        }
    }
}

pub(super) fn check_index(call: FaultCall, index: Option<usize>) -> Result<(), Refusal> {
    match index {
        Some(index) if call.stage() == Stage::Transport => {
            Err(Refusal::new(format!("#{index}"), "a sender has one transport, which has no number"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_when(when: FaultWhen) -> Result<(), Refusal> {
    let good = match when {
        FaultWhen::Always => true,
        FaultWhen::Nth(n) | FaultWhen::From(n) | FaultWhen::Every(n) => n > 0,
        FaultWhen::Between(first, last) => first > 0 && first <= last,
    };
    if good { Ok(()) } else { Err(Refusal::new(when, "calls count from 1, and a range rises")) }
}

pub(super) fn check_window(after: Duration, until: Option<Duration>) -> Result<(), Refusal> {
    let bounds = "0s to 86400s, and the end after the beginning";
    if after > FaultRule::LONGEST {
        return Err(Refusal::new(format!("+{}", printed(after)), bounds));
    }
    match until {
        Some(until) if until <= after || until > FaultRule::LONGEST => {
            Err(Refusal::new(format!("+{}..+{}", printed(after), printed(until)), bounds))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_fault(call: FaultCall, fault: Fault) -> Result<(), Refusal> {
    if !call.knows(fault) {
        return Err(Refusal::new(fault, format!("{call} knows {}", words_of(|fault| call.knows(fault)))));
    }
    match fault {
        Fault::Fail(kind) if !kind.is_of(call.stage()) => {
            Err(Refusal::new(fault, format!("{call} fails with {}", kinds_of(call.stage()))))
        }
        Fault::Slow(time) if time > FaultRule::LONGEST => Err(Refusal::new(fault, "0s to 86400s")),
        _ => Ok(()),
    }
}

impl FaultKind {
    pub(super) fn is_of(self, stage: Stage) -> bool {
        match self {
            Self::Failed => true,
            Self::Unsupported | Self::DeviceLost | Self::InvalidInput => stage != Stage::Transport,
            Self::PermissionDenied | Self::NotFound => stage == Stage::Capture,
            Self::Full | Self::Unreachable | Self::TooLarge => stage == Stage::Transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_without_sense_is_refused_with_what_makes_sense() {
        let size = Fault::Size(Resolution::new(64, 64).unwrap());
        for (rule, text) in [
            (
                FaultRule::new(FaultCall::TransportSend, size),
                "fault rule \"transport.send=size:64x64\": \"size:64x64\" is not allowed: \
                 transport.send knows fail, hang, slow, panic, drop",
            ),
            (
                FaultRule::new(FaultCall::EncoderDrop, Fault::Fail(FaultKind::Failed)),
                "encoder.drop knows hang, slow, panic",
            ),
            (
                FaultRule::new(FaultCall::EncoderOpen, Fault::Fail(FaultKind::NotFound)),
                "encoder.open fails with unsupported, device_lost, invalid_input, failed",
            ),
            (FaultRule::new(FaultCall::TransportWait, Fault::Hang).with_index(0), "\"#0\" is not allowed"),
            (
                FaultRule::new(FaultCall::CaptureOpen, Fault::Hang).with_when(FaultWhen::Nth(0)),
                "\"0\" is not allowed: calls count from 1",
            ),
            (
                FaultRule::new(FaultCall::CaptureOpen, Fault::Hang).with_when(FaultWhen::Between(3, 2)),
                "\"3..2\" is not allowed",
            ),
            (
                FaultRule::new(FaultCall::CaptureOpen, Fault::Hang)
                    .with_after(Duration::from_secs(2))
                    .with_until(Duration::from_secs(2)),
                "\"+2s..+2s\" is not allowed",
            ),
            (
                FaultRule::new(FaultCall::CaptureOpen, Fault::Slow(Duration::from_secs(86_401))),
                "\"slow:86401s\" is not allowed: 0s to 86400s",
            ),
        ] {
            let error = FaultScript::new().with(rule).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn calls_are_chosen_by_their_number() {
        let fitting = |when: FaultWhen| (1..=7).filter(|n| when.fits(*n)).collect::<Vec<_>>();
        assert_eq!(fitting(FaultWhen::Always), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(fitting(FaultWhen::Nth(3)), [3]);
        assert_eq!(fitting(FaultWhen::From(6)), [6, 7]);
        assert_eq!(fitting(FaultWhen::Between(2, 4)), [2, 3, 4]);
        assert_eq!(fitting(FaultWhen::Every(3)), [3, 6]);
    }
}
