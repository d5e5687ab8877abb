//! The ordinary web flow beside the native one: a browser shares to a browser.

use anyhow::{Context, Result};

use super::Scenario;
use super::page::{npm, viewer_dir};
use super::rig::Rig;
use crate::browser;
use crate::process;
use crate::setup::find_program;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "web",
    shows: "a browser shares to another browser, and to Firefox, by the ordinary web flow of the same server",
    run,
};

/// Names under which distributions install Firefox.
pub(crate) const FIREFOX: &[&str] = &["firefox-esr", "firefox"];

fn run(rig: &Rig) -> Result<()> {
    let firefox = FIREFOX.iter().find_map(|name| find_program(name)).context("no Firefox found")?;
    let mut test = npm(&["run", "e2e"]);
    test.current_dir(viewer_dir()).env("YC_SERVER_BIN", rig.program("yc-server").get_program());
    test.env("CHROMIUM", browser::program()?).env("FIREFOX", firefox);
    test.env("YC_E2E_SCREENSHOTS", rig.file("screenshots"));
    process::run(rig.ready().apply(&mut test))
}
