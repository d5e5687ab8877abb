//! A window of another process, which is closed while it is shared.

use anyhow::{Context, Result, ensure};

use super::super::rig::{Desktop, Rig};
use super::super::share::Share;
use super::{STEP_TIMEOUT, Stage, captures_by_gdi};
use crate::process::Process;

const SIZE: (u32, u32) = (640, 360);
const TITLE: &str = "a window to share";
/// As `yc-share --help` says: the source cannot be captured or is gone.
const SOURCE_GONE: i32 = 3;

/// Once the window is closed, and once its process is killed.
pub(super) fn run(rig: &Rig, stage: &mut Stage) -> Result<()> {
    gone(&rig.inside("closed")?, stage, "closed", Process::interrupt)?;
    gone(&rig.inside("killed")?, stage, "killed", Process::ask_to_stop)
}

fn gone(rig: &Rig, stage: &mut Stage, how: &str, end: fn(&Process)) -> Result<()> {
    let window = stage.wine.desktop(rig, TITLE, &format!("{}x{}+200+100", SIZE.0, SIZE.1))?;
    let source = listed(rig, stage, &window)?;
    let (mut share, viewer) = stage.watched(rig, &source, SIZE)?;
    captures_by_gdi(&mut share, &["wgc"])?;
    end(&window.process);
    let ended = share.wait(STEP_TIMEOUT)?;
    let (reason, words) = last_words(&mut share)?;
    eprintln!("   the window was {how}: yc-share.exe ended with {ended} and said {words:?}");
    ensure!(ended.code() == Some(SOURCE_GONE), "yc-share.exe ended with {ended}");
    ensure!(reason == "window_closed", "the share's end is told as {reason:?}");
    ensure!(words.contains("window closed"), "the end is said as {words:?}");
    stage.leave(viewer)
}

/// What to share for `window`, as `--list` says.
fn listed(rig: &Rig, stage: &Stage, window: &Desktop) -> Result<String> {
    let sources = stage.wine.sources(rig)?;
    let listed = sources.iter().find(|source| source["title"] == TITLE);
    let listed = listed.with_context(|| format!("the window is not listed: {sources:?}"))?;
    let source = listed["source"].as_str().unwrap_or_default();
    ensure!(source == format!("window:{}", window.window), "{} is listed as {listed}", window.window);
    ensure!(
        listed["process"].as_str().is_some_and(|process| process.contains("desktop")),
        "its process is not named: {listed}"
    );
    Ok(source.to_owned())
}

/// Why the share ended, as a code and in words.
fn last_words(share: &mut Share) -> Result<(String, String)> {
    let said = share.said();
    let of = |name: &str, field: &str| -> Result<String> {
        let event = said.iter().rev().map(|(_, event)| event).find(|event| event["event"] == name);
        let text = event.and_then(|event| event[field].as_str());
        Ok(text.with_context(|| format!("no {field} in an event {name}: {said:?}"))?.to_owned())
    };
    Ok((of("sender_stopped", "reason")?, of("error", "message")?))
}
