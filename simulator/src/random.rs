//! Random numbers that are the same for the same seed, on every machine and in every version.

/// SplitMix64: a counter that steps by the golden ratio, and a mixer of its value. Not for secrets.
/// Steele, Lea, Flood: [Fast splittable pseudorandom number generators](https://doi.org/10.1145/2660193.2660195),
/// OOPSLA 2014, with the mixer's constants of Stafford's variant 13.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The numbers that `seed` begins.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The numbers of one of several uses under one seed: what one use draws does not move those of another.
    pub const fn stream(seed: u64, stream: u64) -> Self {
        let mut random = Self::new(seed ^ mix(stream.wrapping_add(1)));
        random.next_u64();
        random
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// At least 0.0, less than 1.0: a multiple of 2^-53, each as likely.
    pub const fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether what happens with `probability` happens now. Draws one number whatever the probability.
    pub const fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A normally distributed number with mean 0 and deviation 1.
    /// [Box, Muller](https://doi.org/10.1214/aoms/1177706645), 1958, one of the two numbers it gives.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        // Of the reference implementation by Vigna with seed 1234567.
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.next_u64()), expected);
    }

    #[test]
    fn units_are_spread_evenly_and_streams_differ() {
        let mut random = Random::new(7);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            tenths[(random.unit() * 10.0) as usize] += 1;
        }
        // Binomial(100,000, 0.1): deviation 95.
        assert!(tenths.iter().all(|&count| count.abs_diff(10_000) < 500), "{tenths:?}");
        assert_ne!(Random::stream(7, 0).next_u64(), Random::stream(7, 1).next_u64());
        assert_ne!(Random::stream(7, 0).next_u64(), Random::stream(8, 0).next_u64());
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = Random::new(3);
        let numbers: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let variance =
            numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / numbers.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}
