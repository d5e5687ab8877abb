//! HDR desktops on SDR streams: scRGB half floats to sRGB bytes.

use std::fmt;

/// How bright the display's white is, and what that makes of an HDR picture.
///
/// scRGB is linear, has the primaries of BT.709 and sRGB, and its 1.0 is 80 nits; the desktop's white is
/// brighter, as the user set it (Microsoft Learn, "Use DirectX with Advanced Color on high/standard dynamic
/// range displays").
///
/// - What is not brighter than white in any channel becomes exactly the sRGB that an SDR display would
///   get: text and windows look as they do without HDR.
/// - What is brighter keeps its hue: all channels are divided by the brightest one. White is the brightest
///   that sRGB can say, so what is left to tell bright from brighter is saturation: from white's brightness
///   to the display's peak, colours go part of the way to white.
/// - Below zero (colours outside BT.709) and NaN are zero; infinity is just above the largest half.
#[derive(Clone)]
pub(crate) struct ToneMap {
    /// The sRGB code of each half up to white; 255 above it and 0 below zero.
    codes: Box<[u8; HALVES]>,
    /// The desktop's white in scRGB.
    white: f32,
    /// The same as a half, rounded down. Halves above zero are ordered as the integers of their bits are.
    white_half: i16,
    /// The display's peak in scRGB.
    peak: f32,
}

impl ToneMap {
    /// For a desktop whose white has `sdr_white_nits`, on a display with a peak of [`PEAK_NITS`].
    ///
    /// What is not a number is taken as 80 nits; other values are clamped to [`WHITE_NITS`].
    pub(crate) fn new(sdr_white_nits: f32) -> Self {
        let (dimmest, brightest) = WHITE_NITS;
        let nits = if sdr_white_nits.is_nan() { dimmest } else { sdr_white_nits.clamp(dimmest, brightest) };
        let white = nits / SCRGB_NITS;
        let mut codes = [0; HALVES].to_vec();
        let mut white_half = 0;
        // Up to infinity, in rising order.
        for bits in 0..=INFINITY {
            let value = from_half(bits);
            codes[usize::from(bits)] = encode(f64::from(value) / f64::from(white));
            if value <= white {
                white_half = bits as i16;
            }
        }
        let codes = codes.into_boxed_slice().try_into().expect("made with that length");
        Self { codes, white, white_half, peak: 0.0 }.with_peak(PEAK_NITS)
    }

    /// For a display with a peak of `nits`, where colours are as close to white as they get. If that is
    /// not a number, or no brighter than white, what is above white is only clipped.
    #[must_use]
    pub(crate) fn with_peak(mut self, nits: f32) -> Self {
        // `max` takes the other one if one is not a number.
        self.peak = (nits / SCRGB_NITS).max(self.white);
        self
    }

    /// Converts pixels of R, G, B, A halves to pixels of B, G, R, X.
    pub(super) fn row(&self, source: &[u8], target: &mut [u8]) {
        for (from, to) in source.as_chunks().0.iter().zip(target.as_chunks_mut().0) {
            *to = self.pixel(*from);
        }
    }

    /// Converts one pixel of R, G, B, A halves to B, G, R, X.
    pub(super) fn pixel(&self, [r0, r1, g0, g1, b0, b1, ..]: [u8; 8]) -> [u8; 4] {
        let halves = [[b0, b1], [g0, g1], [r0, r1]].map(i16::from_le_bytes);
        let brightest = halves[0].max(halves[1]).max(halves[2]);
        let [b, g, r] = if brightest > self.white_half { self.roll_off(halves) } else { halves };
        [self.code(b), self.code(g), self.code(r), u8::MAX]
    }

