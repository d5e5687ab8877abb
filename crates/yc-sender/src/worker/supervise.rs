//! The supervisor's thread: sees which stage hangs, failed or fell silent, changes it for another, and ends
//! the sender in time. It makes no call that could hang itself.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use yc_capture::CaptureInfo;
use yc_encode::{EncodeErrorKind, EncoderInfo};
use yc_media::{CaptureTime, FrameRate, H264ProfileLevelId, RateTarget};

use super::capture::CaptureOrder;
use super::lines::{Line, Turn};
use super::send::SendThread;
use super::shared::{Report, Shared};
use super::stage::Call;
use super::stages::{Handle, Opening, Stages, Workshop, end_all};
use super::{Worker, end_by_panic, now};
use crate::backends::BackendKind;
use crate::failure::{self, Action, Failure};
use crate::retreat::Step;
use crate::silence::{Silence, SilenceWatch};
use crate::{FallbackStep, KeyframeCause, Reason, SenderError, SenderEvent};

/// Watches over one sender's stages.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    workshop: Workshop,
    reports: Receiver<Report>,
    capture: Line,
    encoder: Line,
    /// The sender's own thread.
    send: SendThread,
    silence: SilenceWatch,
    /// The H264 profile that the receiver was told.
    profile: Option<H264ProfileLevelId>,
    source: CaptureInfo,
    /// Threads of stages that are no longer in use.
    left: Vec<Worker>,
    tick: Duration,
    looked_at: CaptureTime,
}

/// The supervisor looks at least this often.
const TICK: Duration = Duration::from_millis(250);
/// And at most this often.
const SHORTEST_TICK: Duration = Duration::from_millis(20);

impl Supervisor {
    /// Watches over `stages`, of which both run, and over the sender's thread `send`.
    pub(crate) fn spawn(stages: Stages, send: SendThread) -> Result<Worker, SenderError> {
        let Stages { opening, capture, capture_info, encoder, encoder_info, .. } = stages;
        let Opening { workshop, reports, early, left } = opening;
        let shared = Arc::clone(&workshop.shared);
        let at = now();
        let line = |kind, handle| Line::new(workshop.names(kind), workshop.config.retreat, handle, at);
        let deadlines = workshop.config.watchdog;
        let shortest = deadlines.open.min(deadlines.capture).min(deadlines.encode).min(deadlines.send);
        let mut supervisor = Self {
            capture: line(BackendKind::Capture, capture),
            encoder: line(BackendKind::Encoder, encoder),
            send,
            silence: SilenceWatch::new(&workshop.config.failures, at),
            profile: encoder_info.profile_level_id,
            source: capture_info,
            shared: Arc::clone(&shared),
            workshop,
            reports,
            left,
            tick: (shortest / 4).clamp(SHORTEST_TICK, TICK),
            looked_at: at,
        };
        let on_panic = end_by_panic(&shared);
        let ended = Arc::clone(&shared);
        Worker::spawn(
            "yc-watch",
            move || {
                for report in early {
                    supervisor.on_report(now(), report);
                }
                supervisor.run();
            },
            move |text| {
                on_panic(text);
                // Nobody is left to wait for the stages.
                ended.end(false);
            },
        )
    }

    fn run(&mut self) {
        while !self.shared.is_stopping() {
            if let Ok(report) = self.reports.recv_timeout(self.wait(now())) {
                self.on_report(now(), report);
                // Reports that came together are one look.
                while let Ok(report) = self.reports.try_recv() {
                    self.on_report(now(), report);
                }
            }
            if !self.shared.is_stopping() {
                self.look(now());
            }
        }
        self.end();
    }

    /// How long until something is due.
    fn wait(&self, now: CaptureTime) -> Duration {
        let next = [&self.capture, &self.encoder].into_iter().filter_map(|line| line.turn_at()).min();
        next.map_or(self.tick, |at| at.saturating_since(now).min(self.tick))
    }

    fn line(&mut self, kind: BackendKind) -> &mut Line {
        match kind {
            BackendKind::Capture => &mut self.capture,
            BackendKind::Encoder => &mut self.encoder,
        }
    }

