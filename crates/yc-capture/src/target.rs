//! What can be captured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use yc_media::{Rect, Resolution};

use crate::{CaptureError, CaptureErrorKind};

/// What to capture. As text, as a command line takes it:
///
/// | text | what |
/// | --- | --- |
/// | `screen` | the whole desktop, all monitors |
/// | `monitor:0` | one monitor, by its index in the listing |
/// | `window:0x3a00007` | one window, by its id in the listing (decimal or 0x hexadecimal) |
/// | `region:640x360+100+50` | a part of the desktop: width, height, left, top, in pixels |
/// | `synthetic:1920x1080` | the built-in moving desktop |
/// | `replay:clip.y4m` | a recording: Y4M, or raw BGRA as `replay:1280x720@clip.bgra` |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureTarget {
    /// The whole desktop.
    Screen,
    /// One monitor, by its index in the listing.
    Monitor(u32),
    /// One window, by the OS's id.
    Window(u64),
    /// A part of the desktop, in pixels.
    Region(Rect),
    /// The built-in moving desktop of this size.
    Synthetic(Resolution),
    /// A recording. `raw_size` is given for raw BGRA and absent for Y4M, which tells its own.
    Replay {
        /// The file.
        path: PathBuf,
        /// The size of a raw BGRA recording's pictures.
        raw_size: Option<Resolution>,
    },
}

/// Whether a source is a monitor or a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind {
    /// The whole desktop.
    Screen,
    /// One monitor.
    Monitor,
    /// One window.
    Window,
    /// A test source.
    Test,
}

/// One thing that a user can pick.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureSource {
    /// What to pass to [`CaptureConfig::new`](crate::CaptureConfig::new).
    pub target: CaptureTarget,
    /// Whether it is a monitor or a window.
    pub kind: SourceKind,
    /// The window's title or the monitor's name.
    pub title: String,
    /// Its size in pixels.
    pub size: Resolution,
    /// The name of the process that owns the window, where it is known.
    pub process: Option<String>,
    /// The backend that lists it.
    pub backend: &'static str,
}

impl CaptureSource {
    /// A source of `kind` that `backend` lists.
    pub fn new(
        target: CaptureTarget,
        kind: SourceKind,
        title: String,
        size: Resolution,
        backend: &'static str,
    ) -> Self {
        Self { target, kind, title, size, process: None, backend }
    }

    /// Says which process owns it.
    #[must_use]
    pub fn with_process(mut self, process: Option<String>) -> Self {
        self.process = process;
        self
    }
}

impl fmt::Display for CaptureTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Screen => f.write_str("screen"),
            Self::Monitor(index) => write!(f, "monitor:{index}"),
            Self::Window(id) => write!(f, "window:{id:#x}"),
            Self::Region(r) => write!(f, "region:{}x{}+{}+{}", r.width, r.height, r.x, r.y),
            Self::Synthetic(size) => write!(f, "synthetic:{size}"),
            Self::Replay { path, raw_size: None } => write!(f, "replay:{}", path.display()),
            Self::Replay { path, raw_size: Some(size) } => write!(f, "replay:{size}@{}", path.display()),
        }
    }
}

impl FromStr for CaptureTarget {
    type Err = CaptureError;

    fn from_str(text: &str) -> Result<Self, CaptureError> {
        let bad = || {
            CaptureError::new(CaptureErrorKind::InvalidInput, "target", "reading the source").with_source(format!(
                "{text:?} is none of screen, monitor:INDEX, window:ID, region:WxH+X+Y, synthetic:WxH, replay:FILE"
            ))
        };
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        Ok(match kind {
            "screen" if rest.is_empty() => Self::Screen,
            "monitor" => Self::Monitor(rest.parse().map_err(|_| bad())?),
            "window" => Self::Window(
                match rest.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16),
                    None => rest.parse(),
                }
                .map_err(|_| bad())?,
            ),
            "region" => {
                let mut parts = rest.splitn(3, '+');
                let size: Resolution = parts.next().unwrap_or("").parse().map_err(|_| bad())?;
                let x = parts.next().and_then(|x| x.parse().ok()).ok_or_else(bad)?;
                let y = parts.next().and_then(|y| y.parse().ok()).ok_or_else(bad)?;
                Self::Region(Rect { x, y, width: size.width(), height: size.height() })
            }
            "synthetic" if rest.is_empty() => {
                Self::Synthetic(Resolution::new(1920, 1080).expect("1920x1080 is inside the bounds"))
            }
            "synthetic" => Self::Synthetic(rest.parse().map_err(|_| bad())?),
            "replay" if rest.is_empty() => return Err(bad()),
            "replay" => match rest.split_once('@').map(|(size, path)| (size.parse::<Resolution>(), path)) {
                Some((Ok(size), path)) => Self::Replay { path: path.into(), raw_size: Some(size) },
                _ => Self::Replay { path: rest.into(), raw_size: None },
            },
            _ => return Err(bad()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_reads_back_what_it_prints() {
        for text in [
            "screen",
            "monitor:1",
            "window:0x3a00007",
            "region:640x360+100+50",
            "synthetic:1280x720",
            "replay:a/b.y4m",
            "replay:640x360@a.bgra",
        ] {
            assert_eq!(text.parse::<CaptureTarget>().unwrap().to_string(), text);
        }
        assert_eq!("window:255".parse::<CaptureTarget>().unwrap(), CaptureTarget::Window(255));
    }

    #[test]
    fn a_bad_target_is_named_with_what_is_allowed() {
        for text in
            ["", "scren", "monitor:", "monitor:-1", "window:zz", "region:10x10", "synthetic:0x0", "replay:"]
        {
            let error = text.parse::<CaptureTarget>().unwrap_err();
            assert_eq!(error.kind(), CaptureErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
