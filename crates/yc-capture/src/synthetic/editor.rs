//! The editor window: source text that is scrolled, typed into and left alone.

use yc_media::Rect;

use super::font::{Font, GLYPH_HEIGHT, GLYPH_WIDTH};
use super::painter::{Painter, Pixel, rgb};

/// An editor window at a place on the desktop.
pub(super) struct Editor {
    area: Rect,
    lines: Vec<&'static str>,
}

/// What the editor shows: the line at its top and how much is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct View {
    top: u64,
    typed: usize,
}

impl Editor {
    pub(super) fn new(area: Rect) -> Self {
        Self { area, lines: include_str!("editor.txt").lines().collect() }
    }

    /// Reports what differs between frames `from` and `to`.
    pub(super) fn changes(&self, from: u32, to: u32, changed: &mut Vec<Rect>) {
        let (from, to) = (view(from), view(to));
        if from.top != to.top {
            changed.push(self.text_area());
        } else if from.typed != to.typed {
            changed.push(self.line_area(TYPED_LINE).intersect(self.text_area()));
        }
    }

    pub(super) fn paint(&self, font: &Font, n: u32, painter: &mut Painter<'_>) {
        let mut painter = painter.clipped(self.area);
        if painter.clip().is_empty() {
            return;
        }
        let Rect { x, y, width, height } = self.area;
        painter.fill(Rect { x, y, width, height: TITLE_HEIGHT }, rgb(0x3c3c3c));
        let title_y = y + (TITLE_HEIGHT - GLYPH_HEIGHT) / 2;
        painter.text(font, x + 12, title_y, b"backend.rs - editor", rgb(0xe0e0e0));

        let body = self.text_area();
        let mut painter = painter.clipped(body);
        painter.fill(Rect { width: GUTTER_WIDTH, ..body }, rgb(0x252526));
        painter.fill(
            Rect { x: x + GUTTER_WIDTH, width: width.saturating_sub(GUTTER_WIDTH), y, height },
            rgb(0x1e1e1e),
        );
        let view = view(n);
        let clip = painter.clip();
        // Only the lines that the clip touches.
        let first = clip.y.saturating_sub(body.y) / LINE_HEIGHT;
        let last = (clip.y + clip.height).saturating_sub(body.y).div_ceil(LINE_HEIGHT);
        for line in first..last {
            self.paint_line(font, view, line, &mut painter);
        }
    }

    fn paint_line(&self, font: &Font, view: View, line: u32, painter: &mut Painter<'_>) {
        let area = self.line_area(line);
        let number = (view.top + u64::from(line)) % self.lines.len() as u64;
        let y = area.y + (LINE_HEIGHT - GLYPH_HEIGHT) / 2;
        let mut digits = [b' '; 5];
        let mut rest = number + 1;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        painter.text(font, area.x, y, &digits, rgb(0x858585));
        let text_x = area.x + GUTTER_WIDTH + 8;
        if line == TYPED_LINE && view.typed > 0 {
            let text = &TYPED_TEXT.as_bytes()[..view.typed.min(TYPED_TEXT.len())];
            painter.text(font, text_x, y, text, rgb(0xd4d4d4));
            let caret_x = text_x + text.len() as u32 * GLYPH_WIDTH;
            painter.fill(Rect { x: caret_x, y, width: 2, height: GLYPH_HEIGHT }, rgb(0xffffff));
        } else {
            let text = self.lines[number as usize];
            painter.text(font, text_x, y, text.as_bytes(), line_colour(text));
        }
    }

    fn text_area(&self) -> Rect {
        let Rect { x, y, width, height } = self.area;
        Rect { x, y: y + TITLE_HEIGHT, width, height: height.saturating_sub(TITLE_HEIGHT) }
    }

    fn line_area(&self, line: u32) -> Rect {
        let body = self.text_area();
        Rect { x: body.x, y: body.y + line * LINE_HEIGHT, width: body.width, height: LINE_HEIGHT }
    }
}

/// A cycle of 300 frames, 10 s at 30 fps: 4 s of wheel scroll, three lines every six frames; 3 s of typing,
/// a character every three frames; 1 s of nothing; 2 s of fast scroll, a line a frame.
fn view(n: u32) -> View {
    let (cycle, step) = (u64::from(n / 300), u64::from(n % 300));
    let base = cycle * 120;
    match step {
        0..120 => View { top: base + step / 6 * 3, typed: 0 },
        120..210 => View { top: base + 60, typed: (step as usize - 120) / 3 },
        210..240 => View { top: base + 60, typed: 30 },
        _ => View { top: base + 60 + (step - 240), typed: 0 },
    }
}

fn line_colour(line: &str) -> Pixel {
    let word = line.trim_start();
    let colour = COLOURS.iter().find(|(start, _)| word.starts_with(start));
    rgb(colour.map_or(0xd4d4d4, |&(_, colour)| colour))
}

const TITLE_HEIGHT: u32 = 28;
const GUTTER_WIDTH: u32 = 56;
const LINE_HEIGHT: u32 = 18;
/// Which line on the screen is typed into, counted from the top.
const TYPED_LINE: u32 = 20;
const TYPED_TEXT: &str = "let frame = backend.poll(now)?;";
const COLOURS: &[(&str, u32)] = &[
    ("//", 0x6a9955),
    ("#", 0xdcdcaa),
    ("fn", 0xdcdcaa),
    ("pub", 0x569cd6),
    ("use", 0xc586c0),
    ("impl", 0x4ec9b0),
    ("match", 0xc586c0),
    ("let", 0x9cdcfe),
    ("return", 0xc586c0),
    ("Self", 0x4ec9b0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_scrolls_types_rests_and_scrolls_fast() {
        assert_eq!(view(0), View { top: 0, typed: 0 });
        assert_eq!(view(119), View { top: 57, typed: 0 });
        assert_eq!(view(123), View { top: 60, typed: 1 });
        assert_eq!(view(210), view(239));
        assert_eq!(view(299), View { top: 119, typed: 0 });
        assert_eq!(view(300), View { top: 120, typed: 0 });
    }

    #[test]
    fn the_text_is_long_and_plain() {
        let editor = Editor::new(Rect { x: 0, y: 0, width: 800, height: 600 });
        assert!(editor.lines.len() > 250, "{} lines", editor.lines.len());
        assert!(editor.lines.iter().all(|line| line.is_ascii()));
    }

    #[test]
    fn typing_changes_one_line_and_rest_changes_nothing() {
        let editor = Editor::new(Rect { x: 100, y: 40, width: 800, height: 600 });
        let changes = |from, to| {
            let mut changed = Vec::new();
            editor.changes(from, to, &mut changed);
            changed
        };
        let line = Rect { x: 100, y: 40 + 28 + 20 * 18, width: 800, height: 18 };
        assert_eq!(changes(150, 153), [line]);
        assert_eq!(changes(150, 152), []);
        assert_eq!(changes(215, 230), []);
        assert_eq!(changes(5, 6), [editor.text_area()]);
    }
}
