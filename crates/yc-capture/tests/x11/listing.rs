//! What is listed.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux};
use yc_capture::{CaptureSource, CaptureTarget, SourceKind, clock, list_sources};
use yc_media::Rect;

use crate::common::{WAIT, next_frame, start};
use crate::desktop::{Desktop, pixel, with_desktop};
use crate::open;

const SCREEN: &[&str] = &["-screen", "0", "640x480x24"];

#[test]
fn screen_monitors_and_windows_are_listed_without_a_window_manager() {
    let name = "listing::screen_monitors_and_windows_are_listed_without_a_window_manager";
    with_desktop(name, SCREEN, |desktop| {
        desktop.set_monitor("left", Rect { x: 0, y: 0, width: 400, height: 480 });
        desktop.set_monitor("right", Rect { x: 400, y: 0, width: 240, height: 480 });
        let editor = desktop.window(10, 20, 300, 200);
        desktop.set_title(editor, "Grüße – editor\x1b[0m");
        let old = desktop.window(10, 20, 64, 32);
        desktop.set_old_title(old, "old");
        skipped(desktop);
        let (sources, errors) = list_sources();
        assert!(errors.is_empty(), "{errors:?}");
        let told = told(&sources);
        assert_eq!(
            told,
            [
                "screen \"Screen\" 640x480",
                "monitor:0 \"left\" 400x480",
                "monitor:1 \"right\" 240x480",
                // Xvfb's own.
                "monitor:2 \"screen\" 640x480",
                &format!("window:{editor:#x} \"Grüße – editor [0m\" 300x200 by us"),
                &format!("window:{old:#x} \"old\" 64x32 by us"),
            ]
        );
    });
}

#[test]
fn windows_are_listed_and_captured_under_a_window_manager() {
    let name = "listing::windows_are_listed_and_captured_under_a_window_manager";
    with_desktop(name, SCREEN, |desktop| {
        // Shown before the manager starts, which takes over what it finds.
        let window =
            desktop.hidden_window(50, 60, 300, 200, &CreateWindowAux::new().background_pixel(0x31_41_59));
        desktop.set_title(window, "managed");
        desktop.connection.map_window(window).unwrap();
        skipped(desktop);
        desktop.sync();
        let manager = Manager::start();
        let state = desktop.atom("WM_STATE");
        wait_for(|| {
            let property = desktop.connection.get_property(false, window, state, 0u32, 0, 1);
            property.unwrap().reply().unwrap().type_ != 0
        });
        let expected = format!("window:{window:#x} \"managed\" 300x200 by us");
        let listed = || told(&list_sources().0.into_iter().filter(is_window).collect::<Vec<_>>());
        wait_for(|| listed() == [expected.as_str()]);
        // The window is inside a frame now, which is not captured.
        let mut backend = open(CaptureTarget::Window(window.into()));
        let events = start(&mut *backend);
        let frame = next_frame(&events);
        assert_eq!(frame.size().to_string(), "300x200");
        assert_eq!((pixel(&frame, 0, 0), pixel(&frame, 299, 199)), (0x31_41_59, 0x31_41_59));
        // Minimised, it is not listed, and a capture of it pauses.
        let change = desktop.atom("WM_CHANGE_STATE");
        let iconic = [3u32, 0, 0, 0, 0];
        let message = x11rb::protocol::xproto::ClientMessageEvent::new(32, window, change, iconic);
        let mask = x11rb::protocol::xproto::EventMask::SUBSTRUCTURE_REDIRECT
            | x11rb::protocol::xproto::EventMask::SUBSTRUCTURE_NOTIFY;
        desktop.connection.send_event(false, desktop.root, mask, message).unwrap();
        desktop.sync();
        wait_for(|| listed().is_empty());
        let mut paused = false;
        while let Ok(event) = events.recv_timeout(Duration::from_secs(2)) {
            paused |= matches!(event, yc_capture::CaptureEvent::Paused(_));
        }
        assert!(paused);
        // Killed, the manager leaves its list behind, and its windows are shown again.
        drop(manager);
        wait_for(|| listed() == [expected.as_str()]);
        let late = desktop.window(0, 0, 40, 30);
        desktop.set_title(late, "late");
        desktop.sync();
        assert_eq!(listed(), [expected, format!("window:{late:#x} \"late\" 40x30 by us")]);
    });
}

/// Windows that nobody would pick.
fn skipped(desktop: &Desktop) {
    let menu = CreateWindowAux::new().override_redirect(1);
    let menu = desktop.hidden_window(0, 0, 100, 100, &menu);
    desktop.connection.map_window(menu).unwrap();
    desktop.hidden_window(0, 0, 100, 100, &CreateWindowAux::new());
    let helper = CreateWindowAux::new().override_redirect(1);
    let helper = desktop.hidden_window(0, 0, 1, 1, &helper);
    desktop.connection.map_window(helper).unwrap();
    desktop.sync();
}

fn is_window(source: &CaptureSource) -> bool {
    source.kind == SourceKind::Window
}

/// The sources of the desktop in words.
fn told(sources: &[CaptureSource]) -> Vec<String> {
    let us = std::env::current_exe().unwrap();
    let us = us.file_name().unwrap().to_str().unwrap();
    let of_x11 = sources.iter().filter(|source| source.backend == "x11");
    of_x11
        .map(|source| {
            let by = match source.process.as_deref() {
                Some(name) if name == us => " by us".to_owned(),
                Some(name) => format!(" by {name}"),
                None => String::new(),
            };
            format!("{} {:?} {}{by}", source.target, source.title, source.size)
        })
        .collect()
}

#[track_caller]
fn wait_for(mut condition: impl FnMut() -> bool) {
    let end = clock::now() + WAIT;
    while !condition() {
        assert!(clock::now() < end, "it did not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A window manager that ends with its owner.
struct Manager(Child);

impl Manager {
    fn start() -> Self {
        let child = Command::new("openbox").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| {
            panic!("this test needs openbox (Debian: apt-get install openbox): {error}")
        }))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
