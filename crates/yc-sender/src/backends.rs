//! Where a sender gets its capture and its encoder from: at the start, and again after one failed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use yc_capture::{CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind};
use yc_encode::{EncodeError, EncodeErrorKind, EncoderConfig, VideoEncoderBackend};

use crate::{SenderConfig, SenderError};

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
        let captures = yc_capture::ENABLED.iter().map(|entry| {
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
