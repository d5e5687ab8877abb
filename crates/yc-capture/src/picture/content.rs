//! Which part of a capture texture shows the window.

use yc_media::{Rect, Resolution};

/// The part of `texture` that holds what the OS `reported` as the content's width and height; `None` if
/// that is nothing.
///
/// The texture keeps its size while the window changes its own, until the frame pool is made again: a
/// window that shrank leaves stale pixels to the right and below, and one that grew is cut off (Microsoft
/// Learn, "Direct3D11CaptureFrame.ContentSize"). Sides of two pixels and more are cut down to even ones,
/// as 4:2:0 chroma needs.
pub(crate) fn content(texture: Resolution, reported: (i32, i32)) -> Option<Rect> {
    let width = side(reported.0, texture.width())?;
    let height = side(reported.1, texture.height())?;
    Some(Rect { x: 0, y: 0, width, height })
}

fn side(reported: i32, texture: u32) -> Option<u32> {
    match u32::try_from(reported).ok()?.min(texture) {
        0 => None,
        1 => Some(1),
        side => Some(side & !1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(texture: (u32, u32), reported: (i32, i32), expected: Option<(u32, u32)>) {
        let texture = Resolution::new(texture.0, texture.1).unwrap();
        let expected = expected.map(|(width, height)| Rect { x: 0, y: 0, width, height });
        assert_eq!(content(texture, reported), expected, "{reported:?} in {texture}");
    }

    #[test]
    fn a_window_that_shrank_shows_less_and_one_that_grew_is_cut_off() {
        check((800, 600), (800, 600), Some((800, 600)));
        check((800, 600), (640, 480), Some((640, 480)));
        check((800, 600), (1024, 768), Some((800, 600)));
        check((800, 600), (640, 768), Some((640, 600)));
    }

    #[test]
    fn sides_are_even_unless_there_is_only_one_pixel() {
        check((801, 601), (801, 601), Some((800, 600)));
        check((800, 600), (641, 3), Some((640, 2)));
        check((800, 600), (1, 600), Some((1, 600)));
        check((1, 1), (5, 5), Some((1, 1)));
    }

    #[test]
    fn nothing_is_left_of_a_window_without_a_size() {
        check((800, 600), (0, 600), None);
        check((800, 600), (800, 0), None);
        check((800, 600), (-1, 600), None);
        check((800, 600), (800, i32::MIN), None);
    }

    proptest! {
        #[test]
        fn the_content_lies_inside_the_texture_and_the_report(
            (width, height) in (1u32..=Resolution::MAX_SIDE, 1u32..=Resolution::MAX_SIDE),
            reported in (-2i32..20_000, -2i32..20_000),
        ) {
            let texture = Resolution::new(width, height).unwrap();
            let found = content(texture, reported);
            prop_assert_eq!(found.is_some(), reported.0 > 0 && reported.1 > 0);
            if let Some(rect) = found {
                prop_assert!(!rect.is_empty() && texture.rect().contains(rect));
                prop_assert!(i64::from(rect.width) <= reported.0.into());
                prop_assert!(i64::from(rect.height) <= reported.1.into());
                prop_assert!(width.min(reported.0 as u32) - rect.width <= 1);
                prop_assert!(height.min(reported.1 as u32) - rect.height <= 1);
            }
        }
    }
}
