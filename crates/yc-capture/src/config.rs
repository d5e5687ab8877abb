//! How to capture.

use yc_media::FrameRate;

use crate::CaptureTarget;

/// What to capture and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaptureConfig {
    /// What to capture. Default: the whole screen.
    pub target: CaptureTarget,
    /// The most frames per second to deliver. Default: 30.
    pub frame_rate: FrameRate,
    /// Whether the mouse cursor is drawn into the picture. Default: true.
    pub cursor: bool,
    /// Whether the app's own windows are in the picture of a screen. Leaving them out is for Windows 10,
    /// version 2004, and later; every capture of the machine leaves them out meanwhile. Default: true.
    pub own_windows: bool,
    /// Whether the capturing thread asks to be scheduled before ordinary ones, where a program without
    /// privileges may ask: on Windows, of the multimedia class scheduler. Default: false.
    pub high_priority: bool,
    /// Where frames live, where the backend has a choice. Default: [`FrameMemory::Cpu`].
    pub memory: FrameMemory,
}

/// Where the pixels of frames are to live. A wish: each frame's buffer says where they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FrameMemory {
    /// In CPU memory.
    #[default]
    Cpu,
    /// On the GPU where the backend can, for an encoder on the same one. Backends that have none deliver
    /// frames in CPU memory as ever.
    ///
    /// `dxgi` can if the cursor is not to be drawn and the desktop is neither turned nor in HDR. The buffer's
    /// owner is an `ID3D11Texture2D` of the crate `windows` 0.62, in BGRA, whose device has multithread
    /// protection.
    Gpu,
}

impl CaptureConfig {
    /// Captures `target` at up to 30 frames per second with the cursor in it.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn new(target: CaptureTarget) -> Self {
        Self {
            target,
            frame_rate: FrameRate::new(30).expect("30 is inside 1 to 240"),
            cursor: true,
            own_windows: true,
            high_priority: false,
            memory: FrameMemory::default(),
        }
    }

    /// Delivers at most `frame_rate`.
    #[must_use]
    pub fn with_frame_rate(mut self, frame_rate: FrameRate) -> Self {
        self.frame_rate = frame_rate;
        self
    }

    /// Draws the cursor into the picture, or not.
    #[must_use]
    pub fn with_cursor(mut self, cursor: bool) -> Self {
        self.cursor = cursor;
        self
    }

    /// Leaves the app's own windows in the picture of a screen, or out of it.
    #[must_use]
    pub fn with_own_windows(mut self, own_windows: bool) -> Self {
        self.own_windows = own_windows;
        self
    }

    /// Asks for the capturing thread to be scheduled before ordinary ones, or not.
    #[must_use]
    pub fn with_high_priority(mut self, high_priority: bool) -> Self {
        self.high_priority = high_priority;
        self
    }

    /// Wishes for frames in `memory`.
    #[must_use]
    pub fn with_memory(mut self, memory: FrameMemory) -> Self {
        self.memory = memory;
        self
    }
}
