//! When a key frame that was asked for is granted.
//!
//! Receivers ask in storms: many join at once, each loses the same packet, an SFU forwards them all. A key
//! frame is many times a delta frame, so granting each request starves the picture. Two bounds hold: a least
//! time between key frames, and a largest share of the bitrate spent on them.
//!
//! The key frame that every stream begins with counts for neither. Nobody asked for it, and an SFU's first
//! viewer mostly has no part of it: he comes when he hears of the stream, and asks some 100 ms later. Were the
//! start charged, the one who waits longest would wait for the budget as well. It happens once in a stream, so
//! a storm gains one key frame by it, and no more.

use std::time::Duration;

use yc_media::{Bitrate, CaptureTime};

use crate::{KeyframeCause, KeyframeConfig};

/// Decides when the next key frame may be made. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct KeyframePolicy {
    config: KeyframeConfig,
    pending: Option<KeyframeCause>,
    /// Whether the key frame that the stream begins with was seen.
    begun: bool,
    /// When the last one that counts was granted or seen, and how large it became once it was encoded.
    last: Option<(CaptureTime, usize)>,
    requests: u64,
    granted: u64,
}

impl KeyframePolicy {
    pub(crate) fn new(config: KeyframeConfig) -> Self {
        Self { config, pending: None, begun: false, last: None, requests: 0, granted: 0 }
    }

    /// Somebody needs a key frame.
    pub(crate) fn on_request(&mut self, cause: KeyframeCause) {
        self.requests += 1;
        self.pending.get_or_insert(cause);
    }

    /// A key frame of `bytes` left the encoder: it serves whoever waits.
    pub(crate) fn on_keyframe(&mut self, now: CaptureTime, bytes: usize) {
        if std::mem::replace(&mut self.begun, true) {
            self.last = Some((now, bytes));
        }
        self.pending = None;
    }

    /// The cause to make a key frame for now, if one is wanted and allowed. Granting counts from now on:
    /// requests that come before the encoder is done wait for the next.
    pub(crate) fn poll(&mut self, now: CaptureTime, bitrate: Bitrate) -> Option<KeyframeCause> {
        if self.due_at(bitrate)? > now {
            return None;
        }
        let bytes = self.last.map_or(0, |(_, bytes)| bytes);
        self.last = Some((now, bytes));
        self.granted += 1;
        self.pending.take()
    }

    /// When [`poll`](Self::poll) will grant what is pending; `None` if nothing is.
    pub(crate) fn due_at(&self, bitrate: Bitrate) -> Option<CaptureTime> {
        self.pending?;
        Some(self.last.map_or(CaptureTime::default(), |(at, bytes)| at + self.interval(bytes, bitrate)))
    }

    /// How often a key frame was asked for, storms included.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    fn interval(&self, bytes: usize, bitrate: Bitrate) -> Duration {
        let share = bitrate.time_for(bytes).as_secs_f64() / f64::from(self.config.bitrate_share);
        let by_share = Duration::try_from_secs_f64(share).unwrap_or(Duration::MAX);
        by_share.min(self.config.max_interval).max(self.config.min_interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SenderConfig;

    const RATE: Bitrate = Bitrate::kbps(4_000);

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn policy() -> KeyframePolicy {
        KeyframePolicy::new(SenderConfig::default().keyframes)
    }

    /// A policy whose stream has long begun.
    fn begun() -> KeyframePolicy {
        let mut policy = policy();
        policy.on_keyframe(CaptureTime::default(), 100_000);
        policy
    }

    #[test]
    fn a_lone_request_is_granted_at_once() {
        let mut policy = begun();
        assert_eq!(policy.poll(at(0), RATE), None);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.poll(at(0), RATE), Some(KeyframeCause::Pli));
        assert_eq!(policy.poll(at(5_000), RATE), None);
    }

    #[test]
    fn small_key_frames_come_no_closer_than_the_least_interval() {
        let mut policy = begun();
        policy.on_keyframe(at(0), 10_000);
        policy.on_request(KeyframeCause::Fir);
        assert_eq!(policy.poll(at(299), RATE), None);
        assert_eq!(policy.due_at(RATE), Some(at(300)));
        assert_eq!(policy.poll(at(300), RATE), Some(KeyframeCause::Fir));
    }

