//! An output as the capture session knows it, and what the refusals of DXGI mean.

use super::NAME;
use super::sys::{self, DxgiDuplication};
use crate::backends::d3d11::{Device, Fault, code, find_output};
use crate::backends::win32::{self, DpiAware};
use crate::duplication::{Output, Refusal};
use crate::{CaptureError, CaptureErrorKind};

/// An output, found by its name each time it is duplicated: the handles of monitors change with the mode.
#[derive(Debug)]
pub(super) struct DxgiOutput {
    /// `\\.\DISPLAY1`.
    name: String,
    /// Kept as long as the output stays on its adapter.
    device: Option<Device>,
}

impl DxgiOutput {
    pub(super) fn new(name: String) -> Self {
        Self { name, device: None }
    }
}

impl Output for DxgiOutput {
    type Duplication = DxgiDuplication;

    fn duplicate(&mut self) -> Result<DxgiDuplication, Refusal> {
        // Only threads that know of real pixels get pictures in other formats than BGRA (Microsoft Learn,
        // "IDXGIOutput5::DuplicateOutput1").
        let _pixels = DpiAware::enter();
        let found = find_output(&self.name).map_err(|fault| refusal(fault, ""))?.ok_or_else(|| {
            Refusal::Gone(
                CaptureError::new(CaptureErrorKind::NotFound, NAME, "looking for the output")
                    .with_source(format!("no adapter has an output {}", self.name)),
            )
        })?;
        let device = match self.device.take().filter(|device| device.serves(&found)) {
            Some(device) => device,
            None => Device::on_output(&found).map_err(|fault| refusal(fault, ""))?,
        };
        let device = self.device.insert(device);
        let duplication = sys::duplicate(&found, device).map_err(|fault| refusal(fault, device.adapter()))?;
        DxgiDuplication::new(device.clone(), duplication, win32::white_nits(&self.name))
            .map_err(Refusal::Failed)
    }
}

/// What a failed call means (Microsoft Learn, "IDXGIOutput1::DuplicateOutput").
fn refusal(fault: Fault, adapter: &str) -> Refusal {
    if fault.is_device_gone() {
        return Refusal::Failed(fault.into_error(NAME, None));
    }
    let says = |words: &str| fault.into_error(NAME, Some(words.to_owned()));
    match fault.code {
        code::ACCESS_DENIED => Refusal::Denied(says(DENIED)),
        // A remote session that nobody looks at, or the user's while another has the screen.
        code::DISCONNECTED => Refusal::Denied(says("the session is connected to no screen now")),
        code::TOO_MANY => Refusal::Failed(says(TOO_MANY)),
        code::UNSUPPORTED => Refusal::Failed(says(&format!(
            "the screen hangs on the adapter {adapter}, and this program is made to run on another: choose \
             that one for it in Settings, System, Display, Graphics"
        ))),
        code::NO_INTERFACE | code::NOT_IMPLEMENTED => {
            Refusal::Failed(says("this system cannot duplicate outputs, as Windows 8 and later can"))
        }
        _ => Refusal::Failed(fault.into_error(NAME, None)),
    }
}

const DENIED: &str = "the desktop that is shown may not be captured: the computer is locked or asks for \
                      consent, or this program runs in another session than the user's, as services do";
const TOO_MANY: &str = "four programs capture this screen already, the most that the system allows: end one";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u32, reason: Option<u32>) -> (&'static str, CaptureErrorKind, String) {
        let (what, error) =
            match refusal(Fault { doing: "duplicating the output", code, reason }, "GPU of 1994") {
                Refusal::Denied(error) => ("denied", error),
                Refusal::Gone(error) => ("gone", error),
                Refusal::Failed(error) => ("failed", error),
            };
        (what, error.kind(), error.to_string())
    }

    #[test]
    fn a_desktop_that_may_not_be_seen_is_waited_for() {
        for code in [code::ACCESS_DENIED, code::DISCONNECTED] {
            assert_eq!(check(code, None).0, "denied");
        }
        assert_eq!(check(code::ACCESS_DENIED, None).1, CaptureErrorKind::PermissionDenied);
    }

    #[test]
    fn other_refusals_say_what_to_do() {
        let (what, kind, text) = check(code::UNSUPPORTED, None);
        assert_eq!((what, kind), ("failed", CaptureErrorKind::Unsupported));
        assert!(text.contains("GPU of 1994") && text.contains("Settings"), "{text}");
        let (what, kind, text) = check(code::TOO_MANY, None);
        assert_eq!((what, kind), ("failed", CaptureErrorKind::Failed));
        assert!(text.contains("four programs") && text.contains("0x887a0022"), "{text}");
        let (what, kind, _) = check(code::ACCESS_DENIED, Some(code::DEVICE_RESET));
        assert_eq!((what, kind), ("failed", CaptureErrorKind::DeviceLost));
    }

    #[test]
    fn an_output_that_is_not_there_is_gone() {
        let refused = DxgiOutput::new("no such output".to_owned()).duplicate();
        assert!(matches!(refused, Err(Refusal::Gone(_))), "{refused:?}");
    }
}
