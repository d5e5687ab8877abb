//! A monitor that the moving desktop covers, and a part of one.

use anyhow::{Result, ensure};

use super::super::rig::Rig;
use super::wine::SCREEN;
use super::{STEP_TIMEOUT, Stage, captures_by_gdi};

/// Neither its place nor its size is that of the screen.
const PART: (u32, u32) = (640, 360);
const PLACE: &str = "640x360+200+100";

pub(super) fn run(rig: &Rig, stage: &mut Stage) -> Result<()> {
    let _desktop = stage.wine.desktop(rig, "desktop", &format!("{}x{}", SCREEN.0, SCREEN.1))?;
    shared(rig, stage, "monitor:0", SCREEN)
}

/// The part that a window covers: its picture is that window's.
pub(super) fn part(rig: &Rig, stage: &mut Stage) -> Result<()> {
    let _window = stage.wine.desktop(rig, "a part of the screen", PLACE)?;
    shared(rig, stage, &format!("region:{PLACE}"), PART)
}

fn shared(rig: &Rig, stage: &mut Stage, source: &str, size: (u32, u32)) -> Result<()> {
    let (mut share, viewer) = stage.watched(rig, source, size)?;
    captures_by_gdi(&mut share, &["wgc", "dxgi"])?;
    share.process.interrupt();
    let ended = share.wait(STEP_TIMEOUT)?;
    ensure!(ended.success(), "yc-share.exe ended with {ended}\n{}", share.process.tail());
    stage.leave(viewer)
}