    fn name_of(&self, kind: BackendKind, index: usize) -> &'static str {
        match kind {
            BackendKind::Capture => self.capture.name_of(index),
            BackendKind::Encoder => self.encoder.name_of(index),
        }
    }

    fn on_report(&mut self, now: CaptureTime, report: Report) {
        use BackendKind::{Capture, Encoder};
        match report {
            Report::CaptureOpened(of, Ok(info)) if self.capture.is_opening(of) => {
                self.source = info;
                self.begin(now, Capture);
            }
            Report::CaptureOpened(of, Err(error)) if self.capture.is_opening(of) => {
                self.on_not_opened(now, Capture, Failure::Capture(error.kind()), error.to_string());
            }
            Report::CaptureStarted(of, Err(error)) if self.capture.is_running(of) => {
                self.fail(now, Capture, Failure::Capture(error.kind()), error.to_string());
            }
            Report::CaptureFailed(of, error) if self.capture.is_running(of) => {
                self.fail(now, Capture, Failure::Capture(error.kind()), error.to_string());
            }
            Report::EncoderOpened(of, Ok(info)) if self.encoder.is_opening(of) => {
                match self.mismatch(&info) {
                    None => {
                        self.shared.metrics().on_encoder(&info);
                        self.begin(now, Encoder);
                    }
                    Some(why) => {
                        self.on_not_opened(now, Encoder, Failure::Encode(EncodeErrorKind::Unsupported), why);
                    }
                }
            }
            Report::EncoderOpened(of, Err(error)) if self.encoder.is_opening(of) => {
                self.on_not_opened(now, Encoder, Failure::Encode(error.kind()), error.to_string());
            }
            Report::EncoderFailed(of, failure, detail) if self.encoder.is_running(of) => {
                self.fail(now, Encoder, failure, detail);
            }
            Report::FirstOutput(of) => {
                for kind in [Capture, Encoder] {
                    if let Some(turn) = self.line(kind).proven(of) {
                        self.completed(now, kind, &turn);
                    }
                }
            }
            Report::FrameRate(rate) => self.set_frame_rate(rate),
            // Of a stage that is no longer in use, or `Stopping`, which the loop sees.
            _ => {}
        }
    }

    fn set_frame_rate(&self, rate: FrameRate) {
        if let Some(handle) = &self.capture.running {
            handle.order(CaptureOrder::SetFrameRate(rate));
        }
    }

    /// What the receiver was told, and this encoder would not keep.
    fn mismatch(&self, info: &EncoderInfo) -> Option<String> {
        let (told, makes) = (self.profile?, info.profile_level_id?);
        (told.profile() != makes.profile())
            .then(|| format!("{}: makes profile-level-id {makes}, but {told} was negotiated", info.name))
    }

    /// Looks at every stage, and does what is due.
    fn look(&mut self, now: CaptureTime) {
        let step = now.saturating_since(self.looked_at);
        self.looked_at = now;
        let deadlines = self.workshop.config.watchdog;
        let SendThread { stage, watchdog, .. } = &mut self.send;
        if let Some(call) = watchdog.look(stage, step, &deadlines) {
            let detail = self.hung(call);
            return self.shared.finish(failure::judge(Failure::TransportHung).reason, Some(detail));
        }
        for (kind, failure) in
            [(BackendKind::Capture, Failure::CaptureHung), (BackendKind::Encoder, Failure::EncoderHung)]
        {
            let hung = self.line(kind).look(step, &deadlines);
            if let Some(call) = hung.running {
                let name = self.line(kind).name();
                self.fail(now, kind, failure, format!("{name}: {}", self.hung(call)));
            } else if let Some(call) = hung.opening {
                let name = self.line(kind).opening_name();
                self.on_not_opened(now, kind, failure, format!("{name}: {}", self.hung(call)));
            }
            self.open_if_due(now, kind);
            self.go_back_if_due(now, kind);
        }
        self.listen(now);
        let abandoned = self.reap();
        self.shared.metrics().life().counters.threads_abandoned = abandoned;
    }

    /// Counts a call that does not return, and says so.
    fn hung(&self, call: Call) -> String {
        self.shared.metrics().life().counters.stages_hung += 1;
        format!("{} does not return", call.doing())
    }

    /// Asks a silent capture whether it lives.
    fn listen(&mut self, now: CaptureTime) {
        let Some(capture) = &self.capture.running else { return };
        let (seen, missed, paused) = self.shared.metrics().capture().seen();
        match self.silence.look(now, seen, missed, paused) {
            Silence::Fine => {}
            Silence::Ask => capture.order(CaptureOrder::Probe),
            Silence::Broken => {
                let detail = format!("{}: no picture although asked for one", self.capture.name());
                self.fail(now, BackendKind::Capture, Failure::CaptureSilent, detail);
            }
        }
    }

    /// The running stage of `kind` failed: the next step of the retreat.
    fn fail(&mut self, now: CaptureTime, kind: BackendKind, failure: Failure, detail: String) {
        let verdict = failure::judge(failure);
        tracing::warn!(reason = %verdict.reason, detail, "a stage failed");
        self.shared.metrics().on_passed_over(kind, &detail);
        if kind == BackendKind::Encoder {
            // What it still makes is not sent.
            self.shared.set_encoder_generation(self.shared.next_generation());
        }
        let line = self.line(kind);
        let from = line.name();
        let (running, coming) = (line.running.take(), line.take_opening());
        self.leave(running);
        self.leave(coming.and_then(|(_, handle)| handle));
        let step = match verdict.action {
            Action::Restart => self.line(kind).retreat.on_failure(now, true),
            Action::Next => self.line(kind).retreat.on_failure(now, false),
            Action::End | Action::Count | Action::Degrade => {
                return self.shared.finish(verdict.reason, Some(detail));
            }
        };
        self.step(now, kind, step, Turn::new(from, verdict.reason, detail, now));
    }

    /// The backend that was to come into use cannot be opened.
    fn on_not_opened(&mut self, now: CaptureTime, kind: BackendKind, failure: Failure, why: String) {
        self.shared.metrics().on_passed_over(kind, &why);
        let Some((turn, handle)) = self.line(kind).take_opening() else { return };
        self.leave(handle);
        let action = failure::judge(failure).action;
        let retreat = &mut self.line(kind).retreat;
        if action == Action::Next {
            retreat.on_unsupported(turn.index);
        }
        if turn.step.goes_back() {
            // The other one goes on; this one stays aside for longer.
            return retreat.put_aside(turn.index, now);
        }
        let detail = format!("{}; {why}", turn.detail);
        if action == Action::End {
            return self.shared.finish(turn.reason, Some(detail));
        }
        let step = retreat.on_failure(now, action == Action::Restart);
        self.step(now, kind, step, Turn { detail, ..turn });
    }

    fn step(&mut self, now: CaptureTime, kind: BackendKind, step: Step, turn: Turn) {
        let (index, at, step) = match step {
            Step::Restart { at } => (self.line(kind).retreat.current(), at, kind.restart()),
            Step::Next(index) => (index, now, kind.next()),
            Step::Exhausted => {
                return match kind {
                    BackendKind::Encoder => self.try_next_capture(now, turn),
                    BackendKind::Capture => self.shared.finish(turn.reason, Some(turn.detail)),
                };
            }
        };
        let turn = Turn { step, index, at, ..turn };
        self.triggered(kind, &turn);
        self.line(kind).turn(turn);
        self.open_if_due(now, kind);
    }

    /// No encoder works with what this capture delivers: another capture may deliver something else.
    fn try_next_capture(&mut self, now: CaptureTime, turn: Turn) {
        match self.capture.retreat.on_failure(now, false) {
            Step::Next(index) => {
                let from = self.capture.name();
                let (running, coming) = (self.capture.running.take(), self.capture.take_opening());
                self.leave(running);
                self.leave(coming.and_then(|(_, handle)| handle));
                let capture = Turn { step: FallbackStep::NextCapture, index, at: now, from, ..turn.clone() };
                self.triggered(BackendKind::Capture, &capture);
                self.capture.turn(capture);
                self.encoder.retreat.begin_again();
                let step = FallbackStep::RestartEncoder;
                let index = self.encoder.retreat.current();
                self.encoder.turn(Turn { step, index, at: now, ..turn });
                self.open_if_due(now, BackendKind::Capture);
                self.open_if_due(now, BackendKind::Encoder);
            }
            Step::Restart { .. } | Step::Exhausted => self.shared.finish(turn.reason, Some(turn.detail)),
        }
    }

    fn open_if_due(&mut self, now: CaptureTime, kind: BackendKind) {
        let Some(index) = self.line(kind).due(now) else { return };
        match self.workshop.spawn(kind, index, self.encoder_target()) {
            Ok(handle) => self.line(kind).opening(handle),
            Err(error) => self.shared.finish(Reason::InternalError, Some(error.to_string())),
        }
    }

    /// A better backend's cool-down is over: it is opened while the present one goes on.
    fn go_back_if_due(&mut self, now: CaptureTime, kind: BackendKind) {
        let line = self.line(kind);
        if line.turn.is_some() || line.running.is_none() {
            return;
        }
        let Some(index) = line.retreat.better(now) else { return };
        let turn = Turn::new(line.name(), Reason::CoolDownOver, String::new(), now);
        line.turn(Turn { step: kind.preferred(), index, ..turn });
        self.open_if_due(now, kind);
    }

    /// The opened backend comes into use.
    fn begin(&mut self, now: CaptureTime, kind: BackendKind) {
        let Some((turn, handle)) = self.line(kind).take_opened() else { return };
        if turn.step.goes_back() {
            self.triggered(kind, &turn);
            let before = self.line(kind).running.take();
            self.leave(before);
            self.line(kind).retreat.turn_to(turn.index);
        }
        if kind == BackendKind::Encoder {
            self.shared.set_encoder_generation(handle.stage.generation);
            // It was opened for the goal of a moment ago.
            self.shared.renew_goal();
        } else {
            let info = self.source.clone();
            self.shared.metrics().on_capture(&info);
            self.silence = SilenceWatch::new(&self.workshop.config.failures, now);
        }
        handle.begin(KeyframeCause::Restart);
        self.line(kind).use_now(handle);
        if kind == BackendKind::Capture {
            self.set_frame_rate(self.shared.goal().target.frame_rate);
        }
    }

    /// What the next encoder is opened for: the present goal, in the size of the source.
    fn encoder_target(&self) -> RateTarget {
        let target = self.shared.goal().target;
        let source = self.shared.metrics().capture().size.unwrap_or(self.source.size);
        RateTarget { resolution: source.fit_into(target.resolution), ..target }
    }

    fn triggered(&self, kind: BackendKind, turn: &Turn) {
        let to = self.name_of(kind, turn.index);
        self.shared.metrics().on_step(turn.step, turn.reason);
        self.shared.emit(SenderEvent::FallbackTriggered {
            step: turn.step,
            from: turn.from,
            to,
            reason: turn.reason,
            detail: turn.detail.clone(),
        });
    }

    fn completed(&self, now: CaptureTime, kind: BackendKind, turn: &Turn) {
        self.shared.emit(SenderEvent::FallbackCompleted {
            step: turn.step,
            from: turn.from,
            to: self.name_of(kind, turn.index),
            took_ms: u32::try_from(now.saturating_since(turn.began).as_millis()).unwrap_or(u32::MAX),
        });
    }

    /// Lets a stage end that is no longer in use.
    fn leave(&mut self, handle: Option<Handle>) {
        let Some(handle) = handle else { return };
        self.shared.revoke(&handle.stage);
        handle.order(CaptureOrder::Stop);
        self.left.push(handle.worker);
    }

    /// Forgets the threads that have ended. Answers how many of stages no longer in use still run.
    fn reap(&mut self) -> u32 {
        let (ended, running): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.left).into_iter().partition(Worker::has_ended);
        self.left = running;
        end_all(ended, now());
        self.left.len() as u32
    }

    /// Ends every stage, within the bound of stopping.
    fn end(&mut self) {
        // Longer than a backend's own bound of stopping (200 ms), and it leaves time to tell that it has ended.
        let until = now() + self.workshop.config.stop_deadline * 6 / 7;
        let (capture, encoder) = (self.capture.take_all(), self.encoder.take_all());
        for handle in capture.into_iter().chain(encoder) {
            self.leave(Some(handle));
        }
        let mut workers = std::mem::take(&mut self.left);
        workers.extend(self.send.worker.take());
        let abandoned = end_all(workers, until);
        self.shared.forget_last();
        self.shared.metrics().life().counters.threads_abandoned = abandoned as u32;
        self.shared.end(abandoned == 0);
    }
}
