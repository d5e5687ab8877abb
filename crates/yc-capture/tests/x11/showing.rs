//! The example `desktop`, seen through a capture: from the drawing of a frame to its pixels here.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use yc_capture::synthetic::{Scene, SceneKind, marker};
use yc_capture::{CaptureEvent, CaptureTarget, EndReason, clock, list_sources};
use yc_media::{Resolution, VideoFrame};

use crate::common::{WAIT, next_frame, start};
use crate::desktop::{frame_pixels, with_desktop};
use crate::open;

#[test]
fn every_captured_frame_of_the_desktop_is_exact_and_in_its_time() {
    let name = "showing::every_captured_frame_of_the_desktop_is_exact_and_in_its_time";
    with_desktop(name, &["-screen", "0", "800x600x24"], |_| {
        let mut example = Example::start(&["--fps", "30", "--frames", "120"]);
        let mut backend = open(CaptureTarget::Screen);
        let events = start(&mut *backend);
        let mut numbers = Vec::new();
        while numbers.last().is_none_or(|&n| n < 60) {
            let frame = next_frame(&events);
            let n = assert_exact(&frame);
            // A frame may be captured twice, never out of order.
            assert!(numbers.last().is_none_or(|&last| n >= last), "{n} after {:?}", numbers.last());
            // A picture is stamped when it is asked for and may show what is drawn until it is taken, so the
            // stamp may lie a little before the drawing; the arrival cannot. Each process compares the
            // clocks for itself, which on a busy machine leaves less than a millisecond between them.
            let due = example.t0 + Duration::from_secs(u64::from(n)) / 30;
            let here = clock::to_unix(clock::now()) + Duration::from_millis(1);
            assert!(here > due, "frame {n} arrived {:?} before its time", due - here);
            numbers.push(n);
        }
        numbers.dedup();
        // A busy machine loses some.
        assert!(numbers.len() > 20, "{numbers:?}");
        assert!(example.process.wait().unwrap().success());
    });
}

#[test]
fn a_window_of_the_desktop_is_listed_captured_and_ended_by_a_signal() {
    let name = "showing::a_window_of_the_desktop_is_listed_captured_and_ended_by_a_signal";
    with_desktop(name, &["-screen", "0", "800x600x24"], |_| {
        let title = "a window of its own";
        let mut example =
            Example::start(&["--window", "641x403+100+50", "--title", title, "--scene", "marker"]);
        let (sources, _) = list_sources();
        let source = sources.iter().find(|source| source.title == title).expect("the window is listed");
        assert_eq!(source.target, CaptureTarget::Window(example.window));
        assert_eq!(source.size.to_string(), "641x403");
        assert_eq!(source.process.as_deref(), Some("desktop"));
        let mut backend = open(source.target.clone());
        let events = start(&mut *backend);
        let size = Resolution::new(641, 403).unwrap();
        let scene = Scene::new(size, SceneKind::Marker);
        for _ in 0..20 {
            assert_exact_in(&next_frame(&events), &scene);
        }
        let asked = clock::now();
        assert!(Command::new("kill").arg(example.process.id().to_string()).status().unwrap().success());
        assert!(example.process.wait().unwrap().success(), "SIGTERM is a clean end");
        assert!(clock::now().saturating_since(asked) < Duration::from_secs(2));
        let end = std::iter::from_fn(|| events.recv_timeout(WAIT).ok()).last();
        assert!(matches!(end, Some(CaptureEvent::Ended(EndReason::WindowClosed))), "{end:?}");
    });
}

/// Asserts that a frame of the desktop scene is what the scene draws for the number in it.
fn assert_exact(frame: &VideoFrame) -> u32 {
    assert_exact_in(frame, &Scene::new(frame.size(), SceneKind::Desktop))
}

#[track_caller]
fn assert_exact_in(frame: &VideoFrame, scene: &Scene) -> u32 {
    let n = marker::read(frame).expect("every frame carries its number");
    let stride = scene.size().width() as usize * 4;
    let mut expected = vec![0; stride * scene.size().height() as usize];
    scene.render(n, &mut expected, stride);
    let expected: Vec<[u8; 4]> =
        expected.as_chunks::<4>().0.iter().map(|&[b, g, r, _]| [b, g, r, 0]).collect();
    assert!(frame_pixels(frame) == expected, "frame {n} differs from what was drawn");
    n
}

/// The running example.
struct Example {
    process: Child,
    /// When frame 0 was due, since 1970.
    t0: Duration,
    window: u64,
}

impl Example {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(build()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        // READY {"t0_unix_us":1795467321969973,"fps":30,"window":"0x200000"}
        let field = |name: &str| {
            let rest = line.split_once(&format!("\"{name}\":")).map(|(_, rest)| rest);
            let rest = rest.unwrap_or_else(|| panic!("no {name} in {line:?}"));
            rest.split([',', '}']).next().unwrap().trim_matches('"').to_owned()
        };
        assert!(line.starts_with("READY {") && field("fps") == "30", "{line:?}");
        Self {
            process,
            t0: Duration::from_micros(field("t0_unix_us").parse().unwrap()),
            window: u64::from_str_radix(field("window").trim_start_matches("0x"), 16).unwrap(),
        }
    }
}

/// Builds the example where this test was built, which `cargo test --test` alone does not do.
fn build() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "yc-capture", "--example", "desktop"]);
    // The features of this build: with others the library would be built once more.
    cargo.args([
        "--features",
        "x11-tests",
        "--manifest-path",
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]);
    cargo.arg("--target-dir").arg(profile.parent().expect("the profile lies in target"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "the example does not build");
    profile.join("examples/desktop")
}

impl Drop for Example {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
