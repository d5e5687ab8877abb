//! What the library is asked to capture.

use std::sync::{Arc, Mutex, PoisonError};

use windows_capture::monitor::Monitor;
use windows_capture::settings::GraphicsCaptureItemType;
use windows_capture::window::Window;

/// A monitor or a window that becomes a `GraphicsCaptureItem` on the capturing thread.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw {
    /// An `HMONITOR`.
    Monitor(isize),
    /// An `HWND`.
    Window(u64),
}

/// The same, and where it tells what came of it: the library keeps both the size and the reason to itself.
#[derive(Debug, Clone)]
pub(super) struct Item {
    raw: Raw,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

/// The item's size, or why there is no item.
pub(super) type Outcome = Result<(i32, i32), windows::core::Error>;

impl Item {
    pub(super) fn new(raw: Raw) -> Self {
        Self { raw, outcome: Arc::default() }
    }

    /// What came of it; `None` before.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn make(&self) -> windows::core::Result<(GraphicsCaptureItemType, (i32, i32))> {
        let item: GraphicsCaptureItemType = match self.raw {
            Raw::Monitor(handle) => Monitor::from_raw_hmonitor(handle as *mut _).try_into()?,
            Raw::Window(handle) => Window::from_raw_hwnd(handle as *mut _).try_into()?,
        };
        let size = match &item {
            GraphicsCaptureItemType::Monitor((item, _)) => item.Size()?,
            GraphicsCaptureItemType::Window((item, _)) => item.Size()?,
            GraphicsCaptureItemType::Unknown((item, _)) => item.Size()?,
        };
        Ok((item, (size.Width, size.Height)))
    }
}

impl TryFrom<Item> for GraphicsCaptureItemType {
    type Error = windows::core::Error;

    fn try_from(item: Item) -> windows::core::Result<Self> {
        let made = item.make();
        let outcome = made.as_ref().map(|(_, size)| *size).map_err(Clone::clone);
        *item.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        made.map(|(item, _)| item)
    }
}
