//! The mouse cursor, which is not part of what the server hands out.

use x11rb::protocol::xfixes::{self, CursorNotifyMask};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use yc_media::{Rect, Resolution};

use super::display::{Display, failed, lost};
use crate::CaptureError;

/// The cursor's shape and where it is.
#[derive(Debug)]
pub(super) struct Cursor {
    shape: Shape,
    at: Option<Placement>,
    /// As it was in the frame delivered last.
    delivered: Option<Placement>,
    /// Counts shapes.
    version: u64,
}

/// A picture with its alpha multiplied in.
#[derive(Debug, Default)]
struct Shape {
    width: u32,
    height: u32,
    hot: (i32, i32),
    /// 0xAARRGGBB.
    pixels: Vec<u32>,
}

/// One appearance of the cursor. Its corner may lie outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Placement {
    version: u64,
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

impl Cursor {
    /// Asks to be told of new shapes.
    pub(super) fn new(display: &Display) -> Result<Self, CaptureError> {
        let doing = "asking for the cursor";
        let root = display.screen().root;
        xfixes::select_cursor_input(&display.connection, root, CursorNotifyMask::DISPLAY_CURSOR)
            .map_err(|error| lost(doing, error))?;
        let mut cursor = Self { shape: Shape::default(), at: None, delivered: None, version: 0 };
        cursor.fetch_shape(display)?;
        Ok(cursor)
    }

    /// Takes over the new shape.
    pub(super) fn fetch_shape(&mut self, display: &Display) -> Result<(), CaptureError> {
        let doing = "reading the cursor";
        let image = xfixes::get_cursor_image(&display.connection)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(|error| failed(doing, error))?;
        self.version += 1;
        self.shape = Shape {
            width: image.width.into(),
            height: image.height.into(),
            hot: (image.xhot.into(), image.yhot.into()),
            pixels: image.cursor_image,
        };
        Ok(())
    }

    /// Looks where it is, from the corner of `window` moved by `origin`.
    pub(super) fn locate(
        &mut self,
        display: &Display,
        window: Window,
        origin: (i32, i32),
    ) -> Result<(), CaptureError> {
        let doing = "looking for the cursor";
        let pointer = display
            .connection
            .query_pointer(window)
            .map_err(|error| lost(doing, error))?
            .reply()
            .map_err(|error| failed(doing, error))?;
        self.at = pointer.same_screen.then(|| Placement {
            version: self.version,
            x: i32::from(pointer.win_x) - origin.0 - self.shape.hot.0,
            y: i32::from(pointer.win_y) - origin.1 - self.shape.hot.1,
            width: self.shape.width,
            height: self.shape.height,
        });
        Ok(())
    }

    /// What of a picture of `size` differs from the frame delivered last because of the cursor.
    pub(super) fn damage(&self, size: Resolution) -> Rect {
        if self.at == self.delivered {
            return Rect::default();
        }
        let area = |placement: Option<Placement>| placement.map_or(Rect::default(), |p| p.area(size));
        area(self.delivered).union(area(self.at))
    }

    /// Draws it into a BGRA picture and returns where.
    pub(super) fn draw(&mut self, pixels: &mut [u8], stride: usize, size: Resolution) -> Rect {
        self.delivered = self.at;
        let Some(at) = self.at else { return Rect::default() };
        let area = at.area(size);
        for y in area.y..area.y + area.height {
            let source_y = (i64::from(y) - i64::from(at.y)) as usize;
            let source_x = (i64::from(area.x) - i64::from(at.x)) as usize;
            let source = source_y * at.width as usize + source_x;
            let start = y as usize * stride + area.x as usize * 4;
            let row = pixels[start..start + area.width as usize * 4].as_chunks_mut::<4>().0;
            // A server that sent fewer pixels than it said leaves the rest as it is.
            let shape = self.shape.pixels.get(source..).unwrap_or_default();
            for (pixel, &cursor) in row.iter_mut().zip(shape) {
                *pixel = blend(*pixel, cursor);
            }
        }
        area
    }
}

