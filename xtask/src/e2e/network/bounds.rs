//! What must hold of a share through a network.

use yc_simulator::{Loss, Profile};

use super::BITRATE;
use super::measured::{Measured, STANDS, USED, falls, rises};

/// Up to this part of the packets lost, each by chance alone, nothing freezes.
const LOSS: f64 = 0.05;
/// Seconds until a rise is used.
const RISE: f64 = 5.0;
/// Seconds until pictures flow again.
const RECOVERY: f64 = 3.0;
/// Milliseconds that 19 of 20 datagrams may wait at the bottleneck.
const QUEUE_MS: f64 = 100.0;

/// What does not hold, in words.
pub(super) fn broken(profile: &Profile, measured: &Measured) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    check(measured.first_picture.is_some(), "no picture was shown".to_owned());
    if never_freezes(profile) {
        let Measured { freezes, frozen_ms, longest_gap: gap, longest_silence: silence, .. } = measured;
        let silent = format!("nothing was sent for up to {silence:.2} s");
        check(*freezes == 0, format!("{freezes} freezes, {frozen_ms:.0} ms; {silent}"));
        // What never ends is no freeze to the browser.
        check(*gap <= STANDS, format!("no new picture for {gap:.1} s, more than {STANDS} s; {silent}"));
    }
    let [_, queue_ms] = measured.queue_ms;
    if is_bottleneck(profile) {
        check(queue_ms <= QUEUE_MS, format!("queueing delay p95 {queue_ms:.0} ms, more than {QUEUE_MS} ms"));
    }
    for (at, reached) in rises(&profile.forward).zip(&measured.rises) {
        let after = reached.map_or_else(|| "not".to_owned(), |after| format!("after {after:.1} s"));
        check(
            reached.is_some_and(|after| after <= RISE),
            format!("the rise at {at:?}: {:.0} % used {after}, not within {RISE} s", USED * 100.0),
        );
    }
    for (at, after) in falls(&profile.forward).zip(&measured.falls) {
        check(
            *after <= RECOVERY,
            format!("the fall at {at:?}: pictures flow after {after:.1} s, not within {RECOVERY} s"),
        );
    }
    broken
}

/// Whether the network takes all, always, and loses little, by chance.
fn never_freezes(profile: &Profile) -> bool {
    let path = &profile.forward;
    let little = match path.loss {
        Loss::Never => true,
        Loss::Independent(share) => share <= LOSS,
        _ => false,
    };
    little && path.changes.is_empty() && !is_bottleneck(profile)
}

/// Whether the network takes less than the share wants, at some time.
fn is_bottleneck(profile: &Profile) -> bool {
    let path = &profile.forward;
    let changes = path.changes.iter().map(|change| change.at);
    changes.chain([Default::default()]).any(|at| path.rate_at(at) < BITRATE)
}

#[cfg(test)]
mod tests {
    use yc_simulator::PROFILES;

    use super::*;

    fn profile(name: &str) -> &'static Profile {
        Profile::by_name(name).unwrap()
    }

    #[test]
    fn each_network_has_its_bounds() {
        let names = |is: fn(&Profile) -> bool| -> Vec<&str> {
            PROFILES.iter().filter(|profile| is(profile)).map(|profile| profile.name).collect()
        };
        assert_eq!(names(never_freezes), ["clean", "loss-1", "loss-5", "rtt-100", "disorder"]);
        assert_eq!(names(is_bottleneck), ["1-mbit", "300-kbit", "jitter", "drop", "hand-over"]);
    }

    #[test]
    fn what_is_good_breaks_nothing_and_each_bound_is_told_with_its_figure() {
        let good = Measured {
            first_picture: Some(0.2),
            rises: vec![Some(4.9)],
            falls: vec![3.0],
            queue_ms: [20.0, 100.0],
            ..Measured::default()
        };
        assert!(broken(profile("drop"), &good).is_empty());
        let bad = Measured {
            freezes: 2,
            frozen_ms: 700.0,
            longest_gap: 0.6,
            longest_silence: 0.04,
            rises: vec![None],
            falls: vec![3.1],
            queue_ms: [90.0, 180.0],
            ..Measured::default()
        };
        let told = broken(profile("drop"), &bad);
        let expected = ["no picture", "180 ms", "not", "3.1 s"];
        assert!(told.iter().zip(expected).all(|(told, text)| told.contains(text)), "{told:?}");
        assert_eq!(told.len(), 4, "{told:?}");
        let freezes = [
            "no picture was shown",
            "2 freezes, 700 ms; nothing was sent for up to 0.04 s",
            "no new picture for 0.6 s, more than 0.5 s; nothing was sent for up to 0.04 s",
        ];
        assert_eq!(broken(profile("loss-5"), &bad), freezes);
        assert_eq!(broken(profile("loss-10"), &bad), freezes[..1]);
    }
}
