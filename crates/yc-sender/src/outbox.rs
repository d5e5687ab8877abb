//! What waits to leave: access units in packets, in the order in which they were encoded.

use std::collections::VecDeque;

use yc_media::CaptureTime;
use yc_rtp::RtpPacket;

/// Packets that wait, and the frames they make up. It keeps the order and counts; when a packet may leave is
/// the pacer's to say.
#[derive(Debug)]
pub(crate) struct Outbox {
    packets: VecDeque<RtpPacket>,
    /// Frames whose packets wait; of the first, some may have left.
    frames: VecDeque<Waiting>,
}

/// A frame whose packets wait.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    times: FrameTimes,
    packets_left: usize,
    is_key: bool,
    begun: bool,
}

/// Where the time of one frame went, so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameTimes {
    pub(crate) captured_at: CaptureTime,
    pub(crate) encoded_at: CaptureTime,
    pub(crate) queued_at: CaptureTime,
}

/// What was thrown away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) frames: u64,
    pub(crate) bytes: usize,
    /// The sequence number of the first packet that will not leave.
    pub(crate) first_sequence: Option<u16>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { packets: VecDeque::with_capacity(1_024), frames: VecDeque::with_capacity(64) }
    }

    /// Queues the packets that `packetize` appends, as one frame; answers with their bytes. On an error
    /// nothing is queued.
    pub(crate) fn queue<E>(
        &mut self,
        times: FrameTimes,
        is_key: bool,
        packetize: impl FnOnce(&mut VecDeque<RtpPacket>) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let waiting = self.packets.len();
        let packets_left = packetize(&mut self.packets)?;
        let bytes = self.packets.range(waiting..).map(RtpPacket::wire_len).sum();
        self.frames.push_back(Waiting { times, packets_left, is_key, begun: false });
        Ok(bytes)
    }

    /// Takes the next packet; with the last one of a frame, its times.
    pub(crate) fn next(&mut self) -> Option<(RtpPacket, Option<FrameTimes>)> {
        let packet = self.packets.pop_front()?;
        let Some(frame) = self.frames.front_mut() else { return Some((packet, None)) };
        frame.begun = true;
        frame.packets_left -= 1;
        let ended = self.frames.pop_front_if(|frame| frame.packets_left == 0);
        Some((packet, ended.map(|frame| frame.times)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Throws away every frame of which nothing has left: a key frame comes that stands for itself. The frame
    /// that is leaving goes on, for a part of a frame is of no use to anybody.
    pub(crate) fn drop_superseded(&mut self) -> Dropped {
        let kept = self.frames.iter().take_while(|frame| frame.begun).count();
        self.keep(kept)
    }

    /// As [`drop_superseded`](Self::drop_superseded), because it is too late; but a key frame stays, and what it
    /// waits for: another would take as long.
    pub(crate) fn drop_late(&mut self) -> Dropped {
        let key = self.frames.iter().rposition(|frame| frame.is_key || frame.begun);
        self.keep(key.map_or(0, |at| at + 1))
    }

    fn keep(&mut self, frames: usize) -> Dropped {
        let packets = self.frames.iter().take(frames).map(|frame| frame.packets_left).sum();
        let dropped = Dropped {
            frames: (self.frames.len() - frames) as u64,
            bytes: self.packets.range(packets..).map(RtpPacket::wire_len).sum(),
            first_sequence: self.packets.get(packets).map(|packet| packet.header.sequence),
        };
        self.packets.truncate(packets);
        self.frames.truncate(frames);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use bytes::Bytes;
    use yc_rtp::{RtpHeader, RtpPayload};

    use super::*;

    fn at(millis: u64) -> CaptureTime {
        CaptureTime::from_epoch(Duration::from_millis(millis))
    }

    /// Queues a frame of `packets` packets of 100 bytes, numbered from `first` on.
    fn queue(outbox: &mut Outbox, millis: u64, first: u16, packets: u16) -> usize {
        queue_kind(outbox, false, millis, first, packets)
    }

    fn queue_kind(outbox: &mut Outbox, is_key: bool, millis: u64, first: u16, packets: u16) -> usize {
        let times = FrameTimes { captured_at: at(millis), encoded_at: at(millis), queued_at: at(millis) };
        let queued = outbox.queue(times, is_key, |out| {
            out.extend((0..packets).map(|n| RtpPacket {
                header: RtpHeader::new(101, first.wrapping_add(n), 0, 7),
                payload: RtpPayload::single(&[], Bytes::from_static(&[0; 88])),
            }));
            Ok::<_, Infallible>(usize::from(packets))
        });
        queued.unwrap()
    }

    #[test]
    fn packets_leave_in_order_and_the_last_of_a_frame_brings_its_times() {
        let mut outbox = Outbox::new();
        assert_eq!(queue(&mut outbox, 10, 65_535, 2), 200);
        assert_eq!(queue(&mut outbox, 20, 1, 1), 100);
        let mut left = Vec::new();
        while let Some((packet, times)) = outbox.next() {
            left.push((packet.header.sequence, times.map(|times| times.captured_at)));
        }
        assert_eq!(left, [(65_535, None), (0, Some(at(10))), (1, Some(at(20)))]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_waits_is_dropped_and_the_frame_that_is_leaving_is_not() {
        let mut outbox = Outbox::new();
        queue(&mut outbox, 0, 5, 3);
        queue(&mut outbox, 1, 8, 2);
        queue(&mut outbox, 2, 10, 1);
        outbox.next();
        let expected = Dropped { frames: 2, bytes: 300, first_sequence: Some(8) };
        assert_eq!(outbox.drop_superseded(), expected);
        assert_eq!(outbox.drop_late(), Dropped::default(), "nothing is left to drop");
        assert_eq!(outbox.next().unwrap().0.header.sequence, 6);
        assert!(outbox.next().unwrap().1.is_some());
        assert!(outbox.next().is_none());

        queue(&mut outbox, 3, 8, 2);
        assert_eq!(outbox.drop_late().first_sequence, Some(8), "none of it has left");
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_key_frame_that_is_late_stays_and_one_that_is_superseded_does_not() {
        let mut outbox = Outbox::new();
        queue(&mut outbox, 0, 5, 1);
        queue_kind(&mut outbox, true, 1, 6, 2);
        queue(&mut outbox, 2, 8, 1);
        assert_eq!(outbox.drop_late(), Dropped { frames: 1, bytes: 100, first_sequence: Some(8) });
        assert_eq!(outbox.drop_superseded(), Dropped { frames: 2, bytes: 300, first_sequence: Some(5) });
    }

    #[test]
    fn a_frame_that_cannot_be_packetized_is_not_queued() {
        let mut outbox = Outbox::new();
        let times = FrameTimes { captured_at: at(0), encoded_at: at(0), queued_at: at(0) };
        assert_eq!(outbox.queue(times, false, |_| Err("no")), Err("no"));
        assert!(outbox.is_empty() && outbox.next().is_none());
    }
}
