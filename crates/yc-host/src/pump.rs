//! The thread that tells the app what a running share tells.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use yc_sender::{Reason, SenderEvent};

use crate::HostError;
use crate::state::{Running, Shared, Step};

/// Begins the pump of the share of a generation, once there is one.
pub(crate) type Begin = SyncSender<(Arc<Running>, u64)>;

/// A pump that waits for its share, so that a share that cannot have one is not started.
pub(crate) fn spawn(shared: &Arc<Shared>) -> Result<Begin, HostError> {
    let (begin, begun) = sync_channel(1);
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("yc-host-events".to_owned())
        .spawn(move || pump(&shared, &begun))
        .map_err(HostError::internal)?;
    Ok(begin)
}

fn pump(shared: &Shared, begun: &Receiver<(Arc<Running>, u64)>) {
    // A start that failed begins none.
    let Ok((running, generation)) = begun.recv() else { return };
    // Nobody else sets it.
    let _ = running.pump.set(std::thread::current().id());
    loop {
        let event = match running.sender.next_event(LOOK_AGAIN) {
            Some(event) => event,
            None if running.sender.status().state.is_over() => last(&running),
            None => continue,
        };
        let over = matches!(event, SenderEvent::SenderStopped { .. });
        if over {
            // Who hears of the end can prepare the next share at once.
            let status = running.sender.status();
            let mut state = shared.state();
            if state.generation == generation && matches!(state.step, Step::Running(_)) {
                state.last = Some(status);
                let (before, _) = state.go(Step::Over);
                drop(state);
                // The pump's own is the last but one at least: nothing is closed here.
                drop(before);
            }
            shared.notify();
        }
        shared.tell(event.into());
        if over {
            return;
        }
    }
}

/// The last event of a share that is over: the one in the queue, or one like it.
fn last(running: &Running) -> SenderEvent {
    running.sender.next_event(Duration::ZERO).unwrap_or_else(|| SenderEvent::SenderStopped {
        reason: running.sender.status().stop_reason.unwrap_or(Reason::Requested),
        detail: None,
    })
}

/// A sender tells its end as an event; looking at it now and then costs nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
