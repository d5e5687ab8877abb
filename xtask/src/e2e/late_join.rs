//! Viewers who come when the share is under way, one by one and all at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::rig::{ROOM, Rig, wait_until};
use super::share::{Share, ShareOptions};
use super::viewer::Viewer;
use crate::demo::percentile;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "late-join",
    shows: "a viewer who joins in the middle sees a picture within 1 s; ten at once cost few key frames",
    run,
};

const JOINS: usize = 5;
const LIMIT_MS: f64 = 1_000.0;
const CROWD: usize = 10;
/// The server passes on at most this many requests for a stream (docs/signalling.md).
const KEY_FRAMES_PER_SECOND: f64 = 2.0;

fn run(rig: &Rig) -> Result<()> {
    one_by_one(rig)?;
    all_at_once(rig)
}

fn one_by_one(rig: &Rig) -> Result<()> {
    let xvfb = rig.display(1920, 1080)?;
    let _desktop = rig.desktop(xvfb.name(), 30, "1920x1080")?;
    let server = rig.server()?;
    let mut browser = rig.browser()?;
    let options = ShareOptions { display: Some(xvfb.name()), ..ShareOptions::new("screen") };
    let mut share = rig.share(&server, &options)?;
    share.wait_event("sender_started")?;
    let mut times = Vec::new();
    for _ in 0..JOINS {
        frames_sent(&mut share, 30)?;
        let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
        let first = viewer.first_picture(&mut browser)?;
        let opened = viewer.opened(&mut browser)?;
        times.push((first as f64 - opened as f64) / 1_000.0);
        viewer.close(&mut browser)?;
    }
    let median = percentile(&times, 0.5).context("there were joins")?;
    eprintln!(
        "   joined in the middle at 1920x1080: page opened to first picture {times:.0?} ms, median {median} ms"
    );
    ensure!(median <= LIMIT_MS, "a late viewer waited {median} ms for a picture; the limit is {LIMIT_MS} ms");
    Ok(())
}

fn all_at_once(rig: &Rig) -> Result<()> {
    let server = rig.server()?;
    let mut browser = rig.browser()?;
    let mut share =
        rig.share(&server, &ShareOptions { fps: 15, ..ShareOptions::new("synthetic:640x360") })?;
    share.wait_event("sender_started")?;
    frames_sent(&mut share, 30)?;
    let before = key_frames(&mut share)?;
    let url = server.viewer_url(ROOM)?;
    let viewers = Viewer::open_all(&mut browser, &url, CROWD)?;
    let mut firsts = Vec::new();
    let mut opened = Vec::new();
    for viewer in &viewers {
        firsts.push(viewer.first_picture(&mut browser)?);
        opened.push(viewer.opened(&mut browser)?);
    }
    let (Some(from), Some(to)) = (opened.iter().min(), firsts.iter().max()) else {
        anyhow::bail!("no viewer was opened");
    };
    let seconds = (*to as f64 - *from as f64) / 1e6;
    // The status that says so comes once a second.
    frames_sent(&mut share, 30)?;
    let caused = key_frames(&mut share)? - before;
    let limit = 1 + (seconds * KEY_FRAMES_PER_SECOND).ceil() as u64;
    let status = share.status().map(|status| status["key_frames"].clone());
    eprintln!(
        "   {CROWD} viewers within {seconds:.1} s: {caused} key frames (limit {limit}); causes {}",
        status.unwrap_or_default()
    );
    ensure!(
        caused <= limit,
        "{CROWD} viewers caused {caused} key frames in {seconds:.1} s; the limit is {limit}"
    );
    ensure!(caused >= 1, "no key frame was made for {CROWD} new viewers");
    Ok(())
}

/// Waits until this many frames more than now were sent.
fn frames_sent(share: &mut Share, more: u64) -> Result<()> {
    let sent =
        |share: &mut Share| share.status().and_then(|status| status["frames_sent"].as_u64()).unwrap_or(0);
    let goal = sent(share) + more;
    wait_until("frames sent", Duration::from_secs(20), || {
        share.process.ensure_running()?;
        Ok(sent(share) >= goal)
    })
    .map(drop)
}

fn key_frames(share: &mut Share) -> Result<u64> {
    let status = share.status().context("yc-share printed no status")?;
    status["key_frames"]["total"].as_u64().context("the status counts no key frames")
}
