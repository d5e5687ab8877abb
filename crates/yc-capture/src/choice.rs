//! Which of the capture backends of Windows is tried first: the rule, apart from the system that it asks.

/// What the rule looks at in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One window.
    Window,
    /// A monitor or a part of one. `default_adapter`: whether it hangs on the adapter that Direct3D takes by
    /// default.
    Monitor { default_adapter: bool },
    /// Parts of several monitors in one picture.
    SeveralMonitors,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The backends to try first, best first.
    pub(crate) order: &'static [&'static str],
    /// Why in this order, in words for the status.
    pub(crate) why: &'static str,
}

/// Decides for a source on Windows of build `build`.
///
/// | source | order | why |
/// | --- | --- | --- |
/// | window | `wgc`, `gdi` | the compositor's picture of a window has what others cover |
/// | monitor, Windows 11 | `wgc`, `dxgi`, `gdi` | no border there, cursor and colours are the compositor's work |
/// | monitor, Windows 10 | `dxgi`, `wgc`, `gdi` | WGC draws a yellow border that cannot be switched off |
/// | monitor of another adapter | `dxgi`, `wgc`, `gdi` | WGC works on the default adapter: each picture would cross the bus twice |
/// | several monitors | `gdi` | the other two know one monitor each |
pub(crate) fn choose(wanted: Wanted, build: u32) -> Choice {
    match wanted {
        Wanted::Window => Choice {
            order: &["wgc", "gdi"],
            why: "a window: Windows.Graphics.Capture first, which sees it where others cover it",
        },
        Wanted::SeveralMonitors => {
            Choice { order: &["gdi"], why: "several monitors in one picture: only GDI reads across them" }
        }
        Wanted::Monitor { default_adapter: false } => Choice {
            order: &["dxgi", "wgc", "gdi"],
            why: "the monitor hangs on another graphics adapter than the default: DXGI first, which reads it there",
        },
        Wanted::Monitor { .. } if build < WINDOWS_11 => Choice {
            order: &["dxgi", "wgc", "gdi"],
            why: "Windows 10: DXGI first, since Windows.Graphics.Capture draws a border there",
        },
        Wanted::Monitor { .. } => Choice {
            order: &["wgc", "dxgi", "gdi"],
            why: "Windows 11: Windows.Graphics.Capture first, without its border",
        },
    }
}

/// The first build of Windows 11; `GraphicsCaptureSession.IsBorderRequired` came with build 20348
/// (Microsoft Learn, "GraphicsCaptureSession.IsBorderRequired Property").
const WINDOWS_11: u32 = 22_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(wanted: Wanted, build: u32) -> &'static [&'static str] {
        choose(wanted, build).order
    }

    #[test]
    fn a_window_is_never_duplicated_and_several_monitors_are_only_read_by_gdi() {
        for build in [17_134, 19_045, 22_000, 26_100] {
            assert_eq!(order(Wanted::Window, build), ["wgc", "gdi"]);
            assert_eq!(order(Wanted::SeveralMonitors, build), ["gdi"]);
        }
    }

    #[test]
    fn windows_10_duplicates_a_monitor_and_windows_11_captures_it() {
        let wanted = Wanted::Monitor { default_adapter: true };
        assert_eq!(order(wanted, 19_045), ["dxgi", "wgc", "gdi"]);
        assert_eq!(order(wanted, 21_999), ["dxgi", "wgc", "gdi"]);
        assert_eq!(order(wanted, 22_000), ["wgc", "dxgi", "gdi"]);
    }

    #[test]
    fn a_monitor_of_another_adapter_is_duplicated_everywhere() {
        for build in [17_134, 19_045, 22_000, 26_100] {
            assert_eq!(order(Wanted::Monitor { default_adapter: false }, build)[0], "dxgi");
        }
    }

    #[test]
    fn every_order_ends_with_what_needs_no_graphics_card() {
        for wanted in [
            Wanted::Window,
            Wanted::SeveralMonitors,
            Wanted::Monitor { default_adapter: true },
            Wanted::Monitor { default_adapter: false },
        ] {
            for build in [17_134, 22_000] {
                assert_eq!(order(wanted, build).last(), Some(&"gdi"));
            }
        }
    }
}