    /// Brings a colour with a channel above white down to one without.
    fn roll_off(&self, halves: [i16; 3]) -> [i16; 3] {
        let colour = halves.map(positive);
        let brightest = colour[0].max(colour[1]).max(colour[2]);
        // Only NaNs were above white.
        if brightest <= self.white {
            return colour.map(to_half);
        }
        let range = self.peak - self.white;
        let above = if range > 0.0 { ((brightest - self.white) / range).min(1.0) } else { 0.0 };
        let towards_white = above * MOST_WHITE;
        // Of the colour divided by its brightest channel, and of white.
        let (scale, add) = ((1.0 - towards_white) * self.white / brightest, towards_white * self.white);
        colour.map(|channel| to_half(channel * scale + add))
    }

    fn code(&self, half: i16) -> u8 {
        self.codes[usize::from(half as u16)]
    }
}

impl fmt::Debug for ToneMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToneMap")
            .field("white", &self.white)
            .field("peak", &self.peak)
            .finish_non_exhaustive()
    }
}

/// The brightness of 1.0 in scRGB.
const SCRGB_NITS: f32 = 80.0;
/// What the desktop's white may be: from that of an SDR display up to the brightest that HDR10 can say.
const WHITE_NITS: (f32, f32) = (SCRGB_NITS, 10_000.0);
/// The peak of a display that nobody asked for its own: what HDR films are mastered for most often.
const PEAK_NITS: f32 = 1_000.0;
/// How far towards white a colour at the display's peak goes. Half way: a red light is brighter than the
/// red of a window, and still red.
const MOST_WHITE: f32 = 0.5;

/// How many different halves there are.
const HALVES: usize = 1 << 16;
/// The bits of infinity. Greater ones up to the sign bit are not numbers.
const INFINITY: u16 = 0x7c00;

/// The sRGB code of a linear value, where white is 1. IEC 61966-2-1, the transfer from linear to coded.
fn encode(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let coded = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (coded * 255.0).round() as u8
}

/// The value of a half of at least 0 that is a number, and 65536 for infinity. IEEE 754 binary16 and
/// binary32: moved to where the fraction of single precision is, only the bias of the exponent is wrong.
fn from_half(bits: u16) -> f32 {
    const BIASES: f32 = f32::from_bits((127 + (127 - 15)) << 23);
    f32::from_bits(u32::from(bits) << 13) * BIASES
}

/// The value of a half; 0 for what is below zero or not a number, 65536 for infinity.
fn positive(half: i16) -> f32 {
    if (0..=INFINITY as i16).contains(&half) { from_half(half as u16) } else { 0.0 }
}

