//! The host: one share at a time, from any number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use yc_capture::{CaptureConfig, CaptureTarget};
use yc_media::Resolution;
use yc_sender::{Backends, PreparedSender, ProducerState, Reason, SenderConfig, SrtpMasterKey};
use yc_sfu::messages::{NativeSenderOffer, OfferedCodec};
use yc_sfu::{NativeSession, SessionRules};

use crate::srtp::{SrtpChoice, offered_key, protection};
use crate::state::{Ready, Running, Shared, Step};
use crate::{
    Around, HostConfig, HostError, HostEvent, HostStatus, PrepareRequest, Prepared, Sources, SourcesRequest,
    StartRequest, Started, Stopped, Thumbnail, ThumbnailRequest, Versions, pump, sources, thumbnail,
};

/// The native sender of one app. Clones are the same host; dropping the last one stops what runs.
#[derive(Debug, Clone)]
pub struct NativeHost(Arc<Guard>);

/// Stops what runs when the app has no host any more. Threads of the host hold what is inside.
#[derive(Debug)]
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        stop(&self.0);
    }
}

impl NativeHost {
    /// A host with nothing open. `on_event` is called on a thread of the host's while a share runs, one event
    /// after the other; while it blocks, the events after it wait.
    pub fn new(config: HostConfig, on_event: impl Fn(HostEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Guard(Arc::new(Shared::new(config, Box::new(on_event))))))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Lists what can be shared now. Takes [`HostConfig::look_deadline`] and half a second at most.
    ///
    /// # Errors
    ///
    /// The capture's code if there is nothing to list because a backend could not list; `capture_hung`;
    /// [`HostError::BUSY`].
    pub fn sources(&self, request: SourcesRequest) -> Result<Sources, HostError> {
        self.look("yc-host-list", move |_| sources::list(&request))
    }

    /// Takes one small picture of a source, whether it is shared or not. Takes [`HostConfig::look_deadline`] and
    /// half a second at most.
    ///
    /// # Errors
    ///
    /// [`HostError::BAD_REQUEST`] for a size out of its bounds; the capture's code, `capture_silent` if the source
    /// shows nothing for now, `capture_hung`; [`HostError::BUSY`].
    pub fn thumbnail(&self, request: ThumbnailRequest) -> Result<Thumbnail, HostError> {
        request.validate()?;
        self.allow(&request.source)?;
        let max = Resolution::new(request.max_width, request.max_height).map_err(HostError::internal)?;
        self.look("yc-host-look", move |deadline| thumbnail::take(request.source, max, deadline))
    }

    /// Opens the source and an encoder, and says what to offer the server. What was prepared before is closed
    /// first; another prepare that is under way ends with [`HostError::STOPPED`]. Takes as long as the OS does to
    /// open them, `WatchdogConfig::open` (5 s) a backend at most.
    ///
    /// # Errors
    ///
    /// [`HostError::BAD_REQUEST`] for a setting of the request or the environment that is out of its bounds,
    /// [`HostError::ALREADY_RUNNING`], [`HostError::STOPPED`]; else the sender's code.
    pub fn prepare(&self, request: PrepareRequest) -> Result<Prepared, HostError> {
        self.allow(&request.source)?;
        let config = sender_config(&request)?;
        let (cursor, srtp) = (request.cursor.unwrap_or(true), request.srtp);
        let shared = self.shared();
        let capture = CaptureConfig::new(request.source)
            .with_cursor(cursor)
            .with_own_windows(shared.config.own_windows)
            .with_high_priority(shared.config.high_priority);
        let (answer, answered) = sync_channel(2);

        let mut state = shared.state();
        state.refuse_second()?;
        let (before, generation) = state.cut_short(Step::Preparing(answer.clone()));
        state.last = None;
        drop(state);
        give_up(before);
        // Two captures of one source at once are more than some systems have.
        drop(shared.wait_while(CLOSE_WITHIN, |state| state.closing > 0 && state.generation == generation));

        let opening = {
            let shared = Arc::clone(shared);
            move || {
                let opened = catch_unwind(AssertUnwindSafe(|| open(&shared.config, config, capture, srtp)));
                let opened = opened.unwrap_or_else(|_| Err(HostError::internal("opening ended by a panic")));
                // Nobody may wait for it any more.
                let _ = answer.try_send(on_opened(&shared, generation, opened));
            }
        };
        if let Err(error) = std::thread::Builder::new().name("yc-host-open".to_owned()).spawn(opening) {
            return on_opened(shared, generation, Err(HostError::internal(error)));
        }
        answered.recv().unwrap_or_else(|_| Err(HostError::stopped("prepare")))
    }

