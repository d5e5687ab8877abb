//! What happens to a captured window, monitor or screen.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use x11rb::protocol::randr;
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt as _, CreateWindowAux};
use yc_capture::{CaptureEvent, CaptureTarget, EndReason, PauseReason};
use yc_media::{Damage, Rect, Resolution, VideoFrame};

use crate::common::{WAIT, assert_silent, next_frame, start, stop_in_time};
use crate::desktop::{pixel, with_desktop};
use crate::open;

const SCREEN: &[&str] = &["-screen", "0", "640x480x24"];

#[test]
fn a_resized_window_tells_its_new_size_before_pictures_have_it() {
    with_desktop("windows::a_resized_window_tells_its_new_size_before_pictures_have_it", SCREEN, |desktop| {
        let window = desktop.window(10, 10, 200, 100);
        let mut backend = open(CaptureTarget::Window(window.into()));
        let events = start(&mut *backend);
        let first = next_frame(&events);
        for (width, height) in [(301, 203), (50, 40), (200, 100), (639, 479)] {
            desktop.resize(window, width, height);
            desktop.fill(window, Rect { x: width - 5, y: height - 5, width: 5, height: 5 }, width);
            desktop.sync();
            let size = Resolution::new(width, height).unwrap();
            let frame = resized(&events, size);
            assert_eq!(frame.size(), size);
            assert_eq!(pixel(&settled(&events, frame), width - 1, height - 1), width);
        }
        // A frame of the old size is still what it was.
        assert_eq!(first.size(), Resolution::new(200, 100).unwrap());
        assert_eq!(pixel(&first, 199, 99), 0);
    });
}

#[test]
fn an_unmapped_window_pauses_and_a_mapped_one_resumes() {
    with_desktop("windows::an_unmapped_window_pauses_and_a_mapped_one_resumes", SCREEN, |desktop| {
        let window = desktop.window(10, 10, 64, 48);
        let mut backend = open(CaptureTarget::Window(window.into()));
        let events = start(&mut *backend);
        next_frame(&events);
        for round in 1..4 {
            desktop.connection.unmap_window(window).unwrap();
            desktop.sync();
            let event = events.recv_timeout(WAIT).unwrap();
            assert!(matches!(event, CaptureEvent::Paused(PauseReason::Unmapped)), "{event:?}");
            backend.request_frame();
            assert_silent(&events, Duration::from_millis(700));
            desktop.connection.map_window(window).unwrap();
            desktop.fill(window, Rect { x: 0, y: 0, width: 64, height: 48 }, round);
            desktop.sync();
            let event = events.recv_timeout(WAIT).unwrap();
            assert!(matches!(event, CaptureEvent::Resumed), "{event:?}");
            let frame = next_frame(&events);
            assert_eq!(pixel(&settled(&events, frame), 63, 47), round);
        }
    });
}

#[test]
fn a_window_that_is_not_shown_yet_begins_paused() {
    with_desktop("windows::a_window_that_is_not_shown_yet_begins_paused", SCREEN, |desktop| {
        let window = desktop.hidden_window(0, 0, 64, 48, &CreateWindowAux::new().background_pixel(0xabcdef));
        let mut backend = open(CaptureTarget::Window(window.into()));
        assert_eq!(backend.info().size.to_string(), "64x48");
        let events = start(&mut *backend);
        let event = events.recv_timeout(WAIT).unwrap();
        assert!(matches!(event, CaptureEvent::Paused(PauseReason::Unmapped)), "{event:?}");
        desktop.connection.map_window(window).unwrap();
        desktop.sync();
        assert!(matches!(events.recv_timeout(WAIT).unwrap(), CaptureEvent::Resumed));
        let frame = next_frame(&events);
        assert_eq!(frame.damage(), Damage::Full);
        assert_eq!(pixel(&settled(&events, frame), 5, 5), 0xabcdef);
    });
}

