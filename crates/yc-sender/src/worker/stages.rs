//! The capture's and the encoder's stage: spawning them, opening the first that works, ending them in time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use yc_capture::{CaptureError, CaptureErrorKind, CaptureInfo};
use yc_encode::{EncodeError, EncodeErrorKind, EncoderConfig, EncoderInfo};
use yc_media::{CaptureTime, RateTarget};

use super::capture::{CaptureOrder, run_capture};
use super::encode::run_encode;
use super::shared::{Report, Shared};
use super::stage::{Call, Stage, StageKind};
use super::{Worker, end_by_panic, now};
use crate::backends::BackendKind;
use crate::error::{Hung, why_no_encoder};
use crate::{Backends, KeyframeCause, Reason, SenderConfig, SenderError, SenderErrorKind};

/// One running stage, as its owner holds it. Dropping it lets the stage end.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) stage: Arc<Stage>,
    /// Which of the backends it is.
    pub(super) index: usize,
    pub(super) control: Control,
    pub(super) worker: Worker,
}

/// How a stage is told.
#[derive(Debug)]
pub(super) enum Control {
    Capture(Sender<CaptureOrder>),
    Encoder(Sender<KeyframeCause>),
}

/// Orders that wait for a capture's owner. It takes them at once unless it hangs.
const ORDERS_WAITING: usize = 8;

impl Handle {
    /// Tells a capture; one that does not listen is seen by its watchdog.
    pub(super) fn order(&self, order: CaptureOrder) {
        if let Control::Capture(orders) = &self.control {
            let _ = orders.try_send(order);
        }
    }

    /// Lets the opened backend begin.
    pub(super) fn begin(&self, cause: KeyframeCause) {
        match &self.control {
            Control::Capture(_) => self.order(CaptureOrder::Start),
            Control::Encoder(begin) => {
                let _ = begin.try_send(cause);
            }
        }
    }
}

/// What stages are made from.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) shared: Arc<Shared>,
    pub(super) config: Arc<SenderConfig>,
    pub(super) backends: Backends,
}

impl Workshop {
    /// The names of the backends of `kind`, best first.
    pub(super) fn names(&self, kind: BackendKind) -> Vec<&'static str> {
        match kind {
            BackendKind::Capture => self.backends.captures.iter().map(|choice| choice.name).collect(),
            BackendKind::Encoder => self.backends.encoders.iter().map(|choice| choice.name).collect(),
        }
    }

    /// Lets backend `index` of `kind` open on a thread of its own. It reports when it has.
    pub(super) fn spawn(
        &self,
        kind: BackendKind,
        index: usize,
        target: RateTarget,
    ) -> Result<Handle, SenderError> {
        let stage = Arc::new(Stage::new(kind.into(), self.shared.next_generation()));
        let (shared, own) = (Arc::clone(&self.shared), Arc::clone(&stage));
        let (control, body): (_, Box<dyn FnOnce() + Send>) = match kind {
            BackendKind::Capture => {
                let open = Arc::clone(&self.backends.captures[index].open);
                let (told, orders) = bounded(ORDERS_WAITING);
                (Control::Capture(told), Box::new(move || run_capture(&shared, &own, &open, &orders)))
            }
            BackendKind::Encoder => {
                let open = Arc::clone(&self.backends.encoders[index].open);
                let config = Arc::clone(&self.config);
                let encoder = EncoderConfig::screen(config.codec, target);
                let (told, begin) = bounded(1);
                let body = move || run_encode(&shared, &own, &config, &open, &encoder, &begin);
                (Control::Encoder(told), Box::new(body))
            }
        };
        let (end, of) = (end_by_panic(&self.shared), Arc::clone(&stage));
        let on_panic = move |text| {
            // What an abandoned stage does at last is of no consequence.
            if of.is_revoked() {
                tracing::warn!(text, "an abandoned stage");
            } else {
                end(text);
            }
        };
        let worker = Worker::spawn(StageKind::from(kind).thread(), body, on_panic)?;
        Ok(Handle { stage, index, control, worker })
    }
}

/// The first capture and the first encoder that opened, and what it takes to open others. [`close`] it if it
/// is not handed to a supervisor.
///
/// [`close`]: Stages::close
#[derive(Debug)]
pub(crate) struct Stages {
    pub(super) opening: Opening,
    pub(super) capture: Handle,
    pub(super) capture_info: CaptureInfo,
    pub(super) encoder: Handle,
    pub(super) encoder_info: EncoderInfo,
}

