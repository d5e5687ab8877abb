//! A relay that does to datagrams what a network does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use yc_simulator::Profile;

use super::Direction;
use super::lane::{Course, Lane};
use super::signalling::{Gate, Signalling, Stop};
use crate::process::unix_us;

/// A running network between one share and its server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Network {
    signalling: Signalling,
    journey: Arc<Mutex<Option<Journey>>>,
}

/// What a network did.
#[derive(Debug, Clone)]
pub(crate) struct Journey {
    /// When the first datagram set out, which is when the network's time begins: microseconds since 1970.
    pub(crate) began_unix_us: u64,
    pub(crate) to_server: Course,
    pub(crate) to_sender: Course,
}

impl Network {
    /// The network of `profile` to the server at `ws` (`ws://host:port/path`), for one share.
    pub(crate) fn start(ws: &str, profile: &Profile, seed: u64) -> Result<Self> {
        let mut lanes =
            Some([Lane::new(profile.forward.clone(), seed)?, Lane::new(profile.backward.clone(), !seed)?]);
        let journey = Arc::new(Mutex::new(None));
        let result = Arc::clone(&journey);
        let signalling = Signalling::start(
            ws,
            |message| message,
            move |_: &Value, _: SocketAddr, gate: Gate| {
                let lanes = lanes.take().context("a share makes one session")?;
                carry(lanes, &gate, &result)
            },
        )?;
        Ok(Self { signalling, journey })
    }

    /// Where a share connects.
    pub(crate) fn address(&self) -> &str {
        self.signalling.address()
    }

    /// Ends it and returns what it did.
    pub(crate) fn finish(mut self) -> Result<Journey> {
        self.signalling.end()?;
        let journey = self.journey.lock().expect("no one panics while holding it").take();
        journey.context("no datagram came to the relay")
    }
}

/// Two threads that receive, and one that delivers when it is time.
fn carry(lanes: [Lane; 2], gate: &Gate, result: &Arc<Mutex<Option<Journey>>>) -> Result<Vec<JoinHandle<()>>> {
    let (sender, inbox) = sync_channel(INBOX);
    let receivers = [(Direction::ToServer, &gate.near), (Direction::ToSender, &gate.far)];
    let mut threads = Vec::new();
    for (direction, socket) in receivers {
        let (socket, sender, stop) = (Arc::clone(socket), sender.clone(), gate.stop.clone());
        threads.push(start(move || receive(direction, &socket, &sender, &stop))?);
    }
    let (gate, result) = (gate.clone(), Arc::clone(result));
    threads.push(start(move || {
        let journey = Carrier::first(lanes, &gate, &inbox).map(|carrier| carrier.run(&inbox));
        *result.lock().expect("no one panics while holding it") = journey;
    })?);
    Ok(threads)
}

fn start(run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name("relay network".to_owned()).spawn(run).context("starting a thread")
}

/// One datagram, with when it came.
#[derive(Debug)]
struct Received {
    at: Instant,
    direction: Direction,
    from: SocketAddr,
    bytes: Vec<u8>,
}

fn receive(direction: Direction, socket: &UdpSocket, inbox: &SyncSender<Received>, stop: &Stop) {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    while !stop.is_set() {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let received = Received { at: Instant::now(), direction, from, bytes: buffer[..length].to_vec() };
        if inbox.send(received).is_err() {
            return;
        }
    }
}

/// Both directions at work.
#[derive(Debug)]
struct Carrier<'a> {
    gate: &'a Gate,
    sender: SocketAddr,
    began: Instant,
    began_unix_us: u64,
    to_server: Lane,
    to_sender: Lane,
}

impl<'a> Carrier<'a> {
    /// Waits for the sender's first datagram, with which time begins. None if the relay ends before.
    fn first(lanes: [Lane; 2], gate: &'a Gate, inbox: &Receiver<Received>) -> Option<Self> {
        let first = loop {
            let received = inbox.recv().ok()?;
            if received.direction == Direction::ToServer {
                break received;
            }
        };
        let began_unix_us = unix_us().saturating_sub(first.at.elapsed().as_micros() as u64);
        let [to_server, to_sender] = lanes;
        let mut carrier =
            Self { gate, sender: first.from, began: first.at, began_unix_us, to_server, to_sender };
        carrier.take(first);
        Some(carrier)
    }

    /// Carries until nobody receives any more.
    fn run(mut self, inbox: &Receiver<Received>) -> Journey {
        loop {
            self.deliver();
            let due = self.to_server.next_due().into_iter().chain(self.to_sender.next_due()).min();
            let received = match due {
                Some(due) => inbox.recv_timeout(due.saturating_sub(self.now())),
                None => inbox.recv().map_err(|RecvError| RecvTimeoutError::Disconnected),
            };
            match received {
                Ok(received) => self.take(received),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let now = self.now();
        Journey {
            began_unix_us: self.began_unix_us,
            to_server: self.to_server.finish(now),
            to_sender: self.to_sender.finish(now),
        }
    }

    fn take(&mut self, received: Received) {
        let at = received.at.saturating_duration_since(self.began);
        match received.direction {
            Direction::ToServer => {
                self.sender = received.from;
                self.to_server.push(at, received.bytes);
            }
            Direction::ToSender => self.to_sender.push(at, received.bytes),
        }
    }

    /// Sends on what has arrived. What the system refuses is lost, as on any network.
    fn deliver(&mut self) {
        while let Some(datagram) = self.to_server.pop(self.began.elapsed()) {
            let _ = self.gate.far.send(&datagram);
        }
        while let Some(datagram) = self.to_sender.pop(self.began.elapsed()) {
            let _ = self.gate.near.send_to(&datagram, self.sender);
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

const LARGEST_DATAGRAM: usize = 65_536;
/// Datagrams that wait to be taken by the thread that delivers. It has them in microseconds; more than this, and the
/// system's buffers hold them.
const INBOX: usize = 4_096;
