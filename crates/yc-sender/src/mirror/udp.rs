//! The mirror itself: a thread with a socket of its own, fed through a bounded pool of buffers.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::MirrorTally;
use crate::transport::{loopback_sender, refusal_of};
use crate::{PacketTransport, Refused, TransportError, TransportWaker};

/// Sends copies of datagrams from a thread of its own. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Mirror {
    free: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
    /// Closed to end the thread.
    filled: Option<Sender<Vec<u8>>>,
    tally: MirrorTally,
    thread: Option<JoinHandle<()>>,
    ended: Receiver<()>,
}

impl Mirror {
    /// A mirror to `target`, which must be a loopback address.
    pub(super) fn start(target: SocketAddr) -> io::Result<Self> {
        let socket = loopback_sender(target)?;
        Self::start_with(move |datagram| socket.send(datagram).map(drop))
    }

    /// A mirror that hands each copy to `send`, on its thread.
    fn start_with(send: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (give_back, free) = bounded(BUFFERS);
        for _ in 0..BUFFERS {
            give_back.try_send(Vec::with_capacity(BUFFER_LEN)).expect("it holds as many as are made");
        }
        let (filled_in, filled) = bounded(BUFFERS);
        let (end, ended) = bounded(1);
        let tally = MirrorTally::default();
        let (on_thread, from_thread) = (tally.clone(), give_back.clone());
        let thread = std::thread::Builder::new().name("yc-mirror".to_owned()).spawn(move || {
            run(&filled, &from_thread, &on_thread, send);
            drop(end);
        })?;
        Ok(Self { free, give_back, filled: Some(filled_in), tally, thread: Some(thread), ended })
    }