#[test]
fn a_destroyed_window_ends_the_capture() {
    with_desktop("windows::a_destroyed_window_ends_the_capture", SCREEN, |desktop| {
        let window = desktop.window(10, 10, 64, 48);
        let mut backend = open(CaptureTarget::Window(window.into()));
        let events = start(&mut *backend);
        next_frame(&events);
        // Drawn to until the end: some pictures are refused while it goes.
        for colour in 0..50 {
            desktop.fill(window, Rect { x: 0, y: 0, width: 64, height: 48 }, colour);
        }
        desktop.connection.destroy_window(window).unwrap();
        desktop.sync();
        let end = until_no_frame(&events);
        // Destroying unmaps first.
        let end = match end {
            CaptureEvent::Paused(PauseReason::Unmapped) => until_no_frame(&events),
            end => end,
        };
        assert!(matches!(end, CaptureEvent::Ended(EndReason::WindowClosed)), "{end:?}");
        assert!(events.recv_timeout(WAIT).is_err(), "something came after the end");
        stop_in_time(&mut *backend);
        let error = backend.start(Box::new(|_| ())).unwrap_err();
        assert_eq!(error.kind(), yc_capture::CaptureErrorKind::NotFound, "{error}");
    });
}

#[test]
fn a_covered_moved_bordered_window_is_captured_whole() {
    with_desktop("windows::a_covered_moved_bordered_window_is_captured_whole", SCREEN, |desktop| {
        let window = desktop.window(10, 10, 100, 80);
        desktop.connection.configure_window(window, &ConfigureWindowAux::new().border_width(3)).unwrap();
        desktop.fill(window, Rect { x: 0, y: 0, width: 100, height: 80 }, 0x11_22_33);
        let mut backend = open(CaptureTarget::Window(window.into()));
        assert_eq!(backend.info().note, None);
        let events = start(&mut *backend);
        next_frame(&events);
        let over = desktop.window(0, 0, 640, 480);
        desktop.fill(over, Rect { x: 0, y: 0, width: 640, height: 480 }, 0xff_ff_ff);
        // Half outside the screen, too.
        desktop.connection.configure_window(window, &ConfigureWindowAux::new().x(-50).y(440)).unwrap();
        desktop.fill(window, Rect { x: 90, y: 70, width: 10, height: 10 }, 0x44_55_66);
        desktop.sync();
        let frame = settled(&events, next_frame(&events));
        assert_eq!(frame.size().to_string(), "100x80");
        let seen = [(0, 0), (99, 0), (0, 79), (89, 69), (90, 70), (99, 79)].map(|(x, y)| pixel(&frame, x, y));
        let expected = [0x11_22_33, 0x11_22_33, 0x11_22_33, 0x11_22_33, 0x44_55_66, 0x44_55_66];
        assert_eq!(seen, expected);
    });
}

#[test]
fn without_composite_a_window_is_captured_with_what_covers_it_and_it_says_so() {
    let name = "windows::without_composite_a_window_is_captured_with_what_covers_it_and_it_says_so";
    let arguments = ["-screen", "0", "640x480x24", "-extension", "Composite"];
    with_desktop(name, &arguments, |desktop| {
        let window = desktop.window(10, 10, 100, 80);
        let mut backend = open(CaptureTarget::Window(window.into()));
        assert!(backend.info().note.as_ref().unwrap().contains("cover"), "{:?}", backend.info());
        let events = start(&mut *backend);
        next_frame(&events);
        desktop.fill(window, Rect { x: 0, y: 0, width: 100, height: 80 }, 0x11_22_33);
        desktop.sync();
        let frame = settled(&events, next_frame(&events));
        assert_eq!(pixel(&frame, 99, 79), 0x11_22_33);
        desktop.resize(window, 120, 60);
        assert_eq!(resized(&events, Resolution::new(120, 60).unwrap()).size().to_string(), "120x60");
        // What has no picture any more is paused, and comes back.
        desktop.connection.configure_window(window, &ConfigureWindowAux::new().x(-50)).unwrap();
        desktop.sync();
        let event = until_no_frame(&events);
        assert!(matches!(event, CaptureEvent::Paused(PauseReason::OffScreen)), "{event:?}");
        desktop.connection.configure_window(window, &ConfigureWindowAux::new().x(5)).unwrap();
        desktop.sync();
        assert!(matches!(events.recv_timeout(WAIT).unwrap(), CaptureEvent::Resumed));
        next_frame(&events);
    });
}

