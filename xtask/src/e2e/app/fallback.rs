//! The native sender is killed in mid-share: the browser's capture takes over, and native again after the cool-down.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::rig::{ROOM, Rig, Server, wait_until};
use super::sharer::Sharer;
use super::site::Site;
use crate::process::{self, unix_us};

/// How long the viewer may be without a picture.
const BACK_WITHIN_MS: f64 = 3_000.0;
const COOL_DOWN: &str = "4000";
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn run(rig: &Rig) -> Result<()> {
    let display = rig.display(1280, 720)?;
    let _desktop = rig.desktop(display.name(), 30, "640x360")?;
    let server = rig.server()?;
    let site = Site::development(rig, display.name())?;
    let settings = [("coolDownMs", COOL_DOWN)];
    let mut sharer = Sharer::join(rig, display.name(), &site, &server, ROOM, &settings)?;
    sharer.share("screen")?;
    sharer.pictures_by("native", TIMEOUT)?;
    // Two statuses, so that there is a share to lose.
    std::thread::sleep(Duration::from_secs(2));

    let senders = site.senders();
    let [sender] = senders[..] else {
        anyhow::bail!("the bridge has started {senders:?} and not one sender")
    };
    let killed = unix_us() as f64 / 1_000.0;
    process::kill(sender);
    let back = sharer.pictures_by("browser", TIMEOUT)? - killed;
    eprintln!("   sender killed: the viewer has the browser's picture after {back:.0} ms");
    ensure!(back <= BACK_WITHIN_MS, "the picture was back after {back} ms; the limit is {BACK_WITHIN_MS} ms");
    sharer.screenshot(rig, "app-browser.png")?;
    counted(&server, "fallback_triggered", 1)?;

    sharer.wait_for("document.querySelector('#go-native:not([disabled])')")?;
    let asked = unix_us() as f64 / 1_000.0;
    sharer.click("#go-native")?;
    let back = sharer.pictures_by("native", TIMEOUT)? - asked;
    eprintln!("   native again: the viewer has its picture after {back:.0} ms");
    ensure!(back <= BACK_WITHIN_MS, "native was back after {back} ms; the limit is {BACK_WITHIN_MS} ms");
    sharer.stop()?;
    sharer.never_two()?;
    // Again, to see that nothing of the first life is left: the cool-down is over, so it is native at once.
    sharer.share("screen")?;
    sharer.pictures_by("native", TIMEOUT)?;
    sharer.stop()
}

/// Waits until the server has counted that many diagnostics of `class`.
pub(super) fn counted(server: &Server, class: &str, count: u64) -> Result<()> {
    let line = format!("yc_client_diagnostics_total{{class=\"{class}\"}} ");
    wait_until("the server's count of diagnostics", TIMEOUT, || {
        let metrics = server.metrics()?;
        let found = metrics.lines().find_map(|text| text.strip_prefix(&line)).context("no such counter")?;
        Ok(found.parse::<u64>().context("the counter")? >= count)
    })
    .with_context(|| format!("{class}: {count}"))
    .map(drop)
}
