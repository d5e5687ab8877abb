//! A scene with a picture of its own.

use yc_media::{Damage, Rect, Resolution};

use super::Scene;

/// A [`Scene`] and a picture of it that is kept up to date by drawing only what changed.
#[derive(Debug)]
pub struct SceneCanvas {
    scene: Scene,
    pixels: Pixels,
    shown: Option<u32>,
    changed: Vec<Rect>,
}

impl SceneCanvas {
    /// A canvas that shows nothing yet.
    pub fn new(scene: Scene) -> Self {
        let pixels = vec![0; scene.size().pixels() as usize * 4];
        Self { scene, pixels: Pixels(pixels), shown: None, changed: Vec::new() }
    }

    /// Shows frame `n` and returns the rectangles that may differ from the frame shown before. They may
    /// overlap. Empty if nothing changed.
    pub fn draw(&mut self, n: u32) -> &[Rect] {
        let stride = self.stride();
        if let Some(from) = self.shown {
            self.scene.update(from, n, &mut self.pixels.0, stride, &mut self.changed);
        } else {
            self.scene.render(n, &mut self.pixels.0, stride);
            self.changed.clear();
            self.changed.push(self.scene.size().rect());
        }
        self.shown = Some(n);
        &self.changed
    }

    /// The size of the picture.
    pub fn size(&self) -> Resolution {
        self.scene.size()
    }

    /// The picture as BGRA, without padding.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels.0
    }

    /// Bytes from one row of the picture to the next.
    pub fn stride(&self) -> usize {
        self.scene.size().width() as usize * 4
    }
}

/// The damage that `changed` stands for.
pub(crate) fn damage_of(changed: &[Rect]) -> Damage {
    let union = changed.iter().fold(Rect::default(), |union, rect| union.union(*rect));
    if union.is_empty() { Damage::None } else { Damage::Part(union) }
}

struct Pixels(Vec<u8>);

impl std::fmt::Debug for Pixels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{SceneKind, marker};

    #[test]
    fn the_first_frame_is_all_new_and_the_same_frame_again_is_nothing() {
        let size = Resolution::new(640, 360).unwrap();
        let mut canvas = SceneCanvas::new(Scene::new(size, SceneKind::Marker));
        assert_eq!(canvas.draw(7), [size.rect()]);
        assert_eq!(canvas.draw(7), []);
        assert!(!canvas.draw(8).is_empty());
        assert_eq!(marker::read_pixels(canvas.pixels(), canvas.stride(), marker::PixelOrder::Bgra), Some(8));
        assert!(format!("{canvas:?}").len() < 400);
    }

    #[test]
    fn damage_is_the_union_of_what_changed() {
        let rect = |x| Rect { x, y: 2, width: 3, height: 4 };
        assert_eq!(damage_of(&[]), Damage::None);
        assert_eq!(damage_of(&[rect(1), rect(10)]), Damage::Part(Rect { x: 1, y: 2, width: 12, height: 4 }));
    }
}
