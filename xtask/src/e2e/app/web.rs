//! The same page with nothing but a browser: it shares by `getDisplayMedia`, as it did before there was a native
//! sender.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::super::rig::{ROOM, Rig};
use super::sharer::Sharer;
use super::site::Site;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn run(rig: &Rig) -> Result<()> {
    let display = rig.display(1280, 720)?;
    let _desktop = rig.desktop(display.name(), 30, "640x360")?;
    let server = rig.server()?;
    let site = Site::built(rig)?;
    let mut sharer = Sharer::join(rig, display.name(), &site, &server, ROOM, &[])?;
    for _ in 0..2 {
        sharer.click("#share")?;
        sharer.pictures_by("browser", TIMEOUT)?;
        sharer.wait_for("ycApp.watchers().length === 1")?;
        sharer.stop()?;
    }
    sharer.never_two()?;
    let metrics = server.metrics()?;
    let diagnostics: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("yc_client_diagnostics_total") && !line.ends_with(" 0"))
        .collect();
    ensure!(diagnostics.is_empty(), "a share by the browser alone sent diagnostics: {diagnostics:?}");
    eprintln!("   in a browser alone: shared twice by getDisplayMedia, watched, stopped");
    Ok(())
}
