//! Calls into the OS that somebody waits for only so long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::HostError;

/// How many calls of a host may be under way at once, those included that nobody waits for any more: one that
/// hangs holds its thread.
const MOST: usize = 16;

/// Calls under way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Calls {
    /// Makes `call` on a thread of its own and waits for it up to `deadline`. What is not done by then is
    /// abandoned: its thread ends when the call returns. `hung` says what that means.
    pub(crate) fn make<T: Send + 'static>(
        &self,
        name: &str,
        deadline: Duration,
        call: impl FnOnce() -> Result<T, HostError> + Send + 'static,
        hung: impl FnOnce() -> HostError,
    ) -> Result<T, HostError> {
        if self.0.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.0.fetch_sub(1, Ordering::AcqRel);
            let why = format!("{MOST} such requests are under way, as many as may be: wait for one of them");
            return Err(HostError::new(HostError::BUSY, why));
        }
        let under_way = UnderWay(Arc::clone(&self.0));
        let (answer, answered) = mpsc::sync_channel(1);
        let body = move || {
            let _under_way = under_way;
            // Nobody may wait for it any more.
            let _ = answer.send(call());
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(HostError::internal)?;
        answered.recv_timeout(deadline).unwrap_or_else(|why| {
            Err(match why {
                mpsc::RecvTimeoutError::Timeout => hung(),
                mpsc::RecvTimeoutError::Disconnected => HostError::internal("the call ended by a panic"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn hung() -> HostError {
        HostError::new("capture_hung", "the call does not return")
    }

    #[test]
    fn calls_that_hang_are_given_up_and_counted_until_they_return() {
        let calls = Calls::default();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        for _ in 0..MOST {
            let held = Arc::clone(&held);
            let hang = move || {
                // Ends when the test lets go.
                let _ = held.lock().unwrap().recv();
                Ok(())
            };
            assert_eq!(calls.make("test", Duration::ZERO, hang, hung), Err(hung()));
        }
        let error = calls.make("test", LONG, || Ok(()), hung).unwrap_err();
        assert_eq!(error.code, HostError::BUSY);
        drop(release);
        while calls.0.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        assert_eq!(calls.make("test", LONG, || Ok(7), hung), Ok(7));
    }

    #[test]
    fn a_call_that_panics_is_an_error_of_ours() {
        let calls = Calls::default();
        let result = calls.make::<()>("test", LONG, || panic!("as the test wants"), hung);
        assert_eq!(result.unwrap_err().code, HostError::INTERNAL_ERROR);
    }
}
