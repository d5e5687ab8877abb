//! What the sender makes of datagrams that are refused together: real encoder, real sockets, and a transport that
//! refuses what is flushed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod support;

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{DrivenCapture, Driver, PATIENCE, Receiver, params};
use yc_rtp::rtcp;
use yc_sender::{
    PacketTransport, PreparedSender, Protection, Reason, Refused, Sender, SenderConfig, SenderEvent,
    SenderState, TransportError, TransportWaker, UdpTransport,
};

/// Holds all datagrams back until the flush, and then refuses those in a range.
#[derive(Debug)]
struct Gate {
    inner: UdpTransport,
    held: Vec<Vec<u8>>,
    state: Arc<Mutex<GateState>>,
}

#[derive(Debug)]
struct GateState {
    /// Which of each turn's datagrams are refused.
    refuses: Range<usize>,
    /// RTP packets and their bytes that left…
    left: (u64, u64),
    /// …and how many were refused.
    refused: u64,
    /// The most datagrams of one turn.
    longest_turn: usize,
}

impl PacketTransport for Gate {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        self.held.push(datagram.clone());
        // As a transport does that encrypts in place.
        datagram.fill(0);
        datagram.extend([0; 10]);
        Ok(())
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        let mut state = self.state.lock().unwrap();
        state.longest_turn = state.longest_turn.max(self.held.len());
        let refuses = state.refuses.start.min(self.held.len())..state.refuses.end.min(self.held.len());
        for (number, mut datagram) in self.held.drain(..).enumerate() {
            let rtp = u64::from(!rtcp::is_rtcp(&datagram));
            if refuses.contains(&number) {
                state.refused += rtp;
            } else {
                state.left.0 += rtp;
                state.left.1 += rtp * datagram.len() as u64;
                self.inner.send(&mut datagram).unwrap();
            }
        }
        let mut of_the_inner = Vec::new();
        self.inner.flush(&mut of_the_inner);
        assert!(of_the_inner.is_empty());
        if !refuses.is_empty() {
            let full = TransportError::new("sending", io::ErrorKind::WouldBlock.into());
            refused.push(Refused::new(refuses, full));
        }
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        self.inner.recv(buffer)
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        self.inner.wait(timeout)
    }

    fn waker(&self) -> TransportWaker {
        self.inner.waker()
    }
}

fn start(refuses: Range<usize>) -> (Sender, Driver, Receiver, Arc<Mutex<GateState>>) {
    let (capture, driver) = DrivenCapture::new(640, 360);
    let receiver = Receiver::new();
    let prepared = PreparedSender::with_capture(SenderConfig::default(), capture).unwrap();
    let params = params(&prepared);
    let inner = UdpTransport::connect(receiver.address()).unwrap();
    let state = Arc::new(Mutex::new(GateState { refuses, left: (0, 0), refused: 0, longest_turn: 0 }));
    let gate = Gate { inner, held: Vec::new(), state: Arc::clone(&state) };
    (prepared.start_on(params, Box::new(gate), Protection::PlainAnywhere).unwrap(), driver, receiver, state)
}

/// Stops the sender and holds its counts to those of the gate.
fn assert_counted(mut sender: Sender, state: &Mutex<GateState>) {
    assert!(sender.stop());
    let (status, state) = (sender.status(), state.lock().unwrap());
    println!("{state:?}");
    assert_eq!((status.packets_sent, status.bytes_sent), state.left);
    assert_eq!(status.dropped.packets_refused, state.refused);
    assert!(state.longest_turn > 10, "packets do not leave together: {}", state.longest_turn);
}

#[test]
fn a_frame_that_is_refused_as_it_is_flushed_has_not_left_and_a_key_frame_follows() {
    let (sender, driver, mut receiver, state) = start(0..usize::MAX);
    driver.picture(1);
    let event = sender.next_event(PATIENCE).unwrap();
    assert!(
        matches!(event, SenderEvent::TransportError { reason: Reason::SendBufferFull, fatal: false, .. }),
        "{event:?}"
    );
    let status = sender.status();
    assert_eq!((status.state, status.frames_sent, status.packets_sent), (SenderState::Starting, 0, 0));
    assert_eq!(status.startup.first_sent_ms, None);

    state.lock().unwrap().refuses = 0..0;
    let mut frames = 0;
    while !receiver.frame(PATIENCE).unwrap().has_sps {
        frames += 1;
        assert!(frames < 20, "no key frame follows what was refused");
        driver.picture(frames + 1);
    }
    let started = |event| matches!(event, SenderEvent::SenderStarted { .. });
    assert!(std::iter::from_fn(|| sender.next_event(PATIENCE)).any(started));
    assert_counted(sender, &state);
}

#[test]
fn of_a_turn_that_is_refused_in_part_each_packet_is_counted_as_what_became_of_it() {
    let (sender, driver, mut receiver, state) = start(3..8);
    let mut seed = 0;
    while state.lock().unwrap().refused < 100 {
        seed += 1;
        driver.picture(seed);
        while receiver.datagram(Duration::from_millis(20)).is_some() {}
    }
    assert!(sender.status().key_frames.lost > 0);
    assert_counted(sender, &state);
}