    #[test]
    fn a_storm_of_requests_stays_inside_its_share_of_the_bitrate() {
        let mut policy = begun();
        // 100 kB is 200 ms of 4 Mbit/s: at a quarter of it, one in 800 ms.
        let (mut bytes, mut count) = (0, 0);
        for millis in (0..10_000).step_by(10) {
            policy.on_request(KeyframeCause::Pli);
            if policy.poll(at(millis), RATE).is_some() {
                policy.on_keyframe(at(millis + 5), 100_000);
                bytes += 100_000;
                count += 1;
            }
        }
        assert_eq!(count, 13, "one at once, then one in each 805 ms, seen every 10 ms");
        assert!(bytes <= RATE.bytes_in(Duration::from_secs(10)) / 4 + 100_000);
        assert_eq!(policy.requests(), 1_000);
        assert_eq!(policy.granted, count);
    }

    #[test]
    fn no_request_waits_longer_than_the_longest_interval() {
        let mut policy = begun();
        policy.on_keyframe(at(0), 10_000_000);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.due_at(RATE), Some(at(2_000)));
    }

    #[test]
    fn one_key_frame_serves_all_who_asked_before_it() {
        for mut policy in [policy(), begun()] {
            policy.on_request(KeyframeCause::Pli);
            policy.on_keyframe(at(0), 1_000);
            assert_eq!(policy.poll(at(5_000), RATE), None);
        }
    }

    #[test]
    fn the_first_request_after_the_start_is_granted_at_once_and_the_second_is_not() {
        let mut policy = policy();
        policy.on_keyframe(at(0), 100_000);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.poll(at(20), RATE), Some(KeyframeCause::Pli));
        policy.on_keyframe(at(45), 100_000);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.due_at(RATE), Some(at(845)), "a quarter of the bitrate again");
    }

    #[test]
    fn what_was_granted_before_the_start_counts() {
        let mut policy = policy();
        policy.on_request(KeyframeCause::App);
        assert_eq!(policy.poll(at(0), RATE), Some(KeyframeCause::App));
        policy.on_keyframe(at(40), 100_000);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.due_at(RATE), Some(at(300)));
    }

    #[test]
    fn a_key_frame_that_nobody_asked_for_counts_once_the_stream_has_begun() {
        let mut policy = policy();
        policy.on_keyframe(at(0), 100_000);
        // Another encoder, or another size.
        policy.on_keyframe(at(1_000), 100_000);
        policy.on_request(KeyframeCause::Pli);
        assert_eq!(policy.due_at(RATE), Some(at(1_800)));
    }

    proptest! {
        /// Requests at any times, key frames of any sizes at any delay, and the bounds hold from the first on.
        #[test]
        fn no_storm_gets_more_than_its_share_and_one_key_frame(
            steps in prop::collection::vec((0_u64..400, any::<bool>(), 0_u64..40, 1_usize..200_000), 1..300),
        ) {
            let config = SenderConfig::default().keyframes;
            let mut policy = policy();
            policy.on_keyframe(at(0), 90_000);
            let (mut now, mut seen): (u64, Option<(u64, usize)>) = (0, None);
            for (pause, asks, encoding, bytes) in steps {
                now += pause;
                if asks {
                    policy.on_request(KeyframeCause::Pli);
                }
                if policy.poll(at(now), RATE).is_none() {
                    continue;
                }
                if let Some((before, bytes)) = seen {
                    let share = RATE.time_for(bytes).as_secs_f64() / f64::from(config.bitrate_share);
                    let least = Duration::from_secs_f64(share).min(config.max_interval).max(config.min_interval);
                    let waited = Duration::from_millis(now - before);
                    prop_assert!(waited >= least, "{waited:?} after one of {bytes} bytes, not {least:?}");
                }
                now += encoding;
                policy.on_keyframe(at(now), bytes);
                seen = Some((now, bytes));
            }
        }
    }
}
