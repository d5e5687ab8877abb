//! The ordinary web flow beside the native one: a browser shares to a browser.

use anyhow::Result;

use super::Scenario;
use super::rig::{Rig, npm, viewer_dir};
use crate::process;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "web",
    shows: "a browser shares to another browser through the same server by the ordinary web flow",
    run,
};

fn run(rig: &Rig) -> Result<()> {
    let server = rig.server()?;
    let mut test = npm(&["run", "e2e"]);
    test.current_dir(viewer_dir())
        .env("YC_SERVER_URL", &server.http)
        .env("YC_TOKEN", server.token("web", "both")?);
    process::run(rig.ready().apply(&mut test))
}
