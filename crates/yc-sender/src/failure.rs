//! Which failure leads to what: the one table, and the windows in which transient ones are counted.
//!
//! Kinds are matched exhaustively, so that a new one does not compile until it is decided here.

use std::collections::VecDeque;
use std::time::Duration;

use yc_capture::{CaptureErrorKind, EndReason};
use yc_encode::EncodeErrorKind;
use yc_media::CaptureTime;

use crate::transport::TransportErrorKind;
use crate::{DropTolerance, Reason, Tolerance};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The capture could not be opened or started, or ended by an error.
    Capture(CaptureErrorKind),
    /// A call into the capture does not return.
    CaptureHung,
    /// The capture delivers nothing although asked, or misses what changes.
    CaptureSilent,
    /// The encoder could not be opened, or a call into it failed.
    Encode(EncodeErrorKind),
    /// Pictures were refused more often than is tolerated.
    EncodeErrors,
    /// A call into the encoder does not return.
    EncoderHung,
    /// A datagram did not leave or arrive.
    Transport(TransportErrorKind),
    /// Datagrams were refused more often, or for longer, than is tolerated.
    SendErrors,
    /// A call into the transport does not return.
    TransportHung,
    /// The receiver has been silent for too long.
    RtcpTimeout,
    /// Most captured pictures are dropped before the encoder.
    QueueDrops,
    /// …and the degradation ladder has no further step.
    Overloaded,
    /// A stage ended by a panic.
    Panicked,
}

/// Whether a failure may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It is counted; only too many of them lead to something.
    Transient,
    /// What it happened to does not go on.
    Fatal,
}

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Count it, in a rolling window where there is a tolerance.
    Count,
    /// Go one step down the degradation ladder.
    Degrade,
    /// Open the same backend again; go to the next one if that was tried often enough.
    Restart,
    /// Go to the next backend: the same would fail again.
    Next,
    /// Stop and tell the app to use the browser's path.
    End,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) reason: Reason,
    pub(crate) severity: Severity,
    pub(crate) action: Action,
}

/// The table. `docs/failures.md` says the same in words.
pub(crate) fn judge(failure: Failure) -> Verdict {
    use Action::{Count, Degrade, End, Next, Restart};
    use Severity::{Fatal, Transient};
    let (reason, severity, action) = match failure {
        Failure::Capture(kind) => match kind {
            CaptureErrorKind::Unsupported => (Reason::CaptureUnsupported, Fatal, Next),
            // No other backend may do what the user forbids, and none finds what is not there.
            CaptureErrorKind::PermissionDenied => (Reason::CaptureDenied, Fatal, End),
            CaptureErrorKind::NotFound => (Reason::SourceNotFound, Fatal, End),
            CaptureErrorKind::DeviceLost => (Reason::CaptureDeviceLost, Fatal, Restart),
            CaptureErrorKind::InvalidInput => (Reason::CaptureInvalidInput, Fatal, Next),
            CaptureErrorKind::Failed => (Reason::CaptureFailed, Fatal, Restart),
        },
        Failure::CaptureHung => (Reason::CaptureHung, Fatal, Restart),
        Failure::CaptureSilent => (Reason::CaptureSilent, Fatal, Restart),
        Failure::Encode(kind) => match kind {
            // One bad picture, for example of a size that the encoder does not take: the next may be good.
            EncodeErrorKind::InvalidInput => (Reason::FrameRefused, Transient, Count),
            EncodeErrorKind::Unsupported => (Reason::EncoderUnsupported, Fatal, Next),
            EncodeErrorKind::DeviceLost => (Reason::EncoderDeviceLost, Fatal, Restart),
            EncodeErrorKind::Failed => (Reason::EncoderFailed, Fatal, Restart),
        },
        Failure::EncodeErrors => (Reason::EncodeErrors, Fatal, Restart),
        Failure::EncoderHung => (Reason::EncoderHung, Fatal, Restart),
        Failure::Transport(kind) => match kind {
            // UDP promises nothing: a full buffer or an unreachable peer may be gone with the next packet.
            TransportErrorKind::Full => (Reason::SendBufferFull, Transient, Count),
            TransportErrorKind::Unreachable => (Reason::PeerUnreachable, Transient, Count),
            // The receiver knows one address of ours: another socket would not be heard.
            TransportErrorKind::TooLarge => (Reason::DatagramTooLarge, Fatal, End),
            TransportErrorKind::Failed => (Reason::SocketFailed, Fatal, End),
            // One packet that is a defect of ours is lost; the rest of the share is as good as before.
            TransportErrorKind::Unprotected => (Reason::InternalError, Transient, Count),
        },
        Failure::SendErrors => (Reason::SendErrors, Fatal, End),
        Failure::TransportHung => (Reason::TransportHung, Fatal, End),
        Failure::RtcpTimeout => (Reason::RtcpTimeout, Fatal, End),
        Failure::QueueDrops => (Reason::QueueDrops, Transient, Degrade),
        Failure::Overloaded => (Reason::Overloaded, Fatal, End),
        Failure::Panicked => (Reason::InternalError, Fatal, End),
    };
    Verdict { reason, severity, action }
}

