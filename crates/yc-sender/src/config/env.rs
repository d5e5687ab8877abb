//! Reading the environment: names, and values inside their bounds.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::ConfigError;

/// The encoder backends to try, in order, separated by commas; `auto` is the registry's order.
pub(super) const ENCODER_BACKEND: &str = "YANKCORD_NATIVE_ENCODER_BACKEND";
/// `SenderConfig::frame_queue_capacity`.
pub(super) const FRAME_QUEUE_CAPACITY: &str = "YANKCORD_NATIVE_FRAME_QUEUE_CAPACITY";
/// `SenderConfig::rtp_target`.
pub(super) const RTP_TARGET: &str = "YANKCORD_NATIVE_RTP_TARGET";
/// Whether `SenderConfig::diagnostic_mirror` is set.
pub(super) const ENABLE_DIAGNOSTIC_UDP_MIRROR: &str = "YANKCORD_NATIVE_ENABLE_DIAGNOSTIC_UDP_MIRROR";
/// What `SenderConfig::diagnostic_mirror` is set to.
pub(super) const DIAGNOSTIC_UDP_MIRROR_TARGET: &str = "YANKCORD_NATIVE_DIAGNOSTIC_UDP_MIRROR_TARGET";

/// The variables, as a look-up gives them. An empty one counts as absent.
pub(super) struct Vars<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Vars<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { lookup }
    }

    /// The text of `name`.
    pub(super) fn text(
        &self,
        name: &'static str,
        bounds: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        match (self.lookup)(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Err(raw)) => Err(ConfigError::new(name, raw.to_string_lossy(), bounds)),
        }
    }

    /// What `parse` makes of the text of `name`; nothing is a value out of `bounds`.
    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        bounds: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name, bounds)? else { return Ok(None) };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError::new(name, text, bounds)),
        }
    }

    /// The number in `name`, which must be inside `range`; `bounds` says so in words.
    pub(super) fn number<T: FromStr + PartialOrd>(
        &self,
        name: &'static str,
        range: RangeInclusive<T>,
        bounds: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        self.parsed(name, bounds, |text| text.parse().ok().filter(|value| range.contains(value)))
    }
}
