//! What cannot be captured, and displays that go away.

use std::time::Duration;

use yc_capture::{CaptureErrorKind, CaptureEvent, CaptureTarget, list_sources};

use crate::common::{WAIT, next_frame, start, stop_in_time};
use crate::desktop::{Desktop, with_desktop, with_display, with_server};
use crate::pictures::Painter;
use crate::{config, open, try_open};

const SCREEN: &[&str] = &["-screen", "0", "320x240x24"];

#[track_caller]
fn assert_refused(target: &str, kind: CaptureErrorKind, words: &str) {
    let error = try_open(&config(target.parse().unwrap())).err();
    let error = error.unwrap_or_else(|| panic!("{target} was opened"));
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn sources_that_do_not_exist_are_refused_by_name() {
    with_desktop("failures::sources_that_do_not_exist_are_refused_by_name", SCREEN, |_| {
        use CaptureErrorKind::{InvalidInput, NotFound, Unsupported};
        assert_refused("window:0x123456", NotFound, "there is no window 0x123456");
        assert_refused("window:0x100000000", NotFound, "there is no window 0x100000000");
        assert_refused("monitor:7", NotFound, "monitor 7 is not one of 0 to 0");
        let region = "region:100x100+221+0 is not inside the screen, 320x240+0+0";
        assert_refused("region:100x100+221+0", InvalidInput, region);
        assert_refused("region:100x100+4294967295+0", InvalidInput, "320x240+0+0");
        assert_refused("synthetic:10x10", Unsupported, "not part of an X11 desktop");
    });
}

#[test]
fn no_display_and_a_display_that_is_not_there_are_told_apart() {
    with_display("failures::no_display_and_a_display_that_is_not_there_are_told_apart", "", || {
        assert_refused("screen", CaptureErrorKind::Unsupported, "DISPLAY is not set");
        let (sources, errors) = list_sources();
        assert!(sources.iter().all(|source| source.backend != "x11"));
        assert_eq!(errors.len(), 1, "{errors:?}");
        let error = yc_capture::open(&config(CaptureTarget::Screen)).unwrap_err();
        assert!(error.to_string().contains("DISPLAY is not set"), "{error}");
    });
}

#[test]
fn a_display_that_nobody_serves_is_lost() {
    with_display("failures::a_display_that_nobody_serves_is_lost", ":58999", || {
        assert_refused("screen", CaptureErrorKind::DeviceLost, "DISPLAY \":58999\"");
    });
}

#[test]
fn a_display_name_that_cannot_be_read_is_refused_with_its_form() {
    with_display("failures::a_display_name_that_cannot_be_read_is_refused_with_its_form", "nonsense", || {
        assert_refused("screen", CaptureErrorKind::InvalidInput, "[HOST]:DISPLAY[.SCREEN]");
    });
}

#[test]
fn a_display_that_wants_a_login_is_refused() {
    // One entry of an Xauthority file: any host, any display, a cookie that nobody else knows.
    let mut entry = vec![0xff, 0xff, 0, 0, 0, 0];
    entry.extend_from_slice(b"\0\x12MIT-MAGIC-COOKIE-1\0\x10");
    entry.extend_from_slice(&std::process::id().to_be_bytes().repeat(4));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), entry).unwrap();
    let arguments = ["-screen", "0", "320x240x24", "-auth", file.path().to_str().unwrap()];
    with_server("failures::a_display_that_wants_a_login_is_refused", &arguments, |_| {
        assert_refused("screen", CaptureErrorKind::PermissionDenied, "Authorization required");
    });
}

#[test]
fn a_screen_of_other_depth_is_refused_with_its_pixels() {
    let arguments = ["-screen", "0", "320x240x16"];
    with_desktop("failures::a_screen_of_other_depth_is_refused_with_its_pixels", &arguments, |_| {
        assert_refused("screen", CaptureErrorKind::Unsupported, "depth 16");
    });
}

