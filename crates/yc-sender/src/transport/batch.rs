//! Datagrams that leave in one call.

use std::slice::Chunks;

/// Datagrams one behind the other, as segmentation offload takes them: all of one size, but for the last, which
/// may be shorter. (Linux: `UDP_SEGMENT` in udp(7); Windows: `UDP_SEND_MSG_SIZE`.)
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// The size of all datagrams but the last, in bytes.
    segment: usize,
    len: usize,
    max_len: usize,
}

impl Batch {
    /// An empty batch of at most `max_len` datagrams. One that takes fewer than two takes none: sending one by
    /// one needs no batch.
    pub(super) fn new(max_len: usize) -> Self {
        let bytes = Vec::with_capacity(if max_len > 1 { MAX_BYTES } else { 0 });
        Self { bytes, segment: 0, len: 0, max_len }
    }

    /// Adds `datagram`, and answers whether it may leave with those that are there. An empty one never may, nor
    /// one that is longer than a whole batch.
    pub(super) fn push(&mut self, datagram: &[u8]) -> bool {
        let closed = self.bytes.len() != self.segment * self.len;
        let goes_with = self.len == 0 || (datagram.len() <= self.segment && !closed);
        let fits = self.len < self.max_len && self.bytes.len() + datagram.len() <= MAX_BYTES;
        if self.max_len < 2 || datagram.is_empty() || !goes_with || !fits {
            return false;
        }
        if self.len == 0 {
            self.segment = datagram.len();
        }
        self.bytes.extend_from_slice(datagram);
        self.len += 1;
        true
    }

    /// How many datagrams there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The most there may be.
    pub(super) fn max_len(&self) -> usize {
        self.max_len
    }

    /// All datagrams, without anything between them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes each datagram has, but for the last.
    pub(super) fn segment(&self) -> usize {
        self.segment
    }

    /// The datagrams, in their order.
    pub(super) fn datagrams(&self) -> Chunks<'_, u8> {
        self.bytes.chunks(self.segment.max(1))
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }
}

/// What a batch has at most, in bytes. The OS takes a batch as if it were one datagram: a little less than
/// 65,535 bytes with its headers.
pub(super) const MAX_BYTES: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `sizes` go into one batch of at most `max_len`.
    fn taken(max_len: usize, sizes: &[usize]) -> usize {
        let mut batch = Batch::new(max_len);
        let taken = sizes.iter().take_while(|size| batch.push(&vec![7; **size])).count();
        assert_eq!(batch.len(), taken);
        let sizes_in_it: Vec<_> = batch.datagrams().map(<[u8]>::len).collect();
        assert_eq!(sizes_in_it, sizes[..taken]);
        assert_eq!(batch.bytes().len(), sizes[..taken].iter().sum::<usize>());
        taken
    }

    #[test]
    fn datagrams_of_one_size_go_together_and_a_shorter_one_ends_the_batch() {
        assert_eq!(taken(64, &[1_200, 1_200, 1_200]), 3);
        assert_eq!(taken(64, &[1_200, 1_200, 900, 900]), 3);
        assert_eq!(taken(64, &[900, 1_200]), 1, "a longer one is no segment");
        assert_eq!(taken(64, &[1_200, 900, 1_200]), 2);
    }

    #[test]
    fn a_batch_is_bounded_in_datagrams_and_bytes() {
        assert_eq!(taken(64, &[100; 70]), 64);
        assert_eq!(taken(1_000, &[1_200; 60]), MAX_BYTES / 1_200);
        assert_eq!(taken(64, &[MAX_BYTES, 1]), 1);
    }

    #[test]
    fn what_is_empty_or_longer_than_a_batch_is_never_taken() {
        assert_eq!(taken(64, &[0]), 0);
        assert_eq!(taken(64, &[1_200, 0]), 1);
        assert_eq!(taken(64, &[MAX_BYTES + 1]), 0);
    }

    #[test]
    fn where_one_leaves_at_a_time_nothing_is_taken() {
        assert_eq!(taken(1, &[1_200]), 0);
        assert_eq!(taken(0, &[1_200]), 0);
    }

    #[test]
    fn a_cleared_batch_takes_another_size() {
        let mut batch = Batch::new(64);
        assert!(batch.push(&[1; 10]) && batch.push(&[2; 5]) && !batch.push(&[3; 5]));
        batch.clear();
        assert!(batch.push(&[4; 20]) && batch.push(&[5; 20]));
        assert_eq!((batch.len(), batch.segment(), batch.bytes().len()), (2, 20, 40));
    }
}
