//! The bandwidth estimators that can be run.

use yc_sender::SenderConfig;
use yc_sender::bandwidth::{BandwidthConfig, BandwidthEstimator, GccEstimator};

use crate::GoogCc;

/// An estimator.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Packets leave at this multiple of the estimate, as it was made for.
    pub pacing_factor: fn() -> f64,
    /// Makes one.
    pub make: fn(BandwidthConfig) -> Box<dyn BandwidthEstimator>,
}

impl Candidate {
    /// The candidate called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        CANDIDATES.iter().find(|candidate| candidate.name == name)
    }
}

/// All of them.
pub const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "gcc",
        pacing_factor: || SenderConfig::default().pacing.factor.into(),
        make: |config| Box::new(GccEstimator::new(config)),
    },
    Candidate { name: "goog-cc", pacing_factor: || 2.5, make: |config| Box::new(GoogCc::new(config)) },
];
