//! What can be shared.

use yc_capture::{CaptureSource, SourceKind, list_sources, most_telling};

use crate::{HostError, Source, Sources, SourcesRequest};

/// Lists what there is now. Nothing but test sources, where a backend could not list, is that backend's error: an
/// empty list would not say why.
pub(crate) fn list(request: &SourcesRequest) -> Result<Sources, HostError> {
    let (found, errors) = list_sources();
    let sources: Vec<Source> = found
        .into_iter()
        .filter(|source| request.include_test || source.kind != SourceKind::Test)
        .map(Source::from)
        .collect();
    if sources.is_empty() && !errors.is_empty() {
        return Err(most_telling(errors).into());
    }
    Ok(Sources { sources })
}

impl From<CaptureSource> for Source {
    fn from(source: CaptureSource) -> Self {
        let kind = match source.kind {
            SourceKind::Screen => "screen",
            SourceKind::Monitor => "monitor",
            SourceKind::Window => "window",
            // A kind that a later yc-capture has is none that a user was meant to pick here.
            _ => "test",
        };
        Self {
            id: source.target.to_string(),
            kind,
            title: source.title,
            width: source.size.width(),
            height: source.size.height(),
            process: source.process,
            backend: source.backend,
        }
    }
}

#[cfg(test)]
mod tests {
    use yc_capture::CaptureTarget;
    use yc_media::Resolution;

    use super::*;

    #[test]
    fn a_source_is_named_by_what_prepare_takes() {
        let size = Resolution::new(800, 600).unwrap();
        let target = CaptureTarget::Window(0x3a0_0007);
        let source = CaptureSource::new(target, SourceKind::Window, "Notes".into(), size, "x11")
            .with_process(Some("notes".into()));
        let json = serde_json::to_value(Source::from(source)).unwrap();
        let expected = serde_json::json!({
            "id": "window:0x3a00007", "kind": "window", "title": "Notes", "width": 800, "height": 600,
            "process": "notes", "backend": "x11",
        });
        assert_eq!(json, expected);
    }
}
