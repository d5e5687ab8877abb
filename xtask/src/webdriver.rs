//! The part of WebDriver (<https://www.w3.org/TR/webdriver2/>) that drives an app's window: a session, elements,
//! scripts, screenshots.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::http;
use crate::process::Process;
use crate::tools::TAURI_DRIVER;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// The key of an element's id: a constant of the standard.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A Tauri app in its window. Dropping it ends the app and its driver.
#[derive(Debug)]
pub(crate) struct App {
    address: String,
    session: String,
    driver: Process,
}

impl App {
    /// Starts `tauri-driver` and, through it, `application` on the display and with the variables of `environment`.
    pub(crate) fn launch(dir: &Path, application: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let [port, native_port] = free_ports()?;
        let mut command = Command::new(TAURI_DRIVER.program()?);
        command.args(["--port", &port.to_string(), "--native-port", &native_port.to_string()]);
        command.envs(environment.iter().copied());
        let mut driver = Process::spawn("tauri-driver", dir, &mut command)?;
        let address = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + START_TIMEOUT;
        while call(&address, "GET", "/status", None).is_err() {
            driver.ensure_running()?;
            ensure!(Instant::now() < deadline, "tauri-driver did not come up\n{}", driver.tail());
            thread::sleep(POLL);
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "wry",
            "tauri:options": { "application": application },
        }}});
        let created = call(&address, "POST", "/session", Some(&wanted))
            .with_context(|| format!("starting the app\n{}", driver.tail()))?;
        let session = created["sessionId"].as_str().context("the driver names no session")?.to_owned();
        Ok(Self { address, session, driver })
    }

    /// Clicks what this selector finds, as a user does.
    pub(crate) fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into the field that this selector finds, in the place of what it holds.
    pub(crate) fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("/element/{element}/clear"), &json!({}))?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) fn evaluate(&self, expression: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": format!("return ({expression});"), "args": [] }))
            .with_context(|| format!("in {expression}"))
    }

    /// Waits until `expression` is something other than null, false, 0 or "", and returns it.
    pub(crate) fn wait_for(&self, expression: &str, timeout: Duration) -> Result<Value> {
        let deadline = Instant::now() + timeout;
        loop {
            let value = self.evaluate(expression)?;
            if !matches!(&value, Value::Null | Value::Bool(false)) && value != json!(0) && value != json!("")
            {
                return Ok(value);
            }
            ensure!(
                Instant::now() < deadline,
                "waited {timeout:?} in the app for {expression}; it shows:\n{}",
                self.evaluate("document.body.innerText").ok().as_ref().and_then(Value::as_str).unwrap_or("?")
            );
            thread::sleep(POLL);
        }
    }

    /// Loads the page again.
    pub(crate) fn reload(&self) -> Result<()> {
        self.post("/refresh", &json!({})).map(drop)
    }

    /// Puts a picture of the page into a PNG file.
    pub(crate) fn screenshot(&self, file: &Path) -> Result<()> {
        let path = format!("/session/{}/screenshot", self.session);
        let picture = call(&self.address, "GET", &path, None)?;
        let picture = BASE64.decode(picture.as_str().context("no picture")?).context("the picture")?;
        std::fs::write(file, picture).with_context(|| format!("writing {}", file.display()))
    }

    /// Closes the app's window, which ends the app.
    pub(crate) fn close(mut self) -> Result<()> {
        call(&self.address, "DELETE", &format!("/session/{}", self.session), None)?;
        self.driver.stop().map(drop)
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }))?;
        found[ELEMENT].as_str().map(str::to_owned).with_context(|| format!("no {selector} in the app"))
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        call(&self.address, "POST", &format!("/session/{}{path}", self.session), Some(body))
    }
}

/// Ports that are free now.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until all are known, so that none comes twice.
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
        *port = listener.local_addr().context("looking for a free port")?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// One request to a driver; its reply's `value`.
fn call(address: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let (status, body) = http::request(address, method, path, &body)?;
    let mut reply: Value = serde_json::from_slice(&body)
        .with_context(|| format!("{method} {path}: {status} {:?}", String::from_utf8_lossy(&body)))?;
    let value = reply["value"].take();
    if status != 200 {
        bail!("{method} {path}: {} {}", value["error"], value["message"]);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
