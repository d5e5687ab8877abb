//! Headless Chromium over the DevTools protocol: opens pages, evaluates scripts, says what went wrong.
//!
//! The protocol: <https://chromedevtools.github.io/devtools-protocol/>. One WebSocket carries the
//! browser and, each under its session id, all pages.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};

use crate::process::Process;
use crate::setup::find_program;

/// Names under which distributions install Chromium or Chrome, in the order they are looked for.
pub(crate) const PROGRAMS: &[&str] =
    &["chromium", "google-chrome", "google-chrome-stable", "chromium-browser", "chrome"];

const START_TIMEOUT: Duration = Duration::from_secs(60);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
const READ_TIMEOUT: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(20);
/// How many of the pages' console lines are kept for error messages.
const CONSOLE_LINES: usize = 40;

/// A browser with a fresh profile. Dropping it ends it and removes the profile.
#[derive(Debug)]
pub(crate) struct Browser {
    socket: WebSocket<TcpStream>,
    process: Process,
    profile: PathBuf,
    last_id: u64,
    console: Vec<String>,
}

/// One page of a [`Browser`].
#[derive(Debug)]
pub(crate) struct Page {
    target: String,
    session: String,
}

impl Browser {
    /// Starts a headless browser that keeps its profile and its log in `dir`.
    ///
    /// # Errors
    ///
    /// No browser on the path, or it did not come up.
    pub(crate) fn launch(dir: &Path) -> Result<Self> {
        Self::start("browser", dir, &["--headless=new"], None)
    }

    /// Starts a browser with windows on `display`, that captures its whole screen without asking the user.
    ///
    /// # Errors
    ///
    /// No browser on the path, or it did not come up.
    pub(crate) fn launch_on(dir: &Path, display: &str) -> Result<Self> {
        Self::start("windowed-browser", dir, WINDOW_FLAGS, Some(display))
    }

    fn start(name: &str, dir: &Path, flags: &[&str], display: Option<&str>) -> Result<Self> {
        let profile = dir.join(format!("{name}-profile"));
        fs::create_dir_all(&profile).with_context(|| format!("creating {}", profile.display()))?;
        let mut command = Command::new(program()?);
        command
            .args(FLAGS)
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank");
        if runs_as_root() {
            // Chromium's sandbox refuses to run as root.
            command.arg("--no-sandbox");
        }
        match display {
            Some(display) => command.env("DISPLAY", display),
            None => command.env_remove("DISPLAY"),
        };
        let mut process = Process::spawn(name, dir, &mut command)?;
        let address = devtools_address(&profile, &mut process)?;
        let stream = TcpStream::connect(&address.0).context("connecting to the browser")?;
        stream.set_nodelay(true).context("the browser's socket")?;
        stream.set_read_timeout(Some(CALL_TIMEOUT)).context("the browser's socket")?;
        // A decoded picture comes as one message.
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://{}{}", address.0, address.1);
        let (socket, _) = tungstenite::client::client_with_config(url.as_str(), stream, Some(config))
            .map_err(|error| anyhow::anyhow!("the browser refused the DevTools connection: {error}"))?;
        socket.get_ref().set_read_timeout(Some(READ_TIMEOUT)).context("the browser's socket")?;
        Ok(Self { socket, process, profile, last_id: 0, console: Vec::new() })
    }

    /// Opens `url` in its own window; `script` runs before the document's own.
    pub(crate) fn open(&mut self, url: &str, script: &str) -> Result<Page> {
        let page = self.blank(script)?;
        self.navigate(&page, url)?;
        Ok(page)
    }

