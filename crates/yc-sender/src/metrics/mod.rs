//! What the threads count, and the snapshot made of it.
//!
//! One lock each for what the capture's, the encoder's and the sender's threads write, so that no thread
//! waits for another's work: each is held for a few additions only.

mod snapshot;
mod stats;

use std::sync::{Mutex, MutexGuard, PoisonError};

use yc_capture::CaptureInfo;
use yc_encode::EncoderInfo;
use yc_media::{CaptureTime, Codec, RateTarget};

use crate::backends::BackendKind;
use crate::degradation::Ladder;
use crate::mirror::MirrorTally;
use crate::srtp::SrtpTally;
use crate::{FallbackStatus, FallbackStep, LifecycleCounters, ProducerState, Reason, SenderConfig};

pub(crate) use stats::{CaptureStats, EncodeStats, PressureCounts, SendStats, SentTimes};

/// Which backends are in use, and why not those before them.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) capture_backend: &'static str,
    pub(crate) capture_why: Option<String>,
    pub(crate) capture_note: Option<String>,
    pub(crate) capture_why_not: Vec<String>,
    pub(crate) encoder_backend: &'static str,
    pub(crate) encoder_hardware: bool,
    pub(crate) encoder_accelerated: bool,
    pub(crate) encoder_why_not: Vec<String>,
    pub(crate) codec: Codec,
}

/// The latest of the reasons why a backend was passed over that are kept: of a device that is lost every
/// minute they would grow without end.
const REASONS_KEPT: usize = 16;

impl Facts {
    /// Before anything is open.
    fn none(codec: Codec) -> Self {
        Self {
            capture_backend: "none",
            capture_why: None,
            capture_note: None,
            capture_why_not: Vec::new(),
            encoder_backend: "none",
            encoder_hardware: false,
            encoder_accelerated: false,
            encoder_why_not: Vec::new(),
            codec,
        }
    }

    fn on_capture(&mut self, info: &CaptureInfo) {
        self.capture_backend = info.backend;
        self.capture_why.clone_from(&info.why);
        self.capture_note.clone_from(&info.note);
    }

    fn on_encoder(&mut self, info: &EncoderInfo) {
        self.encoder_backend = info.name;
        self.encoder_hardware = info.hardware;
        self.encoder_accelerated = info.accelerated;
    }
}

fn keep(reasons: &mut Vec<String>, why: &str) {
    if reasons.len() == REASONS_KEPT {
        reasons.remove(0);
    }
    reasons.push(why.to_owned());
}

#[derive(Debug)]
pub(crate) struct Metrics {
    facts: Mutex<Facts>,
    life: Mutex<Life>,
    capture: Mutex<CaptureStats>,
    encode: Mutex<EncodeStats>,
    send: Mutex<SendStats>,
}

/// What happens to a sender as a whole.
#[derive(Debug)]
pub(crate) struct Life {
    /// When it was started; before that, when it was opened.
    pub(crate) started_at: CaptureTime,
    /// Why it stopped, in words.
    pub(crate) detail: Option<String>,
    pub(crate) events_lost: u64,
    pub(crate) counters: LifecycleCounters,
    pub(crate) fallback: FallbackStatus,
    pub(crate) producer: ProducerState,
    pub(crate) srtp: Option<SrtpTally>,
    pub(crate) mirror: Option<MirrorTally>,
}

impl Metrics {
    pub(crate) fn new(config: &SenderConfig, now: CaptureTime, target: RateTarget) -> Self {
        let life = Life {
            started_at: now,
            detail: None,
            events_lost: 0,
            counters: LifecycleCounters::default(),
            fallback: FallbackStatus::default(),
            producer: ProducerState::Unknown,
            srtp: None,
            mirror: None,
        };
        Self {
            facts: Mutex::new(Facts::none(config.codec)),
            life: Mutex::new(life),
            capture: Mutex::default(),
            encode: Mutex::new(EncodeStats::new(target)),
            send: Mutex::new(SendStats::new(Ladder::new(&config.degradation, target).status(now))),
        }
    }

    pub(crate) fn life(&self) -> MutexGuard<'_, Life> {
        lock(&self.life)
    }

    pub(crate) fn capture(&self) -> MutexGuard<'_, CaptureStats> {
        lock(&self.capture)
    }

    pub(crate) fn encode(&self) -> MutexGuard<'_, EncodeStats> {
        lock(&self.encode)
    }

    pub(crate) fn send(&self) -> MutexGuard<'_, SendStats> {
        lock(&self.send)
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }

    /// The encoder and the capture in use.
    pub(crate) fn backends(&self) -> (&'static str, &'static str) {
        let facts = self.facts();
        (facts.encoder_backend, facts.capture_backend)
    }

    /// Another capture is in use.
    pub(crate) fn on_capture(&self, info: &CaptureInfo) {
        self.facts().on_capture(info);
        let mut capture = self.capture();
        (capture.paused, capture.blank) = (false, false);
    }

    /// Another encoder is in use.
    pub(crate) fn on_encoder(&self, info: &EncoderInfo) {
        self.facts().on_encoder(info);
    }

    /// A backend failed, or could not be opened.
    pub(crate) fn on_passed_over(&self, kind: BackendKind, why: &str) {
        let mut facts = self.facts();
        let reasons = match kind {
            BackendKind::Capture => &mut facts.capture_why_not,
            BackendKind::Encoder => &mut facts.encoder_why_not,
        };
        keep(reasons, why);
    }

    /// A step of the retreat was taken.
    pub(crate) fn on_step(&self, step: FallbackStep, reason: Reason) {
        let mut life = self.life();
        if !step.goes_back() {
            life.fallback.reason = Some(reason);
        }
        life.fallback.step = Some(step);
        let counters = &mut life.counters;
        *match step {
            FallbackStep::RestartEncoder => &mut counters.encoder_restarts,
            FallbackStep::NextEncoder => &mut counters.encoder_switches,
            FallbackStep::RestartCapture => &mut counters.capture_restarts,
            FallbackStep::NextCapture => &mut counters.capture_switches,
            FallbackStep::PreferredEncoder | FallbackStep::PreferredCapture => &mut counters.went_back,
            FallbackStep::Browser => &mut counters.gave_up,
        } += 1;
    }

    /// What the degradation ladder and the failure policy look at.
    pub(crate) fn pressure(&self) -> PressureCounts {
        let (captured, damaged, source_size) = {
            let capture = self.capture();
            (capture.frames, capture.damaged, capture.size)
        };
        let (unpacketized, refused) = {
            let send = self.send();
            (send.unpacketized, send.refused)
        };
        let encode = self.encode();
        PressureCounts {
            captured,
            damaged,
            taken: encode.converted + encode.capped,
            send_drops: encode.backlog + encode.lost_on_the_way + unpacketized + refused,
            source_size,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Counters are whole after any panic: no invariant spans two of them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
