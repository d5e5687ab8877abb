//! A capture that fails on a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use yc_capture::{CaptureBackend, CaptureError, CaptureErrorKind, CaptureEvent, CaptureInfo, CaptureSink};
use yc_media::{
    CpuBuffer, Damage, FrameBuffer, FrameRate, PixelFormat, PlaneLayout, Rect, Resolution, VideoFrame,
};

use super::script::{Fault, FaultCall, FaultKind, FaultRule};
use super::site::{Site, cause};

/// Passes everything on, but for what the script says.
#[derive(Debug)]
pub(super) struct FaultyCapture {
    inner: Box<dyn CaptureBackend>,
    site: Site,
    /// Of the run that was started last: set when nothing more may be delivered.
    over: Option<Arc<AtomicBool>>,
}

impl FaultyCapture {
    pub(super) fn new(inner: Box<dyn CaptureBackend>, site: Site) -> Self {
        Self { inner, site, over: None }
    }

    fn end_run(&mut self) {
        if let Some(over) = self.over.take() {
            over.store(true, SeqCst);
        }
    }
}

/// Opens a capture by `open`, unless the script says otherwise.
pub(super) fn open(
    site: &Site,
    backend: &'static str,
    open: impl FnOnce() -> Result<Box<dyn CaptureBackend>, CaptureError>,
) -> Result<Box<dyn CaptureBackend>, CaptureError> {
    if let Some(rule) = site.meet(FaultCall::CaptureOpen) {
        return Err(error(rule, backend, "opening the source"));
    }
    Ok(Box::new(FaultyCapture::new(open()?, site.clone())))
}

impl CaptureBackend for FaultyCapture {
    fn info(&self) -> &CaptureInfo {
        self.inner.info()
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        let backend = self.inner.info().backend;
        if let Some(rule) = self.site.meet(FaultCall::CaptureStart) {
            return Err(error(rule, backend, "starting"));
        }
        if self.over.as_ref().is_some_and(|over| over.load(SeqCst)) {
            // It ended by a fault and runs on unseen, where a real capture would have ended by itself.
            self.inner.stop();
        }
        let over = Arc::new(AtomicBool::new(false));
        let mut faulty = FaultySink {
            sink,
            site: self.site.clone(),
            backend,
            over: Arc::clone(&over),
            missed: Damage::None,
            faked: None,
            plain: None,
        };
        self.inner.start(Box::new(move |event| faulty.on_event(event)))?;
        self.over = Some(over);
        Ok(())
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        if self.site.meet(FaultCall::CaptureSetFrameRate).is_none() {
            self.inner.set_frame_rate(rate);
        }
    }

    fn request_frame(&mut self) {
        if self.site.meet(FaultCall::CaptureRequestFrame).is_none() {
            self.inner.request_frame();
        }
    }

    fn stop(&mut self) {
        // Nothing but a hold or a panic can happen to it: see `FaultCall::knows`.
        self.site.meet(FaultCall::CaptureStop);
        self.end_run();
        self.inner.stop();
    }
}

impl Drop for FaultyCapture {
    fn drop(&mut self) {
        self.end_run();
    }
}

/// What stands between the real capture and the sink of its user.
struct FaultySink {
    sink: CaptureSink,
    site: Site,
    backend: &'static str,
    over: Arc<AtomicBool>,
    /// What changed in pictures that were not delivered.
    missed: Damage,
    /// The size of the picture delivered last, if a fault chose it.
    faked: Option<Resolution>,
    /// The plain picture made last.
    plain: Option<CpuBuffer>,
}

impl FaultySink {
    fn on_event(&mut self, event: CaptureEvent) {
        if self.over.load(SeqCst) {
            return;
        }
        let CaptureEvent::Frame(frame) = event else {
            (self.sink)(event);
            return;
        };
        let rule = self.site.meet(FaultCall::CaptureFrame);
        // A picture that was held up while the capture was stopped comes too late.
        if self.over.load(SeqCst) {
            return;
        }
        match rule.map(|rule| rule.fault) {
            Some(Fault::Drop) => self.missed = self.missed.merge(frame.damage()),
            Some(Fault::Size(size)) => self.deliver_sized(&frame, size),
            Some(Fault::End(reason)) => self.deliver_last(CaptureEvent::Ended(reason)),
            Some(Fault::Fail(_)) => {
                let rule = rule.expect("its fault was just looked at");
                let failed = error(rule, self.backend, "taking a picture");
                self.deliver_last(CaptureEvent::Failed(failed));
            }
            Some(Fault::Hang | Fault::Slow(_) | Fault::Panic) | None => self.deliver(frame),
        }
    }

