//! A running `yc-share`, and what it says.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::rig::{ROOM, Rig, Server};
use crate::process::{Line, Process, unix_us};

const LINE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a share captures and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct ShareOptions<'a> {
    pub(crate) room: &'a str,
    pub(crate) source: &'a str,
    pub(crate) display: Option<&'a str>,
    pub(crate) fps: u32,
    /// Whether it writes down when each picture was captured.
    pub(crate) trace: bool,
    /// Where to connect instead of the server's own address.
    pub(crate) address: Option<&'a str>,
    pub(crate) arguments: &'a [&'a str],
    /// Variables of its environment.
    pub(crate) environment: &'a [(&'a str, &'a str)],
}

impl<'a> ShareOptions<'a> {
    /// `source` at 30 fps into the room `demo`, straight to the server, without a display.
    pub(crate) fn new(source: &'a str) -> Self {
        Self {
            room: ROOM,
            source,
            display: None,
            fps: 30,
            trace: true,
            address: None,
            arguments: &[],
            environment: &[],
        }
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
    pub(super) fn start(rig: &Rig, server: &Server, options: &ShareOptions<'_>) -> Result<Self> {
        Self::start_with(rig.program("yc-share"), rig, server, options)
    }

    /// By `command` instead of this machine's own `yc-share`.
    pub(super) fn start_with(
        mut command: Command,
        rig: &Rig,
        server: &Server,
        options: &ShareOptions<'_>,
    ) -> Result<Self> {
        let token = server.token(options.room, "share")?;
        let trace = rig.file("frames.jsonl");
        let _ = fs::remove_file(&trace);
        command.args(["--json", "--source", options.source, "--room", options.room]);
        command.args(["--server", options.address.unwrap_or(&server.ws)]);
        command.args(["--fps", &options.fps.to_string()]);
        if options.trace {
            command.arg("--trace-frames").arg(&trace);
        }
        command.args(options.arguments).env("YC_ROOM_TOKEN", token);
        command.envs(options.environment.iter().copied());
        match options.display {
            Some(display) => command.env("DISPLAY", display),
            None => command.env_remove("DISPLAY"),
        };
        let started_unix_us = unix_us();
        let process = Process::spawn("yc-share", rig.dir(), &mut command)?;
        Ok(Self { process, trace, started_unix_us, events: Vec::new() })
    }

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
        self.said().iter().rev().find_map(|(_, event)| event.get("status"))
    }

    /// Everything that it said so far, each with when it was read, in microseconds since 1970.
    pub(crate) fn said(&mut self) -> &[(u64, Value)] {
        for line in self.process.ready_lines() {
            self.note(&line);
        }
        &self.events
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
