//! How many failures a sender bears, how it goes from backend to backend, how long a call may take.

use std::time::Duration;

use super::{ConfigError, check};

/// What is borne: `count` of something within `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain pair")]
pub struct Tolerance {
    /// How many are borne, 0 to 100,000.
    pub count: u32,
    /// Within how long, 100 ms to 10 min.
    pub window: Duration,
}

/// What is borne: `share` of the captured pictures dropped, and more than that for less than `lasting`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain pair")]
pub struct DropTolerance {
    /// The part that is borne, 0.1 to 1.0. 1.0 bears everything.
    pub share: f32,
    /// For how long more is borne, 1 s to 10 min.
    pub lasting: Duration,
}

/// How much of what may pass is borne before it counts as a failure.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FailureConfig {
    /// Pictures that the encoder refused; more than this and the encoder is restarted.
    /// Default: 10 within 10 s.
    pub encode_errors: Tolerance,
    /// Datagrams that the OS refused; more than this and the sender ends. Default: 3,000 within 10 s, which
    /// outlasts the change from one network to another.
    pub send_errors: Tolerance,
    /// Not one datagram left for this long, though some were to; the sender ends. It sees what `send_errors`
    /// does not: a share of a still screen sends a few datagrams a second. 1 s to 10 min; none: never.
    /// Default: 10 s.
    pub send_blocked: Option<Duration>,
    /// Captured pictures dropped before the encoder; more than this and the degradation ladder goes a step
    /// down, at its lowest level the sender ends. Default: 0.75 for 10 s.
    pub queue_drops: DropTolerance,
    /// A receiver that sends no RTCP for this long is gone, and the sender ends: the circuit breaker of
    /// [RFC 8083 §4.1](https://www.rfc-editor.org/rfc/rfc8083#section-4.1). mediasoup reports every second.
    /// 3 s to 10 min; none: never. Default: 15 s.
    pub rtcp_timeout: Option<Duration>,
    /// A capture that delivered nothing for this long is asked for its present picture, to see that it lives
    /// and misses nothing. 500 ms to 10 min; none: never. Default: 5 s.
    pub capture_silence: Option<Duration>,
    /// How long it may take to answer, 100 ms to 1 min. Default: 3 s.
    pub capture_answer: Duration,
}

/// How a sender goes from a backend that failed to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetreatConfig {
    /// How often within `restart_window` a backend is opened again before the next one is taken, 0 to 100.
    /// Default: 2.
    pub max_restarts: u32,
    /// Default: 60 s. 1 s to 1 h.
    pub restart_window: Duration,
    /// The first restart comes at once, each further one this much later than the one before. 0 to 1 min.
    /// Default: 500 ms.
    pub restart_delay: Duration,
    /// For how long a backend is put aside that failed; twice as long each further time. 1 s to 1 h.
    /// Default: 60 s.
    pub cool_down: Duration,
    /// The longest that it is put aside, `cool_down` to 24 h. Default: 30 min.
    pub max_cool_down: Duration,
    /// Whether a better backend is tried again when its cool-down is over, while the other goes on.
    /// Default: true.
    pub go_back: bool,
}

/// How long one call into a stage may take before its thread is abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchdogConfig {
    /// Opening and starting a capture or an encoder, 50 ms to 1 min. Default: 5 s.
    pub open: Duration,
    /// Any other call into the capture, 50 ms to 1 min. Default: 2 s.
    pub capture: Duration,
    /// Converting a picture, or a call into the encoder, 50 ms to 1 min. Default: 2 s.
    pub encode: Duration,
    /// A call into the transport, 50 ms to 1 min. Default: 2 s.
    pub send: Duration,
}

impl Default for FailureConfig {
    fn default() -> Self {
        Self {
            encode_errors: Tolerance { count: 10, window: Duration::from_secs(10) },
            send_errors: Tolerance { count: 3_000, window: Duration::from_secs(10) },
            send_blocked: Some(Duration::from_secs(10)),
            queue_drops: DropTolerance { share: 0.75, lasting: Duration::from_secs(10) },
            rtcp_timeout: Some(Duration::from_secs(15)),
            capture_silence: Some(Duration::from_secs(5)),
            capture_answer: Duration::from_secs(3),
        }
    }
}

impl Default for RetreatConfig {
    fn default() -> Self {
        Self {
            max_restarts: 2,
            restart_window: Duration::from_secs(60),
            restart_delay: Duration::from_millis(500),
            cool_down: Duration::from_secs(60),
            max_cool_down: Duration::from_secs(30 * 60),
            go_back: true,
        }
    }
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        let two = Duration::from_secs(2);
        Self { open: Duration::from_secs(5), capture: two, encode: two, send: two }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);

fn within(
    name: &'static str,
    value: Duration,
    from: Duration,
    to: Duration,
    bounds: &'static str,
) -> Result<(), ConfigError> {
    check((from..=to).contains(&value), name, || format!("{value:?}"), bounds)
}

impl FailureConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (count, window, tolerance) in [
            ("failures.encode_errors.count", "failures.encode_errors.window", self.encode_errors),
            ("failures.send_errors.count", "failures.send_errors.window", self.send_errors),
        ] {
            check(tolerance.count <= 100_000, count, || tolerance.count.to_string(), "0 to 100000")?;
            let (from, to) = (Duration::from_millis(100), HOUR / 6);
            within(window, tolerance.window, from, to, "100 ms to 10 min")?;
        }
        let drops = self.queue_drops;
        check(
            (0.1..=1.0).contains(&drops.share),
            "failures.queue_drops.share",
            || drops.share.to_string(),
            "0.1 to 1.0",
        )?;
        let (second, ten_minutes) = (Duration::from_secs(1), HOUR / 6);
        within("failures.queue_drops.lasting", drops.lasting, second, ten_minutes, "1 s to 10 min")?;
        if let Some(blocked) = self.send_blocked {
            within("failures.send_blocked", blocked, second, ten_minutes, "1 s to 10 min")?;
        }
        if let Some(timeout) = self.rtcp_timeout {
            within("failures.rtcp_timeout", timeout, second * 3, ten_minutes, "3 s to 10 min")?;
        }
        if let Some(silence) = self.capture_silence {
            within("failures.capture_silence", silence, second / 2, ten_minutes, "500 ms to 10 min")?;
        }
        within("failures.capture_answer", self.capture_answer, second / 10, second * 60, "100 ms to 1 min")
    }
}

impl RetreatConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let restarts = self.max_restarts;
        check(restarts <= 100, "retreat.max_restarts", || restarts.to_string(), "0 to 100")?;
        let second = Duration::from_secs(1);
        within("retreat.restart_window", self.restart_window, second, HOUR, "1 s to 1 h")?;
        within("retreat.restart_delay", self.restart_delay, Duration::ZERO, second * 60, "0 to 1 min")?;
        within("retreat.cool_down", self.cool_down, second, HOUR, "1 s to 1 h")?;
        within("retreat.max_cool_down", self.max_cool_down, self.cool_down, HOUR * 24, "cool_down to 24 h")
    }
}

impl WatchdogConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (name, deadline) in [
            ("watchdog.open", self.open),
            ("watchdog.capture", self.capture),
            ("watchdog.encode", self.encode),
            ("watchdog.send", self.send),
        ] {
            within(name, deadline, Duration::from_millis(50), HOUR / 60, "50 ms to 1 min")?;
        }
        Ok(())
    }
}
