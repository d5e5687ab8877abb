//! What is in the pictures, and when they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _};
use yc_capture::synthetic::{Scene, SceneCanvas, SceneKind};
use yc_capture::{CaptureEvent, CaptureTarget};
use yc_media::{Damage, Rect, Resolution};

use crate::common::{WAIT, assert_silent, check_contract, next_frame, start};
use crate::desktop::{Desktop, frame_pixels, pixel, with_desktop};
use crate::{config, open, try_open};

const SMALL: &[&str] = &["-screen", "0", "320x240x24"];

#[test]
fn the_contract_of_a_capture_backend() {
    with_desktop("pictures::the_contract_of_a_capture_backend", SMALL, |desktop| {
        let painter = std::cell::RefCell::new(Some(Painter::start(desktop.server)));
        check_contract(
            &|rate| try_open(&config(CaptureTarget::Screen).with_frame_rate(rate)).unwrap(),
            &|rate| {
                painter.borrow_mut().take();
                try_open(&config(CaptureTarget::Screen).with_cursor(true).with_frame_rate(rate)).unwrap()
            },
        );
    });
}

#[test]
fn every_kind_of_source_is_exact_to_the_pixel() {
    let size = ["-screen", "0", "801x603x24"];
    with_desktop("pictures::every_kind_of_source_is_exact_to_the_pixel", &size, |desktop| {
        let window = desktop.window(0, 0, 801, 603);
        let size = Resolution::new(801, 603).unwrap();
        let mut canvas = SceneCanvas::new(Scene::new(size, SceneKind::Desktop));
        canvas.draw(1234);
        desktop.put(window, canvas.pixels(), 801);
        desktop.set_monitor("left", Rect { x: 0, y: 0, width: 333, height: 603 });
        desktop.set_monitor("right", Rect { x: 333, y: 101, width: 468, height: 501 });
        let whole = size.rect();
        for (target, area) in [
            ("screen".to_owned(), whole),
            (format!("window:{window:#x}"), whole),
            ("region:1x1+800+602".to_owned(), Rect { x: 800, y: 602, width: 1, height: 1 }),
            ("region:97x43+311+207".to_owned(), Rect { x: 311, y: 207, width: 97, height: 43 }),
            ("monitor:0".to_owned(), Rect { x: 0, y: 0, width: 333, height: 603 }),
            ("monitor:1".to_owned(), Rect { x: 333, y: 101, width: 468, height: 501 }),
        ] {
            let mut backend = open(target.parse().unwrap());
            assert_eq!(backend.info().note, None);
            let frame = next_frame(&start(&mut *backend));
            assert_eq!(frame.size().rect(), Rect { x: 0, y: 0, ..area }, "{target}");
            let expected: Vec<[u8; 4]> = (area.y..area.y + area.height)
                .flat_map(|y| {
                    let row = &canvas.pixels()[y as usize * canvas.stride()..][..canvas.stride()];
                    row.as_chunks::<4>().0[area.x as usize..][..area.width as usize].iter()
                })
                .map(|&[b, g, r, _]| [b, g, r, 0])
                .collect();
            assert!(frame_pixels(&frame) == expected, "{target} differs");
        }
    });
}

#[test]
fn frames_carry_what_changed_and_an_unchanged_screen_is_silent() {
    let name = "pictures::frames_carry_what_changed_and_an_unchanged_screen_is_silent";
    with_desktop(name, SMALL, |desktop| {
        let window = desktop.window(20, 30, 200, 150);
        let mut screen = open(CaptureTarget::Screen);
        let mut region = open("region:50x40+10+10".parse().unwrap());
        let (screen_events, region_events) = (start(&mut *screen), start(&mut *region));
        next_frame(&screen_events);
        next_frame(&region_events);
        assert_silent(&screen_events, Duration::from_millis(300));

        // Inside the region.
        desktop.fill(window, Rect { x: 5, y: 6, width: 7, height: 8 }, 0x12_34_56);
        desktop.sync();
        let frame = next_frame(&screen_events);
        assert_eq!(frame.damage(), Damage::Part(Rect { x: 25, y: 36, width: 7, height: 8 }));
        assert_eq!((pixel(&frame, 25, 36), pixel(&frame, 24, 36)), (0x12_34_56, 0));
        let frame = next_frame(&region_events);
        assert_eq!(frame.damage(), Damage::Part(Rect { x: 15, y: 26, width: 7, height: 8 }));
        assert_eq!((pixel(&frame, 21, 33), pixel(&frame, 22, 33)), (0x12_34_56, 0));

        // Outside the region, and half of it.
        desktop.fill(window, Rect { x: 100, y: 100, width: 30, height: 1 }, 0xff_00_00);
        desktop.sync();
        assert_eq!(pixel(&next_frame(&screen_events), 120, 130), 0xff_00_00);
        assert_silent(&region_events, Duration::from_millis(200));
        desktop.fill(window, Rect { x: 30, y: 0, width: 40, height: 2 }, 0x00_ff_00);
        desktop.sync();
        let frame = next_frame(&region_events);
        assert_eq!(frame.damage(), Damage::Part(Rect { x: 40, y: 20, width: 10, height: 2 }));
        assert_silent(&region_events, Duration::from_millis(200));
    });
}

