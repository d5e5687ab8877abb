//! Hundreds of senders with real threads, stopped and dropped at random moments of their lives. Each ends in
//! time, says once and last that it stopped, and leaves nothing behind. `YC_SEED` repeats a run's choices, not
//! the system's scheduling; `tests/model.rs` has every order of the few steps that matter most.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use support::seed::Random;
use support::{DrivenCapture, PATIENCE, Receiver, params};
use yc_capture::{CaptureBackend, CaptureConfig, CaptureError, CaptureInfo, CaptureSink, CaptureTarget};
use yc_media::{FrameRate, Resolution};
use yc_sender::{
    PacketTransport, PreparedSender, Protection, Reason, Refused, Sender, SenderConfig, SenderError,
    SenderErrorKind, SenderEvent, SenderState, StopHandle, TransportError, TransportWaker, UdpTransport,
};

const ROUNDS: usize = 300;
/// Before what is held is counted: what the process opens once is open then.
const WARM_UP: usize = 20;
/// What one round may take on a machine that does much else.
const BOUND: Duration = Duration::from_secs(10);
/// Three rounds of four are much shorter, unless a thread sleeps its time out because nobody wakes it to end.
const UNWOKEN: Duration = Duration::from_millis(100);
/// By when a random moment comes: about twice what a start takes, first frame included.
const MOMENTS: Duration = Duration::from_millis(12);

/// A moment to wait for: often none at all.
fn moment(random: &mut Random) -> Duration {
    match random.below(4) {
        0 => Duration::ZERO,
        _ => Duration::from_micros(random.below(MOMENTS.as_micros() as u64)),
    }
}

fn moments(random: &mut Random, most: u64) -> Vec<Duration> {
    (0..=random.below(most)).map(|_| moment(random)).collect()
}

fn config() -> SenderConfig {
    let mut config = SenderConfig::default();
    // A thread that a busy machine does not run is not abandoned.
    config.stop_deadline = BOUND / 2;
    config
}

fn prepare() -> PreparedSender {
    let target = CaptureTarget::Synthetic(Resolution::new(320, 180).unwrap());
    PreparedSender::open(config(), CaptureConfig::new(target)).unwrap()
}

/// Starts it while `stops` come at their moments.
fn start_and_stop(
    prepared: PreparedSender,
    receiver: &Receiver,
    stops: &[Duration],
) -> Result<Sender, SenderError> {
    let handle = prepared.stop_handle();
    let params = params(&prepared);
    thread::scope(|scope| {
        for &moment in stops {
            let handle = handle.clone();
            scope.spawn(move || {
                thread::sleep(moment);
                handle.stop();
            });
        }
        prepared.start(params, receiver.address(), Protection::PlainOnLoopback)
    })
}

/// A start that was stopped may have come first or not.
fn unless_stopped(started: Result<Sender, SenderError>) -> Option<Sender> {
    match started {
        Ok(sender) => Some(sender),
        Err(error) => {
            assert_eq!(error.kind(), SenderErrorKind::Stopped, "{error}");
            None
        }
    }
}

/// Takes the events of a sender that has been stopped, or is stopped here.
fn see_it_end(mut sender: Sender, random: &mut Random) {
    let mut events = Vec::new();
    if random.below(2) == 0 {
        // As an app does that waits for its events while another thread stops the sender.
        sender.stop_handle().stop();
        while !events.iter().any(|event| matches!(event, SenderEvent::SenderStopped { .. })) {
            events.push(sender.next_event(BOUND).expect("it says that it stopped"));
        }
    }
    for _ in 0..=random.below(2) {
        assert!(sender.stop(), "a thread did not end");
    }
    events.extend(std::iter::from_fn(|| sender.next_event(Duration::ZERO)));
    let status = sender.status();
    assert_eq!((status.state, status.stop_reason), (SenderState::Stopped, Some(Reason::Requested)));
    assert_eq!((status.lifecycle.threads_abandoned, status.events_lost), (0, 0));
    let count = |wanted: fn(&SenderEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
    let stopped = SenderEvent::SenderStopped { reason: Reason::Requested, detail: None };
    assert_eq!(events.last(), Some(&stopped), "{events:?}");
    assert_eq!(count(|event| matches!(event, SenderEvent::SenderStopped { .. })), 1, "{events:?}");
    assert!(count(|event| matches!(event, SenderEvent::SenderStarted { .. })) <= 1, "{events:?}");
}

/// Stops while it starts and after, by its handles and by itself.
fn stopped_at_any_moment(random: &mut Random) -> &'static str {
    let (receiver, stops) = (Receiver::new(), moments(random, 2));
    match unless_stopped(start_and_stop(prepare(), &receiver, &stops)) {
        Some(sender) => {
            let state = sender.status().state;
            see_it_end(sender, random);
            // All stops have come by now, if there was time for them before.
            if state == SenderState::Stopping {
                "stopped, while stopping"
            } else {
                "stopped, when it had ended"
            }
        }
        None => "stopped while it started",
    }
}

/// Two threads stop a sender that runs, or is about to, while its owner does.
fn stopped_by_all_at_once(random: &mut Random) -> &'static str {
    let receiver = Receiver::new();
    let sender = start_and_stop(prepare(), &receiver, &[]).unwrap();
    thread::sleep(moment(random));
    let handles = [sender.stop_handle(), sender.stop_handle()];
    thread::scope(|scope| {
        for handle in handles {
            let moment = moment(random) / 4;
            scope.spawn(move || {
                thread::sleep(moment);
                handle.stop();
                handle.stop();
            });
        }
        see_it_end(sender, random);
    });
    "stopped by all at once"
}

