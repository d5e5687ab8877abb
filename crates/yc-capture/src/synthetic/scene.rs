//! A whole desktop, layer by layer.

use std::fmt;
use std::str::FromStr;

use yc_media::{Rect, Resolution};

use super::editor::Editor;
use super::font::{Font, GLYPH_HEIGHT, GLYPH_WIDTH};
use super::marker;
use super::motion::wave;
use super::painter::{Painter, Pixel, rgb};
use super::video::{self, Video};

/// What a [`Scene`] shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SceneKind {
    /// A desktop with an editor, a video, a moving terminal and a clock.
    #[default]
    Desktop,
    /// A desktop with an editor and a clock: text only.
    Text,
    /// A desktop with a large video and a moving terminal.
    Video,
    /// The first frame of [`SceneKind::Desktop`], for ever; even the frame number stays 0.
    Static,
    /// Four coloured quarters and a moving magenta window: flat colours that are easy to check.
    Marker,
}

/// A moving desktop: frame `n` is a pure function of `n`, the kind and the size.
///
/// It holds textures and glyphs but no picture. Buffers are the caller's; [`SceneCanvas`](super::SceneCanvas)
/// brings one along.
pub struct Scene {
    size: Resolution,
    kind: SceneKind,
    font: Font,
    /// The wallpaper's colours along its diagonal: row `y` shows `ramp[y..]`.
    ramp: Vec<Pixel>,
    editor: Option<Editor>,
    video: Option<Video>,
    has_terminal: bool,
}

impl Scene {
    /// A scene of `kind` in pictures of `size`. Small sizes leave out what does not fit.
    pub fn new(size: Resolution, kind: SceneKind) -> Self {
        let (width, height) = (size.width(), size.height());
        let with_editor = matches!(kind, SceneKind::Desktop | SceneKind::Text | SceneKind::Static);
        let editor = Rect {
            x: 100,
            y: 40,
            width: width.saturating_sub(120).min(1150),
            height: height.saturating_sub(100).min(960),
        };
        Self {
            size,
            kind,
            font: Font::new(),
            ramp: ramp(width + height),
            editor: (with_editor && editor.width >= 64 && editor.height >= 64).then(|| Editor::new(editor)),
            video: video_area(size, kind).map(Video::new),
            has_terminal: kind != SceneKind::Text && terminal_size(size).is_some(),
        }
    }

    /// The size of its pictures.
    pub fn size(&self) -> Resolution {
        self.size
    }

    /// What it shows.
    pub fn kind(&self) -> SceneKind {
        self.kind
    }

    /// Draws all of frame `n` into BGRA pixels whose rows are `stride` bytes apart.
    ///
    /// # Panics
    ///
    /// If a row does not fit into `stride` or the picture not into `bgra`.
    pub fn render(&self, n: u32, bgra: &mut [u8], stride: usize) {
        self.paint(n, &mut Painter::new(bgra, stride, self.size));
    }

    /// Turns a picture of frame `from` into one of frame `to` by drawing only what differs, and tells in
    /// `changed` where that was. `changed` is cleared first; its rectangles may overlap.
    ///
    /// # Panics
    ///
    /// As [`Scene::render`].
    pub fn update(&self, from: u32, to: u32, bgra: &mut [u8], stride: usize, changed: &mut Vec<Rect>) {
        changed.clear();
        self.changes(from, to, changed);
        let mut painter = Painter::new(bgra, stride, self.size);
        for &rect in changed.iter() {
            self.paint(to, &mut painter.clipped(rect));
        }
    }

