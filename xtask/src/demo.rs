//! `cargo xtask demo`: the whole path on one machine, from a screen to a picture in a browser.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::e2e::rig::{Desktop, Display, ROOM, Rig, Server};
use crate::e2e::share::{Share, ShareOptions};
use crate::e2e::viewer::Viewer;
use crate::picture::{COLOUR_ERROR_LIMIT, Comparison, LUMA_PSNR_LIMIT, Reference};
use crate::setup::Purpose;

/// Options of `cargo xtask demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Stop after this many seconds of pictures; without it, run until Ctrl-C.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,

    /// Open the viewer in a headless browser and measure what it decodes.
    #[arg(long, requires = "seconds")]
    headless_viewer: bool,

    /// Print one JSON object as the only line of standard output.
    #[arg(long, requires = "headless_viewer")]
    json: bool,

    /// What to share instead of the screen, as yc-share's --source takes it.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,

    /// Size of the virtual display that stands in where there is none.
    #[arg(long, value_name = "WxH", default_value = "1920x1080", value_parser = size)]
    size: (u32, u32),

    /// Frames per second to capture.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,

    /// The server's port; a free one is taken without it.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rig = Rig::build("demo", Purpose::Demo)?;
    let server = rig.server_with(&format!("127.0.0.1:{}", options.port), &[])?;
    let screen = Screen::open(&rig, options)?;
    let (Some(seconds), true) = (options.seconds, options.headless_viewer) else {
        return show(&rig, &server, &screen, options);
    };
    let report = measure(&rig, &server, &screen, options, Duration::from_secs(seconds.into()))?;
    let json = report.to_json();
    if options.json {
        println!("{json}");
    } else {
        println!("{json:#}");
    }
    ensure!(report.picture_ok(), "the decoded pictures are not the captured ones: {}", json["picture"]);
    Ok(())
}

/// The demonstration's settings as a scenario runs it: a virtual display, measured for `seconds`.
pub(crate) fn measured(rig: &Rig, seconds: u32) -> Result<Value> {
    let options = Options {
        seconds: Some(seconds),
        headless_viewer: true,
        json: true,
        source: None,
        size: (1920, 1080),
        fps: 30,
        port: 0,
    };
    let server = rig.server()?;
    let screen = Screen::virtual_display(rig, &options)?;
    let report = measure(rig, &server, &screen, &options, Duration::from_secs(seconds.into()))?;
    Ok(report.to_json())
}

/// What is captured, and how its pictures can be told.
#[derive(Debug)]
struct Screen {
    source: String,
    /// The value for `DISPLAY`, where the source needs one.
    display: Option<String>,
    /// The size of the moving desktop whose top left corner is that of the captured picture.
    reference: (u32, u32),
    _desktop: Option<Desktop>,
    _xvfb: Option<Display>,
}

impl Screen {
    fn open(rig: &Rig, options: &Options) -> Result<Self> {
        let source = options.source.as_deref().unwrap_or("screen");
        if let Some(size) = source.strip_prefix("synthetic:") {
            let reference = size_of_source(size)?;
            return Ok(Self {
                source: source.to_owned(),
                display: None,
                reference,
                _desktop: None,
                _xvfb: None,
            });
        }
        let display = std::env::var("DISPLAY").ok().filter(|name| !name.is_empty());
        if display.is_none() && !cfg!(windows) {
            return Self::virtual_display(rig, options);
        }
        // On a screen that is in use, a small moving desktop in its corner is what is compared.
        let desktop = if options.headless_viewer {
            ensure!(
                source == "screen" || source == "monitor:0",
                "--headless-viewer measures the screen or a synthetic source, and this is {source:?}"
            );
            let mut program = rig.program("examples/desktop");
            Some(Desktop::start(rig.dir(), &mut program, options.fps, MARKER_WINDOW)?)
        } else {
            None
        };
        let reference = MARKER_WINDOW_SIZE;
        Ok(Self { source: source.to_owned(), display, reference, _desktop: desktop, _xvfb: None })
    }

    fn virtual_display(rig: &Rig, options: &Options) -> Result<Self> {
        let (width, height) = options.size;
        let xvfb = rig.display(width, height)?;
        let desktop = rig.desktop(xvfb.name(), options.fps, &format!("{width}x{height}"))?;
        Ok(Self {
            source: options.source.clone().unwrap_or_else(|| "screen".to_owned()),
            display: Some(xvfb.name().to_owned()),
            reference: options.size,
            _desktop: Some(desktop),
            _xvfb: Some(xvfb),
        })
    }

