//! The app's own windows, left out of what it captures.

use super::sys::{self, Window};

/// The windows of this process that captures leave out as long as this lives (`WDA_EXCLUDEFROMCAPTURE`, since
/// Windows 10, version 2004). Every capture on this machine leaves them out meanwhile, also those of others.
#[derive(Debug)]
pub(crate) struct OwnWindows(Vec<(Window, u32)>);

impl OwnWindows {
    /// Leaves out those that are shown now.
    pub(crate) fn exclude() -> Self {
        let mut refused = 0;
        let own = sys::windows().into_iter().map(Window::new).filter(|w| w.is_own() && w.is_visible());
        let excluded = own
            .filter_map(|window| {
                let before = window.exclude_from_capture();
                refused += usize::from(before.is_none());
                before.map(|before| (window, before))
            })
            .collect();
        if refused > 0 {
            tracing::warn!(refused, "windows of this program that Windows would not leave out");
        }
        Self(excluded)
    }
}

impl Drop for OwnWindows {
    fn drop(&mut self) {
        for (window, before) in &self.0 {
            window.set_capture_affinity(*before);
        }
    }
}
