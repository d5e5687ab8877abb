//! Where a sender gets its capture and its encoder from: at the start, and again after one failed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use yc_capture::{CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind};
use yc_encode::{EncodeError, EncodeErrorKind, EncoderConfig, VideoEncoderBackend};

use crate::{FallbackStep, SenderConfig, SenderError};

/// The two kinds of backends that a sender opens, and changes for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendKind {
    Capture,
    Encoder,
}

impl BackendKind {
    /// Opening the same one again.
    pub(crate) const fn restart(self) -> FallbackStep {
        match self {
            Self::Capture => FallbackStep::RestartCapture,
            Self::Encoder => FallbackStep::RestartEncoder,
        }
    }

    /// Going on to the next one.
    pub(crate) const fn next(self) -> FallbackStep {
        match self {
            Self::Capture => FallbackStep::NextCapture,
            Self::Encoder => FallbackStep::NextEncoder,
        }
    }

    /// Going back to a better one.
    pub(crate) const fn preferred(self) -> FallbackStep {
        match self {
            Self::Capture => FallbackStep::PreferredCapture,
            Self::Encoder => FallbackStep::PreferredEncoder,
        }
    }
}

/// What opens a capture. Called on the thread that will own the capture, as often as it must be opened.
pub type OpenCapture = Arc<dyn Fn() -> Result<Box<dyn CaptureBackend>, CaptureError> + Send + Sync>;

/// What opens an encoder. Called on the thread that will own the encoder, as often as it must be opened.
pub type OpenEncoder =
    Arc<dyn Fn(&EncoderConfig) -> Result<Box<dyn VideoEncoderBackend>, EncodeError> + Send + Sync>;

/// One capture backend that a sender may use.
#[derive(Clone)]
#[non_exhaustive]
pub struct CaptureChoice {
    /// The backend's name.
    pub name: &'static str,
    /// Opens it for the sender's source.
    pub open: OpenCapture,
}

/// One encoder backend that a sender may use.
#[derive(Clone)]
#[non_exhaustive]
pub struct EncoderChoice {
    /// The backend's name.
    pub name: &'static str,
    /// Opens it.
    pub open: OpenEncoder,
}

/// The backends that a sender may use, best first. It begins with the first that opens, and goes down the
/// lists when one fails for good.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Backends {
    /// For the capture.
    pub captures: Vec<CaptureChoice>,
    /// For the encoder.
    pub encoders: Vec<EncoderChoice>,
}

impl Backends {
    /// The capture backends compiled in, for the source that `capture` names, and the encoder backends that
    /// `config` names.
    ///
    /// # Errors
    ///
    /// `Encode` if `config` names an encoder that is not compiled in, or none encodes its codec.
    pub fn compiled_in(config: &SenderConfig, capture: CaptureConfig) -> Result<Self, SenderError> {
        let capture = capture.with_frame_rate(config.frame_rate);
        let captures = yc_capture::candidates(&capture).into_iter().map(|entry| {
            let (open, capture) = (entry.open, capture.clone());
            CaptureChoice::new(entry.name, move || open(&capture))
        });
        Ok(Self { captures: captures.collect(), encoders: encoders_compiled_in(config)? })
    }

    /// A capture that the app opened itself, and the encoder backends that `config` names. Such a capture
    /// cannot be opened again when it fails.
    ///
    /// # Errors
    ///
    /// As [`Backends::compiled_in`].
    pub fn with_capture(
        config: &SenderConfig,
        capture: Box<dyn CaptureBackend>,
    ) -> Result<Self, SenderError> {
        Ok(Self { captures: vec![CaptureChoice::once(capture)], encoders: encoders_compiled_in(config)? })
    }

    /// These captures and encoders, best first.
    pub fn new(captures: Vec<CaptureChoice>, encoders: Vec<EncoderChoice>) -> Self {
        Self { captures, encoders }
    }

    /// Lets every capture that is opened pass through `map`, which also learns which candidate it is, from 0:
    /// for an app that puts something of its own around whatever works.
    #[must_use]
    pub fn map_captures(
        mut self,
        map: impl Fn(usize, Box<dyn CaptureBackend>) -> Box<dyn CaptureBackend> + Send + Sync + 'static,
    ) -> Self {
        let map = Arc::new(map);
        for (index, choice) in self.captures.iter_mut().enumerate() {
            let (open, map) = (Arc::clone(&choice.open), Arc::clone(&map));
            choice.open = Arc::new(move || open().map(|capture| map(index, capture)));
        }
        self
    }

