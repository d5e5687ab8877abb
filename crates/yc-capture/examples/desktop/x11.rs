//! The window on an X11 display.

use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::protocol::Event;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    AtomEnum, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask, Gcontext, ImageFormat, PropMode,
    Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use yc_capture::clock;
use yc_capture::synthetic::Scene;
use yc_media::{CaptureTime, Rect, Resolution};

use crate::options::Options;
use crate::sys::Mapping;

/// The window, and the picture in memory that the server reads.
pub(crate) struct Stage {
    connection: RustConnection,
    window: Window,
    gc: Gcontext,
    depth: u8,
    close: u32,
    segment: shm::Seg,
    mapping: Mapping,
    scene: Scene,
    shown: Option<u32>,
    changed: Vec<Rect>,
    exposed: bool,
}

impl Stage {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let (connection, screen_number) = x11rb::connect(None).context("connecting to DISPLAY")?;
        let screen = &connection.setup().roots[screen_number];
        let (root, depth, visual) = (screen.root, screen.root_depth, screen.root_visual);
        ensure!(matches!(depth, 24 | 32), "the screen has depth {depth}: only 24 and 32 are drawn to");
        let whole = Resolution::new(screen.width_in_pixels.into(), screen.height_in_pixels.into())?;
        let managed = options.window.is_some();
        let place = options.window.unwrap_or_else(|| options.size.unwrap_or(whole).rect());
        let size = Resolution::new(place.width, place.height)?;

        let window = connection.generate_id()?;
        let attributes = CreateWindowAux::new()
            .override_redirect(u32::from(!managed))
            .event_mask(EventMask::EXPOSURE | EventMask::STRUCTURE_NOTIFY);
        let (x, y) = (i16::try_from(place.x)?, i16::try_from(place.y)?);
        let (width, height) = (u16::try_from(place.width)?, u16::try_from(place.height)?);
        connection
            .create_window(
                depth,
                window,
                root,
                x,
                y,
                width,
                height,
                0,
                WindowClass::INPUT_OUTPUT,
                visual,
                &attributes,
            )?
            .check()
            .context("creating the window")?;
        let close = describe(&connection, window, options, place)?;
        let gc = connection.generate_id()?;
        connection.create_gc(gc, window, &CreateGCAux::new())?;

        let bytes = size.width() as usize * 4 * size.height() as usize;
        let (mapping, fd) = Mapping::new(bytes).context("allocating the picture")?;
        ensure!(connection.extension_information(shm::X11_EXTENSION_NAME)?.is_some(), "no MIT-SHM");
        connection.shm_query_version()?.reply()?;
        let segment = connection.generate_id()?;
        connection.shm_attach_fd(segment, fd, true)?.check().context("sharing the picture")?;

