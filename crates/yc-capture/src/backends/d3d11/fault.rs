//! What DXGI and Direct3D say went wrong, and what that means for a capture.

use std::fmt;

use crate::{CaptureError, CaptureErrorKind};

/// A call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backends) struct Fault {
    /// A phrase such as "making a texture".
    pub(in crate::backends) doing: &'static str,
    /// Its `HRESULT`.
    pub(in crate::backends) code: u32,
    /// Why the device is gone, if it is.
    pub(in crate::backends) reason: Option<u32>,
}

impl Fault {
    /// That `backend` failed, with `words` on what to do, if there are any.
    pub(in crate::backends) fn into_error(
        self,
        backend: &'static str,
        words: Option<String>,
    ) -> CaptureError {
        let source = match words {
            Some(words) => format!("{words} ({self})"),
            None => self.to_string(),
        };
        CaptureError::new(self.kind(), backend, self.doing).with_source(source)
    }

    fn kind(self) -> CaptureErrorKind {
        match self.code {
            _ if self.is_device_gone() => CaptureErrorKind::DeviceLost,
            code::ACCESS_DENIED => CaptureErrorKind::PermissionDenied,
            code::UNSUPPORTED | code::NO_INTERFACE | code::NOT_IMPLEMENTED => CaptureErrorKind::Unsupported,
            code::NOT_FOUND => CaptureErrorKind::NotFound,
            _ => CaptureErrorKind::Failed,
        }
    }

    /// Whether all that was made on the device is gone with it.
    pub(in crate::backends) fn is_device_gone(self) -> bool {
        let gone = [code::DEVICE_REMOVED, code::DEVICE_HUNG, code::DEVICE_RESET, code::DRIVER_ERROR];
        self.reason.is_some() || gone.contains(&self.code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Named(self.code))?;
        self.reason.map_or(Ok(()), |reason| write!(f, ", the device is gone: {}", Named(reason)))
    }
}

struct Named(u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)?;
        match code::name(self.0) {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

/// The codes that mean something to a capture: Microsoft Learn, "DXGI_ERROR" and "Common HRESULT Values".
pub(in crate::backends) mod code {
    pub(in crate::backends) const NOT_IMPLEMENTED: u32 = 0x8000_4001;
    pub(in crate::backends) const NO_INTERFACE: u32 = 0x8000_4002;
    pub(in crate::backends) const ACCESS_DENIED: u32 = 0x8007_0005;
    pub(in crate::backends) const INVALID_ARGUMENT: u32 = 0x8007_0057;
    pub(in crate::backends) const SERVICE_DISABLED: u32 = 0x8007_0422;
    pub(in crate::backends) const NO_SERVICE: u32 = 0x8007_0424;
    pub(in crate::backends) const INVALID_CALL: u32 = 0x887a_0001;
    pub(in crate::backends) const NOT_FOUND: u32 = 0x887a_0002;
    pub(in crate::backends) const UNSUPPORTED: u32 = 0x887a_0004;
    pub(in crate::backends) const DEVICE_REMOVED: u32 = 0x887a_0005;
    pub(in crate::backends) const DEVICE_HUNG: u32 = 0x887a_0006;
    pub(in crate::backends) const DEVICE_RESET: u32 = 0x887a_0007;
    pub(in crate::backends) const STILL_DRAWING: u32 = 0x887a_000a;
    pub(in crate::backends) const DRIVER_ERROR: u32 = 0x887a_0020;
    pub(in crate::backends) const TOO_MANY: u32 = 0x887a_0022;
    pub(in crate::backends) const ACCESS_LOST: u32 = 0x887a_0026;
    pub(in crate::backends) const TIMEOUT: u32 = 0x887a_0027;
    pub(in crate::backends) const DISCONNECTED: u32 = 0x887a_0028;

    pub(super) fn name(code: u32) -> Option<&'static str> {
        Some(match code {
            NOT_IMPLEMENTED => "E_NOTIMPL",
            NO_INTERFACE => "E_NOINTERFACE",
            ACCESS_DENIED => "E_ACCESSDENIED",
            INVALID_ARGUMENT => "E_INVALIDARG",
            SERVICE_DISABLED => "ERROR_SERVICE_DISABLED",
            NO_SERVICE => "ERROR_SERVICE_DOES_NOT_EXIST",
            INVALID_CALL => "DXGI_ERROR_INVALID_CALL",
            NOT_FOUND => "DXGI_ERROR_NOT_FOUND",
            UNSUPPORTED => "DXGI_ERROR_UNSUPPORTED",
            DEVICE_REMOVED => "DXGI_ERROR_DEVICE_REMOVED",
            DEVICE_HUNG => "DXGI_ERROR_DEVICE_HUNG",
            DEVICE_RESET => "DXGI_ERROR_DEVICE_RESET",
            STILL_DRAWING => "DXGI_ERROR_WAS_STILL_DRAWING",
            DRIVER_ERROR => "DXGI_ERROR_DRIVER_INTERNAL_ERROR",
            TOO_MANY => "DXGI_ERROR_NOT_CURRENTLY_AVAILABLE",
            ACCESS_LOST => "DXGI_ERROR_ACCESS_LOST",
            TIMEOUT => "DXGI_ERROR_WAIT_TIMEOUT",
            DISCONNECTED => "DXGI_ERROR_SESSION_DISCONNECTED",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: u32, reason: Option<u32>) -> CaptureError {
        Fault { doing: "making a texture", code, reason }.into_error("dxgi", None)
    }

    #[test]
    fn a_code_becomes_what_the_caller_can_do_and_keeps_its_name() {
        let error = error(code::NO_INTERFACE, None);
        assert_eq!(error.kind(), CaptureErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "dxgi: not supported here while making a texture: 0x80004002 E_NOINTERFACE"
        );
    }

    #[test]
    fn a_device_that_is_gone_is_lost_whatever_the_call_says() {
        let error = error(code::INVALID_CALL, Some(code::DEVICE_HUNG));
        assert_eq!(error.kind(), CaptureErrorKind::DeviceLost);
        assert!(
            error.to_string().ends_with("the device is gone: 0x887a0006 DXGI_ERROR_DEVICE_HUNG"),
            "{error}"
        );
    }

    #[test]
    fn a_code_without_a_name_is_a_failure_with_its_number() {
        let error = error(0x8000_ffff, None);
        assert_eq!(error.kind(), CaptureErrorKind::Failed);
        assert!(error.to_string().ends_with(": 0x8000ffff"), "{error}");
    }
}