    /// Adds the rectangles that hold every pixel that differs between two frames.
    pub(crate) fn changes(&self, from: u32, to: u32, changed: &mut Vec<Rect>) {
        if self.kind == SceneKind::Static || from == to {
            return;
        }
        let start = changed.len();
        if let Some(editor) = &self.editor {
            editor.changes(from, to, changed);
        }
        if let Some(video) = &self.video {
            video.changes(from, to, changed);
        }
        if self.has_terminal && self.terminal(from) != self.terminal(to) {
            let (before, after) = (self.terminal(from), self.terminal(to));
            if before.intersect(after).is_empty() {
                changed.extend([before, after]);
            } else {
                changed.push(before.union(after));
            }
        }
        if self.kind != SceneKind::Marker && seconds(from) != seconds(to) {
            changed.push(self.clock_area());
        }
        changed.push(marker::AREA);
        let bounds = self.size.rect();
        for rect in &mut changed[start..] {
            *rect = rect.intersect(bounds);
        }
        changed.retain(|rect| !rect.is_empty());
    }

    /// Draws what lies in the painter's clip of frame `n`, back to front.
    fn paint(&self, n: u32, painter: &mut Painter<'_>) {
        let n = if self.kind == SceneKind::Static { 0 } else { n };
        if self.kind == SceneKind::Marker {
            self.paint_quarters(painter);
        } else {
            self.paint_wallpaper(painter);
            self.paint_clock(n, painter);
        }
        if let Some(editor) = &self.editor {
            editor.paint(&self.font, n, painter);
        }
        if let Some(video) = &self.video {
            video.paint(&self.font, n, painter);
        }
        if self.has_terminal {
            self.paint_terminal(n, painter);
        }
        self.paint_marker(n, painter);
    }

    fn paint_wallpaper(&self, painter: &mut Painter<'_>) {
        let clip = painter.clip();
        for y in clip.y..clip.y + clip.height {
            let start = (clip.x + y) as usize;
            painter
                .row(clip.x, y, clip.width)
                .copy_from_slice(&self.ramp[start..start + clip.width as usize]);
        }
        for icon in 0..8 {
            let y = 60 + icon * 110;
            if y + 90 > self.size.height() {
                break;
            }
            painter.fill(Rect { x: 24, y, width: 48, height: 48 }, rgb(0x404040));
            painter.fill(Rect { x: 25, y: y + 1, width: 46, height: 46 }, rgb(0xe8e8f0));
            let colour = [0xd04040, 0x40a040, 0x4060d0, 0xd0a030][icon as usize % 4];
            painter.fill(Rect { x: 30, y: y + 6, width: 36, height: 24 }, rgb(colour));
            let name = [b"file_", [b'0' + icon as u8].as_slice(), b".rs"].concat();
            painter.text(&self.font, 8, y + 52, &name, rgb(0xffffff));
        }
        let bar = self.taskbar();
        painter.fill(bar, rgb(0x202830));
        painter.clipped(bar).text(&self.font, 12, bar.y + 10, b"Applications", rgb(0xffffff));
    }

    fn paint_quarters(&self, painter: &mut Painter<'_>) {
        let (left, top) = (self.size.width() / 2, self.size.height() / 2);
        let (right, bottom) = (self.size.width() - left, self.size.height() - top);
        painter.fill(Rect { x: 0, y: 0, width: left, height: top }, rgb(0xff0000));
        painter.fill(Rect { x: left, y: 0, width: right, height: top }, rgb(0x00ff00));
        painter.fill(Rect { x: 0, y: top, width: left, height: bottom }, rgb(0x0000ff));
        painter.fill(Rect { x: left, y: top, width: right, height: bottom }, rgb(0xffff00));
    }

    fn paint_clock(&self, n: u32, painter: &mut Painter<'_>) {
        let area = self.clock_area();
        let seconds = seconds(n);
        let two = |value: u32| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        let ([a, b], [c, d], [e, f]) =
            (two(10 + seconds / 3600 % 14), two(seconds / 60 % 60), two(seconds % 60));
        painter.clipped(area).text(
            &self.font,
            area.x,
            area.y,
            &[a, b, b':', c, d, b':', e, f],
            rgb(0xffffff),
        );
    }