#[test]
fn the_cursor_is_drawn_moved_changed_and_left_out() {
    with_desktop("pictures::the_cursor_is_drawn_moved_changed_and_left_out", SMALL, |desktop| {
        let window = desktop.window(0, 0, 320, 240);
        desktop.fill(window, Rect { x: 0, y: 0, width: 320, height: 240 }, 0x80_80_80);
        set_cursor(desktop, window, (0xffff, 0, 0));
        desktop.move_pointer(100, 50);
        let mut without = open(CaptureTarget::Screen);
        assert_eq!(pixel(&next_frame(&start(&mut *without)), 100, 50), 0x80_80_80);

        let mut backend = try_open(&config(CaptureTarget::Screen).with_cursor(true)).unwrap();
        let events = start(&mut *backend);
        let frame = next_frame(&events);
        // 8×8 pixels with the hot spot at (2, 3).
        let corners = |frame: &_, x: u32, y: u32| {
            [(0, 0), (7, 7), (-1, 0), (8, 7), (0, 8)]
                .map(|(dx, dy)| pixel(frame, x.strict_add_signed(dx) - 2, y.strict_add_signed(dy) - 3))
        };
        const RED_ON_GREY: [u32; 5] = [0xff_00_00, 0xff_00_00, 0x80_80_80, 0x80_80_80, 0x80_80_80];
        assert_eq!(corners(&frame, 100, 50), RED_ON_GREY);
        assert_silent(&events, Duration::from_millis(200));

        // Only the cursor moves: what changed is where it was and where it is.
        desktop.move_pointer(110, 60);
        let frame = next_frame(&events);
        assert_eq!(corners(&frame, 110, 60), RED_ON_GREY);
        assert_eq!(pixel(&frame, 100, 50), 0x80_80_80);
        assert_eq!(frame.damage(), Damage::Part(Rect { x: 98, y: 47, width: 18, height: 18 }));

        // A new shape at the same place.
        set_cursor(desktop, window, (0, 0xffff, 0));
        let frame = next_frame(&events);
        assert_eq!(pixel(&frame, 110, 60), 0x00_ff_00);
        assert_eq!(frame.damage(), Damage::Part(Rect { x: 108, y: 57, width: 8, height: 8 }));

        // Under the cursor something is drawn: the cursor stays on top, on clean ground.
        desktop.fill(window, Rect { x: 0, y: 0, width: 320, height: 240 }, 0x00_00_ff);
        desktop.sync();
        let mut frame = next_frame(&events);
        while let Ok(CaptureEvent::Frame(newer)) = events.recv_timeout(Duration::from_millis(200)) {
            frame = newer;
        }
        let mut expected = vec![[0xff, 0, 0, 0]; 320 * 240];
        for y in 57..65 {
            expected[y * 320 + 108..][..8].fill([0, 0xff, 0, 0]);
        }
        assert!(frame_pixels(&frame) == expected);
    });
}

#[test]
fn random_painting_is_followed_exactly() {
    with_desktop("pictures::random_painting_is_followed_exactly", SMALL, |desktop| {
        let window = desktop.window(0, 0, 320, 240);
        let mut backend = open(CaptureTarget::Screen);
        let events = start(&mut *backend);
        let mut last = next_frame(&events);
        let mut seed = 1u32;
        let mut random = |bound: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % bound
        };
        let mut held = Vec::new();
        for round in 0..60 {
            for _ in 0..random(20) {
                let (x, y) = (random(300), random(230));
                let area = Rect { x, y, width: 1 + random(320 - x), height: 1 + random(9) };
                desktop.fill(window, area, random(1 << 24));
                if random(3) == 0 {
                    desktop.sync();
                }
            }
            desktop.sync();
            let truth = desktop.pixels(desktop.root, Rect { x: 0, y: 0, width: 320, height: 240 });
            while frame_pixels(&last) != truth {
                match events.recv_timeout(WAIT) {
                    // Some frames are held, so that memories of different age are filled.
                    Ok(CaptureEvent::Frame(frame)) => held.push(std::mem::replace(&mut last, frame)),
                    other => panic!("round {round} was not seen: {other:?}"),
                }
            }
            held.truncate(random(7) as usize);
        }
    });
}

