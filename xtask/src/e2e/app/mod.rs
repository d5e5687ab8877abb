//! The Tauri app and its page: native first, the browser's own capture whenever native cannot.
//!
//! The app runs in its window, and the same page in Chromium: once with the development bridge that drives a real
//! `yc-share`, once with nothing but the browser.

mod failures;
mod fallback;
mod plain;
mod sharer;
mod site;
mod web;
mod window;

use anyhow::Result;

use super::Scenario;
use super::rig::Rig;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "app",
    shows: "the app shares natively; when native fails, the browser's capture takes over in the same room, and native again later",
    run,
};

fn run(rig: &Rig) -> Result<()> {
    window::run(&rig.inside("window")?)?;
    fallback::run(&rig.inside("fallback")?)?;
    failures::run(&rig.inside("failures")?)?;
    web::run(&rig.inside("web")?)?;
    plain::run(&rig.inside("plain")?)
}