/// Dropped before it was started, perhaps while somebody stops it.
fn dropped_in_idle(random: &mut Random) -> &'static str {
    let prepared = prepare();
    assert_eq!(prepared.status().state, SenderState::Idle);
    let handle = prepared.stop_handle();
    match random.below(3) {
        0 => drop(prepared),
        1 => thread::scope(|scope| {
            let moment = moment(random) / 8;
            scope.spawn(move || {
                thread::sleep(moment);
                handle.stop();
            });
            drop(prepared);
        }),
        _ => {
            handle.stop();
            assert_eq!(prepared.status().state, SenderState::Stopping);
            let receiver = Receiver::new();
            assert!(unless_stopped(start_and_stop(prepared, &receiver, &[])).is_none());
        }
    }
    "dropped in Idle"
}

/// Dropped while it starts, runs or stops.
fn dropped_at_any_moment(random: &mut Random) -> &'static str {
    let mut receiver = Receiver::new();
    let sender = start_and_stop(prepare(), &receiver, &[]).unwrap();
    let how = match random.below(3) {
        0 => {
            thread::sleep(moment(random));
            "dropped at some moment"
        }
        1 => {
            assert!(receiver.frame(PATIENCE).is_some());
            // It says so once the frame's last packet left.
            while sender.status().state == SenderState::Starting {
                thread::yield_now();
            }
            assert_eq!(sender.status().state, SenderState::Running);
            "dropped in Running"
        }
        _ => {
            sender.stop_handle().stop();
            assert!(matches!(sender.status().state, SenderState::Stopping | SenderState::Stopped));
            "dropped in Stopping"
        }
    };
    drop(sender);
    how
}

/// Stopped by what the start itself calls: the transport that it asks for its waker, or the capture.
fn stopped_within_the_start(random: &mut Random) -> &'static str {
    let receiver = Receiver::new();
    let handle = Arc::new(OnceLock::new());
    let by_capture = random.below(2) == 0;
    let (capture, _driver) = DrivenCapture::new(320, 180);
    let stopping = Stopping { inner: capture, stop: by_capture.then(|| Arc::clone(&handle)) };
    let prepared = PreparedSender::with_capture(config(), Box::new(stopping)).unwrap();
    handle.set(prepared.stop_handle()).unwrap();
    let params = params(&prepared);
    let transport = UdpTransport::connect(receiver.address()).unwrap();
    let transport = Stopping { inner: transport, stop: (!by_capture).then_some(handle) };
    let started = prepared.start_on(params, Box::new(transport), Protection::PlainAnywhere);
    assert!(unless_stopped(started).is_none(), "it was stopped before it had started");
    if by_capture { "stopped by the capture in its start" } else { "stopped by the transport in its start" }
}

/// Stops the sender in the middle of a call that a start makes.
#[derive(Debug)]
struct Stopping<T> {
    inner: T,
    stop: Option<Arc<OnceLock<StopHandle>>>,
}

impl<T> Stopping<T> {
    fn stop_the_sender(&self) {
        if let Some(handle) = &self.stop {
            handle.get().unwrap().stop();
        }
    }
}

impl CaptureBackend for Stopping<Box<DrivenCapture>> {
    fn info(&self) -> &CaptureInfo {
        self.inner.info()
    }

    fn start(&mut self, sink: CaptureSink) -> Result<(), CaptureError> {
        self.stop_the_sender();
        self.inner.start(sink)
    }

    fn set_frame_rate(&mut self, rate: FrameRate) {
        self.inner.set_frame_rate(rate);
    }

    fn request_frame(&mut self) {
        self.inner.request_frame();
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

impl PacketTransport for Stopping<UdpTransport> {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        self.inner.send(datagram)
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        self.inner.flush(refused);
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        self.inner.recv(buffer)
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.wait(timeout)
    }

    fn waker(&self) -> TransportWaker {
        self.stop_the_sender();
        self.inner.waker()
    }
}

#[expect(clippy::disallowed_methods, reason = "bounds a round")]
fn round(number: usize, random: &mut Random) -> (&'static str, Duration) {
    let scenarios = [
        stopped_at_any_moment,
        stopped_by_all_at_once,
        dropped_in_idle,
        dropped_at_any_moment,
        stopped_within_the_start,
    ];
    // A start that is stopped is where most can happen.
    let chosen = (random.below(8) as usize).saturating_sub(3);
    let began = Instant::now();
    let how = scenarios[chosen](random);
    let took = began.elapsed();
    assert!(took < BOUND, "round {number}, {how}: took {took:?}");
    (how, took)
}

#[test]
fn whenever_it_is_stopped_or_dropped_it_ends_in_time_and_leaves_nothing_behind() {
    let mut random = Random::new(support::seed::seed());
    for number in 0..WARM_UP {
        round(number, &mut random);
    }
    #[cfg(target_os = "linux")]
    let before = support::held::held();
    let mut rounds = BTreeMap::new();
    let mut times = Vec::new();
    for number in 0..ROUNDS {
        let (how, took) = round(number, &mut random);
        *rounds.entry(how).or_insert(0) += 1;
        times.push(took);
    }
    times.sort_unstable();
    let (most, longest) = (times[ROUNDS * 3 / 4], times[ROUNDS - 1]);
    println!("{rounds:#?}, three quarters within {most:?}, the longest in {longest:?}");
    assert!(rounds.len() >= 8, "some moments were never met: {rounds:?}");
    assert!(most < UNWOKEN, "threads are not woken to end");
    #[cfg(target_os = "linux")]
    {
        let after = support::held::held_after(&before);
        assert_eq!((after.threads, after.files), (before.threads, before.files), "{before:?}, {after:?}");
    }
}
