//! The desktop of Windows, as its three capture backends share it: monitors, windows, which backend is tried
//! first, and what a capturing thread asks of the system.

mod area;
mod capture;
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
pub(crate) use capture::{Capture, Session};
pub(crate) use list::{Monitor, desktop, list, monitors};
use own::OwnWindows;
pub(crate) use place::Place;
use sys::Mmcss;
pub(crate) use sys::{DpiAware, Window};
pub(crate) use white::nits as white_nits;

/// The backends to try first for `config`.
pub(crate) fn order(config: &CaptureConfig) -> &'static [&'static str] {
    Place::find(&config.target).map_or(&[], |place| choice(&place, shown_by(&place).as_ref()).order)
}

/// Why they are tried in this order, and by which adapter the source is shown.
pub(crate) fn why(config: &CaptureConfig) -> Option<String> {
    let place = Place::find(&config.target).ok()?;
    let adapter = shown_by(&place);
    let why = choice(&place, adapter.as_ref()).why;
    Some(match adapter {
        Some(adapter) => format!("{why} (shown by {})", adapter.name),
        None => why.to_owned(),
    })
}

/// The name of the adapter that `monitor` hangs on, if it is not the one that Direct3D takes by default.
pub(crate) fn other_adapter(monitor: &Monitor) -> Option<String> {
    adapter_of(monitor).filter(|adapter| !adapter.default).map(|adapter| adapter.name)
}

/// The monitor that most of `window` is on.
pub(crate) fn monitor_of(window: Window) -> Option<Monitor> {
    let handle = window.monitor();
    monitors().into_iter().find(|monitor| monitor.handle == handle)
}

/// A graphics adapter.
struct Adapter {
    name: String,
    /// Whether Direct3D takes it by default.
    default: bool,
}

fn adapter_of(monitor: &Monitor) -> Option<Adapter> {
    let mut adapters = sys::adapters().into_iter().enumerate();
    let (index, adapter) = adapters.find(|(_, adapter)| adapter.monitors.contains(&monitor.handle))?;
    Some(Adapter { name: adapter.name, default: index == 0 })
}

/// The adapter that shows what is on one monitor.
fn shown_by(place: &Place) -> Option<Adapter> {
    match place {
        Place::Window(window) => adapter_of(&monitor_of(*window)?),
        Place::Monitor { monitor, .. } => adapter_of(monitor),
        Place::Desktop(_) => None,
    }
}

fn choice(place: &Place, adapter: Option<&Adapter>) -> Choice {
    static BUILD: LazyLock<u32> = LazyLock::new(sys::build);
    let wanted = match place {
        Place::Window(_) => Wanted::Window,
        Place::Monitor { .. } => {
            Wanted::Monitor { default_adapter: adapter.is_none_or(|adapter| adapter.default) }
        }
        Place::Desktop(_) => Wanted::SeveralMonitors,
    };
    choice::choose(wanted, *BUILD)
}
