//! A window to capture, and a process of its own for each test.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use yc_media::{Rect, Resolution};

use crate::window::{Window, see_own_pixels, wait_for_message};

/// Runs `body`, the test of this name, in a process of its own: what other tests hold meanwhile must not count.
#[track_caller]
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    const ALONE: &str = "YC_CAPTURE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        // A process sees pixels scaled or not for as long as it lives: decided before anything is opened.
        see_own_pixels();
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

/// What a window shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// [`pixels`] of 0, as long as it is open.
    Still,
    /// Another picture some 200 times a second.
    Moving,
}

/// Where it lies.
pub(crate) const PLACE: Rect = Rect { x: 40, y: 30, width: 321, height: 203 };

/// A picture in which no row and no column is like another: BGRA, without padding.
pub(crate) fn pixels(number: u32) -> Vec<u8> {
    let pixel = |x: u32, y: u32| [x as u8, y as u8, (x / 256 + y + number) as u8, 0xff];
    (0..PLACE.height).flat_map(|y| (0..PLACE.width).flat_map(move |x| pixel(x, y))).collect()
}

/// A window of this process, whose messages a thread of its own handles.
pub(crate) struct Shown {
    pub(crate) id: u64,
    ended: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Shown {
    #[expect(clippy::disallowed_methods, reason = "a test's own thread, joined on drop")]
    pub(crate) fn open(show: Show) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (opened, id) = mpsc::channel();
        let told = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let size = Resolution::new(PLACE.width, PLACE.height).unwrap();
            let window = Window::open("a window of the tests", PLACE, false).unwrap();
            let paint = |number| window.paint(&pixels(number), size, size.rect()).unwrap();
            paint(0);
            opened.send(window.id()).unwrap();
            let mut number = 0;
            while !told.load(Ordering::Relaxed) {
                window.messages();
                wait_for_message(Duration::from_millis(if show == Show::Moving { 5 } else { 20 }));
                if show == Show::Moving {
                    number += 1;
                    paint(number);
                }
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