    fn paint_terminal(&self, n: u32, painter: &mut Painter<'_>) {
        let area = self.terminal(n);
        let mut painter = painter.clipped(area);
        if painter.clip().is_empty() {
            return;
        }
        if self.kind == SceneKind::Marker {
            painter.fill(area, rgb(0xff00ff));
            return;
        }
        painter.fill(area, rgb(0xf4f4f4));
        painter.fill(Rect { height: 26, ..area }, rgb(0x7a1fa2));
        painter.text(&self.font, area.x + 10, area.y + 6, b"Terminal", rgb(0xffffff));
        for (line, text) in (0..).zip(TERMINAL_TEXT) {
            painter.text(&self.font, area.x + 8, area.y + 34 + line * 20, text.as_bytes(), rgb(0x000000));
        }
    }

    fn paint_marker(&self, n: u32, painter: &mut Painter<'_>) {
        let part = painter.clip().intersect(marker::AREA);
        for y in part.y..part.y + part.height {
            marker::draw_row(painter.row(part.x, y, part.width), n, part.x);
        }
    }

    /// Where the terminal is in frame `n`. Only asked when there is one.
    fn terminal(&self, n: u32) -> Rect {
        let (width, height) = terminal_size(self.size).unwrap_or_default();
        let (free_x, free_y) = (self.size.width() - width, self.size.height() - height - TERMINAL_TOP);
        let n = u64::from(n);
        let place = |free: u32, n, period| (u64::from(free) * u64::from(wave(n, period)) / 1024) as u32;
        Rect { x: place(free_x, n, 400), y: TERMINAL_TOP + place(free_y, n + 75, 300), width, height }
    }

    fn taskbar(&self) -> Rect {
        let height = self.size.height();
        Rect { x: 0, y: height.saturating_sub(36), width: self.size.width(), height: height.min(36) }
    }

    fn clock_area(&self) -> Rect {
        let width = 8 * GLYPH_WIDTH;
        let bar = self.taskbar();
        Rect { x: bar.width.saturating_sub(width + 12), y: bar.y + 10, width, height: GLYPH_HEIGHT }
    }
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("kind", &self.kind).field("size", &self.size).finish_non_exhaustive()
    }
}

impl SceneKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Desktop, Self::Text, Self::Video, Self::Static, Self::Marker];

    /// Its name: `desktop`, `text`, `video`, `static` or `marker`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Text => "text",
            Self::Video => "video",
            Self::Static => "static",
            Self::Marker => "marker",
        }
    }
}

impl fmt::Display for SceneKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SceneKind {
    type Err = UnknownScene;

    fn from_str(text: &str) -> Result<Self, UnknownScene> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownScene(text.to_owned()))
    }
}

/// A scene name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scene {0:?} is none of desktop, text, video, static, marker")]
pub struct UnknownScene(String);

fn video_area(size: Resolution, kind: SceneKind) -> Option<Rect> {
    let (width, height) = (size.width(), size.height());
    let picture = match kind {
        SceneKind::Desktop | SceneKind::Static => (width / 3).min(640),
        SceneKind::Video => (width * 2 / 3).min(video::MAX_ROW),
        SceneKind::Text | SceneKind::Marker => return None,
    };
    let rows = picture * 9 / 16 + video::TITLE_HEIGHT;
    let x =
        if kind == SceneKind::Video { (width - picture) / 2 } else { (width - picture).saturating_sub(16) };
    (picture >= 64 && rows + 40 <= height).then_some(Rect { x, y: 40, width: picture, height: rows })
}

fn terminal_size(size: Resolution) -> Option<(u32, u32)> {
    let (width, height) = (TERMINAL_WIDTH.min(size.width() / 2), TERMINAL_HEIGHT.min(size.height() / 2));
    (width >= 32 && height >= 32 && height + TERMINAL_TOP <= size.height()).then_some((width, height))
}

/// The seconds that the clock shows in frame `n`, as if at 30 fps.
fn seconds(n: u32) -> u32 {
    n / 30
}

