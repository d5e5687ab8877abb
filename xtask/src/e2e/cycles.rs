//! Nothing is left behind by starting and stopping again and again.

use anyhow::Result;

use super::Scenario;
use super::rig::Rig;
use crate::process;
use crate::workspace::cargo;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "cycles",
    shows: "200 start/stop cycles leave no thread, socket, shared-memory segment or memory behind",
    run,
};

fn run(rig: &Rig) -> Result<()> {
    let xvfb = rig.display(1280, 720)?;
    let _desktop = rig.desktop(xvfb.name(), 30, "1280x720")?;
    let mut test = cargo();
    test.args(["test", "-p", "yc-sender", "--test", "cycles", "--", "--nocapture", "--include-ignored"]);
    process::run(rig.ready().apply(test.env("DISPLAY", xvfb.name())))
}