    /// Opens an empty window; `script` runs in each document that it is sent to.
    pub(crate) fn blank(&mut self, script: &str) -> Result<Page> {
        let created =
            self.call(None, "Target.createTarget", &json!({ "url": "about:blank", "newWindow": true }))?;
        let target = text(&created, "targetId")?;
        let attached =
            self.call(None, "Target.attachToTarget", &json!({ "targetId": target, "flatten": true }))?;
        let page = Page { target, session: text(&attached, "sessionId")? };
        self.page_call(&page, "Page.enable", &json!({}))?;
        self.page_call(&page, "Runtime.enable", &json!({}))?;
        self.page_call(&page, "Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }))?;
        Ok(page)
    }

    /// Sends a page to `url` and returns once the new document has begun.
    pub(crate) fn navigate(&mut self, page: &Page, url: &str) -> Result<()> {
        let navigated = self.page_call(page, "Page.navigate", &json!({ "url": url }))?;
        match navigated["errorText"].as_str() {
            Some(error) => bail!("opening {url}: {error}"),
            None => Ok(()),
        }
    }

    /// Closes a page.
    pub(crate) fn close(&mut self, page: Page) -> Result<()> {
        self.call(None, "Target.closeTarget", &json!({ "targetId": page.target })).map(drop)
    }

    /// The value of `expression` in the page; a promise is awaited.
    pub(crate) fn evaluate(&mut self, page: &Page, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut reply = self.page_call(page, "Runtime.evaluate", &parameters)?;
        if let Some(exception) = reply.get("exceptionDetails") {
            let what = exception["exception"]["description"].as_str().or(exception["text"].as_str());
            bail!("the page threw: {}\nin {expression}{}", what.unwrap_or("something"), self.console_text());
        }
        Ok(reply["result"]["value"].take())
    }

    /// Clicks what this selector finds, as a user does: the page may then do what needs a click.
    pub(crate) fn click(&mut self, page: &Page, selector: &str) -> Result<()> {
        let expression = format!("document.querySelector({}).click()", Value::from(selector));
        let parameters = json!({ "expression": expression, "userGesture": true });
        let reply = self.page_call(page, "Runtime.evaluate", &parameters)?;
        ensure!(
            reply.get("exceptionDetails").is_none(),
            "clicking {selector}: {}",
            reply["exceptionDetails"]
        );
        Ok(())
    }

    /// Puts a picture of the page into a PNG file.
    pub(crate) fn screenshot(&mut self, page: &Page, file: &Path) -> Result<()> {
        let picture = self.page_call(page, "Page.captureScreenshot", &json!({ "format": "png" }))?;
        let picture = BASE64.decode(text(&picture, "data")?).context("the picture")?;
        fs::write(file, picture).with_context(|| format!("writing {}", file.display()))
    }

    /// Waits until `expression` is something other than null, false, 0 or "", and returns it.
    pub(crate) fn wait_for(&mut self, page: &Page, expression: &str, timeout: Duration) -> Result<Value> {
        let deadline = Instant::now() + timeout;
        loop {
            let value = self.evaluate(page, expression)?;
            if !matches!(&value, Value::Null | Value::Bool(false)) && value != json!(0) && value != json!("")
            {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                bail!("waited {timeout:?} in the page for {expression}{}", self.console_text());
            }
            thread::sleep(POLL);
        }
    }

    /// What the pages wrote to their consoles last.
    pub(crate) fn console_text(&self) -> String {
        if self.console.is_empty() {
            String::new()
        } else {
            format!("\nconsole:\n{}", self.console.join("\n"))
        }
    }

    fn page_call(&mut self, page: &Page, method: &str, parameters: &Value) -> Result<Value> {
        self.call(Some(&page.session), method, parameters)
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        self.socket
            .send(Message::text(request.to_string()))
            .with_context(|| format!("asking for {method}"))?;
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            match self.socket.read() {
                Ok(Message::Text(message)) => {
                    let mut message: Value =
                        serde_json::from_str(message.as_str()).context("a message of the browser")?;
                    if message["id"] == id {
                        ensure!(message.get("error").is_none(), "{method}: {}", message["error"]["message"]);
                        return Ok(message["result"].take());
                    }
                    self.note_event(&message);
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.process.ensure_running()?;
                    ensure!(Instant::now() < deadline, "{method} took longer than {CALL_TIMEOUT:?}");
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("{method}\n{}", self.process.tail()));
                }
            }
        }
    }

    fn note_event(&mut self, message: &Value) {
        let parameters = &message["params"];
        let line = match message["method"].as_str() {
            Some("Runtime.consoleAPICalled") => {
                let words = parameters["args"].as_array().into_iter().flatten();
                words
                    .map(|word| word["value"].as_str().map_or_else(|| word.to_string(), str::to_owned))
                    .collect()
            }
            Some("Runtime.exceptionThrown") => {
                vec![parameters["exceptionDetails"]["exception"]["description"].to_string()]
            }
            _ => return,
        };
        if self.console.len() == CONSOLE_LINES {
            self.console.remove(0);
        }
        self.console.push(line.join(" "));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.stop();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// The browser that is on the path, or where an installer of Windows puts one.
pub(crate) fn program() -> Result<PathBuf> {
    let found = PROGRAMS.iter().find_map(|name| find_program(name));
    found.or_else(installed).with_context(|| format!("no browser found; looked for {}", PROGRAMS.join(", ")))
}

fn installed() -> Option<PathBuf> {
    let file = |(folder, file): &(&str, &str)| Some(Path::new(&std::env::var_os(folder)?).join(file));
    INSTALLED.iter().filter_map(file).find(|file| file.is_file())
}

/// Where the installers of Chrome and Edge put them, which put nothing on the path: variables that name a folder
/// on Windows and are not there elsewhere, and what is in it.
const INSTALLED: &[(&str, &str)] = &[
    ("ProgramFiles", "Google/Chrome/Application/chrome.exe"),
    ("ProgramFiles(x86)", "Google/Chrome/Application/chrome.exe"),
    ("LocalAppData", "Google/Chrome/Application/chrome.exe"),
    ("ProgramFiles(x86)", "Microsoft/Edge/Application/msedge.exe"),
    ("ProgramFiles", "Microsoft/Edge/Application/msedge.exe"),
];

/// Nothing leaves the machine, nothing asks, nothing is throttled for being out of sight.
const FLAGS: &[&str] = &[
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--autoplay-policy=no-user-gesture-required",
    "--password-store=basic",
    "--window-size=1280,720",
];

/// For a browser that shares: the picker answers itself, as a user would who shares the whole screen.
const WINDOW_FLAGS: &[&str] =
    &["--auto-select-desktop-capture-source=Entire screen", "--window-position=0,0", "--ozone-platform=x11"];

/// Waits for the file in which the browser says where it listens: a port, and a path.
fn devtools_address(profile: &Path, process: &mut Process) -> Result<(String, String)> {
    let file = profile.join("DevToolsActivePort");
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        if let Ok(text) = fs::read_to_string(&file)
            && let Some((port, path)) = text.split_once('\n')
            && path.starts_with("/devtools/")
        {
            return Ok((format!("127.0.0.1:{port}"), path.trim().to_owned()));
        }
        process.ensure_running()?;
        ensure!(
            Instant::now() < deadline,
            "the browser did not come up in {START_TIMEOUT:?}\n{}",
            process.tail()
        );
        thread::sleep(POLL);
    }
}

fn runs_as_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    return false;
}

fn text(reply: &Value, name: &str) -> Result<String> {
    reply[name]
        .as_str()
        .map(str::to_owned)
        .with_context(|| format!("the browser's reply has no {name}: {reply}"))
}
