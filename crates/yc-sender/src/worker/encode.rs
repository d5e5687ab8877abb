//! The encoder's thread: the newest picture, or the last one once more, into access units.

use std::time::Duration;

use crossbeam_channel::{Sender, TrySendError};
use yc_capture::CaptureBackend;
use yc_encode::{Converter, EncodeError, FrameOptions, VideoEncoderBackend};
use yc_media::{CaptureTime, EncodedFrame, RateTarget, VideoFrame};

use super::now;
use super::shared::{Orders, Shared};
use crate::cadence::Cadence;
use crate::failure::{self, Action};
use crate::queue::Taken;
use crate::{KeyframeCause, SenderConfig, SenderEvent};

/// The encoding side: converter, encoder, and when a still picture is encoded again.
#[derive(Debug)]
pub(crate) struct Encoding {
    converter: Converter,
    encoder: Box<dyn VideoEncoderBackend>,
    cadence: Cadence,
    target: RateTarget,
    encoded: Sender<EncodedFrame>,
    /// The last picture as the encoder took it: what a still screen repeats.
    last: Option<VideoFrame>,
    last_time: CaptureTime,
    /// A captured picture that waits until there is room to send it.
    postponed: Option<VideoFrame>,
    keyframe: Option<KeyframeCause>,
}

/// How often the encoding side looks again while something waits for room to be sent.
const BACKLOG_POLL: Duration = Duration::from_millis(5);
/// How long the encoding side waits for a first picture before it looks around again.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// One tick of the RTP clock, rounded up: capture times that differ by less share a timestamp.
const ONE_TICK: Duration = Duration::from_nanos(11_112);

impl Encoding {
    pub(crate) fn new(
        config: &SenderConfig,
        target: RateTarget,
        converter: Converter,
        encoder: Box<dyn VideoEncoderBackend>,
        encoded: Sender<EncodedFrame>,
    ) -> Self {
        Self {
            converter,
            encoder,
            cadence: Cadence::new(config.still, config.frame_rate.interval()),
            target,
            encoded,
            last: None,
            last_time: CaptureTime::default(),
            postponed: None,
            keyframe: Some(KeyframeCause::Start),
        }
    }

    /// How long to wait for a new picture before something else is due.
    fn timeout(&self, now: CaptureTime) -> Duration {
        if self.postponed.is_some() {
            return BACKLOG_POLL;
        }
        self.cadence.due_at().map_or(IDLE_POLL, |due| due.saturating_since(now))
    }

    /// Encodes what is due: a captured picture, a wanted key frame, or the last picture once more.
    fn step(&mut self, shared: &Shared, captured: Option<VideoFrame>) -> Result<(), EncodeError> {
        if let Some(frame) = captured {
            if let Some(older) = self.postponed.take() {
                shared.metrics().encode().backlog += 1;
                self.postponed = Some(frame.clone().with_damage(older.damage().merge(frame.damage())));
            } else {
                self.postponed = Some(frame);
            }
        }
        if shared.backlog_is_full() {
            return Ok(());
        }
        let started = now();
        if let Some(frame) = self.postponed.take() {
            let picture =
                self.converter.prepare(&frame, self.encoder.info().accepts, self.target.resolution)?;
            // The captured memory goes back to its pool before the encoder runs.
            drop(frame);
            self.cadence.on_fresh(started);
            return self.encode(shared, picture, started);
        }
        let Some(last) = &self.last else { return Ok(()) };
        let wanted = self.keyframe.is_some();
        if !wanted && self.cadence.due_at().is_none_or(|due| due > started) {
            return Ok(());
        }
        let picture = last.repeated_at(started);
        if wanted {
            self.cadence.on_fresh(started);
        } else {
            self.cadence.on_repeat(started);
        }
        shared.metrics().encode().repeated += 1;
        self.encode(shared, picture, started)
    }

    fn encode(
        &mut self,
        shared: &Shared,
        picture: VideoFrame,
        started: CaptureTime,
    ) -> Result<(), EncodeError> {
        // A repeat is stamped when it is made, and may be followed by a picture captured just before.
        let captured_at = picture.captured_at().max(self.last_time + ONE_TICK);
        let picture = picture.with_captured_at(captured_at);
        self.last_time = captured_at;
        let options = if self.keyframe.is_some() { FrameOptions::keyframe() } else { FrameOptions::delta() };
        let size = picture.size();
        let resized = self.last.as_ref().is_some_and(|last| last.size() != size);
        self.encoder.submit(&picture, options)?;
        self.last = Some(picture);
        let mut any = false;
        while let Some(frame) = self.encoder.poll()? {
            any = true;
            self.cadence.on_quantizer(frame.qp);
            self.hand_over(shared, frame, resized);
        }
        let mut stats = shared.metrics().encode();
        stats.on_encode_time(now().saturating_since(started));
        if !any {
            stats.skipped += 1;
        }
        Ok(())
    }

    fn hand_over(&mut self, shared: &Shared, frame: EncodedFrame, resized: bool) {
        let (is_key, size, qp) = (frame.is_key(), frame.size, frame.qp);
        let sent = match self.encoded.try_send(frame) {
            Ok(()) => true,
            // The receiving thread is stuck; what follows needs the lost frame.
            Err(TrySendError::Full(_)) => false,
            // The receiving thread ended: the sender stops, and nothing is lost that anybody waits for.
            Err(TrySendError::Disconnected(_)) => return,
        };
        let mut stats = shared.metrics().encode();
        stats.frames += 1;
        stats.size = Some(size);
        stats.quantizer = qp;
        stats.first_at.get_or_insert_with(now);
        if is_key {
            let unasked = if resized { KeyframeCause::Resize } else { KeyframeCause::Start };
            stats.on_keyframe(self.keyframe.take().unwrap_or(unasked));
        }
        if !sent {
            stats.lost_on_the_way += 1;
            self.keyframe = Some(KeyframeCause::Lost);
        }
        drop(stats);
        shared.wake_sending();
    }

    fn obey(&mut self, shared: &Shared) -> Result<(), EncodeError> {
        let Orders { keyframe, target } = shared.take_orders();
        self.keyframe = self.keyframe.or(keyframe);
        if let Some(target) = target {
            self.encoder.set_rate(target)?;
            self.cadence.set_frame_interval(target.frame_rate.interval());
            self.target = target;
            shared.metrics().encode().target = target;
        }
        Ok(())
    }
}

/// The encoder's thread. It owns the capture too, so that a capture that hangs in stopping hangs nobody else.
pub(crate) fn run_encode(shared: &Shared, mut capture: Box<dyn CaptureBackend>, mut encoding: Encoding) {
    loop {
        let captured = match shared.queue.take(encoding.timeout(now())) {
            Taken::Closed => break,
            Taken::Nothing => None,
            Taken::Frame { frame, superseded } => {
                shared.metrics().encode().superseded += superseded as u64;
                Some(frame)
            }
        };
        let result = encoding.obey(shared).and_then(|()| encoding.step(shared, captured));
        if let Err(error) = result {
            shared.metrics().encode().failed += 1;
            let action = failure::on_encode_error(error.kind());
            shared.emit(SenderEvent::EncodeError {
                reason: failure::encode_reason(error.kind()),
                detail: error.to_string(),
                fatal: matches!(action, Action::Stop(_)),
            });
            if let Action::Stop(reason) = action {
                shared.finish(reason, Some(error.to_string()));
            }
        }
    }
    capture.stop();
}
