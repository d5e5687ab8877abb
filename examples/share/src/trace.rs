//! A capture that writes down when each picture was taken.

use std::fs::File;
use std::io::{BufWriter, Write};

use yc_capture::{
    CaptureBackend, CaptureError, CaptureEvent, CaptureInfo, CaptureSink, clock, synthetic::marker,
};
use yc_media::FrameRate;

/// Passes everything on, and writes one line a frame.
#[derive(Debug)]
pub(crate) struct TracedCapture {
    inner: Box<dyn CaptureBackend>,
    file: Option<BufWriter<File>>,
}

impl TracedCapture {
    pub(crate) fn new(inner: Box<dyn CaptureBackend>, file: File) -> Self {
        Self { inner, file: Some(BufWriter::new(file)) }
    }
}

impl CaptureBackend for TracedCapture {
    fn info(&self) -> &CaptureInfo {
        self.inner.info()
    }

    fn start(&mut self, mut sink: CaptureSink) -> Result<(), CaptureError> {
        let mut file = self.file.take();
        self.inner.start(Box::new(move |event| {
            if let (CaptureEvent::Frame(frame), Some(out)) = (&event, &mut file) {
                let marker = marker::read(frame).map_or_else(|| "null".to_owned(), |n| n.to_string());
                let unix = clock::to_unix(frame.captured_at()).as_micros();
                let line = writeln!(out, "{{\"marker\":{marker},\"captured_unix_us\":{unix}}}");
                if line.and_then(|()| out.flush()).is_err() {
                    // The share matters more than its trace.
                    file = None;
                }
            }
            sink(event);
        }))
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.inner.set_frame_rate(rate);
    }

    fn request_frame(&mut self) {
        self.inner.request_frame();
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}
