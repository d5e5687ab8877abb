//! One network at work: a share through it, who watches, and what was seen.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use yc_simulator::Profile;

use super::measured::{Measured, Observed};
use super::{BITRATE, course, time};
use crate::browser::Browser;
use crate::demo::latencies;
use crate::e2e::relay::Network;
use crate::e2e::rig::{Desktop, Display, Rig, Server};
use crate::e2e::share::{Share, ShareOptions};
use crate::e2e::viewer::Viewer;
use crate::process::unix_us;

/// What the rows share: a display with something that moves, a receiver, a browser.
#[derive(Debug)]
pub(super) struct Stage {
    rig: Rig,
    display: Display,
    _desktop: Desktop,
    server: Server,
    browser: Browser,
}

/// What a machine of two cores shows at full rate beside everything else that runs here.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FPS: u32 = 30;
/// Wants all that a bottleneck takes, all the time.
const SCENE: &str = "video";
/// Decides what chance does to datagrams: the same in each run.
const SEED: u64 = 1;
const POLL: Duration = Duration::from_millis(100);

impl Stage {
    pub(super) fn new(rig: Rig) -> Result<Self> {
        let display = rig.display(WIDTH, HEIGHT)?;
        let mut program = rig.program("examples/desktop");
        program.args(["--scene", SCENE]).env("DISPLAY", display.name());
        let desktop = Desktop::start(rig.dir(), &mut program, FPS, &format!("{WIDTH}x{HEIGHT}"))?;
        let (server, browser) = (rig.server()?, rig.browser()?);
        Ok(Self { rig, display, _desktop: desktop, server, browser })
    }

    /// Runs one network to its end, the `attempt`-th time: what was measured, and its course.
    pub(super) fn run(&mut self, profile: &Profile, attempt: u32) -> Result<(Measured, Value)> {
        let rig = self.rig.inside(&format!("{}-{attempt}", profile.name))?;
        let viewer = Viewer::open(&mut self.browser, &self.server.viewer_url(profile.name)?)?;
        let measured = self.measure(&rig, profile, &viewer);
        viewer.close(&mut self.browser)?;
        measured.with_context(|| format!("logs in {}", rig.dir().display()))
    }

    fn measure(&mut self, rig: &Rig, profile: &Profile, viewer: &Viewer) -> Result<(Measured, Value)> {
        let browser = &mut self.browser;
        viewer.wait_for(browser, JOINED, Duration::from_secs(10))?;
        // Where the picture is smaller than the screen, the frame number in it is, too.
        viewer.evaluate(browser, &format!("window.ycProbe.sourceWidth = {WIDTH}"))?;
        let counted_before = self.server.metrics()?;
        let network = Network::start(&self.server.ws, profile, SEED)?;
        let bitrate = BITRATE.as_kbps().to_string();
        let options = ShareOptions {
            room: profile.name,
            display: Some(self.display.name()),
            fps: FPS,
            address: Some(network.address()),
            arguments: &["--bitrate", &bitrate],
            ..ShareOptions::new("screen")
        };
        let mut share = rig.share(&self.server, &options)?;
        let (started, _) = share.wait_event("sender_started")?;
        let samples = watch(&mut share, viewer, browser, started + time(profile).as_micros() as u64)?;
        let ended_unix_us = unix_us();
        let (shown, frames) = (viewer.shown(browser)?, viewer.frames(browser)?);
        let (probe, size) = (viewer.probe(browser)?, viewer.size(browser)?);
        let counted = self.server.metrics()?;
        viewer.screenshot(browser, &rig.file("picture.png"))?;
        let ended = share.stop()?;
        ensure!(ended.success(), "yc-share ended with {ended}\n{}", share.process.tail());

        let journey = network.finish()?;
        let latencies_ms = latencies(&share.captured()?, &frames);
        let said = share.said();
        let observed = Observed {
            journey: &journey,
            ended_unix_us,
            shown: &shown,
            latencies_ms: &latencies_ms,
            started_unix_us: started,
            viewer: samples.last().map_or(&Value::Null, |(_, sample)| sample),
            probe: &probe,
            size,
            said,
            counted: [&counted_before, &counted],
        };
        let measured = Measured::new(profile, &observed)?;
        let course = course::json(profile, &measured, &journey, said, &samples, &shown);
        Ok((measured, course))
    }
}

/// Looks at the viewer's statistics about once a second until `until`, and at last then. They are null until the page
/// has heard of the share.
fn watch(share: &mut Share, viewer: &Viewer, browser: &mut Browser, until: u64) -> Result<Vec<(u64, Value)>> {
    let mut samples = Vec::new();
    while unix_us() < until {
        let next = (unix_us() + SAMPLE.as_micros() as u64).min(until);
        while unix_us() < next {
            share.process.ensure_running()?;
            thread::sleep(POLL.min(Duration::from_micros(next.saturating_sub(unix_us()))));
        }
        samples.push((unix_us(), viewer.evaluate(browser, "window.ycViewer.stats()")?));
    }
    Ok(samples)
}

const SAMPLE: Duration = Duration::from_secs(1);

/// The page is in the room and sees that nobody shares.
const JOINED: &str = "window.ycViewer.state() === 'waiting'";
