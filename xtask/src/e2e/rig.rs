//! The parts that scenarios put together: display, desktop, server, share, viewer.
//!
//! Each part is a child process on a port or display of its own and ends when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::browser::{Browser, Page};
use crate::process::{self, Line, Process, unix_us};
use crate::setup::{self, Purpose, Ready};
use crate::workspace::{RunDir, cargo, root, target_dir};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PICTURE_TIMEOUT: Duration = Duration::from_secs(30);
const LINE_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// The built programs and a folder for one run's logs.
#[derive(Debug)]
pub(crate) struct Rig {
    ready: Ready,
    dir: RunDir,
    programs: PathBuf,
}

impl Rig {
    /// Prepares the machine, builds what runs, and makes the run's folder.
    pub(crate) fn build(name: &str, purpose: Purpose) -> Result<Self> {
        let ready = setup::prepare(purpose)?;
        viewer_page(&ready)?;
        let mut build = cargo();
        build.args(["build", "--release", "-p", "yc-server", "-p", "yc-share", "-p", "yc-capture"]);
        process::run(ready.apply(build.args(["--bins", "--example", "desktop"])))?;
        Self::built(name, ready)
    }

    /// Like [`build`](Self::build) for what was built before.
    pub(crate) fn built(name: &str, ready: Ready) -> Result<Self> {
        Ok(Self { ready, dir: RunDir::new(name)?, programs: target_dir()?.join("release") })
    }

    /// A rig for another run of the same programs.
    pub(crate) fn another(&self, name: &str) -> Result<Self> {
        Self::built(name, self.ready.clone())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.file(name)
    }

    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// One of the built programs.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
        command.current_dir(root());
        for variable in
            ["YC_ROOM_TOKEN", "YC_SERVER_TOKEN_KEY", "NATIVE_RTP_LISTEN_IP", "NATIVE_RTP_ANNOUNCED_IP"]
        {
            command.env_remove(variable);
        }
        command
    }

    /// A virtual display of its own.
    pub(crate) fn display(&self, width: u32, height: u32) -> Result<Display> {
        Display::start(self.dir(), width, height)
    }

    /// A server on a free port.
    pub(crate) fn server(&self) -> Result<Server> {
        self.server_with("127.0.0.1:0", &[])
    }

    /// A server that listens on `address`, with more arguments.
    pub(crate) fn server_with(&self, address: &str, arguments: &[&str]) -> Result<Server> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("the OS's random source: {error}"))?;
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut command = self.program("yc-server");
        command.args(["--json", "--listen", address]).args(arguments).env("YC_SERVER_TOKEN_KEY", &key);
        let mut process = Process::spawn("yc-server", self.dir(), &mut command)?;
        let ready = process.next_line(START_TIMEOUT)?;
        let Some(ready) = ready.and_then(|line| serde_json::from_str::<Value>(&line.text).ok()) else {
            process.wait(LINE_TIMEOUT)?;
            process.ensure_running()?;
            bail!("yc-server did not say where it listens\n{}", process.tail());
        };
        let field = |name: &str| {
            ready[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {name} in the server's {ready}"))
        };
        Ok(Server {
            http: field("http")?,
            ws: field("ws")?,
            program: self.program("yc-server"),
            key,
            process,
        })
    }

    /// A headless browser.
    pub(crate) fn browser(&self) -> Result<Browser> {
        Browser::launch(self.dir())
    }

    /// The moving desktop on `display`: `WxH` covers the top left of the screen, `WxH+X+Y` is an ordinary
    /// window.
    pub(crate) fn desktop(&self, display: &str, fps: u32, geometry: &str) -> Result<Desktop> {
        let mut command = self.program("examples/desktop");
        let option = if geometry.contains('+') { "--window" } else { "--size" };
        command.args(["--fps", &fps.to_string(), option, geometry]).env("DISPLAY", display);
        let mut process = Process::spawn("desktop", self.dir(), &mut command)?;
        let line = process.next_line(START_TIMEOUT)?;
        let ready = line.as_ref().and_then(|line| line.text.strip_prefix("READY "));
        let ready: Value = match ready {
            Some(json) => serde_json::from_str(json).context("the desktop's READY line")?,
            None => bail!("the desktop did not come up\n{}", process.tail()),
        };
        let window = ready["window"].as_str().context("the desktop names no window")?.to_owned();
        Ok(Desktop { window, process })
    }

    /// Starts a share.
    pub(crate) fn share(&self, server: &Server, options: &ShareOptions<'_>) -> Result<Share> {
        let token = server.token(options.room, "share")?;
        let trace = self.file("frames.jsonl");
        let _ = fs::remove_file(&trace);
        let mut command = self.program("yc-share");
        command.args(["--json", "--source", options.source, "--room", options.room]);
        command.args(["--server", options.address.unwrap_or(&server.ws)]);
        command.args(["--fps", &options.fps.to_string()]).arg("--trace-frames").arg(&trace);
        command.args(options.arguments).env("YC_ROOM_TOKEN", token);
        match options.display {
            Some(display) => command.env("DISPLAY", display),
            None => command.env_remove("DISPLAY"),
        };
        let started_unix_us = unix_us();
        let process = Process::spawn("yc-share", self.dir(), &mut command)?;
        Ok(Share { process, trace, started_unix_us, events: Vec::new() })
    }
}

