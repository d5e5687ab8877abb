//! Movement in whole numbers: the same on every machine, which floating point sines are not.

/// A sine wave in integers: 0 to 1024 and back once in `period` frames, starting at 512.
pub(super) fn wave(n: u64, period: u64) -> u32 {
    const HALF: u64 = 1_000;
    let phase = n % period * 2 * HALF / period;
    let (p, below) = if phase < HALF { (phase, false) } else { (phase - HALF, true) };
    let product = p * (HALF - p);
    // Bhaskara: sin(πp/h) ≈ 16·p(h−p) / (5h² − 4·p(h−p)).
    let sine = (512 * 16 * product / (5 * HALF * HALF - 4 * product)) as u32;
    if below { 512 - sine } else { 512 + sine }
}

/// A well-mixed number for each `(n, k)`: seeds the noise.
pub(super) fn hash(n: u32, k: u32) -> u32 {
    let mut x = n.wrapping_mul(0x9e37_79b1) ^ k.wrapping_mul(0x85eb_ca77).rotate_left(13);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wave_follows_a_sine_and_stays_in_its_bounds() {
        for n in 0..400 {
            let exact = 512.0 * (1.0 + (n as f64 * std::f64::consts::TAU / 400.0).sin());
            let value = wave(n, 400);
            assert!(value <= 1024);
            assert!((f64::from(value) - exact).abs() < 3.0, "{n}: {value} for {exact}");
            assert_eq!(value, wave(n + 400, 400));
        }
    }
}