    /// Starts to send what was prepared to where `request.session` says, after checking that it fits the offer. A
    /// session that does not leaves the source prepared; any other error closes it. Takes as long as the OS does to
    /// start the capture, `WatchdogConfig::open` (5 s) a backend at most.
    ///
    /// # Errors
    ///
    /// [`HostError::NOT_PREPARED`], [`HostError::ALREADY_RUNNING`], [`HostError::NEGOTIATION_FAILED`],
    /// [`HostError::STOPPED`]; else the sender's code.
    pub fn start(&self, request: StartRequest) -> Result<Started, HostError> {
        let shared = self.shared();
        let begin = pump::spawn(shared)?;

        let mut state = shared.state();
        state.refuse_second()?;
        let Step::Prepared(ready) = &state.step else {
            return Err(HostError::new(
                HostError::NOT_PREPARED,
                "nothing is prepared: prepare a source first",
            ));
        };
        let rules = SessionRules::default().with_plain_rtp(request.allow_plain_rtp);
        let session = NativeSession::validate(&request.session, &ready.offer, rules)?;
        let (stop, status) = (ready.sender.stop_handle(), ready.sender.status());
        state.last = Some(status);
        let (before, generation) = state.go(Step::Starting(stop));
        drop(state);
        let Step::Prepared(ready) = before else {
            return Err(HostError::internal("what was prepared is not there"));
        };

        let allow_plain_rtp = request.allow_plain_rtp;
        let started = catch_unwind(AssertUnwindSafe(|| start(*ready, session, allow_plain_rtp)));
        let started = started.unwrap_or_else(|_| Err(HostError::internal("starting ended by a panic")));
        let mut state = shared.state();
        if state.generation != generation {
            drop(state);
            drop(started);
            shared.closed();
            return Err(HostError::stopped("start"));
        }
        let running = match started {
            Ok(running) => running,
            Err(error) => {
                state.last = None;
                state.go(Step::Idle);
                return Err(error);
            }
        };
        let (_, generation) = state.go(Step::Running(Arc::clone(&running)));
        drop(state);
        // The pump waits for just this.
        let _ = begin.send((Arc::clone(&running), generation));
        tracing::info!("the share runs");
        Ok(Started { native_sender: running.sender.status() })
    }

    /// Ends whatever there is: a share that runs, a start or a prepare that is under way, what is prepared. May be
    /// called at any time and any number of times. Returns within a second (and twice
    /// `SenderConfig::stop_deadline`, where that was made longer), whatever hangs; nothing is captured or sent after
    /// that, but for a thread that hangs in a call of the OS, a driver or the encoder.
    pub fn stop(&self) -> Stopped {
        stop(self.shared())
    }

    /// What the host is doing. Waits for nothing.
    pub fn status(&self) -> HostStatus {
        let state = self.shared().state();
        let phase = state.phase();
        let native_sender = match &state.step {
            Step::Prepared(ready) => Some(ready.sender.status()),
            Step::Running(running) => {
                let running = Arc::clone(running);
                drop(state);
                Some(running.sender.status())
            }
            _ => state.last.clone(),
        };
        HostStatus { phase, native_sender, versions: Versions::THIS }
    }

    /// A look at the sources that nobody waits for longer than is configured.
    fn look<T: Send + 'static>(
        &self,
        name: &str,
        call: impl FnOnce(Duration) -> Result<T, HostError> + Send + 'static,
    ) -> Result<T, HostError> {
        let deadline = self.shared().config.look_deadline;
        let hung = || HostError::new(Reason::CaptureHung.code(), "a call into the capture does not return");
        self.shared().calls.make(name, deadline + LOOK_MORE, move || call(deadline), hung)
    }

    fn allow(&self, source: &CaptureTarget) -> Result<(), HostError> {
        if matches!(source, CaptureTarget::Replay { .. }) && !self.shared().config.recordings {
            let why = format!("source \"{source}\" is a recording, and this host is not set to share any");
            return Err(HostError::bad_request(why));
        }
        Ok(())
    }
}

/// The environment first, then the request.
fn sender_config(request: &PrepareRequest) -> Result<SenderConfig, HostError> {
    let mut config = SenderConfig::from_env()?;
    config.frame_rate = request.frame_rate.unwrap_or(config.frame_rate);
    config.bitrate = request.bitrate.unwrap_or(config.bitrate);
    config.degradation.content = request.content.unwrap_or(config.degradation.content);
    config.validate()?;
    Ok(config)
}