/// What a share captures and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct ShareOptions<'a> {
    pub(crate) room: &'a str,
    pub(crate) source: &'a str,
    pub(crate) display: Option<&'a str>,
    pub(crate) fps: u32,
    /// Where to connect instead of the server's own address.
    pub(crate) address: Option<&'a str>,
    pub(crate) arguments: &'a [&'a str],
}

impl<'a> ShareOptions<'a> {
    /// `source` at 30 fps into the room `demo`, straight to the server, without a display.
    pub(crate) fn new(source: &'a str) -> Self {
        Self { room: ROOM, source, display: None, fps: 30, address: None, arguments: &[] }
    }
}

/// The room that scenarios use unless they need several.
pub(crate) const ROOM: &str = "demo";

/// An X display: our own Xvfb.
#[derive(Debug)]
pub(crate) struct Display {
    name: String,
    _process: Process,
}

impl Display {
    fn start(dir: &Path, width: u32, height: u32) -> Result<Self> {
        let mut command = Command::new("Xvfb");
        // The display number that was free is written to standard output.
        command.args([
            "-displayfd",
            "1",
            "-nolisten",
            "tcp",
            "-screen",
            "0",
            &format!("{width}x{height}x24"),
        ]);
        let mut process = Process::spawn("Xvfb", dir, &mut command)?;
        let number = process.next_line(START_TIMEOUT)?;
        let number = number.with_context(|| format!("Xvfb did not come up\n{}", process.tail()))?;
        Ok(Self { name: format!(":{}", number.text.trim()), _process: process })
    }

    /// The value for `DISPLAY`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// The moving desktop.
#[derive(Debug)]
pub(crate) struct Desktop {
    pub(crate) window: String,
    pub(crate) process: Process,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) http: String,
    pub(crate) ws: String,
    pub(crate) process: Process,
    program: Command,
    key: String,
}

