//! Capture: drawing the synthetic desktop, and taking pictures of the X11 screen that `DISPLAY` names.
//!
//! `scene_1080p` states frames a second. `x11` states them for whole pictures of a screen that changes all
//! over and for those of a screen where one line does; give it an Xvfb of 1920x1080.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use yc_capture::synthetic::{Scene, SceneCanvas, SceneKind};
use yc_media::Resolution;

fn scene(c: &mut Criterion) {
    let size = Resolution::new(1920, 1080).expect("1920x1080 is inside the bounds");
    let mut group = c.benchmark_group("scene_1080p");
    group.throughput(Throughput::Elements(1));
    for kind in [SceneKind::Desktop, SceneKind::Text, SceneKind::Video] {
        let scene = Scene::new(size, kind);
        let mut pixels = vec![0; 1920 * 1080 * 4];
        let mut n = 0;
        group.bench_function(format!("full_{kind}"), |b| {
            b.iter(|| {
                n += 1;
                scene.render(n, &mut pixels, 1920 * 4);
            });
        });
        let mut canvas = SceneCanvas::new(scene);
        canvas.draw(0);
        let mut n = 0;
        group.bench_function(format!("incremental_{kind}"), |b| {
            b.iter_batched(
                || {
                    n += 1;
                    n
                },
                |n| canvas.draw(n).len(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

#[cfg(target_os = "linux")]
mod x11 {
    use std::sync::mpsc;
    use std::time::Duration;

    use criterion::{Criterion, Throughput};
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ChangeGCAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Rectangle};
    use x11rb::wrapper::ConnectionExt as _;
    use yc_capture::{CaptureConfig, CaptureEvent, CaptureTarget, clock};
    use yc_media::{FrameRate, Resolution, VideoFrame};

    type Failure = Box<dyn std::error::Error>;

    /// From the end of the drawing to having the picture of it, through the public API: the damage event,
    /// the picture itself and the hand-over.
    pub(crate) fn bench(c: &mut Criterion) {
        if let Err(error) = try_bench(c) {
            println!("x11: not measured, there is no X11 screen to capture: {error}");
        }
    }

    fn try_bench(c: &mut Criterion) -> Result<(), Failure> {
        let rate = FrameRate::new(FrameRate::MAX)?;
        let config = CaptureConfig::new(CaptureTarget::Screen).with_frame_rate(rate);
        let mut backend = yc_capture::open(&config)?.backend;
        let size = backend.info().size;
        let (sender, frames) = mpsc::channel();
        backend.start(Box::new(move |event| {
            if let CaptureEvent::Frame(frame) = event {
                // The bench has ended when nobody listens.
                let _ = sender.send(frame);
            }
        }))?;
        let mut group = c.benchmark_group(format!("x11_{size}"));
        group.throughput(Throughput::Elements(1));
        let painter = Painter::open(size)?;
        for (name, rows) in [("whole_screen", size.height()), ("one_line_of_text", 18.min(size.height()))] {
            let mut colour = 0;
            group.bench_function(name, |b| {
                b.iter_custom(|rounds| {
                    let mut total = Duration::ZERO;
                    for _ in 0..rounds {
                        // Longer than the interval between frames: pacing is not what is measured.
                        settle(&frames, rate.interval() * 3);
                        colour += 1;
                        painter.fill(rows as u16, colour).expect("the display is there");
                        let painted = clock::now();
                        frames.recv_timeout(Duration::from_secs(5)).expect("a picture of what was painted");
                        total += clock::now().saturating_since(painted);
                    }
                    total
                });
            });
        }
        group.finish();
        backend.stop();
        Ok(())
    }

    /// Drops frames until none comes for `time`.
    fn settle(frames: &mpsc::Receiver<VideoFrame>, time: Duration) {
        while frames.recv_timeout(time).is_ok() {}
    }

    struct Painter {
        connection: x11rb::rust_connection::RustConnection,
        window: u32,
        gc: u32,
        width: u16,
    }

    impl Painter {
        /// Covers the screen with a window.
        fn open(size: Resolution) -> Result<Self, Failure> {
            let (connection, screen) = x11rb::connect(None)?;
            let root = connection.setup().roots[screen].root;
            let (window, gc) = (connection.generate_id()?, connection.generate_id()?);
            let (width, height) = (u16::try_from(size.width())?, u16::try_from(size.height())?);
            let aux = CreateWindowAux::new().override_redirect(1);
            connection.create_window(0, window, root, 0, 0, width, height, 0, 0u16.into(), 0, &aux)?;
            connection.map_window(window)?;
            connection.create_gc(gc, window, &CreateGCAux::new())?;
            connection.sync()?;
            Ok(Self { connection, window, gc, width })
        }

        fn fill(&self, rows: u16, colour: u32) -> Result<(), Failure> {
            self.connection.change_gc(self.gc, &ChangeGCAux::new().foreground(colour))?;
            let area = Rectangle { x: 0, y: 0, width: self.width, height: rows };
            self.connection.poly_fill_rectangle(self.window, self.gc, &[area])?;
            self.connection.sync()?;
            Ok(())
        }
    }
}

fn screen(c: &mut Criterion) {
    #[cfg(target_os = "linux")]
    x11::bench(c);
    #[cfg(not(target_os = "linux"))]
    let _ = c;
}

criterion_group!(benches, scene, screen);
criterion_main!(benches);
