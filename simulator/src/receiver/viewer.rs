//! Frames out of packets, as a browser's decoder gets them: whole, in order, each after what it refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::encoder::FrameMark;

/// A frame that a viewer saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shown {
    /// When.
    pub at: Duration,
    /// Which frame of the encoder it is.
    pub number: u32,
}

/// Puts frames together.
#[derive(Debug, Default)]
pub(super) struct Viewer {
    /// Packets from `next` on, by sequence number.
    packets: BTreeMap<u64, Piece>,
    /// Those of them that a key frame begins with.
    starts: BTreeSet<u64>,
    /// The first packet of the next frame.
    next: Option<u64>,
    /// The last frame shown.
    decoded: Option<u32>,
}

/// What the viewer reads of one packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) content: Content,
}

/// What a payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Content {
    /// No payload: padding, or a probe.
    pub(super) empty: bool,
    /// A sequence parameter set: what mediasoup knows a key frame by.
    pub(super) sps: bool,
    /// The frame's own mark, where a slice begins in the packet.
    pub(super) mark: Option<FrameMark>,
}

/// What came of a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Frames of which all packets are there but not what they refer to.
    pub(super) undecodable: u64,
}

impl Viewer {
    /// Takes in a packet; what can be shown by it is appended to `shown`.
    pub(super) fn on_packet(
        &mut self,
        now: Duration,
        sequence: u64,
        piece: Piece,
        shown: &mut Vec<Shown>,
    ) -> Progress {
        let mut progress = Progress::default();
        if self.next.is_some_and(|next| sequence < next) {
            return progress;
        }
        // Nothing can be shown before the first key frame.
        if self.next.is_none() && piece.content.sps {
            self.next = Some(sequence);
        }
        self.packets.insert(sequence, piece);
        if piece.content.sps {
            self.starts.insert(sequence);
        }
        while self.packets.len() > MAX_PACKETS {
            if let Some((oldest, _)) = self.packets.pop_first() {
                self.starts.remove(&oldest);
            }
        }
        while let Some(next) = self.next {
            if self.packets.get(&next).is_some_and(|piece| piece.content.empty && !piece.marker) {
                self.advance(next + 1);
                continue;
            }
            let frame = self.frame_at(next).or_else(|| self.next_keyframe(next));
            let Some((mark, end)) = frame else { break };
            self.advance(end);
            // A key frame refers to itself.
            if mark.reference == mark.number || Some(mark.reference) == self.decoded {
                self.decoded = Some(mark.number);
                shown.push(Shown { at: now, number: mark.number });
            } else {
                progress.undecodable += 1;
            }
        }
        progress
    }

    /// Whether the packet is one that something waits for.
    pub(super) fn waits_for(&self, sequence: u64) -> bool {
        self.next.is_none_or(|next| sequence >= next)
    }

    fn advance(&mut self, next: u64) {
        self.next = Some(next);
        self.packets = self.packets.split_off(&next);
        self.starts = self.starts.split_off(&next);
    }

    /// The frame whose first packet is `first`, and where the one after it begins; none while it is not whole.
    fn frame_at(&self, first: u64) -> Option<(FrameMark, u64)> {
        let (mut at, mut mark, mut timestamp) = (first, None, None);
        loop {
            let piece = self.packets.get(&at)?;
            at += 1;
            if piece.content.empty {
                continue;
            }
            if *timestamp.get_or_insert(piece.timestamp) != piece.timestamp {
                return None;
            }
            mark = mark.or(piece.content.mark);
            if piece.marker {
                return mark.map(|mark| (mark, at));
            }
        }
    }

    /// The next key frame that is whole: it is shown though others before it are not.
    fn next_keyframe(&self, after: u64) -> Option<(FrameMark, u64)> {
        self.starts.range(after..).find_map(|&first| self.frame_at(first))
    }
}

/// The most packets that wait for others.
const MAX_PACKETS: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    /// `number` refers to `reference`; each frame has two packets, from 2 × number on.
    fn piece(sequence: u64, reference: u32) -> Piece {
        let number = (sequence / 2) as u32;
        let first = sequence.is_multiple_of(2);
        let mark = first.then_some(FrameMark { number, reference });
        let content = Content { empty: false, sps: first && number == reference, mark };
        Piece { timestamp: number, marker: !first, content }
    }

    /// Feeds packets and what their frames refer to; answers with the frames shown.
    fn feed(viewer: &mut Viewer, packets: &[(u64, u32)]) -> Vec<u32> {
        let mut shown = Vec::new();
        for &(sequence, reference) in packets {
            viewer.on_packet(Duration::ZERO, sequence, piece(sequence, reference), &mut shown);
        }
        shown.into_iter().map(|shown| shown.number).collect()
    }

    #[test]
    fn frames_are_shown_whole_and_in_order() {
        let mut viewer = Viewer::default();
        assert_eq!(feed(&mut viewer, &[(0, 0), (1, 0), (2, 0), (4, 1), (5, 1)]), [0]);
        assert_eq!(feed(&mut viewer, &[(3, 0)]), [1, 2], "the late packet lets both be shown");
    }

    #[test]
    fn nothing_is_shown_before_a_key_frame() {
        assert_eq!(feed(&mut Viewer::default(), &[(2, 0), (3, 0), (4, 2), (5, 2)]), [2]);
    }

    #[test]
    fn a_whole_key_frame_passes_over_what_is_missing() {
        let mut viewer = Viewer::default();
        assert_eq!(feed(&mut viewer, &[(0, 0), (1, 0), (3, 0), (4, 1), (5, 1)]), [0]);
        assert_eq!(feed(&mut viewer, &[(6, 3), (7, 3), (8, 3), (9, 3)]), [3, 4]);
    }

    #[test]
    fn a_frame_whose_reference_was_never_sent_is_not_shown() {
        let mut viewer = Viewer::default();
        assert_eq!(feed(&mut viewer, &[(0, 0), (1, 0)]), [0]);
        let mut shown = Vec::new();
        viewer.on_packet(Duration::ZERO, 2, piece(2, 7), &mut shown);
        let progress = viewer.on_packet(Duration::ZERO, 3, piece(3, 7), &mut shown);
        assert_eq!((progress, shown.len()), (Progress { undecodable: 1 }, 0));
        assert_eq!(feed(&mut viewer, &[(4, 2), (5, 2)]), [2]);
    }
}
