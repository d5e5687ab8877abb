//! A transport that fails on a script.

use std::io;
use std::time::Duration;

use super::script::{Fault, FaultCall, FaultKind, FaultRule};
use super::site::{Site, cause};
use crate::transport::{PacketTransport, Refused, TransportError, TransportWaker, message_too_large};

/// Passes everything on, but for what the script says.
#[derive(Debug)]
pub(super) struct FaultyTransport {
    inner: Box<dyn PacketTransport>,
    site: Site,
    /// Datagrams taken since the last flush…
    taken: usize,
    /// …and the numbers of those that were passed on.
    passed: Vec<usize>,
}

impl FaultyTransport {
    pub(super) fn new(inner: Box<dyn PacketTransport>, site: Site) -> Self {
        Self { inner, site, taken: 0, passed: Vec::new() }
    }
}

impl PacketTransport for FaultyTransport {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        match self.site.meet(FaultCall::TransportSend) {
            None => {
                self.inner.send(datagram)?;
                self.passed.push(self.taken);
            }
            Some(rule) if rule.fault == Fault::Drop => {}
            Some(rule) => return Err(error(rule, "sending")),
        }
        self.taken += 1;
        Ok(())
    }

    fn flush(&mut self, refused: &mut Vec<Refused>) {
        let before = refused.len();
        self.inner.flush(refused);
        // What the script dropped amid a batch shares the batch's fate.
        for Refused { datagrams, .. } in &mut refused[before..] {
            if let Some([first, rest @ ..]) = self.passed.get(datagrams.clone()) {
                *datagrams = *first..rest.last().unwrap_or(first) + 1;
            }
        }
        self.passed.clear();
        self.taken = 0;
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        loop {
            match self.site.meet(FaultCall::TransportRecv) {
                None => return self.inner.recv(buffer),
                Some(rule) if rule.fault == Fault::Drop => {
                    // The socket tells of new datagrams once: what is left in it would not end a wait.
                    if self.inner.recv(buffer)?.is_none() {
                        return Ok(None);
                    }
                }
                Some(rule) => return Err(error(rule, "receiving")),
            }
        }
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), TransportError> {
        match self.site.meet(FaultCall::TransportWait) {
            None => self.inner.wait(timeout),
            Some(rule) => Err(error(rule, "waiting")),
        }
    }

    fn waker(&self) -> TransportWaker {
        self.inner.waker()
    }
}