    fn share(&self, rig: &Rig, server: &Server, fps: u32, time: Option<Duration>) -> Result<Share> {
        let display = self.display.as_deref();
        let whole = time.filter(|_| ENDS_BY_ITSELF).map(|time| (time + UNTIL_MEASURED).as_secs().to_string());
        let arguments: Vec<&str> = whole.iter().flat_map(|seconds| ["--for", seconds]).collect();
        let options = ShareOptions { display, fps, arguments: &arguments, ..ShareOptions::new(&self.source) };
        rig.share(server, &options)
    }
}

const MARKER_WINDOW: &str = "640x360";
const MARKER_WINDOW_SIZE: (u32, u32) = (640, 360);

/// On Windows a program that has no window cannot be asked to end by another: the share is told in advance.
const ENDS_BY_ITSELF: bool = cfg!(windows);
/// Its pictures must have come to the viewer, and the last been compared, until then.
const UNTIL_MEASURED: Duration = Duration::from_secs(45);

/// Ends a share that was started for some time.
fn end(share: &mut Share) -> Result<()> {
    let status = if ENDS_BY_ITSELF { share.wait(2 * UNTIL_MEASURED)? } else { share.stop()? };
    ensure!(status.success(), "yc-share ended with {status}\n{}", share.process.tail());
    Ok(())
}

/// Shares for people: prints the address and waits.
fn show(rig: &Rig, server: &Server, screen: &Screen, options: &Options) -> Result<()> {
    let time = options.seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let mut share = screen.share(rig, server, options.fps, time)?;
    share.wait_event("sender_started")?;
    println!("\nThe viewer: {}\n", server.viewer_url(ROOM)?);
    if time.is_none() {
        println!("Ctrl-C ends it.");
    }
    let deadline = time.map(|time| Instant::now() + time);
    while deadline.is_none_or(|at| Instant::now() < at) {
        std::thread::sleep(Duration::from_millis(500));
        share.process.ensure_running()?;
    }
    end(&mut share)
}

/// What was sent and what was seen.
#[derive(Debug)]
struct Report {
    sender: Value,
    viewer: Value,
    latencies_ms: Vec<f64>,
    pictures: Vec<Comparison>,
    probe: Value,
}

/// How many decoded pictures are compared, and how many of them may be unreadable: a picture can be taken
/// while the page swaps the one for the next.
const PICTURES: usize = 5;

fn measure(rig: &Rig, server: &Server, screen: &Screen, options: &Options, time: Duration) -> Result<Report> {
    let mut browser = rig.browser()?;
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    let mut share = screen.share(rig, server, options.fps, Some(time))?;
    share.wait_event("sender_started")?;
    viewer.first_picture(&mut browser)?;
    eprintln!("pictures arrive; measuring for {} s", time.as_secs());

    let (started, before) = (Instant::now(), viewer.stats(&mut browser)?);
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_millis(200).min(time.saturating_sub(started.elapsed())));
        share.process.ensure_running()?;
    }
    let after = viewer.stats(&mut browser)?;
    let frames = viewer.frames(&mut browser)?;
    let probe = viewer.probe(&mut browser)?;
    let pictures = compare(&mut browser, &viewer, screen.reference)?;
    end(&mut share)?;
    let sender = share.status().cloned().context("yc-share printed no status")?;
    Ok(Report {
        sender,
        viewer: over_the_time(&before, after),
        latencies_ms: latencies(&share.captured()?, &frames),
        pictures,
        probe,
    })
}

