//! The encoder's thread: the newest picture, or the last one once more, into access units.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use yc_encode::{
    Converter, EncodeError, EncodeErrorKind, EncoderConfig, FrameInput, FrameOptions, VideoEncoderBackend,
};
use yc_media::{CaptureTime, Damage, EncodedFrame, RateTarget, VideoFrame};

use super::now;
use super::shared::{Encoded, Orders, Report, Shared};
use super::stage::{Call, Stage};
use crate::cadence::Cadence;
use crate::failure::{self, Failure, RollingWindow, Severity};
use crate::queue::Taken;
use crate::token_bucket::TokenBucket;
use crate::{Goal, KeyframeCause, OpenEncoder, SenderConfig, SenderEvent};

/// The encoding side: converter, encoder, and when a still picture is encoded again.
#[derive(Debug)]
struct Encoding<'a> {
    shared: &'a Shared,
    stage: &'a Stage,
    converter: Converter,
    encoder: Box<dyn VideoEncoderBackend>,
    accepts: &'static [FrameInput],
    cadence: Cadence,
    target: RateTarget,
    /// The bound that the degradation ladder sets, where it does.
    cap: Option<TokenBucket>,
    cap_burst: Duration,
    /// The last picture as the encoder took it: what a still screen repeats.
    last: Option<VideoFrame>,
    /// A captured picture that waits until there is room to send it.
    postponed: Option<VideoFrame>,
    /// What the screen showed when this encoder came into use: it begins with that unless something newer comes.
    seed: Option<VideoFrame>,
    keyframe: Option<KeyframeCause>,
    /// Whether an access unit came out yet.
    proven: bool,
}

/// How often the encoding side looks again while something waits for room to be sent.
const BACKLOG_POLL: Duration = Duration::from_millis(5);
/// How long the encoding side waits for a first picture before it looks around again.
const IDLE_POLL: Duration = Duration::from_secs(1);

/// Owns one encoder from opening to closing. It encodes once told to begin, until the sender stops, the stage
/// is revoked or the encoder fails.
pub(super) fn run_encode(
    shared: &Arc<Shared>,
    stage: &Stage,
    sender: &SenderConfig,
    open: &OpenEncoder,
    config: &EncoderConfig,
    begin: &Receiver<KeyframeCause>,
) {
    let _span = tracing::debug_span!("encoder", generation = stage.generation).entered();
    let opened = stage.call(Call::Open, || open(config).map(|encoder| (encoder.info().clone(), encoder)));
    let (info, encoder) = match opened {
        Ok(opened) => opened,
        Err(error) => return shared.report(Report::EncoderOpened(stage.generation, Err(error))),
    };
    let accepts = info.accepts;
    shared.report(Report::EncoderOpened(stage.generation, Ok(info)));
    // Nobody begins with an encoder that is no longer wanted.
    let Ok(cause) = begin.recv() else { return stage.call(Call::Drop, || drop(encoder)) };

    let mut encoding = Encoding::new(shared, stage, sender, encoder, accepts, cause);
    let mut refused = RollingWindow::new(sender.failures.encode_errors);
    let mut told: Option<EncodeErrorKind> = None;
    let failed = loop {
        let captured = match shared.queue.take_unless(encoding.timeout(now()), || stage.is_revoked()) {
            Taken::Closed => break None,
            Taken::Nothing => None,
            Taken::Frame { frame, superseded } => {
                let mut stats = shared.metrics().encode();
                stats.superseded += superseded as u64;
                stats.pressure.on_take(superseded as u32);
                Some(frame)
            }
        };
        let result = encoding.obey().and_then(|()| encoding.step(captured));
        let error = match result {
            Ok(encoded) => {
                told = told.filter(|_| !encoded);
                continue;
            }
            Err(error) => error,
        };
        if stage.is_revoked() {
            break None;
        }
        shared.metrics().encode().failed += 1;
        let failure = Failure::Encode(error.kind());
        let verdict = failure::judge(failure);
        let fatal = verdict.severity == Severity::Fatal;
        // Each kind once in a row: a source of a bad size is refused thirty times a second.
        if told.replace(error.kind()) != Some(error.kind()) {
            shared.emit(SenderEvent::EncodeError {
                reason: verdict.reason,
                detail: error.to_string(),
                fatal,
            });
        }
        if fatal {
            break Some((failure, error.to_string()));
        }
        if refused.note(now()) {
            break Some((Failure::EncodeErrors, error.to_string()));
        }
    };
    if let Some((failure, detail)) = failed {
        shared.report(Report::EncoderFailed(stage.generation, failure, detail));
    }
    stage.call(Call::Drop, || drop(encoding));
}

impl<'a> Encoding<'a> {
    fn new(
        shared: &'a Shared,
        stage: &'a Stage,
        sender: &SenderConfig,
        encoder: Box<dyn VideoEncoderBackend>,
        accepts: &'static [FrameInput],
        cause: KeyframeCause,
    ) -> Self {
        let Goal { target, cap } = shared.goal();
        let (at, burst) = (now(), sender.degradation.cap_burst);
        Self {
            shared,
            stage,
            converter: Converter::new(),
            encoder,
            accepts,
            cadence: Cadence::new(sender.still, target.frame_rate.interval()),
            target,
            cap: cap.map(|rate| TokenBucket::new(rate, burst, at)),
            cap_burst: burst,
            last: None,
            postponed: None,
            seed: shared
                .last_captured()
                .filter(|_| cause != KeyframeCause::Start)
                .map(|frame| frame.repeated_at(at)),
            keyframe: Some(cause),
            proven: false,
        }
    }

