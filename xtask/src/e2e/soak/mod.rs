//! Two minutes in which another program takes the machine's cores for a while, and what the picture gives up.

mod plot;
mod trace;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::rig::Rig;
use super::share::{Share, ShareOptions};
use crate::process::{Quiet, unix_us};
use trace::Trace;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "soak",
    shows: "a share whose cores another program takes for 45 s gives way, and comes back by itself",
    run,
};

/// Before the load.
const CALM: Duration = Duration::from_secs(15);
const LOADED: Duration = Duration::from_secs(45);
/// From the share's first picture to the end, at least.
const TOTAL: Duration = Duration::from_secs(120);
/// How long the share may take, once the load is gone, to be on level 0 again. Steps up that failed under the
/// load make it wait for longer: three steps of up to 40 s.
const COME_BACK: Duration = Duration::from_secs(130);
/// And how long it must stay there.
const STAY: Duration = Duration::from_secs(8);
/// Busy processes for each core: a share of the machine that is too small for the encoder, if all are served
/// alike.
const BUSY_PER_CORE: usize = 4;
const POLL: Duration = Duration::from_millis(100);

fn run(rig: &Rig) -> Result<()> {
    let xvfb = rig.display(1920, 1080)?;
    let _desktop = rig.desktop(xvfb.name(), 30, "1920x1080")?;
    let server = rig.server()?;
    let options = ShareOptions { display: Some(xvfb.name()), trace: false, ..ShareOptions::new("screen") };
    let mut share = rig.share(&server, &options)?;
    let (began, _) = share.wait_event("sender_started")?;

    let mut loaded = None;
    let soaked = soak(&mut share, &mut loaded);
    let ended = share.stop()?;
    // A share that failed is worth a plot, too.
    let trace = Trace::new(began, loaded, share.said());
    let (lines, plot) = (rig.file("soak.jsonl"), rig.figure("degradation-soak.svg"));
    fs::write(&lines, trace.to_lines()).with_context(|| format!("writing {}", lines.display()))?;
    plot::draw(&trace, &plot)?;
    eprintln!("   {}\n   {}", lines.display(), plot.display());
    soaked?;
    ensure!(ended.success(), "yc-share ended with {ended}\n{}", share.process.tail());
    eprintln!("{}", trace.summary());
    trace.judge()
}

/// Calm, load, calm. `loaded` is when the load began and ended, in microseconds since 1970.
fn soak(share: &mut Share, loaded: &mut Option<(u64, u64)>) -> Result<()> {
    let started = Instant::now();
    pause(share, CALM)?;
    let from = unix_us();
    let load = busy()?;
    let paused = pause(share, LOADED);
    drop(load);
    *loaded = Some((from, unix_us()));
    paused?;

    let gone = Instant::now();
    while level(share) != 0 {
        ensure!(gone.elapsed() < COME_BACK, "not back on level 0 within {COME_BACK:?} after the load");
        pause(share, POLL)?;
    }
    pause(share, STAY.max(TOTAL.saturating_sub(started.elapsed())))
}

/// Processes of ordinary priority that only count.
fn busy() -> Result<Vec<Quiet>> {
    let cores = thread::available_parallelism().context("counting the cores")?.get();
    let one = || Quiet::start(Command::new("sh").args(["-c", "while :; do :; done"]));
    (0..cores * BUSY_PER_CORE).map(|_| one()).collect()
}

fn pause(share: &mut Share, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        share.process.ensure_running()?;
        thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

fn level(share: &mut Share) -> u64 {
    share.status().and_then(|status| status["degradation"]["level"].as_u64()).unwrap_or(0)
}