fn compare(browser: &mut Browser, viewer: &Viewer, size: (u32, u32)) -> Result<Vec<Comparison>> {
    let mut reference = Reference::new(size.0, size.1)?;
    let mut compared = Vec::new();
    let mut failure = None;
    for _ in 0..PICTURES {
        let picture = viewer.grab(browser)?;
        match reference.compare_rgba(&picture.rgba, picture.width) {
            Ok(comparison) => compared.push(comparison),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if compared.is_empty() => Err(error.context("no decoded picture could be compared")),
        _ => Ok(compared),
    }
}

/// The later reading, with the frame rate over the time between the two.
fn over_the_time(before: &Value, mut after: Value) -> Value {
    let difference = |name: &str| Some(after[name].as_f64()? - before[name].as_f64()?);
    if let (Some(frames), Some(ms)) = (difference("framesDecoded"), difference("timestamp"))
        && ms > 0.0
    {
        after["framesPerSecond"] = json!((frames / ms * 1e5).round() / 100.0);
    }
    after
}

/// Milliseconds from the capture of each frame number to its first decoded picture.
pub(crate) fn latencies(captured: &[(u32, u64)], decoded: &[(u32, u64)]) -> Vec<f64> {
    let mut first_captured = HashMap::new();
    for &(number, at) in captured {
        first_captured.entry(number).or_insert(at);
    }
    let mut latencies = Vec::new();
    for &(number, at) in decoded {
        // Each number once: a picture that is shown again is not late.
        if let Some(from) = first_captured.remove(&number) {
            latencies.push((at as f64 - from as f64) / 1_000.0);
        }
    }
    latencies
}

impl Report {
    fn picture_ok(&self) -> bool {
        let matching = self.pictures.iter().filter(|comparison| comparison.matches()).count();
        matching * 2 > PICTURES
    }

    fn to_json(&self) -> Value {
        let names = [
            "codec",
            "framesDecoded",
            "frameWidth",
            "frameHeight",
            "framesPerSecond",
            "keyFramesDecoded",
            "pliCount",
            "freezeCount",
            "packetsLost",
        ];
        let viewer: serde_json::Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), self.viewer[name].clone())).collect();
        let of = |value: fn(&Comparison) -> f64| median(self.pictures.iter().map(value).collect());
        json!({
            "sender": self.sender,
            "viewer": viewer,
            "latency_ms": {
                "p50": percentile(&self.latencies_ms, 0.50),
                "p95": percentile(&self.latencies_ms, 0.95),
                "pictures": self.latencies_ms.len(),
            },
            "picture_ok": self.picture_ok(),
            "picture": {
                "compared": self.pictures.len(),
                "frames": self.pictures.iter().map(|comparison| comparison.marker).collect::<Vec<_>>(),
                "luma_psnr_db": of(|comparison| comparison.luma_psnr),
                "luma_psnr_db_limit": LUMA_PSNR_LIMIT,
                "rgb_psnr_db": of(|comparison| comparison.rgb_psnr),
                "colour_error": of(|comparison| comparison.colour_error),
                "colour_error_limit": COLOUR_ERROR_LIMIT,
            },
            "probe": self.probe,
        })
    }
}

fn median(values: Vec<f64>) -> Option<f64> {
    percentile(&values, 0.5)
}

/// The value below which this part of `values` lies, to one decimal; `None` without values.
pub(crate) fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[(part * last as f64).round() as usize] * 10.0).round() / 10.0)
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let sides =
        text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|&(width, height)| (640..=7680).contains(&width) && (360..=4320).contains(&height))
        .ok_or_else(|| format!("{text:?} is not allowed: 640x360 to 7680x4320"))
}

fn size_of_source(text: &str) -> Result<(u32, u32)> {
    size(text).map_err(|error| anyhow::anyhow!("the source: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_bounded() {
        assert_eq!(size("1920x1080"), Ok((1920, 1080)));
        for bad in ["", "1920", "1920x", "10x10", "99999x99999", "-1x-1"] {
            assert!(size(bad).unwrap_err().contains("640x360 to 7680x4320"), "{bad}");
        }
    }

    #[test]
    fn a_latency_is_from_the_first_capture_of_a_number_to_its_first_picture() {
        let captured = [(1, 1_000), (2, 34_000), (2, 40_000), (3, 67_000)];
        let decoded = [(2, 84_000), (2, 99_000), (3, 97_000), (9, 100_000)];
        assert_eq!(latencies(&captured, &decoded), [50.0, 30.0]);
    }

    #[test]
    fn percentiles_are_of_sorted_values() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.95)), (Some(3.0), Some(5.0)));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_frame_rate_is_that_of_the_time_between_two_readings() {
        let before = json!({"framesDecoded": 100, "timestamp": 1_000.0});
        let after = json!({"framesDecoded": 400, "timestamp": 11_000.0, "framesPerSecond": 12});
        assert_eq!(over_the_time(&before, after)["framesPerSecond"], 30.0);
    }
}