impl Stages {
    /// Opens the first capture and the first encoder that can be.
    ///
    /// # Errors
    ///
    /// `Capture` or `Encode` if none opens, with all reasons; `Resources` if the OS gives no thread.
    pub(crate) fn open(
        shared: Arc<Shared>,
        config: Arc<SenderConfig>,
        backends: Backends,
        reports: Receiver<Report>,
    ) -> Result<Self, SenderError> {
        let mut opening = Opening {
            workshop: Workshop { shared, config, backends },
            reports,
            early: VecDeque::new(),
            left: Vec::new(),
        };
        let opened = opening.capture(0);
        let (capture, capture_info) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                opening.close();
                return Err(error);
            }
        };
        let config = &opening.workshop.config;
        let size = capture_info.size.fit_into(config.max_resolution);
        let target = RateTarget::new(config.bitrate, config.frame_rate, size);
        let opened = opening.encoder(target);
        let (encoder, encoder_info) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                opening.leave(capture);
                opening.close();
                return Err(error);
            }
        };
        Ok(Self { opening, capture, capture_info, encoder, encoder_info })
    }

    pub(crate) fn capture_info(&self) -> &CaptureInfo {
        &self.capture_info
    }

    pub(crate) fn encoder_info(&self) -> &EncoderInfo {
        &self.encoder_info
    }

    /// Starts the capture; if it cannot start, the next one that can.
    ///
    /// # Errors
    ///
    /// `Capture` if none starts; `Stopped` if the sender was stopped meanwhile.
    pub(crate) fn start_capture(&mut self) -> Result<(), SenderError> {
        loop {
            let (generation, index) = (self.capture.stage.generation, self.capture.index);
            self.capture.begin(KeyframeCause::Start);
            let started = self.opening.wait(|report| match report {
                Report::CaptureStarted(of, started) if of == generation => Ok(started),
                other => Err(other),
            });
            let error = match started {
                Waited::Came(Ok(())) => return Ok(()),
                Waited::Came(Err(error)) => error,
                Waited::TimeIsUp => {
                    let name = self.opening.workshop.backends.captures[index].name;
                    hung_capture(name, Call::Start.doing())
                }
                Waited::Stopped => return Err(self.opening.ended(SenderErrorKind::Capture)),
            };
            self.opening.passed_over(BackendKind::Capture, &error);
            // What the first said tells more than that the others do not know such a source.
            let (next, info) = self.opening.capture(index + 1).map_err(|_| SenderError::from(error))?;
            self.opening.leave(std::mem::replace(&mut self.capture, next));
            self.opening.workshop.shared.metrics().on_capture(&info);
            self.capture_info = info;
        }
    }

    /// Lets the encoder begin.
    pub(crate) fn start_encoder(&self) {
        self.opening.workshop.shared.set_encoder_generation(self.encoder.stage.generation);
        self.encoder.begin(KeyframeCause::Start);
    }

    /// Ends what was opened. Nothing of it is left running, but for what hangs.
    pub(crate) fn close(self) {
        let Self { mut opening, capture, encoder, .. } = self;
        opening.leave(capture);
        opening.leave(encoder);
        opening.close();
    }
}

/// Waits until `until` for all `workers` to end. Answers how many did not and were abandoned.
pub(super) fn end_all(workers: Vec<Worker>, until: CaptureTime) -> usize {
    workers.into_iter().map(|worker| worker.join_by(until)).filter(|ended| !ended).count()
}

/// Opening in order, while there is no supervisor yet.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) workshop: Workshop,
    pub(super) reports: Receiver<Report>,
    /// Reports that came while another was waited for.
    pub(super) early: VecDeque<Report>,
    /// Threads of stages that are no longer in use.
    pub(super) left: Vec<Worker>,
}

impl Opening {
    /// The first capture from `first` on that opens.
    fn capture(&mut self, first: usize) -> Result<(Handle, CaptureInfo), SenderError> {
        let config = &self.workshop.config;
        let target = RateTarget::new(config.bitrate, config.frame_rate, config.max_resolution);
        let opened = |report, generation| match report {
            Report::CaptureOpened(of, opened) if of == generation => Ok(opened),
            other => Err(other),
        };
        let hung = |name| hung_capture(name, Call::Open.doing());
        self.first(BackendKind::Capture, first, target, opened, hung)?
            .map_err(|why_not| yc_capture::most_telling(why_not).into())
    }

