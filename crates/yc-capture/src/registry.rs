//! Finding sources and opening them with whatever backend can.

use crate::backends::{self, CaptureEntry};
use crate::{CaptureBackend, CaptureConfig, CaptureError, CaptureErrorKind, CaptureSource, ENABLED};

/// An opened capture, and why the backends before it in the list were passed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The capture, not yet started.
    pub backend: Box<dyn CaptureBackend>,
    /// What the backends that were tried before it said.
    pub why_not: Vec<CaptureError>,
}

/// Everything that can be captured now, over all backends, and what those said that could not list.
pub fn list_sources() -> (Vec<CaptureSource>, Vec<CaptureError>) {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for entry in ENABLED {
        match (entry.list)() {
            Ok(found) => sources.extend(found),
            Err(error) => errors.push(error),
        }
    }
    (sources, errors)
}

/// The backends of [`ENABLED`] in the order in which they are tried for `config`: its own, but where the system
/// and the source decide which is best.
pub fn candidates(config: &CaptureConfig) -> Vec<&'static CaptureEntry> {
    with_first(backends::order(config))
}

/// All backends, those called `first` before the others.
fn with_first(first: &[&str]) -> Vec<&'static CaptureEntry> {
    let rank = |entry: &CaptureEntry| first.iter().position(|name| *name == entry.name);
    let mut entries: Vec<_> = ENABLED.iter().collect();
    // Stable: those that are not named keep their order, behind those that are.
    entries.sort_by_key(|entry| rank(entry).unwrap_or(first.len()));
    entries
}

/// Opens a capture with the first of its [`candidates`] that can.
///
/// # Errors
///
/// If none can: the most telling of their reasons, that is the first that is not
/// [`CaptureErrorKind::Unsupported`].
pub fn open(config: &CaptureConfig) -> Result<Opened, CaptureError> {
    open_first(candidates(config), config)
}

/// As [`open`], for one picture, such as a thumbnail: with a backend that begins at once and draws no border around
/// what it captures, where there is one.
///
/// # Errors
///
/// Those of [`open`].
pub fn open_for_one_picture(config: &CaptureConfig) -> Result<Opened, CaptureError> {
    open_first(with_first(backends::FOR_ONE_PICTURE), config)
}

fn open_first(
    candidates: Vec<&'static CaptureEntry>,
    config: &CaptureConfig,
) -> Result<Opened, CaptureError> {
    let mut why_not = Vec::new();
    for entry in candidates {
        match (entry.open)(config) {
            Ok(backend) => return Ok(Opened { backend, why_not }),
            Err(error) => why_not.push(error),
        }
    }
    Err(most_telling(why_not))
}

/// Of what several backends said, what is wrong with the source rather than who does not know such a one: the
/// first that is not [`CaptureErrorKind::Unsupported`]. For who opens them one by one.
pub fn most_telling(mut why_not: Vec<CaptureError>) -> CaptureError {
    if why_not.is_empty() {
        return CaptureError::new(CaptureErrorKind::Unsupported, "registry", "looking for a backend")
            .with_source("there is no capture backend to try");
    }
    let telling =
        why_not.iter().position(|error| error.kind() != CaptureErrorKind::Unsupported).unwrap_or_default();
    why_not.swap_remove(telling)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CaptureTarget;

    #[test]
    fn the_synthetic_desktop_is_always_there() {
        let (sources, _) = list_sources();
        assert!(sources.iter().any(|source| source.backend == "synthetic"), "{sources:?}");
        let target: CaptureTarget = "synthetic:320x200".parse().unwrap();
        let opened = open(&CaptureConfig::new(target)).unwrap();
        assert_eq!(opened.backend.info().backend, "synthetic");
        assert!(opened.why_not.iter().all(|error| error.kind() == CaptureErrorKind::Unsupported));
    }

    #[test]
    fn every_backend_is_a_candidate_once() {
        for target in ["screen", "monitor:0", "window:1", "region:8x8+0+0", "synthetic"] {
            let config = CaptureConfig::new(target.parse().unwrap());
            let mut names: Vec<_> = candidates(&config).iter().map(|entry| entry.name).collect();
            let mut all: Vec<_> = ENABLED.iter().map(|entry| entry.name).collect();
            names.sort_unstable();
            all.sort_unstable();
            assert_eq!(names, all);
        }
    }

    #[test]
    fn a_source_that_nothing_can_open_gets_the_telling_reason() {
        let target: CaptureTarget = "replay:does/not/exist.y4m".parse().unwrap();
        let error = open(&CaptureConfig::new(target)).unwrap_err();
        assert_eq!((error.kind(), error.backend()), (CaptureErrorKind::NotFound, "replay"));
        assert!(error.to_string().contains("does/not/exist.y4m"), "{error}");
    }
}