fn ramp(length: u32) -> Vec<Pixel> {
    (0..length)
        .map(|at| {
            // Steps of 8 pixels: a smooth gradient has bands in 8 bits anyway.
            let f = |span: u32| at / 8 * 8 * span / length;
            rgb((30 + f(50)) << 16 | (60 + f(60)) << 8 | (110 + f(60)))
        })
        .collect()
}

const TERMINAL_WIDTH: u32 = 320;
const TERMINAL_HEIGHT: u32 = 220;
/// Rows that the terminal leaves free at the top, for the marker.
const TERMINAL_TOP: u32 = 20;
const TERMINAL_TEXT: [&str; 9] = [
    "$ cargo test -p yc-rtp",
    "   Compiling yc-rtp v0.1.0",
    "    Finished `test` in 3.41s",
    "     Running unittests lib.rs",
    "running 42 tests",
    "test fu_a_is_split ... ok",
    "test marker_is_last ... ok",
    "test nack_is_read ... ok",
    "$ _",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::synthetic::marker::PixelOrder;

    fn size(width: u32, height: u32) -> Resolution {
        Resolution::new(width, height).unwrap()
    }

    fn rendered(scene: &Scene, n: u32, stride: usize) -> Vec<u8> {
        let mut pixels = vec![0xaa; stride * scene.size().height() as usize];
        scene.render(n, &mut pixels, stride);
        pixels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn an_updated_picture_equals_one_drawn_from_scratch(
            kind in 0usize..5,
            width in 1u32..900,
            height in 1u32..700,
            padding in 0usize..9,
            frames in proptest::collection::vec(prop_oneof![0u32..700, any::<u32>()], 1..5),
        ) {
            let scene = Scene::new(size(width, height), SceneKind::ALL[kind]);
            let stride = width as usize * 4 + padding * 4;
            let mut changed = Vec::new();
            let mut from = frames[0];
            let mut pixels = rendered(&scene, from, stride);
            for &to in frames.iter().flat_map(|n| [*n, n.saturating_add(1)]).collect::<Vec<_>>().iter() {
                scene.update(from, to, &mut pixels, stride, &mut changed);
                prop_assert!(pixels == rendered(&scene, to, stride), "{kind} {width}x{height} {from} to {to}");
                prop_assert!(changed.iter().all(|rect| scene.size().rect().contains(*rect)));
                from = to;
            }
        }
    }

    #[test]
    fn every_frame_carries_its_number() {
        for kind in SceneKind::ALL {
            let scene = Scene::new(size(640, 360), kind);
            for n in [0, 1, 299, 0x00ab_cdef] {
                let expected = if kind == SceneKind::Static { 0 } else { n };
                let pixels = rendered(&scene, n, 2560);
                assert_eq!(marker::read_pixels(&pixels, 2560, PixelOrder::Bgra), Some(expected), "{kind}");
            }
        }
    }

    #[test]
    fn a_full_size_desktop_has_every_window_and_moves() {
        let scene = Scene::new(size(1920, 1080), SceneKind::Desktop);
        assert!(scene.editor.is_some() && scene.video.is_some() && scene.has_terminal);
        let mut changed = Vec::new();
        scene.changes(150, 153, &mut changed);
        // The typed line, the video, the terminal and the marker.
        assert_eq!(changed.len(), 4, "{changed:?}");
        let video = Rect { x: 1264, y: 66, width: 640, height: 360 };
        assert!(changed.contains(&video), "{changed:?}");
    }

    #[test]
    fn a_static_scene_never_changes() {
        let scene = Scene::new(size(640, 360), SceneKind::Static);
        let (mut pixels, mut changed) = (rendered(&scene, 0, 2560), Vec::new());
        assert_eq!(pixels, rendered(&scene, 1234, 2560));
        scene.update(0, 1234, &mut pixels, 2560, &mut changed);
        assert_eq!(changed, []);
    }

    #[test]
    fn scenes_are_read_by_name() {
        for kind in SceneKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "movie".parse::<SceneKind>().unwrap_err().to_string();
        assert_eq!(error, "scene \"movie\" is none of desktop, text, video, static, marker");
    }
}
