//! The command line.

use clap::Parser;
use yc_capture::CaptureTarget;
use yc_capture::synthetic::SceneKind;
use yc_media::{FrameRate, Rect, Resolution};

/// Shows the synthetic desktop on the screen.
#[derive(Debug, Parser)]
#[command(name = "desktop")]
pub(crate) struct Options {
    /// Size of the desktop in pixels. Default: the screen's.
    #[arg(long, value_name = "WxH", conflicts_with = "window")]
    pub(crate) size: Option<Resolution>,
    /// Show one ordinary window of this size and place instead.
    #[arg(long, value_name = "WxH+X+Y", value_parser = parse_place)]
    pub(crate) window: Option<Rect>,
    /// The window's title.
    #[arg(long, default_value = "synthetic desktop")]
    pub(crate) title: String,
    /// What to show: desktop, text, video, static or marker.
    #[arg(long, default_value = "desktop")]
    pub(crate) scene: SceneKind,
    /// Frames per second, 1 to 240.
    #[arg(long, default_value = "30", value_parser = parse_rate)]
    pub(crate) fps: FrameRate,
    /// End after this many frames. Default: never.
    #[arg(long, value_name = "N")]
    pub(crate) frames: Option<u32>,
}

fn parse_rate(text: &str) -> Result<FrameRate, String> {
    let fps = text.parse().map_err(|_| format!("{text:?} is not a number from 1 to {}", FrameRate::MAX))?;
    FrameRate::new(fps).map_err(|error| error.to_string())
}

fn parse_place(text: &str) -> Result<Rect, String> {
    match format!("region:{text}").parse() {
        Ok(CaptureTarget::Region(place)) => Ok(place),
        _ => Err(format!("{text:?} is not WIDTHxHEIGHT+LEFT+TOP, for example 800x600+100+50")),
    }
}