    /// The first encoder that opens.
    fn encoder(&mut self, target: RateTarget) -> Result<(Handle, EncoderInfo), SenderError> {
        let opened = |report, generation| match report {
            Report::EncoderOpened(of, opened) if of == generation => Ok(opened),
            other => Err(other),
        };
        let hung =
            |name| EncodeError::new(EncodeErrorKind::Failed, name, Call::Open.doing()).with_source(Hung);
        self.first(BackendKind::Encoder, 0, target, opened, hung)?.map_err(|why_not| {
            let all: Vec<String> = why_not.iter().map(ToString::to_string).collect();
            let why = if all.is_empty() { "there is no encoder backend".to_owned() } else { all.join("; ") };
            // What is wrong tells more than that another cannot do it at all.
            let reasons = why_not.iter().map(why_no_encoder);
            let reason = reasons.reduce(|first, next| match first {
                Reason::EncoderUnsupported => next,
                telling => telling,
            });
            SenderError::new(SenderErrorKind::Encode, why)
                .with_reason(reason.unwrap_or(Reason::EncoderUnsupported))
        })
    }

    /// The first backend of `kind` from `first` on that opens, or why none does. `opened` takes the report of
    /// the stage of a generation; `hung` says that a backend did not answer.
    fn first<I, E: fmt::Display>(
        &mut self,
        kind: BackendKind,
        first: usize,
        target: RateTarget,
        opened: impl Fn(Report, u64) -> Result<Result<I, E>, Report>,
        hung: impl Fn(&'static str) -> E,
    ) -> Result<Result<(Handle, I), Vec<E>>, SenderError> {
        let mut why_not = Vec::new();
        for (index, name) in self.workshop.names(kind).into_iter().enumerate().skip(first) {
            let handle = self.workshop.spawn(kind, index, target)?;
            let generation = handle.stage.generation;
            let error = match self.wait(|report| opened(report, generation)) {
                Waited::Came(Ok(info)) => return Ok(Ok((handle, info))),
                Waited::Came(Err(error)) => error,
                Waited::TimeIsUp => hung(name),
                Waited::Stopped => {
                    self.leave(handle);
                    return Err(self.ended(match kind {
                        BackendKind::Capture => SenderErrorKind::Capture,
                        BackendKind::Encoder => SenderErrorKind::Encode,
                    }));
                }
            };
            self.leave(handle);
            self.passed_over(kind, &error);
            why_not.push(error);
        }
        Ok(Err(why_not))
    }

    /// What ended the sender while a stage of `kind` was waited for: the app, or a panic in that stage.
    fn ended(&self, kind: SenderErrorKind) -> SenderError {
        let shared = &self.workshop.shared;
        match shared.lifecycle.now().reason.filter(|reason| reason.is_failure()) {
            Some(reason) => {
                let detail = shared.metrics().life().detail.clone();
                SenderError::new(kind, detail.unwrap_or_else(|| reason.to_string())).with_reason(reason)
            }
            None => stopped(),
        }
    }

    /// Says why a backend is not the one in use.
    fn passed_over(&self, kind: BackendKind, error: &impl fmt::Display) {
        tracing::info!(%error, "a backend is passed over");
        self.workshop.shared.metrics().on_passed_over(kind, &error.to_string());
    }

    fn wait<T>(&mut self, wanted: impl Fn(Report) -> Result<T, Report>) -> Waited<T> {
        let until = now() + self.workshop.config.watchdog.open;
        wait_for(&self.workshop.shared, &self.reports, &mut self.early, until, wanted)
    }

    /// Lets a stage end that is not wanted.
    fn leave(&mut self, handle: Handle) {
        self.workshop.shared.revoke(&handle.stage);
        handle.order(CaptureOrder::Stop);
        self.left.push(handle.worker);
    }

    /// Waits for what was left, within the bound of stopping.
    fn close(self) {
        end_all(self.left, now() + self.workshop.config.stop_deadline);
    }
}

/// What came of waiting for a report.
enum Waited<T> {
    Came(T),
    TimeIsUp,
    Stopped,
}

/// Waits for the report that `wanted` takes; the others are kept in `early`.
fn wait_for<T>(
    shared: &Shared,
    reports: &Receiver<Report>,
    early: &mut VecDeque<Report>,
    until: CaptureTime,
    wanted: impl Fn(Report) -> Result<T, Report>,
) -> Waited<T> {
    loop {
        if shared.is_stopping() {
            return Waited::Stopped;
        }
        match reports.recv_timeout(until.saturating_since(now())) {
            Ok(report) => match wanted(report) {
                Ok(found) => return Waited::Came(found),
                Err(other) => early.push_back(other),
            },
            Err(_) => return Waited::TimeIsUp,
        }
    }
}

fn hung_capture(name: &'static str, doing: &'static str) -> CaptureError {
    CaptureError::new(CaptureErrorKind::Failed, name, doing).with_source(Hung)
}

pub(crate) fn stopped() -> SenderError {
    SenderError::new(SenderErrorKind::Stopped, "it was stopped before it had started")
}
