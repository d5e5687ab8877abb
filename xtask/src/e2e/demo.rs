//! The README's first command, with the numbers that it must reach.

use anyhow::{Result, ensure};

use super::Scenario;
use super::rig::Rig;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "demo",
    shows: "a 1920x1080 desktop is decoded by a browser as H264 at 25 fps or more, and is the captured picture",
    run,
};

const SECONDS: u32 = 15;
const LEAST_FPS: f64 = 25.0;

fn run(rig: &Rig) -> Result<()> {
    let report = crate::demo::measured(rig, SECONDS)?;
    let viewer = &report["viewer"];
    eprintln!("   viewer {viewer}");
    eprintln!("   latency {} picture {}", report["latency_ms"], report["picture"]);
    ensure!(viewer["codec"] == "H264", "the codec is {}", viewer["codec"]);
    ensure!(
        (&viewer["frameWidth"], &viewer["frameHeight"]) == (&1920.into(), &1080.into()),
        "the picture is {}x{}",
        viewer["frameWidth"],
        viewer["frameHeight"]
    );
    let fps = viewer["framesPerSecond"].as_f64().unwrap_or(0.0);
    ensure!(fps >= LEAST_FPS, "{fps} frames a second were decoded; at least {LEAST_FPS} are asked for");
    ensure!(viewer["freezeCount"] == 0, "the picture froze {} times", viewer["freezeCount"]);
    ensure!(report["picture_ok"] == true, "the picture differs: {}", report["picture"]);
    ensure!(report["latency_ms"]["p50"].is_number(), "no picture could be followed from capture to decoding");
    Ok(())
}
