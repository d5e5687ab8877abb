//! The Rust program of docs/embedding.md, as it stands there.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::rig::{ROOM, Rig};
use super::super::viewer::Viewer;
use crate::process::Process;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn run(rig: &Rig) -> Result<()> {
    let server = rig.server()?;
    let mut browser = rig.browser()?;
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    let mut command = rig.program("examples/embed");
    command.args([&server.ws, ROOM, &server.token(ROOM, "share")?, "synthetic:640x360"]);
    let mut embed = Process::spawn("embed", rig.dir(), &mut command)?;
    viewer.first_picture(&mut browser)?;
    embed.ensure_running()?;
    embed.kill()?;
    viewer.wait_for(&mut browser, "ycViewer.shares().length === 0", TIMEOUT)?;
    let log = embed.log();
    ensure!(log.contains("\"event\":\"sender_started\""), "it said nothing of its start:\n{log}");
    eprintln!("   a plain Rust app shares; killed, it leaves nothing in the room");
    Ok(())
}
