//! What each level leaves of the picture: the knobs, their order, and how far each is turned.

use serde::Serialize;
use yc_media::{Bitrate, FrameRate, RateTarget, Resolution};

use crate::{ContentHint, DegradationConfig};

/// What gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DegradationKnob {
    /// Fewer pictures a second.
    FrameRate,
    /// Smaller pictures.
    Resolution,
    /// Fewer bits a second.
    Bitrate,
}

/// Level `n` turns the first `n` of these.
pub(super) type Order = [DegradationKnob; 3];

/// What gives way first for content of this kind; `moving` is what [`ContentHint::Auto`] was judged as.
pub(super) fn order(hint: ContentHint, moving: bool) -> Order {
    use DegradationKnob::{Bitrate, FrameRate, Resolution};
    match hint {
        // Half the pictures of a text that scrolls still read well; a smaller text does not.
        ContentHint::Text => [FrameRate, Bitrate, Resolution],
        ContentHint::Motion => [Resolution, Bitrate, FrameRate],
        ContentHint::Auto if moving => [FrameRate, Resolution, Bitrate],
        ContentHint::Auto => order(ContentHint::Text, moving),
    }
}

/// What a level leaves of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rung {
    pub(super) frame_rate: FrameRate,
    /// The size of the encoded picture.
    pub(super) picture: Resolution,
    /// The most bits a second, where the level caps them.
    pub(super) cap: Option<Bitrate>,
}

impl Rung {
    /// What turning `knobs` leaves of `asked` for a source of this size. Before the size is known the picture
    /// counts as the largest that is asked for.
    pub(super) fn new(
        config: &DegradationConfig,
        knobs: &[DegradationKnob],
        asked: RateTarget,
        source: Option<Resolution>,
    ) -> Self {
        let picture = source.map_or(asked.resolution, |source| source.fit_into(asked.resolution));
        let mut rung = Self { frame_rate: asked.frame_rate, picture, cap: None };
        for knob in knobs {
            match knob {
                DegradationKnob::FrameRate => rung.frame_rate = slower(config, asked.frame_rate),
                DegradationKnob::Resolution => rung.picture = smaller(config, picture),
                DegradationKnob::Bitrate => rung.cap = Some(lower(config, asked.bitrate)),
            }
        }
        rung
    }

    /// Pixels to encode in a second.
    pub(super) fn pixel_rate(&self) -> f64 {
        self.picture.pixels() as f64 * f64::from(self.frame_rate.as_fps())
    }
}

fn slower(config: &DegradationConfig, rate: FrameRate) -> FrameRate {
    let fps = (rate.as_fps() as f32 * config.frame_rate_scale).round() as u32;
    let least = config.min_frame_rate.min(rate);
    FrameRate::new(fps.max(1)).map_or(least, |scaled| scaled.max(least))
}

/// Keeps the shape: the side that reaches its least size first stops both.
fn smaller(config: &DegradationConfig, size: Resolution) -> Resolution {
    let least = config.min_resolution;
    let floor = (f64::from(least.width()) / f64::from(size.width()))
        .max(f64::from(least.height()) / f64::from(size.height()));
    let scale = f64::from(config.resolution_scale).max(floor).min(1.0);
    let side = |pixels: u32| (f64::from(pixels) * scale).round() as u32;
    Resolution::new(side(size.width()).max(1), side(size.height()).max(1)).map_or(size, Resolution::even)
}

fn lower(config: &DegradationConfig, bitrate: Bitrate) -> Bitrate {
    let scaled = f64::from(bitrate.as_bps()) * f64::from(config.bitrate_scale);
    Bitrate::bps(scaled as u32).max(config.min_bitrate).min(bitrate)
}

#[cfg(test)]
mod tests {
    use DegradationKnob::{Bitrate as Bits, FrameRate as Rate, Resolution as Size};

    use super::*;

    fn size(text: &str) -> Resolution {
        text.parse().unwrap()
    }

    fn asked(kbps: u32, fps: u32, resolution: &str) -> RateTarget {
        RateTarget::new(Bitrate::kbps(kbps), FrameRate::new(fps).unwrap(), size(resolution))
    }

    fn rung(knobs: &[DegradationKnob], asked: RateTarget, source: Option<Resolution>) -> Rung {
        Rung::new(&DegradationConfig::default(), knobs, asked, source)
    }

    #[test]
    fn text_keeps_its_resolution_to_the_last_and_motion_its_frame_rate() {
        assert_eq!(order(ContentHint::Text, true), [Rate, Bits, Size]);
        assert_eq!(order(ContentHint::Motion, false), [Size, Bits, Rate]);
        assert_eq!(order(ContentHint::Auto, true), [Rate, Size, Bits]);
        assert_eq!(order(ContentHint::Auto, false), [Rate, Bits, Size]);
    }

    #[test]
    fn each_knob_turns_one_thing() {
        let asked = asked(6_000, 30, "1920x1080");
        let whole = Rung { frame_rate: asked.frame_rate, picture: asked.resolution, cap: None };
        assert_eq!(rung(&[], asked, None), whole);
        let slower = Rung { frame_rate: FrameRate::new(15).unwrap(), ..whole };
        assert_eq!(rung(&[Rate], asked, None), slower);
        assert_eq!(rung(&[Size], asked, None), Rung { picture: size("1286x724"), ..whole });
        assert_eq!(rung(&[Bits], asked, None), Rung { cap: Some(Bitrate::kbps(3_000)), ..whole });
    }

    #[test]
    fn a_source_smaller_than_asked_for_is_scaled_from_its_own_size() {
        let asked = asked(6_000, 30, "1920x1080");
        assert_eq!(rung(&[], asked, Some(size("1001x601"))).picture, size("1000x600"));
        assert_eq!(rung(&[Size], asked, Some(size("1001x601"))).picture, size("670x402"));
        assert_eq!(rung(&[Size], asked, Some(size("3840x2160"))).picture, size("1286x724"));
    }

    #[test]
    fn no_knob_goes_below_its_floor_or_above_what_was_asked_for() {
        let all = [Rate, Size, Bits];
        let low = rung(&all, asked(400, 8, "400x225"), None);
        assert_eq!((low.frame_rate.as_fps(), low.picture), (5, size("320x180")));
        assert_eq!(low.cap, Some(Bitrate::kbps(300)));
        let lower = rung(&all, asked(200, 3, "160x90"), None);
        assert_eq!((lower.frame_rate.as_fps(), lower.picture), (3, size("160x90")));
        assert_eq!(lower.cap, Some(Bitrate::kbps(200)));
        // A tall window: its width reaches the floor first, and its shape stays.
        assert_eq!(rung(&all, asked(6_000, 30, "400x1000"), None).picture, size("320x800"));
    }
}
