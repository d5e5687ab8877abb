//! The parts that scenarios put together: display, desktop, server, and from there shares and viewers.
//!
//! Each part is a child process on a port or display of its own and ends when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::page;
use super::share::{Share, ShareOptions};
use crate::browser::Browser;
use crate::http;
use crate::process::{self, Process};
use crate::setup::{self, Purpose, Ready};
use crate::workspace::{RunDir, cargo, root, target_dir};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const LINE_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// What scenarios need of `yc-share` and people do not: none of it does anything unless it is asked for.
const SHARE_FEATURES: &str =
    "yc-share/fault-injection,yc-share/metrics,yc-share/native-diagnostic-udp-mirror";

/// The built programs and a folder for one run's logs.
#[derive(Debug)]
pub(crate) struct Rig {
    ready: Ready,
    dir: RunDir,
    programs: PathBuf,
    /// Whether figures go into docs/.
    docs: bool,
    /// The one network to run, if not all.
    profile: Option<String>,
}

impl Rig {
    /// Prepares the machine, builds what runs, and makes the run's folder.
    pub(crate) fn build(name: &str, purpose: Purpose) -> Result<Self> {
        let ready = setup::prepare(purpose)?;
        page::build(&ready)?;
        let mut build = cargo();
        build.args(["build", "--release", "-p", "yc-server", "-p", "yc-share", "-p", "yc-capture"]);
        build.args(["--bins", "--example", "desktop", "--example", "embed"]);
        if purpose == Purpose::E2e {
            build.args(["--features", SHARE_FEATURES]);
        }
        process::run(ready.apply(&mut build))?;
        if purpose == Purpose::E2e {
            build_app(&ready)?;
        }
        Self::built(name, ready)
    }

    /// Like [`build`](Self::build) for what was built before.
    pub(crate) fn built(name: &str, ready: Ready) -> Result<Self> {
        let programs = target_dir()?.join("release");
        Ok(Self { ready, dir: RunDir::new(name)?, programs, docs: false, profile: None })
    }

    /// A rig whose logs are in a folder of this one's.
    pub(crate) fn inside(&self, name: &str) -> Result<Self> {
        let (ready, programs) = (self.ready.clone(), self.programs.clone());
        Ok(Self {
            ready,
            dir: self.dir.inside(name)?,
            programs,
            docs: self.docs,
            profile: self.profile.clone(),
        })
    }

    /// Lets the figures of runs go into docs/ of the checkout.
    pub(crate) fn with_docs(self, docs: bool) -> Self {
        Self { docs, ..self }
    }

    /// Lets the scenario `network` run one network, if one is named.
    pub(crate) fn with_profile(self, profile: Option<String>) -> Self {
        Self { profile, ..self }
    }

    /// A rig for another run of the same programs.
    pub(crate) fn another(&self, name: &str) -> Result<Self> {
        let rig = Self::built(name, self.ready.clone())?;
        Ok(rig.with_docs(self.docs).with_profile(self.profile.clone()))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.file(name)
    }

    /// The page of docs/ that a run's figures go into, if that was asked for.
    pub(crate) fn page(&self, name: &str) -> Option<PathBuf> {
        self.docs.then(|| root().join("docs").join(name))
    }

    /// The one network to run, if not all.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Where a figure goes that docs/ shows: there, if that was asked for, or to the logs.
    pub(crate) fn figure(&self, name: &str) -> PathBuf {
        self.page(name).unwrap_or_else(|| self.file(name))
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
        Desktop::start(self.dir(), command.env("DISPLAY", display), fps, geometry)
    }

    /// Starts a share.
    pub(crate) fn share(&self, server: &Server, options: &ShareOptions<'_>) -> Result<Share> {
        Share::start(self, server, options)
    }
}

/// The Tauri app with its page in it, as it is shipped. Apart from the others, whose features it need not share.
fn build_app(ready: &Ready) -> Result<()> {
    page::build_app(ready)?;
    let mut build = cargo();
    build.args(["build", "--release", "-p", "yc-tauri-app", "--features", "custom-protocol"]);
    process::run(ready.apply(&mut build))
}

/// The room that scenarios use unless they need several.
pub(crate) const ROOM: &str = "demo";

/// An X display: our own Xvfb.
#[derive(Debug)]
pub(crate) struct Display {
    name: String,
    process: Process,
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
        Ok(Self { name: format!(":{}", number.text.trim()), process })
    }

    /// The value for `DISPLAY`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }
}

/// The moving desktop.
#[derive(Debug)]
pub(crate) struct Desktop {
    pub(crate) window: String,
    pub(crate) process: Process,
}

impl Desktop {
    /// By `command`, which names program and display; see [`Rig::desktop`].
    pub(crate) fn start(dir: &Path, command: &mut Command, fps: u32, geometry: &str) -> Result<Self> {
        let option = if geometry.contains('+') { "--window" } else { "--size" };
        command.args(["--fps", &fps.to_string(), option, geometry]);
        let mut process = Process::spawn("desktop", dir, command)?;
        let line = process.next_line(START_TIMEOUT)?;
        let ready = line.as_ref().and_then(|line| line.text.strip_prefix("READY "));
        let ready: Value = match ready {
            Some(json) => serde_json::from_str(json).context("the desktop's READY line")?,
            None => bail!("the desktop did not come up\n{}", process.tail()),
        };
        let window = ready["window"].as_str().context("the desktop names no window")?.to_owned();
        Ok(Self { window, process })
    }
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

    /// What it counts, in Prometheus' text format.
    pub(crate) fn metrics(&self) -> Result<String> {
        http::get(self.http.trim_start_matches("http://"), "/metrics")
    }

    /// The address of the viewer's page for `room`.
    pub(crate) fn viewer_url(&self, room: &str) -> Result<String> {
        Ok(format!("{}/?room={room}&token={}", self.http, self.token(room, "view")?))
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
