//! What the receiver says of the path, turned into what the encoder should aim at.

use yc_media::{Bitrate, FrameRate, RateTarget, Resolution};
use yc_rtp::FeedbackEvent;

use crate::SenderConfig;

/// Aims at the configured rate, bounded by what the receiver says it can take.
#[derive(Debug)]
pub(crate) struct RateControl {
    configured: Bitrate,
    frame_rate: FrameRate,
    resolution: Resolution,
    /// REMB, where it was ever sent.
    receiver_bound: Option<Bitrate>,
}

/// No bound of a receiver takes the target below this: text stays readable at a few frames a second.
const FLOOR: Bitrate = Bitrate::kbps(150);

impl RateControl {
    pub(crate) fn new(config: &SenderConfig) -> Self {
        Self {
            configured: config.bitrate,
            frame_rate: config.frame_rate,
            resolution: config.max_resolution,
            receiver_bound: None,
        }
    }

    /// Takes in one fact.
    pub(crate) fn on_feedback(&mut self, event: &FeedbackEvent) {
        if let FeedbackEvent::MaxBitrate { bitrate, .. } = event {
            self.receiver_bound = Some(*bitrate);
        }
    }

    /// The bitrate that the network takes, where anybody says so.
    pub(crate) fn available(&self) -> Option<Bitrate> {
        self.receiver_bound
    }

    /// What the encoder should aim at now.
    pub(crate) fn target(&self) -> RateTarget {
        let bound = self.receiver_bound.unwrap_or(self.configured).max(FLOOR);
        RateTarget::new(self.configured.min(bound), self.frame_rate, self.resolution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remb(kbps: u32) -> FeedbackEvent {
        FeedbackEvent::MaxBitrate { ssrcs: vec![1], bitrate: Bitrate::kbps(kbps) }
    }

    #[test]
    fn the_receiver_s_bound_lowers_the_target_and_never_raises_it() {
        let mut control = RateControl::new(&SenderConfig::default());
        assert_eq!(control.target().bitrate, Bitrate::kbps(6_000));
        control.on_feedback(&remb(2_000));
        assert_eq!(control.target().bitrate, Bitrate::kbps(2_000));
        control.on_feedback(&remb(50_000));
        assert_eq!(control.target().bitrate, Bitrate::kbps(6_000));
    }

    #[test]
    fn no_bound_takes_the_target_below_the_floor() {
        let mut control = RateControl::new(&SenderConfig::default());
        control.on_feedback(&remb(1));
        assert_eq!(control.target().bitrate, FLOOR);
    }
}
