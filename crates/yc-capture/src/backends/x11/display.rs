//! The connection to the display server.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectError, ConnectionError, DisplayParsingError, ReplyError};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageOrder, Screen, Visualid};
use x11rb::protocol::{composite, damage, randr, res, shm, xfixes};
use x11rb::reexports::x11rb_protocol::parse_display::{ConnectAddress, parse_display};
use x11rb::reexports::x11rb_protocol::xauth;
use x11rb::rust_connection::{DefaultStream, PollMode, RustConnection, Stream};
use x11rb::utils::RawFdContainer;

use super::NAME;
use crate::control::Control;
use crate::{CaptureError, CaptureErrorKind, clock};

/// A connection and what the server can do.
pub(super) struct Display {
    pub(super) connection: RustConnection<Link>,
    screen: usize,
    /// Whether pictures can be written into memory that we pass to the server.
    pub(super) shared_memory: bool,
    /// Whether a window's picture can be had while others cover it.
    pub(super) composite: bool,
    /// Whether the server lists monitors.
    pub(super) monitors: bool,
    /// Whether the server tells which process owns a window.
    pub(super) client_ids: bool,
    /// Whether this is the X11 side of a Wayland desktop.
    pub(super) wayland: bool,
}

impl Display {
    /// Connects to the display that `DISPLAY` names. Waits for answers end early when `control` says stop.
    pub(super) fn connect(control: Option<Arc<Control>>) -> Result<Self, CaptureError> {
        let variable = std::env::var("DISPLAY").unwrap_or_default();
        if variable.is_empty() {
            return Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, "connecting to the display")
                .with_source("the environment variable DISPLAY is not set: there is no X11 desktop"));
        }
        Self::connect_to(&variable, control)
    }

    fn connect_to(name: &str, control: Option<Arc<Control>>) -> Result<Self, CaptureError> {
        let refused = |kind, why: String| {
            CaptureError::new(kind, NAME, "connecting to the display")
                .with_source(format!("DISPLAY {name:?}: {why}"))
        };
        let parsed = parse_display(Some(name)).map_err(|_| {
            refused(
                CaptureErrorKind::InvalidInput,
                "it must read [HOST]:DISPLAY[.SCREEN], like :0".to_owned(),
            )
        })?;
        // By TCP it is port 6000 + display.
        if parsed.display > u16::MAX - 6000 {
            let why = format!("display {} is not allowed: 0 to {}", parsed.display, u16::MAX - 6000);
            return Err(refused(CaptureErrorKind::InvalidInput, why));
        }
        let mut last = None;
        for address in parsed.connect_instruction() {
            let (stream, (family, peer)) = match DefaultStream::connect(&address) {
                Ok(connected) => connected,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let (protocol, secret) =
                xauth::get_auth(family, &peer, parsed.display).ok().flatten().unwrap_or_default();
            let local = matches!(address, ConnectAddress::Socket(_));
            let screen = usize::from(parsed.screen);
            let link = Link { stream, control };
            let connection = RustConnection::connect_to_stream_with_auth_info(link, screen, protocol, secret)
                .map_err(|error| refused(connect_kind(&error), connect_reason(&error)))?;
            return Self::examine(connection, screen, local);
        }
        let why = last.map_or_else(|| "no address to connect to".to_owned(), |error| error.to_string());
        Err(refused(CaptureErrorKind::DeviceLost, why))
    }

    /// Asks what the server can do, and refuses one without the least that capturing needs.
    fn examine(connection: RustConnection<Link>, screen: usize, local: bool) -> Result<Self, CaptureError> {
        let doing = "asking for the display's extensions";
        let present = |name: &'static str| {
            connection
                .extension_information(name)
                .map(|found| found.is_some())
                .map_err(|error| lost(doing, error))
        };
        let unsupported = |why: &str| {
            CaptureError::new(CaptureErrorKind::Unsupported, NAME, doing).with_source(why.to_owned())
        };
        if connection.setup().image_byte_order != ImageOrder::LSB_FIRST {
            return Err(unsupported("the display sends its pixels most significant byte first"));
        }
        if !present(xfixes::X11_EXTENSION_NAME)? || !present(damage::X11_EXTENSION_NAME)? {
            return Err(unsupported("the display lacks the extensions XFIXES and DAMAGE"));
        }
        // Both must be asked for their version before anything else.
        let reply = |error| failed(doing, error);
        xfixes::query_version(&connection, 5, 0)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(reply)?;
        damage::query_version(&connection, 1, 1)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(reply)?;
        let version = |found: bool, ask: &dyn Fn() -> Result<(u32, u32), ReplyError>, least: (u32, u32)| {
            if !found {
                return Ok(false);
            }
            ask().map(|version| version >= least).map_err(reply)
        };
        let shared_memory = local
            && version(
                present(shm::X11_EXTENSION_NAME)?,
                &|| {
                    let reply = shm::query_version(&connection)?.reply()?;
                    Ok((reply.major_version.into(), reply.minor_version.into()))
                },
                (1, 2),
            )?;
        let composite = version(
            present(composite::X11_EXTENSION_NAME)?,
            &|| {
                let reply = composite::query_version(&connection, 0, 4)?.reply()?;
                Ok((reply.major_version, reply.minor_version))
            },
            (0, 2),
        )?;
        let monitors = version(
            present(randr::X11_EXTENSION_NAME)?,
            &|| {
                let reply = randr::query_version(&connection, 1, 5)?.reply()?;
                Ok((reply.major_version, reply.minor_version))
            },
            (1, 5),
        )?;
        let client_ids = version(
            present(res::X11_EXTENSION_NAME)?,
            &|| {
                let reply = res::query_version(&connection, 1, 2)?.reply()?;
                Ok((reply.server_major.into(), reply.server_minor.into()))
            },
            (1, 2),
        )?;
        let wayland = present("XWAYLAND")?;
        Ok(Self { shared_memory, composite, monitors, client_ids, wayland, screen, connection })
    }

    /// The screen that `DISPLAY` names.
    pub(super) fn screen(&self) -> &Screen {
        &self.connection.setup().roots[self.screen]
    }

    /// Refuses pixels that are not B, G, R, X in memory.
    pub(super) fn check_visual(&self, visual: Visualid) -> Result<(), CaptureError> {
        let setup = self.connection.setup();
        let found = setup.roots.iter().flat_map(|screen| &screen.allowed_depths).find_map(|depth| {
            depth.visuals.iter().find(|known| known.visual_id == visual).map(|known| (depth.depth, known))
        });
        let bits = |depth| {
            setup
                .pixmap_formats
                .iter()
                .find(|format| format.depth == depth)
                .map(|format| format.bits_per_pixel)
        };
        let why = match found {
            Some((depth, known))
                if bits(depth) == Some(32)
                    && (known.red_mask, known.green_mask, known.blue_mask) == (0xff0000, 0xff00, 0xff) =>
            {
                return Ok(());
            }
            Some((depth, known)) => format!(
                "its pixels have depth {depth}, {} bits, red mask {:#x}: only 8 bits a colour in 32-bit pixels, \
                 red mask 0xff0000, are captured",
                bits(depth).unwrap_or_default(),
                known.red_mask
            ),
            None => format!("its visual {visual:#x} is unknown"),
        };
        Err(CaptureError::new(CaptureErrorKind::Unsupported, NAME, "reading the pixel format")
            .with_source(why))
    }

    /// An atom by its name; 0 if nobody ever used that name on this display.
    pub(super) fn atom(&self, name: &str) -> Result<u32, ReplyError> {
        Ok(self.connection.intern_atom(true, name.as_bytes())?.reply()?.atom)
    }

    /// Waits until the server sent something, `wake` is readable, or `timeout` is over.
    pub(super) fn wait(&self, wake: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<(), CaptureError> {
        let doing = "waiting for the display";
        self.connection.flush().map_err(|error| lost(doing, error))?;
        let mut fds = [
            PollFd::from_borrowed_fd(self.connection.stream().stream.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(wake, PollFlags::IN),
        ];
        let timeout = timeout.map(timespec);
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(CaptureError::new(CaptureErrorKind::Failed, NAME, doing).with_source(error)),
        }
    }
}