    /// How long to wait for a new picture before something else is due.
    fn timeout(&self, now: CaptureTime) -> Duration {
        if self.seed.is_some() {
            return Duration::ZERO;
        }
        if self.postponed.is_some() {
            let paid = self.cap.as_ref().map_or(now, |cap| cap.next_ready(now));
            return paid.saturating_since(now).max(BACKLOG_POLL);
        }
        self.cadence.due_at().map_or(IDLE_POLL, |due| due.saturating_since(now))
    }

    /// Encodes what is due: a captured picture, a wanted key frame, or the last picture once more. Answers
    /// whether it did.
    fn step(&mut self, captured: Option<VideoFrame>) -> Result<bool, EncodeError> {
        let shared = self.shared;
        let seed = self.seed.take().map(|frame| frame.with_damage(Damage::Full));
        if let Some(frame) = captured.or(seed) {
            if let Some(older) = self.postponed.take() {
                shared.metrics().encode().on_postponed(shared.has_room());
                self.postponed = Some(frame.clone().with_damage(older.damage().merge(frame.damage())));
            } else {
                self.postponed = Some(frame);
            }
        }
        let started = now();
        if !shared.has_room() || self.cap.as_ref().is_some_and(|cap| !cap.ready(started)) {
            return Ok(false);
        }
        if let Some(frame) = self.postponed.take() {
            let Self { converter, accepts, target, .. } = self;
            let picture = self.stage.call(Call::Convert, || {
                let _span = tracing::trace_span!("convert").entered();
                converter.prepare(&frame, accepts, target.resolution)
            })?;
            let waited = started.saturating_since(frame.captured_at());
            let converted = now();
            shared.metrics().encode().on_converted(started, waited, converted.saturating_since(started));
            // The captured memory goes back to its pool before the encoder runs.
            drop(frame);
            self.cadence.on_fresh(started);
            self.encode(picture, started, converted)?;
            return Ok(true);
        }
        let Some(last) = &self.last else { return Ok(false) };
        let wanted = self.keyframe.is_some();
        if !wanted && self.cadence.due_at().is_none_or(|due| due > started) {
            return Ok(false);
        }
        let picture = last.repeated_at(started);
        if wanted {
            self.cadence.on_fresh(started);
        } else {
            self.cadence.on_repeat(started);
        }
        shared.metrics().encode().repeated += 1;
        self.encode(picture, started, started)?;
        Ok(true)
    }

    fn encode(
        &mut self,
        picture: VideoFrame,
        started: CaptureTime,
        converted: CaptureTime,
    ) -> Result<(), EncodeError> {
        // A repeat is stamped when it is made, and may be followed by a picture captured just before.
        let captured_at = self.shared.next_encode_time(picture.captured_at());
        let picture = picture.with_captured_at(captured_at);
        let options = if self.keyframe.is_some() { FrameOptions::keyframe() } else { FrameOptions::delta() };
        let size = picture.size();
        let resized = self.last.as_ref().is_some_and(|last| last.size() != size);
        let Self { stage, encoder, .. } = self;
        stage.call(Call::Submit, || {
            let _span = tracing::trace_span!("encode", keyframe = options.keyframe).entered();
            encoder.submit(&picture, options)
        })?;
        self.last = Some(picture);
        let mut any = false;
        while let Some(frame) = self.stage.call(Call::Poll, || self.encoder.poll())? {
            if self.stage.is_revoked() {
                return Ok(());
            }
            any = true;
            self.cadence.on_quantizer(frame.qp);
            self.hand_over(frame, resized);
        }
        let ended = now();
        let mut stats = self.shared.metrics().encode();
        stats.on_encoded(ended, ended.saturating_since(converted), ended.saturating_since(started));
        if !any {
            stats.skipped += 1;
        }
        Ok(())
    }

    fn hand_over(&mut self, frame: EncodedFrame, resized: bool) {
        let (is_key, size, qp, at) = (frame.is_key(), frame.size, frame.qp, now());
        if let Some(cap) = &mut self.cap {
            cap.take(at, frame.data.len());
        }
        {
            // Before it is handed over: whoever receives it can ask what it is.
            let mut stats = self.shared.metrics().encode();
            stats.frames += 1;
            stats.size = Some(size);
            stats.quantizer = qp;
            stats.first_at.get_or_insert(at);
            if is_key {
                let unasked = if resized { KeyframeCause::Resize } else { KeyframeCause::Start };
                stats.on_keyframe(self.keyframe.take().unwrap_or(unasked));
            }
        }
        let sent = self.shared.hand_over(Encoded { generation: self.stage.generation, frame, at });
        if !std::mem::replace(&mut self.proven, true) {
            self.shared.report(Report::FirstOutput(self.stage.generation));
        }
        if !sent {
            self.shared.metrics().encode().lost_on_the_way += 1;
            self.keyframe = Some(KeyframeCause::Lost);
        }
    }

    fn obey(&mut self) -> Result<(), EncodeError> {
        let Orders { keyframe, goal } = self.shared.take_orders(self.stage);
        self.keyframe = self.keyframe.or(keyframe);
        if let Some(Goal { target, cap }) = goal {
            let (at, burst) = (now(), self.cap_burst);
            match (&mut self.cap, cap) {
                (Some(bucket), Some(rate)) => bucket.set_rate(at, rate),
                (bucket, cap) => *bucket = cap.map(|rate| TokenBucket::new(rate, burst, at)),
            }
            let Self { stage, encoder, .. } = self;
            stage.call(Call::SetRate, || encoder.set_rate(target))?;
            self.cadence.set_frame_interval(target.frame_rate.interval());
            self.target = target;
        }
        Ok(())
    }
}
