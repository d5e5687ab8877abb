//! How long it takes from the start of `yc-share` to a picture in a browser that waits for it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use super::rig::{ROOM, Rig};
use super::share::ShareOptions;
use super::viewer::Viewer;
use crate::demo::percentile;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "start-time",
    shows: "the time from yc-share's start to the first picture of a waiting viewer, and where it goes",
    run,
};

const ROUNDS: usize = 5;
/// What is aimed at on loopback. A busy machine misses it, so it is printed and not asserted.
const AIM_MS: f64 = 500.0;

fn run(rig: &Rig) -> Result<()> {
    let xvfb = rig.display(1920, 1080)?;
    let _desktop = rig.desktop(xvfb.name(), 30, "1920x1080")?;
    let server = rig.server()?;
    let mut browser = rig.browser()?;
    let mut totals = Vec::new();
    for round in 1..=ROUNDS {
        let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
        viewer.wait_for(&mut browser, JOINED, std::time::Duration::from_secs(10))?;
        let options = ShareOptions { display: Some(xvfb.name()), ..ShareOptions::new("screen") };
        let mut share = rig.share(&server, &options)?;
        let start = share.started_unix_us;
        let session = share.wait_event("session").map(|(at, _)| at)?;
        let started = share.wait_event("sender_started").map(|(at, _)| at)?;
        let picture = viewer.first_picture(&mut browser)?;
        let captured = share.captured()?.first().context("no captured frame was traced")?.1;
        let ended = share.stop()?;
        ensure!(ended.success(), "yc-share ended with {ended}\n{}", share.process.tail());
        let startup = share.status().map_or(Value::Null, |status| status["startup"].clone());
        viewer.close(&mut browser)?;
        let since = |at: u64| (at as f64 - start as f64) / 1_000.0;
        totals.push(since(picture));
        eprintln!(
            "   round {round}: session {:.0} ms, first frame captured {:.0} ms, first packets left {:.0} ms, \
             decoded {:.0} ms after the process was started; the sender's own times {startup}",
            since(session),
            since(captured),
            since(started),
            since(picture),
        );
    }
    let median = percentile(&totals, 0.5).context("there were rounds")?;
    eprintln!("   start to first decoded picture: median {median} ms of {ROUNDS} (aim: under {AIM_MS} ms)");
    ensure!(median > 0.0, "a picture was decoded before the share was started");
    Ok(())
}

/// The page is in the room and sees that nobody shares.
const JOINED: &str = "window.ycViewer.state() === 'waiting'";
