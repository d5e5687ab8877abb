//! How to encode.

use yc_media::{Codec, RateTarget};

/// What to encode into and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EncoderConfig {
    /// What to encode into.
    pub codec: Codec,
    /// What to aim at from the first frame on. `resolution` is the size of the first frames.
    pub rate: RateTarget,
    /// How many temporal layers the stream has: 1 to 3. Default: 1.
    pub temporal_layers: u8,
    /// How many threads it may use, 1 to 4. A backend may use fewer: OpenH264 lends its threads to one encoder
    /// of the process at a time. Default: 1.
    pub threads: u8,
}

impl EncoderConfig {
    /// Real-time screen content: one temporal layer, one thread, no periodic key frame.
    pub fn screen(codec: Codec, rate: RateTarget) -> Self {
        Self { codec, rate, temporal_layers: 1, threads: 1 }
    }

    /// Splits the stream into `layers` temporal layers.
    #[must_use]
    pub fn with_temporal_layers(mut self, layers: u8) -> Self {
        self.temporal_layers = layers;
        self
    }

    /// Uses up to `threads` threads.
    #[must_use]
    pub fn with_threads(mut self, threads: u8) -> Self {
        self.threads = threads;
        self
    }
}