/// Why a sender ends whose source came to its end.
pub(crate) fn on_capture_end(reason: EndReason) -> Reason {
    match reason {
        EndReason::WindowClosed => Reason::WindowClosed,
        EndReason::MonitorRemoved => Reason::MonitorRemoved,
        EndReason::EndOfFile => Reason::EndOfFile,
        _ => Reason::CaptureFailed,
    }
}

/// Counts transient failures in a rolling window. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct RollingWindow {
    tolerance: Tolerance,
    /// The last of them, at most as many as are tolerated.
    times: VecDeque<CaptureTime>,
}

impl RollingWindow {
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, times: VecDeque::with_capacity(tolerance.count as usize) }
    }

    /// One more. Answers whether that is more than is tolerated; counting then begins anew.
    pub(crate) fn note(&mut self, now: CaptureTime) -> bool {
        while self.times.front().is_some_and(|at| now.saturating_since(*at) > self.tolerance.window) {
            self.times.pop_front();
        }
        if self.times.len() == self.tolerance.count as usize {
            self.times.clear();
            return true;
        }
        self.times.push_back(now);
        false
    }
}

/// Sees that nothing leaves any more, however little there is to send. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct BlockedWatch {
    limit: Option<Duration>,
    /// Since when every datagram was refused.
    since: Option<CaptureTime>,
}

impl BlockedWatch {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None }
    }

    /// A datagram left.
    pub(crate) fn on_sent(&mut self) {
        self.since = None;
    }

    /// One was refused. Answers whether that has been so for too long; the time then begins anew.
    pub(crate) fn on_refused(&mut self, now: CaptureTime) -> bool {
        let Some(limit) = self.limit else { return false };
        let since = *self.since.get_or_insert(now);
        let too_long = now.saturating_since(since) >= limit;
        if too_long {
            self.since = None;
        }
        too_long
    }
}

/// Sees that most captured pictures have been dropped for a while. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct DropWatch {
    tolerance: DropTolerance,
    /// Since when more were dropped than is tolerated.
    above_since: Option<CaptureTime>,
}

impl DropWatch {
    pub(crate) fn new(tolerance: DropTolerance) -> Self {
        Self { tolerance, above_since: None }
    }

    /// Of `captured` pictures since the last look, `dropped` never got to the encoder; `looked` is when that
    /// was. Answers whether it has been too many for too long; the time then begins anew.
    pub(crate) fn on_sample(
        &mut self,
        looked: CaptureTime,
        now: CaptureTime,
        captured: u64,
        dropped: u64,
    ) -> bool {
        // A few captured are nothing to judge by: one of them may be on its way to the encoder.
        if captured < FEWEST {
            return false;
        }
        if (dropped as f64) <= captured as f64 * f64::from(self.tolerance.share) {
            self.above_since = None;
            return false;
        }
        let since = *self.above_since.get_or_insert(looked);
        let too_long = now.saturating_since(since) >= self.tolerance.lasting;
        if too_long {
            self.above_since = None;
        }
        too_long
    }
}

