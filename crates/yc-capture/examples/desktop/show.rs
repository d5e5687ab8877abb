//! The frames, each at its time.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use yc_capture::clock;

use crate::options::Options;
use crate::window::Stage;

/// Shows frames until there is a reason to end.
pub(crate) fn show(options: &Options) -> Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&ended);
    ctrlc::set_handler(move || signal.store(true, Ordering::Relaxed)).context("watching for signals")?;

    let mut stage = Stage::open(options)?;
    stage.draw(0)?;
    let t0 = clock::now();
    let (t0_unix, fps) = (clock::to_unix(t0).as_micros(), options.fps);
    println!("READY {{\"t0_unix_us\":{t0_unix},\"fps\":{},\"window\":\"{:#x}\"}}", fps.as_fps(), stage.id());
    std::io::stdout().flush()?;

    let mut shown = 0;
    while !ended.load(Ordering::Relaxed) && options.frames.is_none_or(|frames| shown + 1 < frames) {
        let elapsed = clock::now().saturating_since(t0).as_nanos() * u128::from(fps.as_fps());
        let n = (elapsed / 1_000_000_000) as u32;
        if n > shown {
            shown = n;
            stage.draw(n)?;
        }
        // Rounded up: at a rounded-down time the frame would not be due yet.
        let next = Duration::from_nanos((u64::from(shown + 1) * 1_000_000_000).div_ceil(fps.as_fps().into()));
        if !stage.wait_until(t0 + next)? {
            break;
        }
    }
    Ok(())
}
