//! A monitor that the moving desktop covers.

use anyhow::{Result, ensure};

use super::super::rig::Rig;
use super::wine::SCREEN;
use super::{Stage, captures_by_gdi};

pub(super) fn run(rig: &Rig, stage: &mut Stage) -> Result<()> {
    let _desktop = stage.wine.desktop(rig, "desktop", &format!("{}x{}", SCREEN.0, SCREEN.1))?;
    let (mut share, viewer) = stage.watched(rig, "monitor:0", SCREEN)?;
    captures_by_gdi(&mut share, &["wgc", "dxgi"])?;
    let ended = share.stop()?;
    ensure!(ended.success(), "yc-share.exe ended with {ended}\n{}", share.process.tail());
    stage.leave(viewer)
}
