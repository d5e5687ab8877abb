//! An encoder that fails on a script.

use yc_encode::{EncodeError, EncodeErrorKind, EncoderInfo, FrameOptions, VideoEncoderBackend};
use yc_media::{EncodedFrame, RateTarget, VideoFrame};

use super::script::{Fault, FaultCall, FaultKind, FaultRule};
use super::site::{Site, cause};

/// Passes everything on, but for what the script says.
#[derive(Debug)]
pub(super) struct FaultyEncoder {
    inner: Box<dyn VideoEncoderBackend>,
    site: Site,
}

impl FaultyEncoder {
    pub(super) fn new(inner: Box<dyn VideoEncoderBackend>, site: Site) -> Self {
        Self { inner, site }
    }
}

/// Opens an encoder by `open`, unless the script says otherwise.
pub(super) fn open(
    site: &Site,
    encoder: &'static str,
    open: impl FnOnce() -> Result<Box<dyn VideoEncoderBackend>, EncodeError>,
) -> Result<Box<dyn VideoEncoderBackend>, EncodeError> {
    if let Some(rule) = site.meet(FaultCall::EncoderOpen) {
        return Err(error(rule, encoder, "opening"));
    }
    Ok(Box::new(FaultyEncoder::new(open()?, site.clone())))
}

impl VideoEncoderBackend for FaultyEncoder {
    fn info(&self) -> &EncoderInfo {
        self.inner.info()
    }

    fn submit(&mut self, frame: &VideoFrame, options: FrameOptions) -> Result<(), EncodeError> {
        match self.site.meet(FaultCall::EncoderSubmit) {
            Some(rule) => Err(error(rule, self.inner.info().name, "encoding")),
            None => self.inner.submit(frame, options),
        }
    }

    fn poll(&mut self) -> Result<Option<EncodedFrame>, EncodeError> {
        loop {
            match self.site.meet(FaultCall::EncoderPoll) {
                None => return self.inner.poll(),
                Some(rule) if rule.fault == Fault::Drop => {
                    // The access unit is lost; what comes after it is a poll of its own.
                    if self.inner.poll()?.is_none() {
                        return Ok(None);
                    }
                }
                Some(rule) => return Err(error(rule, self.inner.info().name, "taking an access unit")),
            }
        }
    }

    fn set_rate(&mut self, target: RateTarget) -> Result<(), EncodeError> {
        match self.site.meet(FaultCall::EncoderSetRate) {
            None => self.inner.set_rate(target),
            Some(rule) if rule.fault == Fault::Drop => Ok(()),
            Some(rule) => Err(error(rule, self.inner.info().name, "changing the rate")),
        }
    }
}

impl Drop for FaultyEncoder {
    fn drop(&mut self) {
        // Nothing but a hold or a panic can happen to it: see `FaultCall::knows`.
        self.site.meet(FaultCall::EncoderDrop);
    }
}

