//! The Windows side from end to end: `yc-share.exe` and what it captures run under Wine, server and browser here.

mod monitor;
mod window;
mod wine;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Scenario;
use super::rig::{ROOM, Rig, Server};
use super::share::Share;
use super::viewer::Viewer;
use crate::browser::Browser;
use crate::setup::{self, Purpose};
use crate::windows::{self, Action};
use wine::Wine;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "windows",
    shows: "yc-share.exe captures a Wine desktop and a window of another process, and a browser decodes their pictures",
    run,
};

/// Modest: whatever Wine draws, the processor draws.
const FPS: u32 = 15;
const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// An encoder starts coarsely: the pictures after these are compared.
const PICTURES_BEFORE: u64 = 30;
const PICTURES: usize = 5;

fn run(rig: &Rig) -> Result<()> {
    setup::prepare(Purpose::Windows)?;
    windows::prepare()?;
    windows::act(Action::Build, &[])?;
    let wine = Wine::start(rig.dir())?;
    let server = rig.server()?;
    let mut stage = Stage { wine, server, browser: rig.browser()? };
    monitor::run(&rig.inside("monitor")?, &mut stage)?;
    monitor::part(&rig.inside("part")?, &mut stage)?;
    window::run(&rig.inside("window")?, &mut stage)
}

/// What all shares of this scenario run on.
struct Stage {
    wine: Wine,
    server: Server,
    browser: Browser,
}

impl Stage {
    /// Shares `source`, which shows nothing but the moving desktop of `size`, and compares what a viewer decodes.
    fn watched(&mut self, rig: &Rig, source: &str, size: (u32, u32)) -> Result<(Share, Viewer)> {
        let viewer = Viewer::open(&mut self.browser, &self.server.viewer_url(ROOM)?)?;
        let mut share = self.wine.share(rig, &self.server, source)?;
        share.wait_event("sender_started")?;
        viewer.first_picture(&mut self.browser)?;
        let enough =
            format!("ycViewer.stats().then((stats) => (stats?.framesDecoded ?? 0) >= {PICTURES_BEFORE})");
        viewer.wait_for(&mut self.browser, &enough, STEP_TIMEOUT)?;
        let shown = viewer.size(&mut self.browser)?;
        ensure!(shown == (size.0.into(), size.1.into()), "{source} is {size:?} and arrives as {shown:?}");
        let compared = viewer.compare(&mut self.browser, size, PICTURES)?;
        let matching = compared.iter().filter(|comparison| comparison.matches()).count();
        let picture_ok = matching * 2 > PICTURES;
        let least = compared.iter().map(|comparison| comparison.luma_psnr).fold(f64::INFINITY, f64::min);
        let stats = viewer.stats(&mut self.browser)?;
        eprintln!(
            "   {source}: {}",
            json!({
                "picture_ok": picture_ok,
                "matching": matching,
                "compared": PICTURES,
                "least_luma_psnr_db": (least * 10.0).round() / 10.0,
                "codec": stats["codec"],
                "framesPerSecond": stats["framesPerSecond"],
            })
        );
        ensure!(picture_ok, "the decoded pictures are not the captured ones: {compared:?}");
        share.process.ensure_running()?;
        Ok((share, viewer))
    }

    /// Waits until the room has no share any more, and leaves it.
    fn leave(&mut self, viewer: Viewer) -> Result<()> {
        viewer.wait_for(&mut self.browser, "ycViewer.shares().length === 0", STEP_TIMEOUT)?;
        viewer.close(&mut self.browser)
    }
}

/// Fails unless `share` captures by GDI and says why by none of `others`, which Wine does not have.
fn captures_by_gdi(share: &mut Share, others: &[&str]) -> Result<()> {
    let status = share.status().context("there was no status")?;
    let why = status["capture_why"].as_str().context("the status does not say why it is this capture")?;
    eprintln!("   by gdi; the order of backends: {why}");
    for reason in passed_over(status, others)? {
        eprintln!("   not by {reason}");
    }
    Ok(())
}

/// Why the capture is by none of `others` but by GDI.
fn passed_over(status: &Value, others: &[&str]) -> Result<Vec<String>> {
    ensure!(status["capture_backend"] == "gdi", "the capture is by {}", status["capture_backend"]);
    let reasons: Vec<_> =
        status["capture_why_not"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let of = |name: &&str| {
        let start = format!("{name}: ");
        let found = reasons.iter().find(|reason| reason.len() > start.len() && reason.starts_with(&start));
        found.map(|reason| (*reason).to_owned()).with_context(|| format!("why not by {name}: {reasons:?}"))
    };
    others.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_was_passed_over_without_a_reason_is_a_failure() {
        let status = json!({
            "capture_backend": "gdi",
            "capture_why_not": ["wgc: not supported here while opening the source: no such class", "dxgi: "],
        });
        assert_eq!(passed_over(&status, &["wgc"]).unwrap().len(), 1);
        assert!(passed_over(&status, &["wgc", "dxgi"]).is_err());
    }

    #[test]
    fn another_backend_than_gdi_is_a_failure() {
        assert!(passed_over(&json!({"capture_backend": "synthetic", "capture_why_not": []}), &[]).is_err());
    }
}
