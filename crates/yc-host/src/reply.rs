//! What the commands answer.

use serde::Serialize;
use yc_sender::SenderStatus;
use yc_sfu::messages::NativeSenderOffer;

/// What can be shared now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sources {
    /// In the order in which the backends list them.
    pub sources: Vec<Source>,
}

/// One thing that a user can pick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Source {
    /// What `prepare` and `thumbnail` take, for example `window:0x3a00007`.
    pub id: String,
    /// `screen`, `monitor`, `window` or `test`.
    pub kind: &'static str,
    /// The window's title or the monitor's name.
    pub title: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The name of the process that owns the window, where it is known.
    pub process: Option<String>,
    /// The capture backend that lists it.
    pub backend: &'static str,
}

/// A small picture of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Thumbnail {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// An RGB PNG, in padded base64.
    pub png_base64: String,
}

/// The source and the encoder are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Prepared {
    /// The capture backend that was opened.
    pub capture_backend: &'static str,
    /// The encoder backend that was opened.
    pub encoder_backend: &'static str,
    /// The data of `create_native_sender_session`, as it is.
    pub offer: NativeSenderOffer,
}

/// The share runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Started {
    /// What it is doing.
    pub native_sender: SenderStatus,
}

/// Nothing runs any more.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stopped {
    /// Whether a share was starting or running.
    pub was_running: bool,
    /// The last status of the last share; none if there was none since `prepare`.
    pub native_sender: Option<SenderStatus>,
}

/// What the host is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HostStatus {
    /// Where it is.
    pub phase: Phase,
    /// What the sender is doing, or did last.
    pub native_sender: Option<SenderStatus>,
    /// Versions of what is at work.
    pub versions: Versions,
}

/// Where a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Nothing is open.
    Idle,
    /// A source and an encoder are being opened.
    Preparing,
    /// They are open; it waits for the session.
    Prepared,
    /// The share starts.
    Starting,
    /// The share runs.
    Running,
    /// The share has ended, by itself or as asked.
    Over,
}

/// Versions of what is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Versions {
    /// This crate's.
    pub yc_host: &'static str,
}

impl Versions {
    /// Those of this build.
    pub const THIS: Self = Self { yc_host: env!("CARGO_PKG_VERSION") };
}