        connection.map_window(window)?;
        connection.flush()?;
        let scene = Scene::new(size, options.scene);
        let mut stage = Self {
            connection,
            window,
            gc,
            depth,
            close,
            segment,
            mapping,
            scene,
            shown: None,
            changed: Vec::new(),
            exposed: false,
        };
        // What is drawn before the window is on the screen is lost.
        let patience = clock::now() + Duration::from_secs(10);
        while !stage.exposed {
            ensure!(clock::now() < patience, "the window was not shown within 10 s");
            ensure!(stage.wait_until(clock::now() + Duration::from_millis(100))?, "the window was closed");
        }
        Ok(stage)
    }

    /// The window's id.
    pub(crate) fn id(&self) -> u64 {
        self.window.into()
    }

    /// Draws frame `n` and waits until the server has taken it over: so there is never a backlog, and the
    /// memory can be drawn to again.
    pub(crate) fn draw(&mut self, n: u32) -> Result<()> {
        let size = self.scene.size();
        let stride = size.width() as usize * 4;
        match self.shown {
            Some(from) => self.scene.update(from, n, self.mapping.bytes_mut(), stride, &mut self.changed),
            None => self.scene.render(n, self.mapping.bytes_mut(), stride),
        }
        if self.shown.is_none() || std::mem::take(&mut self.exposed) {
            self.changed.clear();
            self.changed.push(size.rect());
        }
        self.shown = Some(n);
        // Nobody sees half a frame.
        self.connection.grab_server()?;
        for rect in &self.changed {
            // All of these are sides and places of a window, which are 16-bit numbers.
            let (x, y, width, height) = (rect.x as u16, rect.y as u16, rect.width as u16, rect.height as u16);
            self.connection.shm_put_image(
                self.window,
                self.gc,
                size.width() as u16,
                size.height() as u16,
                x,
                y,
                width,
                height,
                x as i16,
                y as i16,
                self.depth,
                ImageFormat::Z_PIXMAP.into(),
                false,
                self.segment,
                0,
            )?;
        }
        self.connection.ungrab_server()?;
        self.connection.sync()?;
        Ok(())
    }

    /// Handles events until `time`, or until the window must be drawn again. `false` once it is closed.
    pub(crate) fn wait_until(&mut self, time: CaptureTime) -> Result<bool> {
        loop {
            while let Some(event) = self.connection.poll_for_event()? {
                match event {
                    Event::Expose(_) => self.exposed = true,
                    Event::DestroyNotify(event) if event.window == self.window => return Ok(false),
                    Event::ClientMessage(event) if event.data.as_data32()[0] == self.close => {
                        return Ok(false);
                    }
                    Event::Error(error) => anyhow::bail!("the display refused a request: {error:?}"),
                    _ => {}
                }
            }
            let left = time.saturating_since(clock::now());
            if left.is_zero() {
                return Ok(true);
            }
            if let (true, Some(shown)) = (self.exposed, self.shown) {
                self.draw(shown)?;
                continue;
            }
            // Signals end the wait too.
            let timeout =
                Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::from_borrowed_fd(self.connection.stream().as_fd(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sets what window managers and listings read. Returns the atom of the message that asks to close.
fn describe(connection: &RustConnection, window: Window, options: &Options, place: Rect) -> Result<u32> {
    let atom = |name: &str| anyhow::Ok(connection.intern_atom(false, name.as_bytes())?.reply()?.atom);
    let replace = PropMode::REPLACE;
    let title = options.title.as_bytes();
    connection.change_property8(replace, window, AtomEnum::WM_NAME, AtomEnum::STRING, title)?;
    connection.change_property8(replace, window, atom("_NET_WM_NAME")?, atom("UTF8_STRING")?, title)?;
    connection.change_property8(
        replace,
        window,
        AtomEnum::WM_CLASS,
        AtomEnum::STRING,
        b"desktop\0Desktop\0",
    )?;
    let pid = [std::process::id()];
    connection.change_property32(replace, window, atom("_NET_WM_PID")?, AtomEnum::CARDINAL, &pid)?;
    let close = atom("WM_DELETE_WINDOW")?;
    connection.change_property32(replace, window, atom("WM_PROTOCOLS")?, AtomEnum::ATOM, &[close])?;
    // WM_NORMAL_HINTS (ICCCM §4.1.2.3): the user's place and size, and the size as the only one allowed.
    const USER_PLACE_AND_SIZE: u32 = 1 | 2;
    const LEAST_AND_MOST: u32 = 16 | 32;
    let Rect { x, y, width, height } = place;
    let mut hints = [0; 18];
    hints[..9].copy_from_slice(&[
        USER_PLACE_AND_SIZE | LEAST_AND_MOST,
        x,
        y,
        width,
        height,
        width,
        height,
        width,
        height,
    ]);
    connection.change_property32(
        replace,
        window,
        AtomEnum::WM_NORMAL_HINTS,
        AtomEnum::WM_SIZE_HINTS,
        &hints,
    )?;
    Ok(close)
}
