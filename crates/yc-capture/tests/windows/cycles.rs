//! Starting and stopping again and again.

use yc_capture::{CaptureConfig, CaptureTarget};

use crate::common::{next_frame, rate, start, stop_in_time};
use crate::desktop::{Show, Shown, alone};
use crate::sys::{self, Held};

const CYCLES: u32 = 100;
/// After these, what is set up once is there.
const WARM_UP: u32 = 10;

#[test]
fn a_hundred_captures_leave_no_handle_and_no_gdi_object_behind() {
    alone("cycles::a_hundred_captures_leave_no_handle_and_no_gdi_object_behind", || {
        let shown = Shown::open(Show::Still);
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