impl Server {
    /// A token for `room` that is good for an hour.
    pub(crate) fn token(&self, room: &str, role: &str) -> Result<String> {
        let mut command = Command::new(self.program.get_program());
        command.args(["token", "--room", room, "--role", role, "--ttl", "3600"]);
        let output = command.env("YC_SERVER_TOKEN_KEY", &self.key).stderr(Stdio::piped()).output();
        let output = output.context("yc-server token")?;
        ensure!(
            output.status.success(),
            "yc-server token: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The address of the viewer's page for `room`.
    pub(crate) fn viewer_url(&self, room: &str) -> Result<String> {
        Ok(format!("{}/?room={room}&token={}", self.http, self.token(room, "view")?))
    }
}

/// A running share.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) process: Process,
    /// When it was started.
    pub(crate) started_unix_us: u64,
    trace: PathBuf,
    events: Vec<(u64, Value)>,
}

impl Share {
    /// Waits for an event of this name and returns it with the time at which it came.
    pub(crate) fn wait_event(&mut self, name: &str) -> Result<(u64, Value)> {
        loop {
            if let Some(found) = self.events.iter().find(|(_, event)| event["event"] == name) {
                return Ok(found.clone());
            }
            match self.process.next_line(LINE_TIMEOUT)? {
                Some(line) => self.note(&line),
                None => {
                    self.process.wait(LINE_TIMEOUT)?;
                    self.process.ensure_running()?;
                }
            }
        }
    }

    /// The newest status, if there was one.
    pub(crate) fn status(&mut self) -> Option<&Value> {
        for line in self.process.ready_lines() {
            self.note(&line);
        }
        self.events.iter().rev().find_map(|(_, event)| event.get("status"))
    }

    /// Asks it to stop and returns how it ended.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
        let status = self.process.stop()?;
        self.drain()?;
        Ok(status)
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let status = self.process.wait(timeout)?;
        self.drain()?;
        Ok(status)
    }

    /// When each frame number was captured first: number and microseconds since 1970.
    pub(crate) fn captured(&self) -> Result<Vec<(u32, u64)>> {
        let text =
            fs::read_to_string(&self.trace).with_context(|| format!("reading {}", self.trace.display()))?;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let frames = lines.filter_map(|line| {
            let number = u32::try_from(line["marker"].as_u64()?).ok()?;
            Some((number, line["captured_unix_us"].as_u64()?))
        });
        Ok(frames.collect())
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(line) = self.process.next_line(LINE_TIMEOUT)? {
            self.note(&line);
        }
        Ok(())
    }

    fn note(&mut self, line: &Line) {
        if let Ok(event) = serde_json::from_str(&line.text) {
            self.events.push((line.at_unix_us, event));
        }
    }
}

/// A page that shows a room.
#[derive(Debug)]
pub(crate) struct Viewer {
    page: Page,
}

/// A decoded picture as the page shows it.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) rgba: Vec<u8>,
}

impl Viewer {
    /// Opens the room at `url` and waits until the page's program runs.
    pub(crate) fn open(browser: &mut Browser, url: &str) -> Result<Self> {
        let page = browser.open(url, PROBE)?;
        browser.wait_for(&page, "typeof window.ycViewer === 'object' && !!window.ycViewer", START_TIMEOUT)?;
        Ok(Self { page })
    }

    /// Opens `count` pages and sends them all to `url` one right after the other.
    pub(crate) fn open_all(browser: &mut Browser, url: &str, count: usize) -> Result<Vec<Self>> {
        let viewers: Vec<Self> =
            (0..count).map(|_| Ok(Self { page: browser.blank(PROBE)? })).collect::<Result<_>>()?;
        for viewer in &viewers {
            browser.navigate(&viewer.page, url)?;
        }
        Ok(viewers)
    }

    /// When the first decoded picture was there, in microseconds since 1970.
    pub(crate) fn first_picture(&self, browser: &mut Browser) -> Result<u64> {
        let at = browser.wait_for(&self.page, "window.ycProbe.firstPictureAt", FIRST_PICTURE_TIMEOUT)?;
        milliseconds(&at).context("the page's time of its first picture")
    }

    /// When the page began to load, in microseconds since 1970.
    pub(crate) fn opened(&self, browser: &mut Browser) -> Result<u64> {
        let at = browser.evaluate(&self.page, "performance.timeOrigin")?;
        milliseconds(&at).context("the page's time origin")
    }

    /// The statistics of the share that is shown (the oldest, if there are several).
    pub(crate) fn stats(&self, browser: &mut Browser) -> Result<Value> {
        let stats = browser.evaluate(&self.page, "window.ycViewer.stats()")?;
        Some(stats).filter(Value::is_object).context("the viewer shows no share")
    }