    /// A copy of `datagram`, if there is room for it.
    fn copy(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let copy = (datagram.len() <= BUFFER_LEN).then(|| self.free.try_recv().ok()).flatten();
        let Some(mut copy) = copy else {
            self.tally.0.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        copy.clear();
        copy.extend_from_slice(datagram);
        Some(copy)
    }

    /// Sends a copy. Never blocks.
    fn show(&self, copy: Vec<u8>) {
        // It holds as many as there are.
        if self.filled.as_ref().is_none_or(|filled| filled.try_send(copy).is_err()) {
            self.tally.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a copy back that is not to be sent.
    fn discard(&self, copy: Vec<u8>) {
        let _ = self.give_back.try_send(copy);
    }

    /// A handle to what it counts.
    pub(super) fn tally(&self) -> MirrorTally {
        self.tally.clone()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // The thread sends what still waits, and ends.
        self.filled = None;
        let _ = self.ended.recv_timeout(END_DEADLINE);
        let ended = matches!(self.ended.try_recv(), Err(TryRecvError::Disconnected));
        match self.thread.take() {
            Some(thread) if ended => {
                // It has nothing that panics, and if it did, a mirror's end would be no news.
                let _ = thread.join();
            }
            _ => {
                tracing::error!(deadline = ?END_DEADLINE, "the mirror's thread does not end and is abandoned")
            }
        }
    }
}

/// Sends through another transport, and mirrors what left.
#[derive(Debug)]
pub(super) struct MirroredTransport {
    inner: Box<dyn PacketTransport>,
    mirror: Mirror,
    /// Copies of what was taken since the last flush, made before the other transport encrypts it.
    held: Vec<Option<Vec<u8>>>,
}

impl MirroredTransport {
    pub(super) fn new(inner: Box<dyn PacketTransport>, mirror: Mirror) -> Self {
        Self { inner, mirror, held: Vec::with_capacity(BUFFERS) }
    }
}

impl PacketTransport for MirroredTransport {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        let copy = self.mirror.copy(datagram);
        match self.inner.send(datagram) {
            Ok(()) => {
                self.held.push(copy);
                Ok(())
            }
            Err(error) => {
                if let Some(copy) = copy {
                    self.mirror.discard(copy);
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        let before = refused.len();
        self.inner.flush(refused);
        for (number, copy) in self.held.drain(..).enumerate() {
            match copy {
                Some(copy) if refusal_of(&refused[before..], number).is_some() => self.mirror.discard(copy),
                Some(copy) => self.mirror.show(copy),
                None => {}
            }
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

fn run(
    filled: &Receiver<Vec<u8>>,
    give_back: &Sender<Vec<u8>>,
    tally: &MirrorTally,
    mut send: impl FnMut(&[u8]) -> io::Result<()>,
) {
    while let Ok(buffer) = filled.recv() {
        let counter = match send(&buffer) {
            Ok(()) => &tally.0.sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => &tally.0.dropped,
            Err(_) => &tally.0.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        // Only a mirror that is being dropped takes none back.
        let _ = give_back.try_send(buffer);
    }
}

/// Datagrams that may wait for the mirror's thread: more than the largest key frame in packets of 1,200 bytes,
/// in 750 kB.
const BUFFERS: usize = 512;

/// The longest datagram that is mirrored, in bytes: no packet of ours is longer.
const BUFFER_LEN: usize = 1_500;

/// How long dropping a mirror waits for its thread: a part of what stopping a sender may take.
const END_DEADLINE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use crossbeam_channel::RecvTimeoutError;

    use super::*;
    use crate::mirror::{MirrorCounters, mirrored};

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A transport that keeps what it is given, changes it, and refuses what is empty at once and what begins
    /// with "late" when it is flushed.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Vec<u8>>>>, Vec<Vec<u8>>);

    impl PacketTransport for Kept {
        fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
            if datagram.is_empty() {
                return Err(full());
            }
            self.1.push(datagram.clone());
            datagram.fill(0xee);
            datagram.push(0xee);
            Ok(())
        }

        fn flush(&mut self, refused: &mut Vec<Refused>) {
            for (number, datagram) in self.1.drain(..).enumerate() {
                if datagram.starts_with(b"late") {
                    refused.push(Refused::new(number..number + 1, full()));
                } else {
                    self.0.lock().unwrap().push(datagram);
                }
            }
        }

        fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
            buffer[0] = 7;
            Ok(Some(1))
        }

        fn wait(&mut self, _: Duration) -> Result<(), TransportError> {
            Ok(())
        }

        fn waker(&self) -> TransportWaker {
            TransportWaker::new(|| {})
        }
    }

    fn full() -> TransportError {
        TransportError::new("sending", io::ErrorKind::WouldBlock.into())
    }

    /// Sends `datagram` in a turn of its own.
    fn send(transport: &mut dyn PacketTransport, datagram: &[u8]) {
        transport.send(&mut datagram.to_vec()).unwrap();
        transport.flush(&mut Vec::new());
    }

    /// Mirrors `datagram` if there is room for it.
    fn offer(mirror: &Mirror, datagram: &[u8]) {
        if let Some(copy) = mirror.copy(datagram) {
            mirror.show(copy);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the target of the mirror under test")]
    fn watcher() -> (std::net::UdpSocket, SocketAddr) {
        let watcher = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        watcher.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = watcher.local_addr().unwrap();
        (watcher, address)
    }

    /// Drops `mirror` or what it is in, and answers with its counts once its thread ended.
    fn counters_at_the_end<T>(mirror: T, of: impl Fn(&T) -> &Mirror) -> MirrorCounters {
        let (tally, ended) = (of(&mirror).tally(), of(&mirror).ended.clone());
        drop(mirror);
        assert_eq!(ended.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        tally.counters()
    }

    fn mirrored_to(target: SocketAddr) -> (MirroredTransport, Kept) {
        let kept = Kept::default();
        let mirror = Mirror::start(target).unwrap();
        (MirroredTransport::new(Box::new(kept.clone()), mirror), kept)
    }

    #[test]
    fn the_mirror_shows_byte_for_byte_what_left() {
        let (watcher, address) = watcher();
        let (mut transport, kept) = mirrored_to(address);
        let mut seen = Vec::new();
        let mut buffer = [0; 2_000];
        for n in 0..100u8 {
            send(&mut transport, &vec![n; usize::from(n) * 12 + 1]);
            let len = watcher.recv(&mut buffer).unwrap();
            seen.push(buffer[..len].to_vec());
        }
        assert_eq!(seen, *kept.0.lock().unwrap());
        assert_eq!(transport.recv(&mut buffer).unwrap(), Some(1), "what arrives is the inner transport's");
        let counters = counters_at_the_end(transport, |transport| &transport.mirror);
        assert_eq!(counters, MirrorCounters { sent: 100, dropped: 0, failed: 0 });
    }

    #[test]
    fn what_did_not_leave_is_not_mirrored() {
        let (watcher, address) = watcher();
        let (mut transport, kept) = mirrored_to(address);
        let mut refused = Vec::new();
        // More often than there are buffers: what is not mirrored gives its own back.
        for _ in 0..BUFFERS {
            assert!(transport.send(&mut Vec::new()).is_err());
            for datagram in [&b"first"[..], b"late", b"second"] {
                transport.send(&mut datagram.to_vec()).unwrap();
            }
            refused.clear();
            transport.flush(&mut refused);
            assert_eq!(refused.len(), 1);
            assert_eq!(refused[0].datagrams, 1..2);
            for datagram in [&b"first"[..], b"second"] {
                let mut buffer = [0; 100];
                let len = watcher.recv(&mut buffer).unwrap();
                assert_eq!(&buffer[..len], datagram, "as it was before it was encrypted");
            }
        }
        assert_eq!(kept.0.lock().unwrap().len(), BUFFERS * 2);
        let counters = counters_at_the_end(transport, |transport| &transport.mirror);
        assert_eq!(counters, MirrorCounters { sent: BUFFERS as u64 * 2, dropped: 0, failed: 0 });
    }

    #[test]
    fn a_stalled_mirror_drops_and_the_real_path_goes_on() {
        let (resume, stalled) = bounded::<()>(0);
        let (entered_in, entered) = bounded(1);
        let mirror = Mirror::start_with(move |_| {
            let _ = entered_in.try_send(());
            let _ = stalled.recv();
            Ok(())
        });
        let mirror = mirror.unwrap();
        let tally = mirror.tally();
        let kept = Kept::default();
        let mut transport = MirroredTransport::new(Box::new(kept.clone()), mirror);
        send(&mut transport, b"first");
        entered.recv_timeout(PATIENCE).unwrap();
        for _ in 0..10_000 {
            send(&mut transport, b"further");
        }
        assert_eq!(kept.0.lock().unwrap().len(), 10_001);
        let dropped = 10_001 - BUFFERS as u64;
        assert_eq!(tally.counters(), MirrorCounters { sent: 0, dropped, failed: 0 });
        // Ends although the thread is stalled still: it is abandoned.
        drop(transport);
        drop(resume);
    }

    #[test]
    fn a_mirror_that_nobody_watches_fails_alone() {
        let (watcher, address) = watcher();
        drop(watcher);
        let (mut transport, kept) = mirrored_to(address);
        for _ in 0..200 {
            send(&mut transport, b"datagram");
        }
        assert_eq!(kept.0.lock().unwrap().len(), 200);
        let MirrorCounters { sent, dropped, failed } =
            counters_at_the_end(transport, |transport| &transport.mirror);
        assert_eq!(sent + dropped + failed, 200);
    }

    #[test]
    fn a_refused_copy_is_counted_as_failed_and_a_full_socket_as_dropped() {
        let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::WouldBlock];
        let mut kinds = kinds.into_iter().cycle();
        let mirror = Mirror::start_with(move |_| Err(kinds.next().expect("it cycles").into())).unwrap();
        for _ in 0..10 {
            offer(&mirror, b"datagram");
        }
        offer(&mirror, &[0; BUFFER_LEN + 1]);
        let counters = counters_at_the_end(mirror, |mirror| mirror);
        assert_eq!(counters, MirrorCounters { sent: 0, dropped: 6, failed: 5 });
    }

    #[test]
    fn dropping_it_ends_its_thread_after_what_waits_is_sent() {
        let mirror = Mirror::start_with(|_| Ok(())).unwrap();
        for _ in 0..300 {
            offer(&mirror, b"datagram");
        }
        assert_eq!(counters_at_the_end(mirror, |mirror| mirror).sent, 300);
    }

    #[test]
    fn a_target_elsewhere_gets_no_socket() {
        for elsewhere in ["192.0.2.1:5004", "[2001:db8::1]:5004", "0.0.0.0:5004"] {
            let error = Mirror::start(elsewhere.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains("loopback"), "{error}");
        }
    }

    #[test]
    fn a_target_wraps_the_transport() {
        let (watcher, address) = watcher();
        let (mut transport, tally) = mirrored(Box::new(Kept::default()), Some(address)).unwrap();
        send(&mut *transport, b"datagram");
        assert_eq!(watcher.recv(&mut [0; 100]).unwrap(), 8);
        assert!(tally.is_some());
    }
}
