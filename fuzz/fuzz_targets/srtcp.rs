//! Datagrams from the network to [`SrtpTransport`]: of strangers, and of the receiver, changed on their way.
#![no_main]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use yc_sender::{
    PacketTransport, Refused, SrtpKeys, SrtpMasterKey, SrtpSuite, SrtpTransport, TransportError,
    TransportWaker,
};

/// A wire in memory.
#[derive(Debug, Clone, Default)]
struct Wire(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Wire {
    fn put(&self, datagram: Vec<u8>) {
        self.0.lock().expect("one thread").push_back(datagram);
    }

    fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().expect("one thread").pop_front()
    }
}

impl PacketTransport for Wire {
    fn send(&mut self, datagram: &mut Vec<u8>) -> Result<(), TransportError> {
        self.put(datagram.clone());
        Ok(())
    }

    fn flush(&mut self, _refused: &mut Vec<Refused>) {}

    fn recv(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, TransportError> {
        Ok(self.take().map(|datagram| {
            let len = datagram.len().min(buffer.len());
            buffer[..len].copy_from_slice(&datagram[..len]);
            len
        }))
    }

    fn wait(&mut self, _timeout: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn waker(&self) -> TransportWaker {
        TransportWaker::new(|| {})
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((suite, mut rest)) = input.split_first() else { return };
    let suite = SrtpSuite::ALL[usize::from(*suite) % SrtpSuite::ALL.len()];
    let key = |byte| SrtpMasterKey::new(suite, &vec![byte; suite.key_len()]).expect("it has its length");
    let (ours, theirs) = (Wire::default(), Wire::default());
    let keys = |ours, theirs| SrtpKeys::new(key(ours), key(theirs)).expect("one suite");
    let mut sender = SrtpTransport::new(Box::new(ours.clone()), keys(1, 2));
    let mut receiver = SrtpTransport::new(Box::new(theirs.clone()), keys(2, 1));
    let mut buffer = [0; 2_048];
    let (mut rejected, mut answers) = (0_u64, 0_u8);
    while let Some(([len, place, change], more)) = rest.split_first_chunk::<3>() {
        let (body, after) = more.split_at(usize::from(*len).min(more.len()));
        rest = after;
        if *change == 0 {
            // Of a stranger.
            ours.put(body.to_vec());
            assert_eq!(sender.recv(&mut buffer).expect("a wire does not fail"), None);
            rejected += 1;
            continue;
        }
        // Of the receiver: once as it is, once more, and with one byte changed.
        answers = answers.wrapping_add(1);
        let report = [&[0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 204, 0, 0, answers], body].concat();
        receiver.send(&mut report.clone()).expect("a report is RTCP");
        let good = theirs.take().expect("it was sent");
        let mut tampered = good.clone();
        let place = usize::from(*place) % tampered.len();
        tampered[place] ^= change;
        for datagram in [tampered, good.clone(), good] {
            ours.put(datagram);
        }
        // Whichever is rejected is passed over.
        let len = sender.recv(&mut buffer).expect("a wire does not fail").expect("the good one gets through");
        assert_eq!(buffer[..len], report);
        assert_eq!(sender.recv(&mut buffer).expect("a wire does not fail"), None);
        rejected += 2;
    }
    let counts = sender.status().rtcp_rejected;
    let counted = counts.authentication + counts.replayed + counts.malformed + counts.exhausted;
    assert_eq!(counted, rejected);
});