#[test]
fn a_screen_of_ten_bits_a_colour_is_refused_with_its_mask() {
    let arguments = ["-screen", "0", "320x240x30"];
    with_desktop("failures::a_screen_of_ten_bits_a_colour_is_refused_with_its_mask", &arguments, |_| {
        assert_refused("screen", CaptureErrorKind::Unsupported, "red mask 0x3ff00000");
    });
}

#[test]
fn a_display_without_damage_is_refused() {
    let arguments = ["-screen", "0", "320x240x24", "-extension", "DAMAGE"];
    with_desktop("failures::a_display_without_damage_is_refused", &arguments, |_| {
        assert_refused("screen", CaptureErrorKind::Unsupported, "DAMAGE");
    });
}

#[test]
fn a_server_that_is_killed_fails_the_capture() {
    with_desktop("failures::a_server_that_is_killed_fails_the_capture", SCREEN, |desktop| {
        let mut still = open(CaptureTarget::Screen);
        let still_events = start(&mut *still);
        next_frame(&still_events);
        desktop.signal_server("-KILL");
        let event = still_events.recv_timeout(WAIT).unwrap();
        let CaptureEvent::Failed(error) = event else { panic!("{event:?}") };
        assert_eq!(error.kind(), CaptureErrorKind::DeviceLost, "{error}");
        assert!(still_events.recv_timeout(WAIT).is_err(), "something came after the end");
        stop_in_time(&mut *still);
        let error = still.start(Box::new(|_| ())).unwrap_err();
        assert_eq!(error.kind(), CaptureErrorKind::DeviceLost, "{error}");
    });
}

#[test]
fn a_server_that_is_killed_while_it_is_painted_on_fails_the_capture() {
    let name = "failures::a_server_that_is_killed_while_it_is_painted_on_fails_the_capture";
    with_desktop(name, SCREEN, |desktop| {
        let server = desktop.server;
        let painting = std::thread::Builder::new().spawn(move || {
            let desktop = Desktop::connect(server);
            let window = desktop.window(0, 0, 320, 240);
            let area = yc_media::Rect { x: 0, y: 0, width: 320, height: 240 };
            while x11rb::connection::Connection::flush(&desktop.connection).is_ok() {
                desktop.try_fill(window, area);
            }
        });
        let mut backend = open(CaptureTarget::Screen);
        let events = start(&mut *backend);
        for _ in 0..20 {
            next_frame(&events);
        }
        desktop.signal_server("-KILL");
        let failed = std::iter::from_fn(|| events.recv_timeout(WAIT).ok()).find_map(|event| match event {
            CaptureEvent::Failed(error) => Some(error),
            _ => None,
        });
        assert_eq!(failed.unwrap().kind(), CaptureErrorKind::DeviceLost);
        stop_in_time(&mut *backend);
        painting.unwrap().join().unwrap();
    });
}

#[test]
fn a_server_that_hangs_does_not_keep_the_capture_from_stopping() {
    let name = "failures::a_server_that_hangs_does_not_keep_the_capture_from_stopping";
    with_desktop(name, SCREEN, |desktop| {
        let mut backend = open(CaptureTarget::Screen);
        let painter = Painter::start(desktop.server);
        let events = start(&mut *backend);
        for _ in 0..20 {
            next_frame(&events);
        }
        desktop.signal_server("-STOP");
        // By now it waits for an answer that does not come.
        while events.recv_timeout(Duration::from_millis(300)).is_ok() {}
        stop_in_time(&mut *backend);
        desktop.signal_server("-CONT");
        drop(painter);
        // And one that hangs for good is lost.
        let mut backend = try_open(&config(CaptureTarget::Screen).with_cursor(true)).unwrap();
        let events = start(&mut *backend);
        next_frame(&events);
        desktop.signal_server("-STOP");
        let failed =
            std::iter::from_fn(|| events.recv_timeout(3 * WAIT).ok()).find_map(|event| match event {
                CaptureEvent::Failed(error) => Some(error),
                _ => None,
            });
        desktop.signal_server("-CONT");
        let error = failed.unwrap();
        assert_eq!(error.kind(), CaptureErrorKind::DeviceLost);
        assert!(error.to_string().contains("no answer in 10 s"), "{error}");
    });
}
