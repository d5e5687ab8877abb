//! The desktop of Windows, as its three capture backends share it: monitors, windows, which backend is tried
//! first, and what a capturing thread asks of the system.

mod area;
mod list;
mod own;
mod place;
#[allow(unsafe_code)]
mod sys;
mod white;

use std::sync::LazyLock;

use crate::CaptureConfig;
use crate::choice::{self, Choice, Wanted};

pub(crate) use area::Area;
pub(crate) use list::{Monitor, desktop, list, monitors};
pub(crate) use own::OwnWindows;
pub(crate) use place::{NoPlace, Place};
pub(crate) use sys::{DpiAware, Mmcss, Window};
pub(crate) use white::nits as white_nits;

/// The backends to try first for `config`.
pub(crate) fn order(config: &CaptureConfig) -> &'static [&'static str] {
    Place::find(&config.target).map_or(&[], |place| choice(&place).order)
}

/// Why they are tried in this order, and by which adapter the source is shown.
pub(crate) fn why(config: &CaptureConfig) -> Option<String> {
    let place = Place::find(&config.target).ok()?;
    let why = choice(&place).why;
    let monitor = match place {
        Place::Window(window) => monitor_of(window),
        Place::Monitor { monitor, .. } => Some(monitor),
        Place::Desktop(_) => None,
    };
    let on = |monitor: Monitor| {
        sys::adapters().into_iter().find(|adapter| adapter.monitors.contains(&monitor.handle))
    };
    Some(match monitor.and_then(on) {
        Some(adapter) => format!("{why} (shown by {})", adapter.name),
        None => why.to_owned(),
    })
}

/// The name of the adapter that `monitor` hangs on, if it is not the one that Direct3D takes by default.
pub(crate) fn other_adapter(monitor: &Monitor) -> Option<String> {
    let mut adapters = sys::adapters().into_iter();
    let default = adapters.next()?;
    if default.monitors.contains(&monitor.handle) {
        return None;
    }
    adapters.find(|adapter| adapter.monitors.contains(&monitor.handle)).map(|adapter| adapter.name)
}

/// The monitor that most of `window` is on.
pub(crate) fn monitor_of(window: Window) -> Option<Monitor> {
    let handle = window.monitor();
    monitors().into_iter().find(|monitor| monitor.handle == handle)
}

fn choice(place: &Place) -> Choice {
    static BUILD: LazyLock<u32> = LazyLock::new(sys::build);
    let wanted = match place {
        Place::Window(_) => Wanted::Window,
        Place::Monitor { monitor, .. } => {
            Wanted::Monitor { default_adapter: other_adapter(monitor).is_none() }
        }
        Place::Desktop(_) => Wanted::SeveralMonitors,
    };
    choice::choose(wanted, *BUILD)
}
