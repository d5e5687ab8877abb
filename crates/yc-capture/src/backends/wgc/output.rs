//! A monitor or a window as the capture session knows it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use windows::Win32::Graphics::Direct3D11::ID3D11Texture2D;
use windows_capture::capture::{CaptureControl, GraphicsCaptureApiError, GraphicsCaptureApiHandler};
use windows_capture::graphics_capture_api::Error as ApiError;
use windows_capture::settings::Settings;
use yc_media::{Rect, Resolution};

use super::NAME;
use super::handler::{Handler, Link, Picture};
use super::item::{Item, Raw};
use super::wishes::Wishes;
use crate::backends::d3d11::{Device, Fault, Staging, StoredFormat, code};
use crate::backends::win32::{self, Window};
use crate::duplication::{Delivery, Duplication, Loss, Mode, News, Output, Refusal};
use crate::picture::{Rotation, RowLayout};
use crate::{CaptureError, CaptureErrorKind, EndReason, PauseReason};

/// What is captured.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Window(Window),
    /// A monitor, by the name of its device: `\\.\DISPLAY1`.
    Monitor(String),
}

/// A source, and the capture of it that runs, whether or not somebody asks for its pictures.
#[derive(Debug)]
pub(super) struct WgcOutput {
    source: Source,
    wishes: Wishes,
    running: Option<Running>,
    /// A hidden source is opened as well: the first look at it tells that it is hidden.
    opened: bool,
}

impl WgcOutput {
    pub(super) fn new(source: Source, wishes: Wishes) -> Self {
        Self { source, wishes, running: None, opened: false }
    }
}

impl Output for WgcOutput {
    type Duplication = WgcDuplication;

    fn duplicate(&mut self) -> Result<WgcDuplication, Refusal> {
        let (raw, window) = match &self.source {
            Source::Window(window) if !window.exists() => {
                return Err(Refusal::Ended(EndReason::WindowClosed));
            }
            Source::Window(window) if self.opened && !is_shown(*window) => {
                return Err(Refusal::Hidden(PauseReason::Unmapped));
            }
            Source::Window(window) => (Raw::Window(window.handle().0 as u64), Some(*window)),
            Source::Monitor(device) => {
                let monitor = win32::monitors().into_iter().find(|monitor| monitor.device == *device);
                let monitor = monitor.ok_or_else(|| {
                    Refusal::Gone(
                        CaptureError::new(CaptureErrorKind::NotFound, NAME, "looking for the monitor")
                            .with_source(format!("there is no monitor {device}")),
                    )
                })?;
                (Raw::Monitor(monitor.handle), None)
            }
        };
        let running = match self.running.take().filter(|running| !running.link.mailbox.is_over()) {
            Some(running) => running,
            None => Running::start(raw, &self.wishes).map_err(Refusal::Failed)?,
        };
        let running = self.running.insert(running);
        self.opened = true;
        Ok(WgcDuplication {
            link: Arc::clone(&running.link),
            device: running.device.clone(),
            mode: running.mode,
            window,
            acquired: None,
            kept: None,
        })
    }
}

/// Minimised, or on another virtual desktop, a window gives no pictures.
fn is_shown(window: Window) -> bool {
    window.is_visible() && !window.is_minimised()
}

/// A capture by the library. Dropping it ends it.
struct Running {
    link: Arc<Link>,
    device: Device,
    mode: Mode,
    control: Option<CaptureControl<Handler, Fault>>,
}

