//! A desktop of the test's own: an Xvfb, a process that has it as its display, and a hand that paints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use x11rb::connection::Connection;
use x11rb::protocol::randr::{self, MonitorInfo};
use x11rb::protocol::xproto::{
    AtomEnum, ChangeGCAux, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Gcontext,
    ImageFormat, PropMode, Rectangle, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;
use yc_media::{FrameBuffer, Rect, VideoFrame};

/// Runs `body` in a process of its own whose `DISPLAY` is a fresh Xvfb started with `arguments`. `test` is
/// the name of the calling test, by which the process finds back to it.
#[track_caller]
pub(crate) fn with_desktop(test: &str, arguments: &[&str], body: impl FnOnce(&Desktop)) {
    with_server(test, arguments, |server| body(&Desktop::connect(server)));
}

/// As [`with_desktop`], without connecting to the display; `body` gets the Xvfb's process id.
#[track_caller]
pub(crate) fn with_server(test: &str, arguments: &[&str], body: impl FnOnce(u32)) {
    match std::env::var(CHILD) {
        Ok(server) => body(server.parse().unwrap()),
        Err(_) => {
            let server = Server::start(arguments);
            let display = format!(":{}", server.display);
            run_again(test, &display, &server.process.id().to_string());
        }
    }
}

/// Runs `body` in a process of its own whose `DISPLAY` is `display`.
#[track_caller]
pub(crate) fn with_display(test: &str, display: &str, body: impl FnOnce()) {
    match std::env::var(CHILD) {
        Ok(_) => body(),
        Err(_) => run_again(test, display, "0"),
    }
}

const CHILD: &str = "YC_CAPTURE_TEST_SERVER";

/// A separate process: its environment is its own, and its threads, descriptors and mappings can be
/// counted.
#[track_caller]
fn run_again(test: &str, display: &str, server: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env("DISPLAY", display)
        .env(CHILD, server)
        .output()
        .unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{test} on DISPLAY {display:?}:\n{told}");
    println!("{told}");
}

/// An Xvfb that ends with its owner.
struct Server {
    process: Child,
    display: u32,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("these tests need Xvfb (Debian: apt-get install xvfb): {error}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let display = line.trim().parse();
        let display = display.unwrap_or_else(|_| panic!("Xvfb {arguments:?} did not start: {line:?}"));
        Self { process, display }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The display as a painter sees it.
pub(crate) struct Desktop {
    pub(crate) connection: RustConnection,
    pub(crate) root: Window,
    gc: Gcontext,
    /// The process id of the Xvfb.
    pub(crate) server: u32,
}

impl Desktop {
    /// Connects once more to the display.
    pub(crate) fn connect(server: u32) -> Self {
        let (connection, screen) = x11rb::connect(None).unwrap();
        let root = connection.setup().roots[screen].root;
        let gc = connection.generate_id().unwrap();
        connection.create_gc(gc, root, &CreateGCAux::new()).unwrap();
        Self { connection, root, gc, server }
    }

    /// An ordinary window, shown.
    pub(crate) fn window(&self, x: i16, y: i16, width: u16, height: u16) -> Window {
        let window = self.hidden_window(x, y, width, height, &CreateWindowAux::new().background_pixel(0));
        self.connection.map_window(window).unwrap();
        self.sync();
        window
    }

    pub(crate) fn hidden_window(
        &self,
        x: i16,
        y: i16,
        width: u16,
        height: u16,
        attributes: &CreateWindowAux,
    ) -> Window {
        let window = self.connection.generate_id().unwrap();
        self.connection
            .create_window(
                0,
                window,
                self.root,
                x,
                y,
                width,
                height,
                0,
                WindowClass::INPUT_OUTPUT,
                0,
                attributes,
            )
            .unwrap()
            .check()
            .unwrap();
        window
    }

    pub(crate) fn set_title(&self, window: Window, title: &str) {
        let (name, utf8) = (self.atom("_NET_WM_NAME"), self.atom("UTF8_STRING"));
        self.connection.change_property8(PropMode::REPLACE, window, name, utf8, title.as_bytes()).unwrap();
    }

    pub(crate) fn set_old_title(&self, window: Window, title: &str) {
        let (name, string) = (AtomEnum::WM_NAME, AtomEnum::STRING);
        self.connection.change_property8(PropMode::REPLACE, window, name, string, title.as_bytes()).unwrap();
    }

    pub(crate) fn atom(&self, name: &str) -> u32 {
        self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
    }

    /// Fills `area` of `drawable` with 0xRRGGBB. Not sent before the next [`Desktop::sync`].
    pub(crate) fn fill(&self, drawable: u32, area: Rect, colour: u32) {
        self.connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour)).unwrap();
        let area = Rectangle {
            x: area.x as i16,
            y: area.y as i16,
            width: area.width as u16,
            height: area.height as u16,
        };
        self.connection.poly_fill_rectangle(drawable, self.gc, &[area]).unwrap();
    }

    /// Fills `area`, on a server that may be gone. Errors are the next flush's.
    pub(crate) fn try_fill(&self, drawable: u32, area: Rect) {
        let area = Rectangle {
            x: area.x as i16,
            y: area.y as i16,
            width: area.width as u16,
            height: area.height as u16,
        };
        let _ = self.connection.poly_fill_rectangle(drawable, self.gc, &[area]);
        let _ = self.connection.sync();
    }

    /// Puts a BGRA picture into `drawable`.
    pub(crate) fn put(&self, drawable: u32, pixels: &[u8], width: u16) {
        // In bands: one request holds at most 256 KiB.
        let stride = usize::from(width) * 4;
        let rows = (200_000 / stride).max(1);
        for (band, part) in pixels.chunks(rows * stride).enumerate() {
            let (y, height) = ((band * rows) as i16, (part.len() / stride) as u16);
            self.connection
                .put_image(ImageFormat::Z_PIXMAP, drawable, self.gc, width, height, 0, y, 0, 24, part)
                .unwrap();
        }
        self.sync();
    }

    /// The pixels of `area` of `drawable`, as the server tells them: B, G, R, 0.
    pub(crate) fn pixels(&self, drawable: u32, area: Rect) -> Vec<[u8; 4]> {
        let (x, y, width, height) = (area.x as i16, area.y as i16, area.width as u16, area.height as u16);
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, drawable, x, y, width, height, u32::MAX)
            .unwrap()
            .reply()
            .unwrap();
        image.data.as_chunks::<4>().0.iter().map(|&[b, g, r, _]| [b, g, r, 0]).collect()
    }

    pub(crate) fn resize(&self, window: Window, width: u32, height: u32) {
        self.connection
            .configure_window(window, &ConfigureWindowAux::new().width(width).height(height))
            .unwrap();
        self.sync();
    }

    /// Waits until the server has done everything asked so far.
    pub(crate) fn sync(&self) {
        self.connection.sync().unwrap();
    }

    pub(crate) fn move_pointer(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).unwrap();
        self.sync();
    }

    /// Makes `area` a monitor called `name`.
    pub(crate) fn set_monitor(&self, name: &str, area: Rect) {
        let monitor = MonitorInfo {
            name: self.atom(name),
            x: area.x as i16,
            y: area.y as i16,
            width: area.width as u16,
            height: area.height as u16,
            ..MonitorInfo::default()
        };
        randr::set_monitor(&self.connection, self.root, monitor).unwrap().check().unwrap();
    }

    pub(crate) fn delete_monitor(&self, name: &str) {
        randr::delete_monitor(&self.connection, self.root, self.atom(name)).unwrap().check().unwrap();
    }

    /// Sends the server a signal.
    pub(crate) fn signal_server(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.server.to_string()]).status().unwrap();
        assert!(done.success());
    }
}

/// The pixels of a frame as B, G, R, 0.
pub(crate) fn frame_pixels(frame: &VideoFrame) -> Vec<[u8; 4]> {
    let FrameBuffer::Cpu(buffer) = frame.buffer() else { panic!("a frame in GPU memory") };
    let (bytes, stride) = buffer.plane(0);
    let (width, height) = (buffer.size().width() as usize, buffer.size().height() as usize);
    let rows = (0..height).flat_map(|y| bytes[y * stride..][..width * 4].as_chunks::<4>().0);
    rows.map(|&[b, g, r, _]| [b, g, r, 0]).collect()
}

/// One pixel of a frame as 0xRRGGBB.
pub(crate) fn pixel(frame: &VideoFrame, x: u32, y: u32) -> u32 {
    let [b, g, r, _] = frame_pixels(frame)[(y * frame.size().width() + x) as usize];
    u32::from_be_bytes([0, r, g, b])
}