/// Fewer pictures than this in one look say nothing.
const FEWEST: u64 = 4;
/// How long a [`DropWatch`] looks at once: shorter looks would judge single pictures.
pub(crate) const DROP_LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn window(count: u32, millis: u64) -> RollingWindow {
        RollingWindow::new(Tolerance { count, window: Duration::from_millis(millis) })
    }

    #[test]
    fn what_may_pass_is_counted_and_what_will_not_leads_to_a_step() {
        let row = |failure| {
            let verdict = judge(failure);
            (verdict.reason.code(), verdict.severity, verdict.action)
        };
        use Severity::{Fatal, Transient};
        for (failure, expected) in [
            (Failure::Transport(TransportErrorKind::Full), ("send_buffer_full", Transient, Action::Count)),
            (Failure::Transport(TransportErrorKind::Failed), ("socket_failed", Fatal, Action::End)),
            (Failure::Encode(EncodeErrorKind::InvalidInput), ("frame_refused", Transient, Action::Count)),
            (Failure::Encode(EncodeErrorKind::DeviceLost), ("encoder_device_lost", Fatal, Action::Restart)),
            (Failure::Encode(EncodeErrorKind::Unsupported), ("encoder_unsupported", Fatal, Action::Next)),
            (Failure::Capture(CaptureErrorKind::DeviceLost), ("capture_device_lost", Fatal, Action::Restart)),
            (Failure::Capture(CaptureErrorKind::PermissionDenied), ("capture_denied", Fatal, Action::End)),
            (Failure::QueueDrops, ("queue_drops", Transient, Action::Degrade)),
            (Failure::Panicked, ("internal_error", Fatal, Action::End)),
        ] {
            assert_eq!(row(failure), expected, "{failure:?}");
        }
        assert_eq!(on_capture_end(EndReason::WindowClosed), Reason::WindowClosed);
    }

    #[test]
    fn a_window_is_exceeded_by_one_more_than_it_allows() {
        let mut window = window(3, 1_000);
        let exceeded: Vec<bool> = (0..8).map(|n| window.note(at(n * 100))).collect();
        assert_eq!(exceeded, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn what_is_spread_wider_than_the_window_never_exceeds_it() {
        let mut window = window(3, 1_000);
        assert!((0..1_000).all(|n| !window.note(at(n * 334))));
        assert!(window.times.len() <= 3);
    }

    #[test]
    fn a_tolerance_of_none_is_exceeded_by_the_first() {
        assert!(window(0, 1_000).note(at(0)));
    }

    #[test]
    fn a_path_that_takes_nothing_for_long_is_blocked_and_one_that_takes_a_little_is_not() {
        let refused = |watch: &mut BlockedWatch, range: std::ops::RangeInclusive<u64>| {
            range.filter(|n| watch.on_refused(at(n * 1_000))).collect::<Vec<_>>()
        };
        let mut watch = BlockedWatch::new(Some(Duration::from_secs(10)));
        assert_eq!(refused(&mut watch, 0..=9), []);
        watch.on_sent();
        assert_eq!(refused(&mut watch, 10..=21), [20]);
        assert_eq!(refused(&mut BlockedWatch::new(None), 0..=1_000), []);
    }

    #[test]
    fn drops_count_only_when_most_are_dropped_for_long() {
        let tolerance = DropTolerance { share: 0.75, lasting: Duration::from_secs(10) };
        let mut watch = DropWatch::new(tolerance);
        let second = |watch: &mut DropWatch, n: u64, captured, dropped| {
            watch.on_sample(at(n * 1_000), at((n + 1) * 1_000), captured, dropped)
        };
        // Nine bad seconds, one good: it begins anew.
        assert!((0..9).all(|n| !second(&mut watch, n, 30, 29)));
        assert!(!second(&mut watch, 9, 30, 22));
        // A still second in between neither counts nor forgives.
        assert!((10..19).all(|n| !second(&mut watch, n, 30, 23)));
        assert!(!second(&mut watch, 19, FEWEST - 1, 0));
        assert!(second(&mut watch, 20, 30, 23));
        assert!(!second(&mut watch, 21, 30, 23), "it begins anew");
    }
}
