//! Where the random in a test comes from.
#![allow(dead_code, reason = "each test file uses its part")]

use std::hash::{BuildHasher, RandomState};

/// Another seed every time, or that of `YC_SEED`. It is printed, so that a failure can be had again.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("YC_SEED") {
        Ok(text) => text.parse().expect("YC_SEED is a whole number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    println!("again with: YC_SEED={seed}");
    seed
}

/// Numbers that a seed decides: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 or more, below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