#[test]
fn a_monitor_that_changes_is_followed_and_one_that_is_removed_ends_the_capture() {
    let name = "windows::a_monitor_that_changes_is_followed_and_one_that_is_removed_ends_the_capture";
    with_desktop(name, SCREEN, |desktop| {
        desktop.set_monitor("a", Rect { x: 0, y: 0, width: 320, height: 480 });
        desktop.set_monitor("b", Rect { x: 320, y: 0, width: 320, height: 480 });
        let window = desktop.window(0, 0, 640, 480);
        desktop.fill(window, Rect { x: 400, y: 50, width: 1, height: 1 }, 0x77_77_77);
        desktop.sync();
        let mut backend = open(CaptureTarget::Monitor(1));
        let events = start(&mut *backend);
        assert_eq!(pixel(&settled(&events, next_frame(&events)), 80, 50), 0x77_77_77);
        desktop.delete_monitor("b");
        desktop.set_monitor("b", Rect { x: 390, y: 40, width: 200, height: 100 });
        let event = until_no_frame(&events);
        // Between the two requests it was not there: either is right.
        if !matches!(event, CaptureEvent::Ended(EndReason::MonitorRemoved)) {
            assert!(matches!(event, CaptureEvent::Resized(_)), "{event:?}");
            assert_eq!(pixel(&settled(&events, next_frame(&events)), 10, 10), 0x77_77_77);
            desktop.delete_monitor("b");
            let event = until_no_frame(&events);
            assert!(matches!(event, CaptureEvent::Ended(EndReason::MonitorRemoved)), "{event:?}");
        }
        assert!(events.recv_timeout(WAIT).is_err());
    });
}

#[test]
fn a_screen_that_changes_its_size_is_followed() {
    with_desktop("windows::a_screen_that_changes_its_size_is_followed", SCREEN, |desktop| {
        let mut backend = open(CaptureTarget::Screen);
        let mut region = open("region:100x100+540+380".parse().unwrap());
        let (events, region_events) = (start(&mut *backend), start(&mut *region));
        next_frame(&events);
        next_frame(&region_events);
        // The output must be off while the screen becomes smaller than it.
        let resources =
            randr::get_screen_resources(&desktop.connection, desktop.root).unwrap().reply().unwrap();
        let off = randr::set_crtc_config(
            &desktop.connection,
            resources.crtcs[0],
            0,
            resources.config_timestamp,
            0,
            0,
            0,
            randr::Rotation::ROTATE0,
            &[],
        );
        assert_eq!(off.unwrap().reply().unwrap().status, randr::SetConfig::SUCCESS);
        randr::set_screen_size(&desktop.connection, desktop.root, 600, 400, 150, 100)
            .unwrap()
            .check()
            .unwrap();
        let frame = resized(&events, Resolution::new(600, 400).unwrap());
        assert_eq!(frame.size().to_string(), "600x400");
        // Of the region, only a corner is left.
        assert_eq!(resized(&region_events, Resolution::new(60, 20).unwrap()).size().to_string(), "60x20");
        randr::set_screen_size(&desktop.connection, desktop.root, 500, 300, 150, 100)
            .unwrap()
            .check()
            .unwrap();
        let end = until_no_frame(&region_events);
        assert!(matches!(end, CaptureEvent::Ended(EndReason::MonitorRemoved)), "{end:?}");
    });
}

/// Waits for `size` to be told and returns the first frame after it.
#[track_caller]
fn resized(events: &Receiver<CaptureEvent>, size: Resolution) -> VideoFrame {
    loop {
        match events.recv_timeout(WAIT) {
            Ok(CaptureEvent::Resized(new)) if new == size => return next_frame(events),
            Ok(CaptureEvent::Resized(_) | CaptureEvent::Frame(_)) => {}
            other => panic!("expected {size}, got {other:?}"),
        }
    }
}

/// The last frame before there is nothing new.
fn settled(events: &Receiver<CaptureEvent>, mut frame: VideoFrame) -> VideoFrame {
    while let Ok(CaptureEvent::Frame(newer)) = events.recv_timeout(Duration::from_millis(200)) {
        frame = newer;
    }
    frame
}

/// The next event that is not a frame.
#[track_caller]
fn until_no_frame(events: &Receiver<CaptureEvent>) -> CaptureEvent {
    loop {
        match events.recv_timeout(WAIT) {
            Ok(CaptureEvent::Frame(_)) => {}
            Ok(event) => return event,
            Err(error) => panic!("nothing but frames came: {error}"),
        }
    }
}
