//! Every failure of the native sender that ends in "tell the app": the app shares by the browser then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::faults::{Row, tells_the_app};
use super::super::rig::{Display, Rig, Server};
use super::sharer::Sharer;
use super::site::Site;

/// How long the viewer may be without a picture, from when the native path was given up.
const BACK_WITHIN_MS: f64 = 3_000.0;
/// As many at a time as leave each a share of two cores.
const AT_A_TIME: usize = 2;
/// How long a fault may take to end the native share, beyond what its row says: two run beside each other.
const MARGIN: Duration = Duration::from_secs(15);

pub(super) fn run(rig: &Rig) -> Result<()> {
    // The native sender captures one display, the browsers live and capture on another: the first may go away.
    let captured = rig.display(640, 360)?;
    let _captured = rig.desktop(captured.name(), 15, "640x360")?;
    let lived_in = rig.display(1280, 720)?;
    let _lived_in = rig.desktop(lived_in.name(), 15, "640x360")?;
    let server = rig.server()?;
    let site = Site::development(rig, captured.name())?;
    let rows: Vec<&Row> = tells_the_app().collect();
    let next = AtomicUsize::new(0);
    let worker = || -> Result<()> {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            let at = one(&rig.inside(row.name)?, &server, &site, &lived_in, row)
                .with_context(|| format!("{} ({})", row.fault, row.name))?;
            eprintln!("   {:<58} {:<22} back after {:>5.0} ms", row.fault, at.reason, at.back_ms);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    display_killed(rig, captured, &server, &site, &lived_in)
}

/// What came of one.
struct Outcome {
    reason: String,
    back_ms: f64,
}

fn one(rig: &Rig, server: &Server, site: &Site, display: &Display, row: &Row) -> Result<Outcome> {
    let mut sharer = Sharer::join(rig, display.name(), site, server, row.name, &[("fault", row.script)])?;
    sharer.share("screen")?;
    falls_back(&mut sharer, Duration::from_secs_f64(row.within) + MARGIN)
}

/// Not by script: the X server that is captured is killed.
fn display_killed(
    rig: &Rig,
    mut captured: Display,
    server: &Server,
    site: &Site,
    display: &Display,
) -> Result<()> {
    let rig = rig.inside("display-killed")?;
    let mut sharer = Sharer::join(&rig, display.name(), site, server, "display-killed", &[])?;
    sharer.share("screen")?;
    sharer.pictures_by("native", MARGIN)?;
    captured.kill()?;
    let at = falls_back(&mut sharer, MARGIN).context("X server is killed")?;
    eprintln!("   {:<58} {:<22} back after {:>5.0} ms", "X server is killed", at.reason, at.back_ms);
    Ok(())
}

fn falls_back(sharer: &mut Sharer, timeout: Duration) -> Result<Outcome> {
    let picture = sharer.pictures_by("browser", timeout)?;
    let back_ms = picture - sharer.left_native()?;
    ensure!(
        back_ms <= BACK_WITHIN_MS,
        "the picture was back after {back_ms} ms; the limit is {BACK_WITHIN_MS} ms"
    );
    let reason = sharer.wait_for("ycApp.fallbackReason()")?.as_str().unwrap_or_default().to_owned();
    sharer.stop()?;
    sharer.never_two()?;
    Ok(Outcome { reason, back_ms })
}
