//! Fault injection: any backend or transport made to fail, hang, slow down, lose its device or flip its size,
//! on a script. For the tests of what comes after a failure, ours and those of apps.
//!
//! A [`FaultScript`] says what shall go wrong; [`Faults`] wraps real backends so that it does.
//! [`Faults::backends`] wraps all that a sender may open, so that opening fails too and a restarted backend
//! meets the script again.
//!
//! ```
//! use std::sync::mpsc;
//! use yc_capture::{CaptureConfig, CaptureErrorKind, CaptureEvent};
//! use yc_sender::fault::Faults;
//!
//! // The third picture does not come: the display is gone instead.
//! let faults = Faults::new("capture.frame@3=fail:device_lost".parse()?);
//!
//! let target = "synthetic:640x360".parse()?;
//! let mut capture = faults.capture(0, yc_capture::open(&CaptureConfig::new(target))?.backend);
//! let (sender, events) = mpsc::channel();
//! capture.start(Box::new(move |event| {
//!     let _ = sender.send(event);
//! }))?;
//! assert!(matches!(events.recv()?, CaptureEvent::Frame(_)));
//! assert!(matches!(events.recv()?, CaptureEvent::Frame(_)));
//! let CaptureEvent::Failed(error) = events.recv()? else { panic!("the third event is the failure") };
//! assert_eq!(error.kind(), CaptureErrorKind::DeviceLost);
//! assert_eq!(faults.injected(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Scripts
//!
//! `STAGE[#INDEX].CALL[@WHEN]=WHAT`, several separated by `;` or white space. The first rule that fits a call
//! decides it.
//!
//! | call | `fail` | `drop` | `size`, `end` |
//! | --- | --- | --- | --- |
//! | `capture.open`, `capture.start` | yes | | |
//! | `capture.frame` | yes, as the last event | the picture is not delivered | yes |
//! | `capture.request_frame`, `capture.set_frame_rate` | | ignored | |
//! | `capture.stop` | | | |
//! | `encoder.open`, `encoder.submit` | yes | | |
//! | `encoder.poll` | yes | the access unit is thrown away | |
//! | `encoder.set_rate` | yes | ignored | |
//! | `encoder.drop` | | | |
//! | `transport.send` | yes | seems sent, and is not | |
//! | `transport.recv` | yes | thrown away: the receiver is silent | |
//! | `transport.wait` | yes | | |
//!
//! All of them know `hang`, `slow:TIME` and `panic`.
//!
//! | part | forms |
//! | --- | --- |
//! | `#INDEX` | which candidate of [`Backends`], from 0; without it, each. Not for the transport |
//! | `@WHEN` | `N` the Nth call, `N..` from it on, `N..M` up to the Mth, `/N` every Nth; then, or alone, `+TIME` from then on, `+TIME..+TIME` before the second; calls outside that time do not count |
//! | `fail:KIND` | capture: `unsupported`, `permission_denied`, `not_found`, `device_lost`, `invalid_input`, `failed`; encoder: `unsupported`, `device_lost`, `invalid_input`, `failed`; transport: `full`, `unreachable`, `too_large`, `failed` |
//! | `size:WxH` | pixels, each side 1 to 16384 |
//! | `end:REASON` | `window_closed`, `monitor_removed`, `end_of_file` |
//! | `TIME` | `2s`, `1.5s`, `120ms`, `500us`, `20ns`; up to 86400s |
//!
//! # What is never touched
//!
//! `info()` and the transport's waker. With an empty script every call passes through, and nothing is allocated
//! for it.

mod capture;
mod encoder;
mod script;
mod site;
mod text;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use yc_capture::CaptureBackend;
use yc_encode::VideoEncoderBackend;
use yc_media::CaptureTime;

pub use script::{Fault, FaultCall, FaultKind, FaultRule, FaultScript, FaultWhen};
pub use text::FaultError;

use crate::{Backends, CaptureChoice, EncoderChoice, PacketTransport, worker};
use script::Stage;
use site::{Core, Site};

/// A script at work. Clones share its counts. Cheap to clone.
///
/// Keep one as long as calls shall hang: dropping the last releases them, so that no test leaves a thread
/// behind. What was wrapped goes on to follow the rest of the script.
#[derive(Debug, Clone)]
pub struct Faults {
    handle: Arc<Handle>,
}

/// What the users' clones share, and the wrappers don't.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.release();
    }
}

impl Faults {
    /// Lets `script` begin now, by the capture clock.
    pub fn new(script: FaultScript) -> Self {
        Self::with_clock(script, worker::now)
    }

    /// As [`Faults::new`], with the times of rules by `clock`: for a test that moves the time itself. `slow`
    /// takes real time all the same.
    pub fn with_clock(script: FaultScript, clock: impl Fn() -> CaptureTime + Send + Sync + 'static) -> Self {
        Self { handle: Arc::new(Handle { core: Arc::new(Core::new(script, Box::new(clock))) }) }
    }

    /// The script.
    pub fn script(&self) -> &FaultScript {
        self.core().script()
    }