    /// Each decoded picture so far: frame number and microseconds since 1970, in the order they came.
    pub(crate) fn frames(&self, browser: &mut Browser) -> Result<Vec<(u32, u64)>> {
        let frames = browser.evaluate(&self.page, "window.ycProbe.frames")?;
        let pairs = frames
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|pair| Some((u32::try_from(pair[0].as_u64()?).ok()?, milliseconds(&pair[1])?)));
        Ok(pairs.collect())
    }

    /// Counts of the probe: pictures that came, those whose number could not be read, and errors.
    pub(crate) fn probe(&self, browser: &mut Browser) -> Result<Value> {
        browser.evaluate(
            &self.page,
            "(({pictures, unreadable, errors}) => ({pictures, unreadable, errors}))(window.ycProbe)",
        )
    }

    /// The next decoded picture.
    pub(crate) fn grab(&self, browser: &mut Browser) -> Result<Picture> {
        use base64::Engine;
        let picture = browser.evaluate(&self.page, "window.ycProbe.grab()")?;
        let side = |name: &str| picture[name].as_u64().and_then(|value| usize::try_from(value).ok());
        let (Some(width), Some(height), Some(data)) =
            (side("width"), side("height"), picture["rgba"].as_str())
        else {
            bail!("the page returned no picture");
        };
        let rgba = base64::engine::general_purpose::STANDARD.decode(data).context("the page's picture")?;
        ensure!(rgba.len() == width * height * 4, "the page's picture has {} bytes", rgba.len());
        Ok(Picture { width, rgba })
    }

    /// Waits until `expression` holds in the page.
    pub(crate) fn wait_for(
        &self,
        browser: &mut Browser,
        expression: &str,
        timeout: Duration,
    ) -> Result<Value> {
        browser.wait_for(&self.page, expression, timeout)
    }

    pub(crate) fn close(self, browser: &mut Browser) -> Result<()> {
        browser.close(self.page)
    }
}

/// Waits until `check` holds.
pub(crate) fn wait_until(
    what: &str,
    timeout: Duration,
    mut check: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let started = Instant::now();
    while !check()? {
        ensure!(started.elapsed() < timeout, "{what}: not within {timeout:?}");
        std::thread::sleep(POLL);
    }
    Ok(started.elapsed())
}

/// Builds the viewer's page unless it is newer than its sources.
pub(crate) fn viewer_page(ready: &Ready) -> Result<()> {
    let dir = viewer_dir();
    let installed = modified(&dir.join("node_modules/.package-lock.json"));
    if installed.is_none_or(|at| modified(&dir.join("package-lock.json")).is_some_and(|lock| lock > at)) {
        process::run(ready.apply(npm(&["ci", "--no-audit", "--no-fund"]).current_dir(&dir)))?;
    }
    let built = modified(&dir.join("dist/index.html"));
    let newest = newest_below(&dir)?;
    if built.is_none_or(|at| newest.is_some_and(|source| source > at)) {
        process::run(ready.apply(npm(&["run", "build"]).current_dir(&dir)))?;
    }
    Ok(())
}

/// npm with these arguments, quiet about news.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(arguments).env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
    command
}

/// The viewer page's sources.
pub(crate) fn viewer_dir() -> PathBuf {
    root().join("examples/server/viewer")
}

fn newest_below(dir: &Path) -> Result<Option<SystemTime>> {
    let mut newest = None;
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry.context("reading a folder")?;
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" {
            continue;
        }
        let path = entry.path();
        newest = newest.max(if path.is_dir() { newest_below(&path)? } else { modified(&path) });
    }
    Ok(newest)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn milliseconds(value: &Value) -> Option<u64> {
    value.as_f64().filter(|ms| *ms > 0.0).map(|ms| (ms * 1_000.0) as u64)
}

/// Reads frame numbers in the page.
const PROBE: &str = include_str!("../probe.js");