/// The half nearest to a `value` of at least 0 and at most the largest half. What is below the normal
/// halves, less than a quarter of sRGB's first step, becomes 0.
fn to_half(value: f32) -> i16 {
    const SMALLEST_NORMAL: u32 = (127 - 14) << 23;
    let bits = value.to_bits();
    if bits < SMALLEST_NORMAL {
        return 0;
    }
    // Half of the last place is added, so a carry moves into the exponent.
    ((bits - ((127 - 15) << 23) + (1 << 12)) >> 13) as i16
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The half nearest to `value`, found by its error alone.
    pub(in crate::picture) fn half(value: f64) -> u16 {
        let sign = if value < 0.0 { 0x8000 } else { 0 };
        let (mut low, mut high) = (0, INFINITY - 1);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if reference_value(middle) <= value.abs() { low = middle } else { high = middle - 1 }
        }
        let next = (low + 1).min(INFINITY - 1);
        let nearer = reference_value(next) - value.abs() < value.abs() - reference_value(low);
        sign | if nearer { next } else { low }
    }

    pub(in crate::picture) fn pixel(halves: [u16; 4]) -> [u8; 8] {
        halves.map(u16::to_le_bytes).concat().try_into().unwrap()
    }

    /// IEEE 754-2008 §3.4 in its own words: (−1)^S × 2^(E−15) × (1 + T/2^10), or 2^−14 × T/2^10.
    fn reference_value(bits: u16) -> f64 {
        let (s, e, t) = (bits >> 15, i32::from((bits >> 10) % 32), f64::from(bits % 1024));
        let sign = if s == 1 { -1.0 } else { 1.0 };
        match (e, t) {
            (31, 0.0) => sign * f64::INFINITY,
            (31, _) => f64::NAN,
            (0, _) => sign * 2f64.powi(-14) * (t / 1024.0),
            _ => sign * 2f64.powi(e - 15) * (1.0 + t / 1024.0),
        }
    }

    /// What a colour should become, as [`ToneMap`] describes it, in B, G, R codes that are not yet rounded.
    fn reference(colour: [f64; 3], white_nits: f64, peak_nits: f64) -> [f64; 3] {
        let nits = colour.map(|c| if c.is_nan() { 0.0 } else { c.clamp(0.0, 65_536.0) * 80.0 });
        let brightest = nits.iter().copied().fold(0.0, f64::max);
        let mut out = nits.map(|n| n / white_nits);
        if brightest > white_nits {
            let share = ((brightest - white_nits) / (peak_nits - white_nits)).min(1.0) / 2.0;
            out = nits.map(|n| n / brightest * (1.0 - share) + share);
        }
        let coded = out.map(|l| match l {
            l if l > 0.003_130_8 => l.powf(1.0 / 2.4).mul_add(1.055, -0.055),
            l => l * 12.92,
        });
        [coded[2] * 255.0, coded[1] * 255.0, coded[0] * 255.0]
    }

    fn check(map: &ToneMap, halves: [u16; 3], white_nits: f64, peak_nits: f64) -> Result<(), String> {
        let got = map.pixel(pixel([halves[0], halves[1], halves[2], 0]));
        let colour = halves.map(reference_value);
        let expected = reference(colour, white_nits, peak_nits);
        // Half a code of rounding to a code, and 255 / 2.4 / 2^12 of rounding to a half before that.
        let near = (0..3).all(|c| (f64::from(got[c]) - expected[c]).abs() <= 0.53);
        if near && got[3] == 255 {
            Ok(())
        } else {
            Err(format!("{colour:?} became {got:?}, not {expected:?}"))
        }
    }

    #[test]
    fn every_grey_is_the_code_next_to_the_exact_value() {
        for (white, peak) in [(80.0, 1_000.0), (203.0, 400.0), (480.0, 1_499.0)] {
            let map = ToneMap::new(white as f32).with_peak(peak as f32);
            for bits in 0..=u16::MAX {
                check(&map, [bits; 3], white, peak).unwrap();
            }
        }
    }

    #[test]
    fn every_srgb_code_on_an_hdr_desktop_comes_back_as_it_was() {
        for white in [80.0, 200.0, 480.0] {
            let map = ToneMap::new(white);
            for code in 0..=255u8 {
                let coded = f64::from(code) / 255.0;
                // IEC 61966-2-1, the transfer from coded to linear.
                let linear =
                    if coded <= 0.04045 { coded / 12.92 } else { ((coded + 0.055) / 1.055).powf(2.4) };
                let bits = half(linear * f64::from(white) / 80.0);
                assert_eq!(map.pixel(pixel([bits, bits, bits, 0x3c00])), [code, code, code, 255]);
                assert_eq!(map.pixel(pixel([bits, 0, 0, 0x3c00])), [0, 0, code, 255]);
            }
        }
    }

    #[test]
    fn greys_never_get_darker_when_they_get_brighter() {
        let map = ToneMap::new(240.0);
        let codes: Vec<_> = (0..=INFINITY).map(|bits| map.pixel(pixel([bits; 4]))).collect();
        assert!(codes.is_sorted());
        assert_eq!((codes[0], codes[usize::from(INFINITY)]), ([0, 0, 0, 255], [255; 4]));
    }

    #[test]
    fn a_light_brighter_than_white_keeps_its_hue_and_pales_up_to_the_peak() {
        let map = ToneMap::new(80.0).with_peak(800.0);
        let orange = |times: f64| map.pixel(pixel([half(times), half(times * 0.25), 0, 0]));
        let at_white = orange(1.0);
        assert_eq!(at_white, [0, 137, 255, 255]);
        let (brighter, peak, beyond) = (orange(4.0), orange(10.0), orange(40.0));
        assert!(at_white[0] < brighter[0] && brighter[0] < peak[0], "{brighter:?} {peak:?}");
        assert!(at_white[1] < brighter[1] && brighter[1] < peak[1], "{brighter:?} {peak:?}");
        assert!(peak[0] < peak[1] && peak[1] < peak[2], "{peak:?} is no longer orange");
        assert_eq!(beyond, peak);
    }

    #[test]
    fn what_is_no_colour_has_a_defined_one() {
        let (nan, infinity) = (0x7e00, INFINITY);
        for map in [ToneMap::new(80.0), ToneMap::new(f32::NAN).with_peak(f32::NAN), ToneMap::new(-1.0)] {
            assert_eq!(map.pixel(pixel([nan, nan | 0x8000, 0xbc00, nan])), [0, 0, 0, 255]);
            assert_eq!(map.pixel(pixel([nan, 0x3c00, infinity | 0x8000, 0])), [0, 255, 0, 255]);
            assert_eq!(map.pixel(pixel([infinity; 4])), [255; 4]);
            assert_eq!(map.pixel(pixel([infinity, 0, 0, 0]))[2], 255);
        }
        // A display without room above its white clips: no colour jumps towards white.
        assert_eq!(ToneMap::new(80.0).with_peak(f32::NAN).pixel(pixel([0x7000, 0, 0, 0])), [0, 0, 255, 255]);
        // Nothing is brighter than a white of more than the brightest that HDR10 can say.
        assert_eq!(ToneMap::new(f32::INFINITY).pixel(pixel([half(125.0); 4])), [255; 4]);
        assert_eq!(format!("{:?}", ToneMap::new(160.0)), "ToneMap { white: 2.0, peak: 12.5, .. }");
    }

    proptest! {
        #[test]
        fn every_colour_is_the_code_next_to_the_exact_value(
            halves in prop_oneof![any::<[u16; 3]>(), [0u16..0x5400, 0u16..0x5400, 0u16..0x5400]],
            maps in prop::sample::select(vec![(80.0, 400.0), (203.0, 1_000.0), (480.0, 481.0)]),
        ) {
            thread_local! {
                static MAPS: [ToneMap; 3] = [
                    ToneMap::new(80.0).with_peak(400.0),
                    ToneMap::new(203.0),
                    ToneMap::new(480.0).with_peak(481.0),
                ];
            }
            let index = [80.0, 203.0, 480.0].iter().position(|&white| white == maps.0).unwrap();
            let checked = MAPS.with(|all| check(&all[index], halves, maps.0, maps.1));
            prop_assert_eq!(checked, Ok(()));
        }

        #[test]
        fn no_half_is_nearer_than_the_one_taken(value in 0.0001f32..300.0) {
            let off = |bits: u16| (reference_value(bits) - f64::from(value)).abs();
            prop_assert!(off(to_half(value) as u16) <= off(half(value.into())));
        }

        #[test]
        fn twice_as_bright_is_never_darker_in_any_channel(halves in [0u16..0x7800, 0u16..0x7800, 0u16..0x7800]) {
            thread_local!(static MAP: ToneMap = ToneMap::new(160.0));
            // Doubling a normal half adds one to its exponent, without rounding.
            let normal = halves.map(|bits| if bits < 0x400 { 0 } else { bits });
            let doubled = normal.map(|bits| if bits == 0 { 0 } else { bits + 0x400 });
            let (once, twice) = MAP.with(|map| {
                let of = |[r, g, b]: [u16; 3]| map.pixel(pixel([r, g, b, 0]));
                (of(normal), of(doubled))
            });
            prop_assert!(once.iter().zip(&twice).all(|(once, twice)| once <= twice), "{once:?} {twice:?}");
        }
    }
}