    fn deliver(&mut self, mut frame: VideoFrame) {
        let missed = std::mem::replace(&mut self.missed, Damage::None);
        if missed != Damage::None {
            let damage = missed.merge(frame.damage());
            frame = frame.with_damage(damage);
        }
        if self.faked.take().is_some_and(|size| size != frame.size()) {
            (self.sink)(CaptureEvent::Resized(frame.size()));
        }
        (self.sink)(CaptureEvent::Frame(frame));
    }

    fn deliver_sized(&mut self, frame: &VideoFrame, size: Resolution) {
        let seen = frame.visible();
        let part = Rect { width: size.width(), height: size.height(), ..seen };
        let picture = match seen.contains(part).then(|| frame.clone().with_visible(part)) {
            Some(Ok(part)) => part.with_damage(Damage::Full),
            _ => VideoFrame::new(FrameBuffer::Cpu(self.plain(size)), frame.captured_at()),
        };
        if self.faked.replace(size) != Some(size) {
            (self.sink)(CaptureEvent::Resized(size));
        }
        // The next real picture differs from this one anywhere.
        self.missed = Damage::Full;
        (self.sink)(CaptureEvent::Frame(picture));
    }

    /// A grey picture of `size`.
    fn plain(&mut self, size: Resolution) -> CpuBuffer {
        if let Some(plain) = self.plain.as_ref().filter(|plain| plain.size() == size) {
            return plain.clone();
        }
        let stride = size.width() as usize * 4;
        let pixels = Arc::new(vec![0x80; stride * size.height() as usize]);
        let layout = [PlaneLayout { offset: 0, stride }];
        let plain = CpuBuffer::new(pixels, PixelFormat::Bgra8, size, &layout)
            .expect("the memory was made for this size");
        self.plain.insert(plain).clone()
    }

    fn deliver_last(&mut self, event: CaptureEvent) {
        self.over.store(true, SeqCst);
        (self.sink)(event);
    }
}