    /// As [`Backends::map_captures`], for encoders.
    #[must_use]
    pub fn map_encoders(
        mut self,
        map: impl Fn(usize, Box<dyn VideoEncoderBackend>) -> Box<dyn VideoEncoderBackend> + Send + Sync + 'static,
    ) -> Self {
        let map = Arc::new(map);
        for (index, choice) in self.encoders.iter_mut().enumerate() {
            let (open, map) = (Arc::clone(&choice.open), Arc::clone(&map));
            choice.open = Arc::new(move |config| open(config).map(|encoder| map(index, encoder)));
        }
        self
    }
}

fn encoders_compiled_in(config: &SenderConfig) -> Result<Vec<EncoderChoice>, SenderError> {
    let order: Vec<&str> = config.encoders.iter().map(String::as_str).collect();
    let entries = yc_encode::candidates(&order, config.codec)?;
    Ok(entries.into_iter().map(|entry| EncoderChoice::new(entry.name, entry.open)).collect())
}

impl CaptureChoice {
    /// The backend `name`, opened by `open`.
    pub fn new(
        name: &'static str,
        open: impl Fn() -> Result<Box<dyn CaptureBackend>, CaptureError> + Send + Sync + 'static,
    ) -> Self {
        Self { name, open: Arc::new(open) }
    }

    /// A capture that is open already, and cannot be opened again.
    pub fn once(capture: Box<dyn CaptureBackend>) -> Self {
        let name = capture.info().backend;
        let only = Mutex::new(Some(capture));
        Self::new(name, move || {
            only.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                CaptureError::new(CaptureErrorKind::Unsupported, name, "opening it again")
                    .with_source("the app opened it itself")
            })
        })
    }
}

impl EncoderChoice {
    /// The backend `name`, opened by `open`.
    pub fn new(
        name: &'static str,
        open: impl Fn(&EncoderConfig) -> Result<Box<dyn VideoEncoderBackend>, EncodeError> + Send + Sync + 'static,
    ) -> Self {
        Self { name, open: Arc::new(open) }
    }

    /// An encoder that is open already, and cannot be opened again.
    pub fn once(encoder: Box<dyn VideoEncoderBackend>) -> Self {
        let name = encoder.info().name;
        let only = Mutex::new(Some(encoder));
        Self::new(name, move |_| {
            only.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
                EncodeError::new(EncodeErrorKind::Unsupported, name, "opening it again")
                    .with_source("the app opened it itself")
            })
        })
    }
}

impl fmt::Debug for CaptureChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CaptureChoice").field(&self.name).finish()
    }
}

impl fmt::Debug for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncoderChoice").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use yc_media::{RateTarget, Resolution};

    use super::*;

    #[test]
    fn what_is_opened_passes_through_the_map_every_time_with_its_number() {
        let encoders = vec!["openh264".into(), "openh264".into()];
        let config = SenderConfig { encoders, ..SenderConfig::default() };
        let source = CaptureConfig::new("synthetic:64x48".parse().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (of_captures, of_encoders) = (Arc::clone(&seen), Arc::clone(&seen));
        let all = Backends::compiled_in(&config, source)
            .unwrap()
            .map_captures(move |index, capture| {
                of_captures.lock().unwrap().push((capture.info().backend, index));
                capture
            })
            .map_encoders(move |index, encoder| {
                of_encoders.lock().unwrap().push((encoder.info().name, index));
                encoder
            });

        let size = Resolution::new(64, 48).unwrap();
        let rate = RateTarget::new(config.bitrate, config.frame_rate, size);
        let encoder = EncoderConfig::screen(config.codec, rate);
        assert!((all.encoders[1].open)(&encoder).is_ok());
        assert!((all.encoders[1].open)(&encoder).is_ok());
        assert!((all.encoders[0].open)(&encoder).is_ok());
        // The other captures refuse a synthetic source, so nothing of them passes.
        let opened = all.captures.iter().filter(|choice| (choice.open)().is_ok()).count();
        let place = all.captures.iter().position(|choice| choice.name == "synthetic").unwrap();
        assert_eq!(opened, 1);
        let expected = [("openh264", 1), ("openh264", 1), ("openh264", 0), ("synthetic", place)];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn a_capture_that_the_app_opened_opens_once() {
        let source = CaptureConfig::new("synthetic:64x48".parse().unwrap());
        let capture = yc_capture::open(&source).unwrap().backend;
        let all = Backends::with_capture(&SenderConfig::default(), capture).unwrap();
        assert!((all.captures[0].open)().is_ok());
        assert_eq!((all.captures[0].open)().unwrap_err().kind(), CaptureErrorKind::Unsupported);
    }
}
