//! What captures of a Windows desktop show.

use std::cell::RefCell;

use yc_capture::{
    CaptureBackend, CaptureConfig, CaptureErrorKind, CaptureEvent, CaptureTarget, EndReason, PauseReason,
};
use yc_media::{FrameRate, Rect};

use crate::common::{WAIT, check_contract, next_frame, rate, start};
use crate::desktop::{PLACE, Show, Shown, alone, pixels};

fn open(target: CaptureTarget, rate: FrameRate) -> Box<dyn CaptureBackend> {
    let config = CaptureConfig::new(target).with_cursor(false).with_frame_rate(rate);
    yc_capture::open(&config).unwrap().backend
}

#[test]
fn the_contract_of_a_capture_backend() {
    alone("pictures::the_contract_of_a_capture_backend", || {
        let shown = RefCell::new(Some(Shown::open(Show::Moving)));
        let id = || CaptureTarget::Window(shown.borrow().as_ref().unwrap().id);
        check_contract(&|rate| open(id(), rate), &|rate| {
            shown.borrow_mut().take();
            *shown.borrow_mut() = Some(Shown::open(Show::Still));
            open(id(), rate)
        });
    });
}

#[test]
fn every_kind_of_source_is_exact_to_the_pixel() {
    alone("pictures::every_kind_of_source_is_exact_to_the_pixel", || {
        let shown = Shown::open(Show::Still);
        let part = Rect { x: PLACE.x + 11, y: PLACE.y + 7, width: 97, height: 43 };
        for (target, place, inside) in [
            (CaptureTarget::Window(shown.id), Rect { x: 0, y: 0, ..PLACE }, (0, 0)),
            (CaptureTarget::Screen, PLACE, (0, 0)),
            (CaptureTarget::Monitor(0), PLACE, (0, 0)),
            (CaptureTarget::Region(PLACE), Rect { x: 0, y: 0, ..PLACE }, (0, 0)),
            (CaptureTarget::Region(part), Rect { x: 0, y: 0, ..part }, (11, 7)),
        ] {
            let mut backend = open(target.clone(), rate(30));
            assert!(backend.info().why.is_some());
            let frame = next_frame(&start(&mut *backend));
            let yc_media::FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("not in CPU memory") };
            let (bytes, stride) = buffer.plane(0);
            let painted = pixels(0);
            for y in 0..place.height {
                let row = &bytes[(place.y + y) as usize * stride + place.x as usize * 4..];
                let start = ((inside.1 + y) * PLACE.width + inside.0) as usize * 4;
                for (x, (seen, painted)) in row
                    .chunks_exact(4)
                    .zip(painted[start..].chunks_exact(4))
                    .take(place.width as usize)
                    .enumerate()
                {
                    assert_eq!(seen[..3], painted[..3], "{target}: {x}, {y}");
                }
            }
        }
    });
}

#[test]
fn one_picture_is_taken_by_gdi_before_others_are_asked() {
    for target in [CaptureTarget::Screen, CaptureTarget::Monitor(0)] {
        let opened = yc_capture::open_for_one_picture(&CaptureConfig::new(target)).unwrap();
        assert_eq!(opened.backend.info().backend, "gdi");
        assert!(opened.why_not.is_empty(), "{:?}", opened.why_not);
    }
}

#[test]
fn a_window_that_is_closed_ends_its_capture() {
    alone("pictures::a_window_that_is_closed_ends_its_capture", || {
        let shown = Shown::open(Show::Still);
        let target = CaptureTarget::Window(shown.id);
        let mut backend = open(target.clone(), rate(30));
        let events = start(&mut *backend);
        next_frame(&events);
        drop(shown);
        // A window is hidden before it is gone, which may be seen.
        let mut end = events.recv_timeout(WAIT).unwrap();
        if matches!(end, CaptureEvent::Paused(PauseReason::Unmapped)) {
            end = events.recv_timeout(WAIT).unwrap();
        }
        assert!(matches!(end, CaptureEvent::Ended(EndReason::WindowClosed)), "{end:?}");
        let error = yc_capture::open_for_one_picture(&CaptureConfig::new(target.clone())).unwrap_err();
        assert_eq!(error.kind(), CaptureErrorKind::NotFound, "{error}");
        let error = yc_capture::open(&CaptureConfig::new(target)).unwrap_err();
        assert_eq!(error.kind(), CaptureErrorKind::NotFound, "{error}");
    });
}
