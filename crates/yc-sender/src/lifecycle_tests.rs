//! What `lifecycle.rs` promises, one thread at a time; `tests/model.rs` has the threads.

use std::time::Duration;

use crate::lifecycle::{Lifecycle, allows};
use crate::{Reason, SenderState};

use SenderState::{Degraded, Failed, Idle, Running, Starting, Stopped, Stopping};

const STATES: [SenderState; 7] = [Idle, Starting, Running, Degraded, Stopping, Stopped, Failed];

/// A sender that came to `state` by the shortest way.
fn at(state: SenderState) -> Lifecycle {
    let life = Lifecycle::new();
    if matches!(state, Starting | Running | Degraded) {
        assert!(life.begin_start());
    }
    if matches!(state, Running | Degraded) {
        assert!(life.started());
    }
    life.hold_back(state == Degraded);
    if matches!(state, Stopping | Stopped | Failed) {
        let reason = if state == Failed { Reason::EncoderHung } else { Reason::Requested };
        assert!(life.begin_stop(reason));
    }
    if state.is_over() {
        life.end(true, || {});
    }
    assert_eq!(life.now().state, state);
    life
}

#[test]
fn every_pair_of_states_is_decided_as_the_drawing_says() {
    let drawn = [
        (Idle, Starting),
        (Idle, Stopping),
        (Starting, Running),
        (Starting, Stopping),
        (Running, Degraded),
        (Running, Stopping),
        (Degraded, Running),
        (Degraded, Stopping),
        (Stopping, Stopped),
        (Stopping, Failed),
    ];
    for from in STATES {
        for to in STATES {
            assert_eq!(allows(from, to), drawn.contains(&(from, to)), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn each_cause_leads_from_each_state_where_the_drawing_says() {
    /// What happens to a sender, and where it leads from each of [`STATES`].
    type Row = (fn(&Lifecycle), [SenderState; 7]);
    let rows: [Row; 6] = [
        (|l| _ = l.begin_start(), [Starting, Starting, Running, Degraded, Stopping, Stopped, Failed]),
        (|l| _ = l.started(), [Idle, Running, Running, Degraded, Stopping, Stopped, Failed]),
        (|l| l.hold_back(true), [Idle, Starting, Degraded, Degraded, Stopping, Stopped, Failed]),
        (|l| l.hold_back(false), [Idle, Starting, Running, Running, Stopping, Stopped, Failed]),
        (
            |l| _ = l.begin_stop(Reason::Requested),
            [Stopping, Stopping, Stopping, Stopping, Stopping, Stopped, Failed],
        ),
        (|l| l.end(true, || {}), [Idle, Starting, Running, Degraded, Stopped, Stopped, Failed]),
    ];
    for (number, (cause, leads_to)) in rows.into_iter().enumerate() {
        for (from, to) in STATES.into_iter().zip(leads_to) {
            let life = at(from);
            cause(&life);
            assert_eq!(life.now().state, to, "row {number} from {from:?}");
        }
    }
}

#[test]
fn it_starts_once() {
    for state in STATES {
        assert_eq!(at(state).begin_start(), state == Idle, "{state:?}");
    }
}

#[test]
fn only_the_first_frame_is_the_first() {
    for state in STATES {
        assert_eq!(at(state).started(), state == Starting, "{state:?}");
    }
}

#[test]
fn a_frame_that_leaves_does_not_end_the_degradation() {
    let life = at(Degraded);
    assert!(!life.started());
    assert_eq!(life.now().state, Degraded);
    life.hold_back(false);
    assert_eq!(life.now().state, Running);
}

#[test]
fn what_is_held_back_before_the_first_frame_shows_once_it_left() {
    let life = at(Starting);
    life.hold_back(true);
    assert_eq!(life.now().state, Starting);
    assert!(life.started());
    assert_eq!(life.now().state, Degraded);

    let life = at(Starting);
    life.hold_back(true);
    life.hold_back(false);
    assert!(life.started());
    assert_eq!(life.now().state, Running);
}

#[test]
fn the_first_stop_decides_why() {
    for state in [Idle, Starting, Running, Degraded] {
        let life = at(state);
        assert!(!life.is_stopping());
        assert_eq!(life.now().reason, None);
        assert!(life.begin_stop(Reason::WindowClosed), "{state:?}");
        assert!(!life.begin_stop(Reason::EncoderHung));
        assert!(life.is_stopping());
        assert_eq!(life.now().reason, Some(Reason::WindowClosed));
        life.end(true, || {});
        assert!(!life.begin_stop(Reason::Requested));
        assert_eq!(life.now().reason, Some(Reason::WindowClosed));
        assert!(life.is_stopping());
    }
}

#[test]
fn it_ends_stopped_or_failed_as_its_reason_says() {
    for &reason in Reason::ALL {
        let life = Lifecycle::new();
        assert!(life.begin_stop(reason));
        life.end(false, || {});
        assert_eq!(life.now().state, if reason.is_failure() { Failed } else { Stopped }, "{reason}");
    }
}

#[test]
fn the_first_end_says_whether_every_thread_ended() {
    let life = at(Stopping);
    life.end(false, || {});
    life.end(true, || {});
    assert!(!life.now().all_ended);
    assert!(at(Stopped).now().all_ended);
}

#[test]
fn it_does_not_end_before_it_stops() {
    for state in [Idle, Starting, Running, Degraded] {
        let life = at(state);
        life.end(true, || {});
        assert_eq!((life.now().state, life.now().all_ended), (state, false));
    }
}

#[test]
fn waiting_for_the_end_is_bounded() {
    for state in STATES {
        let life = at(state).wait_for_end(Duration::from_millis(1));
        assert_eq!(life.state, state);
    }
}

#[test]
fn an_end_that_came_first_is_not_waited_for() {
    // A wait that did not see it would last longer than any test may.
    let life = at(Failed).wait_for_end(Duration::from_secs(3_600));
    assert_eq!((life.state, life.reason, life.all_ended), (Failed, Some(Reason::EncoderHung), true));
}
