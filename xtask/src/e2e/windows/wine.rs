//! A Wine desktop on a virtual display of its own, and the Windows programs on it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::rig::{Desktop, Rig, Server};
use super::super::share::{Share, ShareOptions};
use super::FPS;
use crate::process::{self, Process};
use crate::windows;

/// The screen's size in pixels.
pub(super) const SCREEN: (u32, u32) = (1280, 720);
/// A prefix that is new takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const LIST_TIMEOUT: Duration = Duration::from_secs(60);

/// A running Wine desktop. Dropping it ends it with all that runs on it.
#[derive(Debug)]
pub(super) struct Wine {
    display: String,
    _process: Process,
}

impl Wine {
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let mut command = Command::new(windows::tool("winx"));
        command.env("WIN_SCREEN", format!("{}x{}x24", SCREEN.0, SCREEN.1));
        // winx keeps its desktop as long as its command runs.
        command.args(["sh", "-c", "echo \"$DISPLAY\"; exec sleep infinity"]);
        let mut process = Process::spawn("winx", dir, &mut command)?;
        let line = process.next_line(START_TIMEOUT)?;
        let display = line.with_context(|| format!("Wine did not come up\n{}", process.tail()))?.text;
        Ok(Self { display, _process: process })
    }

    /// The moving desktop as a Windows program; see [`Rig::desktop`].
    pub(super) fn desktop(&self, rig: &Rig, title: &str, geometry: &str) -> Result<Desktop> {
        let mut command = self.program("examples/desktop")?;
        Desktop::start(rig.dir(), command.args(["--title", title]), FPS, geometry)
    }

    /// Starts a share by `yc-share.exe`.
    pub(super) fn share(&self, rig: &Rig, server: &Server, source: &str) -> Result<Share> {
        let options = ShareOptions {
            display: Some(&self.display),
            fps: FPS,
            // Its file's path would be one of this system, and no figure here needs it.
            trace: false,
            ..ShareOptions::new(source)
        };
        Share::start_with(self.program("yc-share")?, rig, server, &options)
    }

    /// What `yc-share.exe --list` lists.
    pub(super) fn sources(&self, rig: &Rig) -> Result<Vec<Value>> {
        let mut command = self.program("yc-share")?;
        let mut list = Process::spawn("list", rig.dir(), command.args(["--list", "--json"]))?;
        let line = list.next_line(LIST_TIMEOUT)?;
        let status = list.wait(LIST_TIMEOUT)?;
        ensure!(status.success(), "{} ended with {status}\n{}", process::shown(&command), list.tail());
        let text = line.context("the listing is empty")?.text;
        let listed: Value = serde_json::from_str(&text).context("the listing")?;
        ensure!(listed["errors"].as_array().is_some_and(Vec::is_empty), "the listing has errors: {listed}");
        Ok(listed["sources"].as_array().cloned().unwrap_or_default())
    }

    fn program(&self, name: &str) -> Result<Command> {
        let mut command = windows::program(name)?;
        command.env("DISPLAY", &self.display);
        Ok(command)
    }
}