fn error(rule: &FaultRule, backend: &'static str, doing: &'static str) -> CaptureError {
    let kind = match rule.fault {
        Fault::Fail(FaultKind::Unsupported) => CaptureErrorKind::Unsupported,
        Fault::Fail(FaultKind::PermissionDenied) => CaptureErrorKind::PermissionDenied,
        Fault::Fail(FaultKind::NotFound) => CaptureErrorKind::NotFound,
        Fault::Fail(FaultKind::DeviceLost) => CaptureErrorKind::DeviceLost,
        Fault::Fail(FaultKind::InvalidInput) => CaptureErrorKind::InvalidInput,
        _ => CaptureErrorKind::Failed,
    };
    CaptureError::new(kind, backend, doing).with_source(cause(rule))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use yc_capture::{CaptureConfig, EndReason};

    use super::super::Faults;
    use super::*;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn faults(script: &str) -> Faults {
        Faults::new(script.parse().unwrap())
    }

    fn synthetic() -> Box<dyn CaptureBackend> {
        let config = CaptureConfig::new("synthetic:64x48".parse().unwrap());
        yc_capture::open(&config.with_frame_rate(FrameRate::new(120).unwrap())).unwrap().backend
    }

    fn started(capture: &mut dyn CaptureBackend) -> Receiver<CaptureEvent> {
        let (sender, events) = channel();
        let sink = Box::new(move |event| {
            let _ = sender.send(event);
        });
        capture.start(sink).unwrap();
        events
    }

    fn frame(events: &Receiver<CaptureEvent>) -> VideoFrame {
        match events.recv_timeout(PATIENCE).unwrap() {
            CaptureEvent::Frame(frame) => frame,
            other => panic!("{other:?} instead of a frame"),
        }
    }

    fn size(text: &str) -> Resolution {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_rule_everything_passes() {
        let faults = faults("");
        let mut capture = faults.capture(0, synthetic());
        assert_eq!(capture.info().backend, "synthetic");
        let events = started(&mut *capture);
        assert_eq!(frame(&events).size(), size("64x48"));
        capture.set_frame_rate(FrameRate::new(60).unwrap());
        capture.request_frame();
        frame(&events);
        capture.stop();
        assert_eq!(faults.injected(), 0);
    }

    #[test]
    fn every_kind_of_failure_comes_as_its_kind() {
        for (text, kind) in [
            ("unsupported", CaptureErrorKind::Unsupported),
            ("permission_denied", CaptureErrorKind::PermissionDenied),
            ("not_found", CaptureErrorKind::NotFound),
            ("device_lost", CaptureErrorKind::DeviceLost),
            ("invalid_input", CaptureErrorKind::InvalidInput),
            ("failed", CaptureErrorKind::Failed),
        ] {
            let script = format!("capture.start=fail:{text}");
            let error = faults(&script).capture(0, synthetic()).start(Box::new(|_| {})).unwrap_err();
            assert_eq!((error.kind(), error.backend()), (kind, "synthetic"));
            assert!(error.to_string().contains(&script), "{error}");
        }
    }

    #[test]
    fn a_lost_device_is_the_last_event_and_starting_again_works() {
        let faults = faults("capture.frame@3=fail:device_lost");
        let mut capture = faults.capture(0, synthetic());
        let events = started(&mut *capture);
        frame(&events);
        frame(&events);
        match events.recv_timeout(PATIENCE).unwrap() {
            CaptureEvent::Failed(error) => assert_eq!(error.kind(), CaptureErrorKind::DeviceLost),
            other => panic!("{other:?}"),
        }
        let again = started(&mut *capture);
        frame(&again);
        capture.stop();
        assert!(events.try_recv().is_err(), "nothing follows the last event");
    }

    #[test]
    fn a_source_ends_for_the_reason_that_the_script_names() {
        for (text, reason) in [
            ("window_closed", EndReason::WindowClosed),
            ("monitor_removed", EndReason::MonitorRemoved),
            ("end_of_file", EndReason::EndOfFile),
        ] {
            let mut capture = faults(&format!("capture.frame=end:{text}")).capture(0, synthetic());
            let events = started(&mut *capture);
            let event = events.recv_timeout(PATIENCE).unwrap();
            assert!(matches!(event, CaptureEvent::Ended(found) if found == reason), "{event:?}");
        }
    }

    #[test]
    fn a_dropped_picture_leaves_its_damage_to_the_next() {
        let mut capture = faults("capture.frame@1..2=drop").capture(0, synthetic());
        let events = started(&mut *capture);
        // The first picture is new all over, and nobody has seen it.
        assert_eq!(frame(&events).damage(), Damage::Full);
        assert_ne!(frame(&events).damage(), Damage::Full);
    }

    #[test]
    fn sizes_flip_there_and_back_and_are_told_before() {
        let script = "capture.frame@2=size:31x17; capture.frame@3..4=size:128x96";
        let mut capture = faults(script).capture(0, synthetic());
        let events = started(&mut *capture);
        assert_eq!(frame(&events).size(), size("64x48"));
        for expected in ["31x17", "128x96", "-", "64x48"] {
            if expected != "-" {
                let event = events.recv_timeout(PATIENCE).unwrap();
                assert!(matches!(event, CaptureEvent::Resized(told) if told == size(expected)), "{event:?}");
            }
            let frame = frame(&events);
            assert_eq!(frame.size(), size(if expected == "-" { "128x96" } else { expected }));
            assert_eq!(frame.damage(), Damage::Full);
        }
        assert_ne!(frame(&events).damage(), Damage::Full);
    }

    #[test]
    fn what_is_held_while_the_capture_stops_is_never_delivered() {
        let faults = faults("capture.frame@1=hang");
        let mut capture = faults.capture(0, synthetic());
        let events = started(&mut *capture);
        assert!(faults.wait_hanging(1, PATIENCE));
        capture.stop();
        faults.release();
        // The thread drops its sink when it ends.
        assert!(events.recv_timeout(PATIENCE).is_err());
        assert_eq!(faults.hanging(), 0);
    }

    #[test]
    fn a_stop_that_hangs_stops_once_it_is_released() {
        let faults = faults("capture.stop=hang");
        let mut capture = faults.capture(0, synthetic());
        let events = started(&mut *capture);
        std::thread::scope(|scope| {
            let stopping = scope.spawn(|| capture.stop());
            let hung = faults.wait_hanging(1, PATIENCE);
            // It still runs.
            let running = events.recv_timeout(PATIENCE).is_ok();
            faults.release();
            stopping.join().unwrap();
            assert!(hung && running);
        });
        while events.recv_timeout(PATIENCE).is_ok() {}
    }

    #[test]
    fn wishes_are_dropped_and_counted() {
        let faults = faults("capture.set_frame_rate=drop capture.request_frame=drop");
        let mut capture = faults.capture(0, synthetic());
        capture.set_frame_rate(FrameRate::new(1).unwrap());
        capture.request_frame();
        assert_eq!(faults.injected(), 2);
        // At one frame a second every distance would be a second.
        let events = started(&mut *capture);
        let mut last = frame(&events).captured_at();
        let apart = (0..5).map(|_| frame(&events).captured_at()).map(|next| {
            let apart = next.saturating_since(last);
            last = next;
            apart
        });
        assert!(apart.min().unwrap() < Duration::from_millis(500));
    }

    #[test]
    fn a_panic_ends_the_capture_thread_alone() {
        let mut capture = faults("capture.frame@2=panic").capture(0, synthetic());
        let events = started(&mut *capture);
        frame(&events);
        // The sink goes with the thread.
        assert!(events.recv_timeout(PATIENCE).is_err());
    }
}