fn error(rule: &FaultRule, doing: &'static str) -> TransportError {
    let source = match rule.fault {
        Fault::Fail(FaultKind::Full) => io::Error::new(io::ErrorKind::WouldBlock, cause(rule)),
        Fault::Fail(FaultKind::Unreachable) => io::Error::new(io::ErrorKind::ConnectionRefused, cause(rule)),
        // No kind of std says so: only the OS's own code does, which leaves no room for the cause.
        Fault::Fail(FaultKind::TooLarge) => io::Error::from_raw_os_error(message_too_large()),
        _ => io::Error::other(cause(rule)),
    };
    TransportError::new(doing, source)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::super::Faults;
    use super::*;
    use crate::UdpTransport;
    use crate::transport::TransportErrorKind;

    /// Longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// A transport that follows `script`, and its peer.
    #[expect(clippy::disallowed_methods, reason = "the peer of the transport under test")]
    fn pair(script: &str) -> (Faults, Box<dyn PacketTransport>, UdpSocket) {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let transport = UdpTransport::connect(peer.local_addr().unwrap()).unwrap();
        peer.connect(transport.local_addr().unwrap()).unwrap();
        let faults = Faults::new(script.parse().unwrap());
        let transport = faults.transport(Box::new(transport));
        (faults, transport, peer)
    }

    fn arrived(peer: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 64];
        let len = peer.recv(&mut buffer).unwrap();
        buffer[..len].to_vec()
    }

    /// Waits until something is there, and takes it.
    fn received(transport: &mut dyn PacketTransport) -> Vec<u8> {
        let mut buffer = [0; 64];
        loop {
            if let Some(len) = transport.recv(&mut buffer).unwrap() {
                return buffer[..len].to_vec();
            }
            transport.wait(PATIENCE).unwrap();
        }
    }

    #[test]
    fn without_a_rule_everything_passes() {
        let (faults, mut transport, peer) = pair("");
        transport.send(&mut b"there".to_vec()).unwrap();
        transport.flush(&mut Vec::new());
        assert_eq!(arrived(&peer), b"there");
        peer.send(b"back").unwrap();
        assert_eq!(received(&mut *transport), b"back");
        transport.waker().wake();
        transport.wait(PATIENCE).unwrap();
        assert_eq!(faults.injected(), 0);
    }

    #[test]
    fn every_kind_of_failure_is_classified_as_its_kind() {
        for (text, kind) in [
            ("full", TransportErrorKind::Full),
            ("unreachable", TransportErrorKind::Unreachable),
            ("too_large", TransportErrorKind::TooLarge),
            ("failed", TransportErrorKind::Failed),
        ] {
            let script =
                ["send", "recv", "wait"].map(|call| format!("transport.{call}=fail:{text}")).join(" ");
            let (faults, mut transport, _peer) = pair(&script);
            assert_eq!(transport.send(&mut b"x".to_vec()).unwrap_err().kind(), kind);
            assert_eq!(transport.recv(&mut [0; 64]).unwrap_err().kind(), kind);
            assert_eq!(transport.wait(Duration::ZERO).unwrap_err().kind(), kind);
            assert_eq!(faults.injected(), 3);
        }
    }

    #[test]
    fn a_dropped_datagram_seems_sent_and_does_not_arrive() {
        let (_faults, mut transport, peer) = pair("transport.send@/2=drop");
        for datagram in [b"1", b"2", b"3", b"4", b"5"] {
            transport.send(&mut datagram.to_vec()).unwrap();
        }
        let mut refused = Vec::new();
        transport.flush(&mut refused);
        assert!(refused.is_empty());
        let arrived: Vec<_> = (0..3).map(|_| arrived(&peer)).collect();
        assert_eq!(arrived, [b"1", b"3", b"5"]);
    }

    /// Refuses the second and third datagram of each turn.
    #[derive(Debug)]
    struct Refusing;

    impl PacketTransport for Refusing {
        fn send(&mut self, _: &mut Vec<u8>) -> Result<(), TransportError> {
            Ok(())
        }

        fn flush(&mut self, refused: &mut Vec<Refused>) {
            let full = TransportError::new("sending", io::ErrorKind::WouldBlock.into());
            refused.push(Refused::new(1..3, full));
        }

        fn recv(&mut self, _: &mut [u8]) -> Result<Option<usize>, TransportError> {
            Ok(None)
        }

        fn wait(&mut self, _: Duration) -> Result<(), TransportError> {
            Ok(())
        }

        fn waker(&self) -> TransportWaker {
            TransportWaker::new(|| {})
        }
    }

    #[test]
    fn what_is_refused_keeps_its_numbers_although_others_were_dropped() {
        let script = "transport.send@1..2=drop; transport.send@4=drop; transport.send@6=fail:full";
        let faults = Faults::new(script.parse().unwrap());
        let mut transport = faults.transport(Box::new(Refusing));
        let mut refused = Vec::new();
        let results = [(); 8].map(|()| transport.send(&mut vec![0]).is_ok());
        assert_eq!(results, [true, true, true, true, true, false, true, true]);
        transport.flush(&mut refused);
        // Of the seven taken, the numbers 2, 4, 5 and 6 were passed on.
        assert_eq!(refused[0].datagrams, 4..6);
        for _ in 0..3 {
            transport.send(&mut vec![0]).unwrap();
        }
        transport.flush(&mut refused);
        assert_eq!(refused[1].datagrams, 1..3, "each turn counts from 0");
    }

    #[test]
    fn dropped_answers_are_silence_and_the_wait_goes_on() {
        let (faults, mut transport, peer) = pair("transport.recv@2=drop");
        assert_eq!(transport.recv(&mut [0; 64]).unwrap(), None);
        peer.send(b"lost").unwrap();
        peer.send(b"kept").unwrap();
        assert_eq!(received(&mut *transport), b"kept");
        assert_eq!(faults.injected(), 1);
    }

    #[test]
    fn a_hanging_send_sends_once_it_is_released_and_a_waker_does_not_end_it() {
        let (faults, mut transport, peer) = pair("transport.send=hang");
        let waker = transport.waker();
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| transport.send(&mut b"late".to_vec()));
            let hung = faults.wait_hanging(1, PATIENCE);
            waker.wake();
            let still = faults.hanging();
            faults.release();
            sending.join().unwrap().unwrap();
            assert_eq!((hung, still), (true, 1));
        });
        transport.flush(&mut Vec::new());
        assert_eq!(arrived(&peer), b"late");
    }
}