impl Placement {
    /// The part of it that lies inside a picture of `size`.
    fn area(self, size: Resolution) -> Rect {
        let side = |at: i32, length: u32, bound: u32| {
            let start = i64::from(at).clamp(0, bound.into());
            let end = (i64::from(at) + i64::from(length)).clamp(0, bound.into());
            // Both lie in 0..=bound.
            (start as u32, (end - start) as u32)
        };
        let (x, width) = side(self.x, self.width, size.width());
        let (y, height) = side(self.y, self.height, size.height());
        if width == 0 || height == 0 { Rect::default() } else { Rect { x, y, width, height } }
    }
}

/// Lays 0xAARRGGBB with its alpha multiplied in over B, G, R, X.
fn blend(under: [u8; 4], over: u32) -> [u8; 4] {
    let [alpha, red, green, blue] = over.to_be_bytes();
    let mix = |under: u8, over: u8| {
        let rest = u32::from(under) * (255 - u32::from(alpha));
        (u32::from(over) + (rest + 127) / 255).min(255) as u8
    };
    [mix(under[0], blue), mix(under[1], green), mix(under[2], red), under[3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let shape =
            Shape { width: 2, height: 2, hot: (0, 0), pixels: vec![0xff010203, 0, 0x80400000, 0xff0000ff] };
        Cursor { shape, at: None, delivered: None, version: 1 }
    }

    fn at(x: i32, y: i32) -> Option<Placement> {
        Some(Placement { version: 1, x, y, width: 2, height: 2 })
    }

    #[test]
    fn alpha_is_multiplied_in() {
        assert_eq!(blend([10, 20, 30, 40], 0xff01_0203), [3, 2, 1, 40]);
        assert_eq!(blend([10, 20, 30, 40], 0), [10, 20, 30, 40]);
        assert_eq!(blend([200, 100, 50, 0], 0x8040_0000), [100, 50, 89, 0]);
        // A shape that breaks the rule of multiplied alpha does not wrap around.
        assert_eq!(blend([255, 255, 255, 0], 0x00ff_ffff), [255, 255, 255, 0]);
    }

    #[test]
    fn it_is_cut_off_at_the_edges_of_the_picture() {
        let size = Resolution::new(3, 3).unwrap();
        for y in -3..5 {
            for x in -3..5 {
                let mut cursor = cursor();
                cursor.at = at(x, y);
                let mut pixels = [9; 3 * 3 * 4];
                let area = cursor.draw(&mut pixels, 12, size);
                for row in 0..3 {
                    for column in 0..3 {
                        let (dx, dy) = (column - x, row - y);
                        let inside = (0..2).contains(&dx) && (0..2).contains(&dy);
                        let expected = match inside {
                            true => blend([9; 4], cursor.shape.pixels[(dy * 2 + dx) as usize]),
                            false => [9; 4],
                        };
                        let start = (row * 3 + column) as usize * 4;
                        assert_eq!(pixels[start..start + 4], expected, "({column}, {row}) at ({x}, {y})");
                        let pixel = Rect { x: column as u32, y: row as u32, width: 1, height: 1 };
                        assert_eq!(area.contains(pixel), inside);
                    }
                }
            }
        }
    }

    #[test]
    fn a_move_damages_the_old_and_the_new_place() {
        let size = Resolution::new(100, 100).unwrap();
        let mut cursor = cursor();
        cursor.at = at(10, 10);
        assert_eq!(cursor.damage(size), Rect { x: 10, y: 10, width: 2, height: 2 });
        cursor.draw(&mut [0; 40_000], 400, size);
        assert!(cursor.damage(size).is_empty());
        cursor.at = at(20, 8);
        assert_eq!(cursor.damage(size), Rect { x: 10, y: 8, width: 12, height: 4 });
        cursor.at = at(-2, -2);
        assert_eq!(cursor.damage(size), Rect { x: 10, y: 10, width: 2, height: 2 });
        cursor.draw(&mut [0; 40_000], 400, size);
        cursor.at = at(500, 0);
        assert!(cursor.damage(size).is_empty());
    }
}
