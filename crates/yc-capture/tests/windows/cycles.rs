//! Starting and stopping again and again.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use yc_capture::{CaptureConfig, CaptureTarget};
use yc_media::{Rect, Resolution};

use crate::common::{next_frame, rate, start, stop_in_time};
use crate::sys::{self, Held};
use crate::window::{Window, see_own_pixels, wait_for_message};

const CYCLES: u32 = 100;
/// After these, what is set up once is there.
const WARM_UP: u32 = 10;

#[test]
fn a_hundred_captures_leave_no_handle_and_no_gdi_object_behind() {
    alone("cycles::a_hundred_captures_leave_no_handle_and_no_gdi_object_behind", || {
        // A process sees pixels scaled or not for as long as it lives: decided before anything is opened.
        see_own_pixels();
        let shown = Shown::open();
        let targets = [CaptureTarget::Screen, CaptureTarget::Monitor(0), CaptureTarget::Window(shown.id)];
        let capture = |round: u32| cycle(&targets[round as usize % targets.len()], round);
        (0..WARM_UP).for_each(capture);
        let before = Held::now();
        (0..CYCLES).for_each(capture);
        let after = Held::now();
        println!("{CYCLES} captures: before {before:?}, after {after:?}");
        assert_eq!(after, before);
    });
}

#[test]
fn a_handle_and_a_gdi_object_that_are_held_show() {
    alone("cycles::a_handle_and_a_gdi_object_that_are_held_show", || {
        let before = Held::now();
        let file = std::fs::File::open("NUL").unwrap();
        let region = sys::region();
        let during = Held::now();
        assert!(during.handles > before.handles, "{during:?} after {before:?}");
        assert_eq!(during.gdi_objects, before.gdi_objects + 1);
        drop((file, region));
        assert_eq!(Held::now(), before);
    });
}

/// Captures `target` and ends it in one of the ways in which a capture can end.
fn cycle(target: &CaptureTarget, round: u32) {
    let config = CaptureConfig::new(target.clone()).with_frame_rate(rate(60));
    let mut backend = yc_capture::open(&config).unwrap().backend;
    let events = start(&mut *backend);
    next_frame(&events);
    match round / 3 % 3 {
        0 => stop_in_time(&mut *backend),
        1 => drop(backend),
        _ => {
            // Started once more after the stop.
            stop_in_time(&mut *backend);
            next_frame(&start(&mut *backend));
        }
    }
}

/// Runs `body`, the test of this name, in a process of its own: what other tests hold meanwhile must not count.
#[track_caller]
fn alone(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "YC_CAPTURE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test}, in a process of its own: {}", output.status);
    assert!(text.contains("1 passed"), "the process ran no test called {test}");
}

/// A window of this process, whose messages a thread of its own handles.
struct Shown {
    id: u64,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Shown {
    #[expect(clippy::disallowed_methods, reason = "a test's own thread, joined on drop")]
    fn open() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (opened, id) = mpsc::channel();
        let told = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let size = Resolution::new(320, 240).unwrap();
            let place = Rect { x: 40, y: 30, ..size.rect() };
            let window = Window::open("captured again and again", place, false).unwrap();
            let picture = vec![0x60; 320 * 240 * 4];
            window.paint(&picture, size, size.rect()).unwrap();
            opened.send(window.id()).unwrap();
            while !told.load(Ordering::Relaxed) {
                window.messages();
                wait_for_message(Duration::from_millis(20));
            }
        });
        Self { id: id.recv().unwrap(), ended, thread: Some(thread) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // A thread that panicked has failed the test already.
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}