fn open(
    host: &HostConfig,
    config: SenderConfig,
    capture: CaptureConfig,
    srtp: SrtpChoice,
) -> Result<Ready, HostError> {
    let stop_deadline = config.stop_deadline;
    let around = host.around.as_ref().map_or_else(Around::nothing, |around| around());
    let backends = (around.backends)(Backends::compiled_in(&config, capture)?);
    let sender = PreparedSender::open_from(config, backends)?;
    let mut offer = NativeSenderOffer::new(vec![OfferedCodec::from(&sender.codec_params()?)]).with_rtx();
    let key = srtp.suites().first().map(|suite| SrtpMasterKey::generate(*suite)).transpose()?;
    if let Some(key) = &key {
        offer = offer.with_srtp(offered_key(key).map_err(HostError::internal)?);
    }
    Ok(Ready { sender, offer, key, stop_deadline, around })
}

/// The prepare of `generation` is done: it is what is prepared now, or not wanted any more.
fn on_opened(
    shared: &Shared,
    generation: u64,
    opened: Result<Ready, HostError>,
) -> Result<Prepared, HostError> {
    let mut state = shared.state();
    if state.generation != generation {
        drop(state);
        drop(opened);
        shared.closed();
        return Err(HostError::stopped("prepare"));
    }
    match opened {
        Ok(ready) => {
            let prepared = Prepared {
                capture_backend: ready.sender.capture_backend(),
                encoder_backend: ready.sender.encoder_backend(),
                offer: ready.offer.clone(),
            };
            state.step = Step::Prepared(Box::new(ready));
            drop(state);
            let Prepared { capture_backend, encoder_backend, .. } = prepared;
            tracing::info!(capture_backend, encoder_backend, "a source is prepared");
            Ok(prepared)
        }
        Err(error) => {
            state.step = Step::Idle;
            drop(state);
            tracing::info!(code = error.code, "a source could not be prepared");
            Err(error)
        }
    }
}

fn start(ready: Ready, session: NativeSession, allow_plain_rtp: bool) -> Result<Arc<Running>, HostError> {
    let Ready { sender, key, stop_deadline, around, .. } = ready;
    let protection = protection(key, session.srtp.as_ref(), allow_plain_rtp)?;
    let NativeSession { stream, rtp_target, .. } = session;
    let sender = sender.start_through(stream, rtp_target, protection, &around.transport)?;
    // The server has made a producer for the session that it answered with.
    sender.set_producer_state(ProducerState::Open);
    Ok(Arc::new(Running::new(sender, stop_deadline, around)))
}

/// Lets go of what is not wanted any more. What is open is closed by dropping it, on this thread.
fn give_up(step: Step) {
    match step {
        Step::Preparing(answer) => {
            // Its own answer may have come first.
            let _ = answer.try_send(Err(HostError::stopped("prepare")));
        }
        Step::Starting(stop) => stop.stop(),
        Step::Idle | Step::Prepared(_) | Step::Running(_) | Step::Over => {}
    }
}

fn stop(shared: &Shared) -> Stopped {
    let mut state = shared.state();
    let was_running = matches!(state.step, Step::Starting(_) | Step::Running(_));
    if let Step::Running(running) = &state.step {
        let (running, generation) = (Arc::clone(running), state.generation);
        drop(state);
        end(shared, &running, generation);
    } else if !matches!(state.step, Step::Idle | Step::Over) {
        let (before, _) = state.cut_short(Step::Idle);
        state.last = None;
        drop(state);
        give_up(before);
    } else {
        drop(state);
    }
    let (state, _) = shared.wait_while(CLOSE_WITHIN, |state| state.closing > 0);
    Stopped { was_running, native_sender: state.last.clone() }
}

/// Ends a share that runs, and waits until its end was taken note of.
fn end(shared: &Shared, running: &Running, generation: u64) {
    running.sender.stop_handle().stop();
    if running.pump.get() == Some(&std::thread::current().id()) {
        // The app's listener asks: the pump takes note when it has returned.
        return;
    }
    let bound = running.stop_deadline * 2;
    let (state, ended) = shared.wait_while(bound, |state| state.generation == generation);
    drop(state);
    if ended {
        return;
    }
    // The app's listener blocks, or the machine is very busy. The share ends all the same.
    let status = running.sender.status();
    let mut state = shared.state();
    if state.generation == generation {
        state.last = Some(status);
        let (before, _) = state.go(Step::Over);
        drop(state);
        drop(before);
    }
}

/// What a look may take beyond its deadline: opening and stopping the capture.
const LOOK_MORE: Duration = Duration::from_millis(500);

/// How long is waited for what is not wanted any more to close. What hangs longer closes when it can.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);