fn error(rule: &FaultRule, encoder: &'static str, doing: &'static str) -> EncodeError {
    let kind = match rule.fault {
        Fault::Fail(FaultKind::Unsupported) => EncodeErrorKind::Unsupported,
        Fault::Fail(FaultKind::DeviceLost) => EncodeErrorKind::DeviceLost,
        Fault::Fail(FaultKind::InvalidInput) => EncodeErrorKind::InvalidInput,
        _ => EncodeErrorKind::Failed,
    };
    EncodeError::new(kind, encoder, doing).with_source(cause(rule))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::Duration;

    use yc_encode::EncoderConfig;
    use yc_media::{
        Bitrate, CaptureTime, Codec, CpuBuffer, FrameBuffer, FrameRate, PixelFormat, PlaneLayout, Resolution,
    };

    use super::super::Faults;
    use super::*;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn faults(script: &str) -> Faults {
        Faults::new(script.parse().unwrap())
    }

    fn rate() -> RateTarget {
        let size = Resolution::new(64, 64).unwrap();
        RateTarget::new(Bitrate::kbps(100), FrameRate::new(30).unwrap(), size)
    }

    fn openh264() -> Box<dyn VideoEncoderBackend> {
        yc_encode::open(&["openh264"], &EncoderConfig::screen(Codec::H264, rate())).unwrap().encoder
    }

    /// The grey picture number `n`.
    fn picture(n: u32) -> VideoFrame {
        let planes = [(0, 64), (4_096, 32), (5_120, 32)];
        let planes = planes.map(|(offset, stride)| PlaneLayout { offset, stride });
        let pixels = Arc::new(vec![128u8; 64 * 64 * 3 / 2]);
        let buffer = CpuBuffer::new(pixels, PixelFormat::I420, rate().resolution, &planes).unwrap();
        let captured_at = CaptureTime::from_epoch(Duration::from_millis(100) * (n + 1));
        VideoFrame::new(FrameBuffer::Cpu(buffer), captured_at)
    }

    /// Encodes picture `n` as a key frame, which no rate control skips, and answers how many units came out.
    fn encode(encoder: &mut dyn VideoEncoderBackend, n: u32) -> Result<usize, EncodeError> {
        encoder.submit(&picture(n), FrameOptions::keyframe())?;
        let mut units = 0;
        while encoder.poll()?.is_some() {
            units += 1;
        }
        Ok(units)
    }

    #[test]
    fn without_a_rule_everything_passes() {
        let faults = faults("");
        let mut encoder = faults.encoder(0, openh264());
        assert_eq!(encoder.info().name, "openh264");
        assert_eq!(encode(&mut *encoder, 0).unwrap(), 1);
        encoder.set_rate(rate()).unwrap();
        assert_eq!(faults.injected(), 0);
    }

    #[test]
    fn every_kind_of_failure_comes_as_its_kind_from_the_call_it_is_for() {
        for (text, kind) in [
            ("unsupported", EncodeErrorKind::Unsupported),
            ("device_lost", EncodeErrorKind::DeviceLost),
            ("invalid_input", EncodeErrorKind::InvalidInput),
            ("failed", EncodeErrorKind::Failed),
        ] {
            for call in ["submit", "poll"] {
                let script = format!("encoder.{call}=fail:{text}");
                let error = encode(&mut *faults(&script).encoder(0, openh264()), 0).unwrap_err();
                assert_eq!((error.kind(), error.encoder()), (kind, "openh264"));
                assert!(error.to_string().contains(&script), "{error}");
            }
            let script = format!("encoder.set_rate=fail:{text}");
            assert_eq!(faults(&script).encoder(0, openh264()).set_rate(rate()).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_failure_at_one_frame_spares_the_others() {
        let mut encoder = faults("encoder.submit@2=fail:invalid_input").encoder(0, openh264());
        assert_eq!(encode(&mut *encoder, 0).unwrap(), 1);
        assert!(encode(&mut *encoder, 1).is_err());
        assert_eq!(encode(&mut *encoder, 2).unwrap(), 1);
    }

    #[test]
    fn dropped_output_is_lost_and_an_ignored_rate_is_no_error() {
        let faults = faults("encoder.poll@1=drop; encoder.set_rate=drop");
        let mut encoder = faults.encoder(0, openh264());
        assert_eq!(encode(&mut *encoder, 0).unwrap(), 0);
        encoder.set_rate(rate()).unwrap();
        assert_eq!(encode(&mut *encoder, 1).unwrap(), 1);
        assert_eq!(faults.injected(), 2);
    }

    #[test]
    fn a_hanging_submit_encodes_once_it_is_released() {
        let faults = faults("encoder.submit=hang");
        let mut encoder = faults.encoder(0, openh264());
        std::thread::scope(|scope| {
            let encoding = scope.spawn(|| encode(&mut *encoder, 0));
            let hung = faults.wait_hanging(1, PATIENCE);
            faults.release();
            assert_eq!(encoding.join().unwrap().unwrap(), 1);
            assert!(hung);
        });
    }

    #[test]
    fn dropping_can_hang_and_panic() {
        let faults = faults("encoder.drop@1=hang; encoder.drop@2=panic");
        let encoder = faults.encoder(0, openh264());
        std::thread::scope(|scope| {
            let dropping = scope.spawn(|| drop(encoder));
            let hung = faults.wait_hanging(1, PATIENCE);
            faults.release();
            dropping.join().unwrap();
            assert!(hung);
        });
        let encoder = faults.encoder(0, openh264());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(encoder))).is_err());
    }

    #[test]
    fn a_panic_says_which_rule_it_comes_from() {
        let mut encoder = faults("encoder.submit=panic").encoder(0, openh264());
        let panic = catch_unwind(AssertUnwindSafe(|| encode(&mut *encoder, 0))).unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("encoder.submit=panic"));
    }
}
