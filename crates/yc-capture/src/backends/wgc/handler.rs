//! The library's thread: it copies each picture and leaves it in the mailbox.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use windows::Win32::Graphics::Direct3D11::ID3D11Texture2D;
use windows_capture::capture::{Context, GraphicsCaptureApiHandler};
use windows_capture::frame::Frame;
use windows_capture::graphics_capture_api::InternalCaptureControl;
use yc_media::{CaptureTime, Resolution};

use crate::backends::d3d11::{Device, Fault, StoredFormat, code};
use crate::duplication::{Edges, Mailbox};
use crate::picture::content;

/// A picture of our own on the GPU, in which what the window or the monitor shows begins at the corner.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) texture: ID3D11Texture2D,
    /// Of what it shows.
    pub(super) size: Resolution,
    pub(super) format: StoredFormat,
}

/// What the library's thread and the capturing one share.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) mailbox: Mailbox<Picture>,
    /// Whether the system tells what changed.
    tells_changes: bool,
    device: OnceLock<Device>,
    fault: Mutex<Option<Fault>>,
}

impl Link {
    pub(super) fn new(tells_changes: bool) -> Self {
        Self { mailbox: Mailbox::new(), tells_changes, device: OnceLock::new(), fault: Mutex::new(None) }
    }

    /// The library's device, once it runs.
    pub(super) fn device(&self) -> Option<&Device> {
        self.device.get()
    }

    /// Why it ended, if the source is not the reason.
    pub(super) fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.mailbox.end();
    }
}

/// What the library calls.
pub(super) struct Handler {
    link: Arc<Link>,
    device: Device,
}

impl Handler {
    fn keep(&self, frame: &Frame<'_>) -> Result<(), Fault> {
        let doing = "reading a picture";
        let fault = |error: windows::core::Error| self.device.fault(doing, &error);
        let unreadable = Fault { doing, code: code::UNSUPPORTED, reason: None };
        let format = StoredFormat::from_dxgi(frame.desc().Format).ok_or(unreadable)?;
        let texture = Resolution::new(frame.width(), frame.height()).map_err(|_| unreadable)?;
        // The library hands out pictures of the size of their content only; an odd last row or column is left out.
        let told = (frame.width() as i32, frame.height() as i32);
        let Some(part) = content(texture, told) else { return Ok(()) };
        let size = Resolution::new(part.width, part.height).map_err(|_| unreadable)?;
        let presented = u64::try_from(frame.timestamp().map_err(fault)?.Duration).unwrap_or_default();
        let changed = match self.link.tells_changes {
            true => bounds(frame).map_err(fault)?,
            false => None,
        };
        let fits = |picture: &Picture| picture.size == size && picture.format == format;
        let picture = match self.link.mailbox.empty().filter(fits) {
            Some(picture) => picture,
            None => Picture { texture: self.device.texture(size, format)?, size, format },
        };
        self.device.copy(frame.as_raw_texture(), (part.x, part.y), size.rect(), &picture.texture);
        // In hundreds of nanoseconds of the performance counter (Microsoft Learn,
        // "Direct3D11CaptureFrame.SystemRelativeTime").
        let presented = CaptureTime::from_epoch(Duration::from_nanos(presented.saturating_mul(100)));
        self.link.mailbox.post(picture, presented, changed);
        Ok(())
    }
}

impl GraphicsCaptureApiHandler for Handler {
    type Flags = Arc<Link>;
    type Error = Fault;

    fn new(context: Context<Arc<Link>>) -> Result<Self, Fault> {
        let device = Device::adopt(context.device)?;
        let link = context.flags;
        // It is made once for each link.
        let _ = link.device.set(device.clone());
        Ok(Self { link, device })
    }

    fn on_frame_arrived(&mut self, frame: &mut Frame<'_>, _: InternalCaptureControl) -> Result<(), Fault> {
        self.keep(frame).inspect_err(|fault| self.link.end(Some(*fault)))
    }

    fn on_closed(&mut self) -> Result<(), Fault> {
        self.link.end(None);
        Ok(())
    }
}

/// What holds all that changed; `None` if the system tells nothing of this picture.
fn bounds(frame: &Frame<'_>) -> windows::core::Result<Option<Edges>> {
    let regions = frame.dirty_regions()?.into_iter().map(|region| Edges {
        left: region.x,
        top: region.y,
        right: region.x.saturating_add(region.width),
        bottom: region.y.saturating_add(region.height),
    });
    Ok(regions.reduce(Edges::union))
}