impl Running {
    fn start(raw: Raw, wishes: &Wishes) -> Result<Self, CaptureError> {
        let item = Item::new(raw);
        let tells_changes = wishes.dirty_regions != windows_capture::settings::DirtyRegionSettings::Default;
        let link = Arc::new(Link::new(tells_changes));
        let settings = Settings::new(
            item.clone(),
            wishes.cursor,
            wishes.border,
            wishes.secondary_windows,
            wishes.minimum_interval,
            wishes.dirty_regions,
            wishes.format,
            Arc::clone(&link),
        );
        let control = Handler::start_free_threaded(settings).map_err(|error| refused(&item, &error))?;
        let failed = |why: &str| {
            CaptureError::new(CaptureErrorKind::Failed, NAME, "starting the capture")
                .with_source(why.to_owned())
        };
        let device = link.device().cloned().ok_or_else(|| failed("it runs on no device"))?;
        let (width, height) =
            item.outcome().and_then(Result::ok).ok_or_else(|| failed("the source has no size"))?;
        let side = |side: i32| u32::try_from(side).unwrap_or_default().max(1);
        // A minimised window may tell any size: the first picture corrects it.
        let size = Resolution::new(side(width), side(height)).map_err(|error| {
            CaptureError::new(CaptureErrorKind::InvalidInput, NAME, "reading the source's size")
                .with_source(error)
        })?;
        let layout = match wishes.format {
            windows_capture::settings::ColorFormat::Rgba16F => RowLayout::Rgba16F,
            windows_capture::settings::ColorFormat::Rgba8 => RowLayout::Rgba8,
            windows_capture::settings::ColorFormat::Bgra8 => RowLayout::Bgra8,
        };
        let mode = Mode {
            size: size.even(),
            layout,
            rotation: Rotation::None,
            white: wishes.white,
            device: device.number(),
        };
        Ok(Self { link, device, mode, control: Some(control) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(control) = self.control.take()
            && let Err(error) = control.stop()
        {
            tracing::debug!(%error, "the capture did not end as it should");
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("link", &self.link).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What a start that failed means.
fn refused(item: &Item, error: &GraphicsCaptureApiError<Fault>) -> CaptureError {
    let doing = "starting the capture";
    let told = match error {
        GraphicsCaptureApiError::GraphicsCaptureApiError(ApiError::WindowsError(error)) => Some(error.code()),
        GraphicsCaptureApiError::NewHandlerError(fault) => return fault.into_error(NAME, None),
        _ => item.outcome().and_then(Result::err).map(|error| error.code()),
    };
    let Some(told) = told else {
        return CaptureError::new(CaptureErrorKind::Failed, NAME, doing).with_source(error.to_string());
    };
    let fault = Fault { doing, code: told.0 as u32, reason: None };
    match fault.code {
        // ERROR_SERVICE_DISABLED and ERROR_SERVICE_DOES_NOT_EXIST.
        code::SERVICE_DISABLED | code::NO_SERVICE => CaptureError::new(
            CaptureErrorKind::Unsupported,
            NAME,
            doing,
        )
        .with_source(format!(
            "the Windows service \"Capture Service\" is switched off: switch it on in services.msc ({fault})"
        )),
        // It may not be captured, or is none that can be: E_INVALIDARG of CreateForWindow.
        code::INVALID_ARGUMENT => CaptureError::new(CaptureErrorKind::Unsupported, NAME, doing)
            .with_source(format!("Windows.Graphics.Capture does not capture this one ({fault})")),
        _ => fault.into_error(NAME, None),
    }
}

/// The pictures of a capture that runs.
#[derive(Debug)]
pub(super) struct WgcDuplication {
    link: Arc<Link>,
    device: Device,
    mode: Mode,
    window: Option<Window>,
    acquired: Option<Picture>,
    kept: Option<Picture>,
}

impl WgcDuplication {
    fn format(&self) -> StoredFormat {
        StoredFormat(self.mode.layout)
    }

    fn over(&self) -> Loss {
        match self.link.fault() {
            Some(fault) => Loss::Broken(fault.into_error(NAME, None)),
            // The source was closed, or changed so that it must be asked for anew.
            None => Loss::Access,
        }
    }
}

impl Duplication for WgcDuplication {
    const NAME: &'static str = NAME;

    type Staging = Staging;
    /// What [`FrameMemory::Gpu`](crate::FrameMemory::Gpu) promises.
    type Texture = ID3D11Texture2D;

    fn mode(&self) -> Mode {
        self.mode
    }

    fn acquire(&mut self, timeout: Duration, news: &mut News) -> Result<bool, Loss> {
        news.clear();
        if self.window.is_some_and(|window| !is_shown(window)) {
            return Err(Loss::Access);
        }
        match self.link.mailbox.take(timeout) {
            Delivery::Over => Err(self.over()),
            Delivery::Nothing => Ok(false),
            Delivery::Picture(picture, presented, changed) => {
                self.mode = Mode { size: picture.size, layout: picture.format.0, ..self.mode };
                news.presented = Some(presented);
                news.changed.extend(changed);
                self.acquired = Some(picture);
                Ok(true)
            }
        }
    }

    /// The acquired picture is all of the source and our own: it becomes the kept one.
    fn keep(&mut self, _: Rect) -> Result<(), Loss> {
        if let Some(picture) = self.acquired.take()
            && let Some(old) = self.kept.replace(picture)
        {
            self.link.mailbox.give_back(old);
        }
        Ok(())
    }

    fn release(&mut self) -> Result<(), Loss> {
        if let Some(picture) = self.acquired.take() {
            self.link.mailbox.give_back(picture);
        }
        Ok(())
    }

    fn make_staging(&mut self, size: Resolution) -> Result<Staging, Loss> {
        self.device.staging(size, self.format()).map_err(broken)
    }

    fn stage(&mut self, corner: (u32, u32), part: Rect, staging: &mut Staging) -> Result<(), Loss> {
        if let Some(kept) = &self.kept {
            staging.fill(&kept.texture, corner, part);
        }
        Ok(())
    }

    fn map(&mut self, staging: &mut Staging) -> Result<bool, Loss> {
        staging.map().map_err(broken)
    }

    fn make_texture(&mut self, size: Resolution) -> Result<ID3D11Texture2D, Loss> {
        self.device.texture(size, self.format()).map_err(broken)
    }

    fn copy(&mut self, corner: (u32, u32), part: Rect, texture: &mut ID3D11Texture2D) -> Result<(), Loss> {
        if let Some(kept) = &self.kept {
            self.device.copy(&kept.texture, corner, part, texture);
            self.device.flush();
        }
        Ok(())
    }
}

fn broken(fault: Fault) -> Loss {
    Loss::Broken(fault.into_error(NAME, None))
}

#[cfg(test)]
mod tests {
    use windows::core::{Error, HRESULT};

    use super::*;

    fn refusal(code: u32) -> CaptureError {
        let told = ApiError::WindowsError(Error::from_hresult(HRESULT(code as i32)));
        refused(&Item::new(Raw::Monitor(0)), &GraphicsCaptureApiError::GraphicsCaptureApiError(told))
    }

    #[test]
    fn a_service_that_is_switched_off_is_named_with_what_to_do() {
        for code in [code::SERVICE_DISABLED, code::NO_SERVICE] {
            let error = refusal(code);
            assert_eq!(error.kind(), CaptureErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains("Capture Service") && text.contains("services.msc"), "{text}");
        }
    }

    #[test]
    fn other_refusals_keep_their_code() {
        assert_eq!(refusal(code::ACCESS_DENIED).kind(), CaptureErrorKind::PermissionDenied);
        assert_eq!(refusal(code::DEVICE_REMOVED).kind(), CaptureErrorKind::DeviceLost);
        assert_eq!(refusal(code::INVALID_ARGUMENT).kind(), CaptureErrorKind::Unsupported);
        let error = refusal(0x8000_ffff);
        assert_eq!(error.kind(), CaptureErrorKind::Failed);
        assert!(error.to_string().contains("0x8000ffff"), "{error}");
    }

    #[test]
    fn an_item_that_cannot_be_made_tells_why() {
        // Wine has no such class, and a Windows no such monitor.
        let item = Item::new(Raw::Monitor(0));
        assert!(item.outcome().is_none());
        assert!(windows_capture::settings::GraphicsCaptureItemType::try_from(item.clone()).is_err());
        assert!(item.outcome().is_some_and(|outcome| outcome.is_err()));
        let error = refused(&item, &GraphicsCaptureApiError::ItemConvertFailed);
        assert!(error.to_string().contains("0x"), "{error}");
    }

    #[test]
    fn a_window_that_is_gone_ends_and_a_monitor_that_is_gone_is_waited_for() {
        let wishes = Wishes::none();
        let mut output = WgcOutput::new(Source::Window(Window::new(0x7fff_fff0)), wishes);
        assert!(matches!(output.duplicate(), Err(Refusal::Ended(EndReason::WindowClosed))));
        let mut output = WgcOutput::new(Source::Monitor("no such monitor".to_owned()), wishes);
        assert!(matches!(output.duplicate(), Err(Refusal::Gone(_))));
    }
}