/// The socket to the server. Waiting on it is bounded, and ends when the capture is stopped: a server
/// that hangs must not hang us.
#[derive(Debug)]
pub(super) struct Link {
    stream: DefaultStream,
    control: Option<Arc<Control>>,
}

impl Stream for Link {
    fn poll(&self, mode: PollMode) -> io::Result<()> {
        let give_up = clock::now() + ANSWER_BOUND;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, mode.readable());
        flags.set(PollFlags::OUT, mode.writable());
        loop {
            let mut fds = [PollFd::from_borrowed_fd(self.stream.as_fd(), flags)];
            match rustix::event::poll(&mut fds, Some(&timespec(STOP_CHECK))) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if self.control.as_ref().is_some_and(|control| control.stopping()) {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the capture is being stopped"));
            }
            if clock::now() > give_up {
                let why = format!("the display gave no answer in {} s", ANSWER_BOUND.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
    }

    fn read(&self, buf: &mut [u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.read(buf, fds)
    }

    fn write(&self, buf: &[u8], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write(buf, fds)
    }

    fn write_vectored(&self, bufs: &[io::IoSlice<'_>], fds: &mut Vec<RawFdContainer>) -> io::Result<usize> {
        self.stream.write_vectored(bufs, fds)
    }
}

/// The connection is gone.
pub(super) fn lost(doing: &'static str, error: ConnectionError) -> CaptureError {
    CaptureError::new(CaptureErrorKind::DeviceLost, NAME, doing).with_source(error)
}

/// The connection is gone, or the server refused a request that should have been fine.
pub(super) fn failed(doing: &'static str, error: ReplyError) -> CaptureError {
    match error {
        ReplyError::ConnectionError(error) => lost(doing, error),
        ReplyError::X11Error(error) => {
            let request = error.request_name.unwrap_or("a request");
            CaptureError::new(CaptureErrorKind::Failed, NAME, doing).with_source(format!(
                "the display answered {request} with the error {:?} for {:#x}",
                error.error_kind, error.bad_value
            ))
        }
    }
}

fn connect_kind(error: &ConnectError) -> CaptureErrorKind {
    match error {
        ConnectError::SetupFailed(_) | ConnectError::SetupAuthenticate(_) => {
            CaptureErrorKind::PermissionDenied
        }
        ConnectError::InvalidScreen | ConnectError::DisplayParsingError(_) => CaptureErrorKind::InvalidInput,
        _ => CaptureErrorKind::DeviceLost,
    }
}

fn connect_reason(error: &ConnectError) -> String {
    match error {
        ConnectError::SetupFailed(refusal) => {
            format!("the display refused us: {}", String::from_utf8_lossy(&refusal.reason).trim_end())
        }
        ConnectError::SetupAuthenticate(refusal) => {
            format!("the display wants a login: {}", String::from_utf8_lossy(&refusal.reason).trim_end())
        }
        ConnectError::InvalidScreen => "it has no screen of that number".to_owned(),
        ConnectError::DisplayParsingError(DisplayParsingError::Unknown) => "it cannot be read".to_owned(),
        other => other.to_string(),
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: time.subsec_nanos().into() }
}

/// How long the server may take for one answer before it counts as gone. Programs may hold it for
/// themselves for seconds, as some window managers do while a window is dragged.
const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// How long stopping may go unnoticed while waiting for an answer.
const STOP_CHECK: Duration = Duration::from_millis(40);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_that_is_not_there_is_named_with_the_reason() {
        let refused = |name| Display::connect_to(name, None).err().expect("there is no such display");
        let error = refused(":58999");
        assert_eq!(error.kind(), CaptureErrorKind::DeviceLost);
        assert!(error.to_string().contains("DISPLAY \":58999\""), "{error}");
        let error = refused(":64999");
        assert_eq!(error.kind(), CaptureErrorKind::InvalidInput);
        assert!(error.to_string().contains("display 64999 is not allowed: 0 to 59535"), "{error}");
        let error = refused("no colon");
        assert_eq!(error.kind(), CaptureErrorKind::InvalidInput);
        assert!(error.to_string().contains("[HOST]:DISPLAY[.SCREEN]"), "{error}");
    }
}