#[test]
fn a_picture_is_the_screen_at_one_moment() {
    with_desktop("pictures::a_picture_is_the_screen_at_one_moment", SMALL, |desktop| {
        let mut backend = open(CaptureTarget::Screen);
        let painter = Painter::start(desktop.server);
        let events = start(&mut *backend);
        let mut colours = std::collections::HashSet::new();
        let mut checked = 0;
        while checked < 300 {
            let CaptureEvent::Frame(frame) = events.recv_timeout(WAIT).unwrap() else { panic!("no frame") };
            // The painter paints both in one go, far apart.
            let (top, bottom) = (pixel(&frame, 8, 8), pixel(&frame, 300, 230));
            if checked > 3 {
                assert_eq!(top, bottom, "frame {checked} is torn");
            }
            colours.insert(top);
            checked += 1;
        }
        assert!(colours.len() > 100, "{} colours in 300 frames", colours.len());
        drop(painter);
    });
}

#[test]
fn without_shared_memory_pictures_are_copied_and_it_says_so() {
    let arguments = ["-screen", "0", "320x240x24", "-extension", "MIT-SHM"];
    with_desktop(
        "pictures::without_shared_memory_pictures_are_copied_and_it_says_so",
        &arguments,
        |desktop| {
            let window = desktop.window(0, 0, 320, 240);
            let mut backend = open(CaptureTarget::Screen);
            assert!(
                backend.info().note.as_ref().unwrap().contains("no shared memory"),
                "{:?}",
                backend.info()
            );
            let events = start(&mut *backend);
            next_frame(&events);
            desktop.fill(window, Rect { x: 3, y: 200, width: 9, height: 9 }, 0x01_02_03);
            desktop.sync();
            let frame = next_frame(&events);
            let truth = desktop.pixels(desktop.root, Rect { x: 0, y: 0, width: 320, height: 240 });
            assert!(frame_pixels(&frame) == truth);
            assert_eq!(frame.damage(), Damage::Part(Rect { x: 3, y: 200, width: 9, height: 9 }));
        },
    );
}

/// Gives `window` an 8×8 cursor of one colour with its hot spot at (2, 3).
fn set_cursor(desktop: &Desktop, window: u32, (red, green, blue): (u16, u16, u16)) {
    let connection = &desktop.connection;
    let (shape, gc, cursor) = (
        connection.generate_id().unwrap(),
        connection.generate_id().unwrap(),
        connection.generate_id().unwrap(),
    );
    connection.create_pixmap(1, shape, window, 8, 8).unwrap();
    let aux = x11rb::protocol::xproto::CreateGCAux::new().foreground(1);
    connection.create_gc(gc, shape, &aux).unwrap();
    let all = x11rb::protocol::xproto::Rectangle { x: 0, y: 0, width: 8, height: 8 };
    connection.poly_fill_rectangle(shape, gc, &[all]).unwrap();
    connection.create_cursor(cursor, shape, shape, red, green, blue, 0, 0, 0, 2, 3).unwrap();
    let attributes = ChangeWindowAttributesAux::new().cursor(cursor);
    connection.change_window_attributes(window, &attributes).unwrap();
    desktop.sync();
}

/// Paints two far corners of the screen in the same new colour, a few hundred times a second, each time in
/// one go.
pub(crate) struct Painter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Painter {
    pub(crate) fn start(server: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new().spawn(move || {
            let desktop = Desktop::connect(server);
            let window = desktop.window(0, 0, 320, 240);
            for step in 1u32.. {
                if stopping.load(Ordering::Relaxed) {
                    break;
                }
                desktop.connection.grab_server().unwrap();
                let colour = step.wrapping_mul(0x9e37_79b1) >> 8;
                desktop.fill(window, Rect { x: 4, y: 4, width: 10, height: 10 }, colour);
                desktop.fill(window, Rect { x: 290, y: 220, width: 20, height: 15 }, colour);
                desktop.connection.ungrab_server().unwrap();
                desktop.sync();
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        Self { stop, thread: Some(thread.unwrap()) }
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