    /// Wraps every candidate: its opening, and what it opens. A rule's `#INDEX` is the place in the list.
    pub fn backends(&self, backends: Backends) -> Backends {
        let captures = backends.captures.into_iter().enumerate().map(|(index, choice)| {
            let (site, name, inner) = (self.site(Stage::Capture, index), choice.name, choice.open);
            CaptureChoice { open: Arc::new(move || capture::open(&site, name, || inner())), ..choice }
        });
        let encoders = backends.encoders.into_iter().enumerate().map(|(index, choice)| {
            let (site, name, inner) = (self.site(Stage::Encoder, index), choice.name, choice.open);
            let open = move |config: &_| encoder::open(&site, name, || inner(config));
            EncoderChoice { open: Arc::new(open), ..choice }
        });
        Backends { captures: captures.collect(), encoders: encoders.collect() }
    }

    /// Wraps a capture that is open already, as the candidate number `index`.
    pub fn capture(&self, index: usize, capture: Box<dyn CaptureBackend>) -> Box<dyn CaptureBackend> {
        Box::new(capture::FaultyCapture::new(capture, self.site(Stage::Capture, index)))
    }

    /// Wraps an encoder that is open already, as the candidate number `index`.
    pub fn encoder(
        &self,
        index: usize,
        encoder: Box<dyn VideoEncoderBackend>,
    ) -> Box<dyn VideoEncoderBackend> {
        Box::new(encoder::FaultyEncoder::new(encoder, self.site(Stage::Encoder, index)))
    }

    /// Wraps a transport.
    pub fn transport(&self, transport: Box<dyn PacketTransport>) -> Box<dyn PacketTransport> {
        Box::new(transport::FaultyTransport::new(transport, self.site(Stage::Transport, 0)))
    }

    /// Lets every call that is held up, by `hang` or `slow`, go on with the real call. From then on none is
    /// held up any more; other faults stay.
    pub fn release(&self) {
        self.core().release();
    }

    /// How many calls are held up now, by `hang` or `slow`.
    pub fn hanging(&self) -> usize {
        self.core().hanging()
    }

    /// Waits up to `timeout` until at least `calls` calls are held up, and answers whether they are.
    pub fn wait_hanging(&self, calls: usize, timeout: Duration) -> bool {
        self.core().wait_hanging(calls, timeout)
    }

    /// How many faults happened so far.
    pub fn injected(&self) -> u64 {
        self.core().injected()
    }

    fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }

    fn site(&self, stage: Stage, index: usize) -> Site {
        Site::new(self.core(), stage, index)
    }
}

#[cfg(test)]
mod tests {
    use yc_capture::{CaptureConfig, CaptureErrorKind};
    use yc_encode::{EncodeErrorKind, EncoderConfig};
    use yc_media::{Codec, RateTarget, Resolution};

    use super::*;
    use crate::SenderConfig;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn backends(faults: &Faults) -> Backends {
        let encoders = vec!["openh264".into(), "openh264".into()];
        let config = SenderConfig { encoders, ..SenderConfig::default() };
        let mut all =
            Backends::compiled_in(&config, CaptureConfig::new("synthetic:64x48".parse().unwrap())).unwrap();
        all.captures.retain(|choice| choice.name == "synthetic");
        all.captures.push(all.captures[0].clone());
        faults.backends(all)
    }

    fn encoder_config() -> EncoderConfig {
        let config = SenderConfig::default();
        let size = Resolution::new(64, 48).unwrap();
        EncoderConfig::screen(Codec::H264, RateTarget::new(config.bitrate, config.frame_rate, size))
    }

    #[test]
    fn opening_fails_for_the_candidate_and_the_time_that_the_script_names() {
        let faults =
            Faults::new("capture#1.open@2=fail:not_found; encoder#0.open=fail:unsupported".parse().unwrap());
        let all = backends(&faults);
        assert_eq!(all.captures[0].name, "synthetic");
        assert!((all.captures[0].open)().is_ok() && (all.captures[0].open)().is_ok());
        assert!((all.captures[1].open)().is_ok());
        let error = (all.captures[1].open)().unwrap_err();
        assert_eq!((error.kind(), error.backend()), (CaptureErrorKind::NotFound, "synthetic"));
        assert!((all.captures[1].open)().is_ok());
        let error = (all.encoders[0].open)(&encoder_config()).unwrap_err();
        assert_eq!((error.kind(), error.encoder()), (EncodeErrorKind::Unsupported, "openh264"));
        assert!((all.encoders[1].open)(&encoder_config()).is_ok());
        assert_eq!(faults.injected(), 2);
    }

    #[test]
    fn what_is_opened_again_goes_on_counting() {
        let faults = Faults::new("encoder.set_rate@2=fail:device_lost".parse().unwrap());
        let all = backends(&faults);
        let rate = encoder_config().rate;
        for expected in [true, false, true] {
            let mut encoder = (all.encoders[0].open)(&encoder_config()).unwrap();
            assert_eq!(encoder.set_rate(rate).is_ok(), expected);
        }
    }

    #[test]
    fn an_opening_that_hangs_goes_on_when_the_last_handle_is_dropped() {
        let faults = Faults::new("capture.open=hang encoder.open=hang".parse().unwrap());
        let (all, another) = (backends(&faults), faults.clone());
        std::thread::scope(|scope| {
            let capture = scope.spawn(|| (all.captures[0].open)().is_ok());
            let encoder = scope.spawn(|| (all.encoders[0].open)(&encoder_config()).is_ok());
            let hung = faults.wait_hanging(2, PATIENCE);
            drop(faults);
            let still = another.hanging();
            drop(another);
            assert!(capture.join().unwrap() && encoder.join().unwrap());
            assert_eq!((hung, still), (true, 2));
        });
    }
}
