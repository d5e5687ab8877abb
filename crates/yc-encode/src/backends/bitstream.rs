//! Memory for encoder output that costs no allocation once the stream runs.

use bytes::{Bytes, BytesMut};

/// Hands out access units as slices of a few large chunks and takes a chunk back once every slice of it is
/// gone.
///
/// RTP keeps slices for as long as a receiver may ask for them again, about a second, so one buffer could
/// never be reclaimed; the chunks go round instead. Their number settles at what that second of stream
/// needs and is bounded: chunks beyond [`BitstreamPool::MAX_CHUNKS`] are not kept, they live as long as
/// their slices.
#[derive(Debug)]
pub(crate) struct BitstreamPool {
    chunks: Vec<BytesMut>,
    current: usize,
}

impl BitstreamPool {
    /// Bytes in a chunk, unless one access unit needs more: half a second of a 4 Mbit/s stream.
    const CHUNK: usize = 256 * 1024;
    /// Chunks kept: 8 MiB, two seconds of a 32 Mbit/s stream.
    const MAX_CHUNKS: usize = 32;

    /// Two chunks: as long as one lasts longer than its slices are kept, they take turns for ever.
    pub(crate) fn new() -> Self {
        let chunks = [Self::CHUNK; 2].map(|bytes| {
            let mut chunk = BytesMut::with_capacity(bytes);
            // The first split makes a chunk shareable, which allocates: not with the first frame.
            drop(chunk.split());
            chunk
        });
        Self { chunks: chunks.into(), current: 0 }
    }

    /// The bytes of `parts` one after the other, `len` in all.
    pub(crate) fn gather<'a>(&mut self, len: usize, parts: impl Iterator<Item = &'a [u8]>) -> Bytes {
        let chunk = self.chunk_with(len);
        for part in parts {
            chunk.extend_from_slice(part);
        }
        chunk.split().freeze()
    }

    fn chunk_with(&mut self, len: usize) -> &mut BytesMut {
        let count = self.chunks.len();
        // From the current one on, so that the slices of one chunk are of one time and leave together.
        let found = (0..count).map(|step| (self.current + step) % count).find(|&at| {
            let chunk = &mut self.chunks[at];
            chunk.capacity() >= len || chunk.try_reclaim(len.max(Self::CHUNK)) || chunk.try_reclaim(len)
        });
        self.current = found.unwrap_or_else(|| {
            let chunk = BytesMut::with_capacity(len.max(Self::CHUNK));
            if count < Self::MAX_CHUNKS {
                self.chunks.push(chunk);
                count
            } else {
                self.chunks[self.current] = chunk;
                self.current
            }
        });
        &mut self.chunks[self.current]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn gather(pool: &mut BitstreamPool, parts: &[&[u8]]) -> Bytes {
        pool.gather(parts.iter().map(|part| part.len()).sum(), parts.iter().copied())
    }

    #[test]
    fn parts_lie_one_after_the_other_and_slices_stay_what_they_were() {
        let mut pool = BitstreamPool::new();
        let first = gather(&mut pool, &[b"ab", b"", b"cde"]);
        let second = gather(&mut pool, &[b"xyz"]);
        assert_eq!(&first[..], b"abcde");
        assert_eq!(&second[..], b"xyz");
        assert_eq!(pool.chunks.len(), 2);
    }

    #[test]
    fn chunks_come_back_when_their_slices_are_gone() {
        let mut pool = BitstreamPool::new();
        let unit = vec![7u8; 60_000];
        let mut held = VecDeque::new();
        let mut chunks = 0;
        for frame in 0..500 {
            held.push_back(gather(&mut pool, &[&unit]));
            if held.len() > 30 {
                held.pop_front();
            }
            if frame == 100 {
                chunks = pool.chunks.len();
            }
        }
        assert_eq!(pool.chunks.len(), chunks, "the pool still grew after it had seen its load");
        assert!(held.iter().all(|bytes| bytes[..] == unit[..]));
    }

    #[test]
    fn the_pool_is_bounded_when_nothing_comes_back() {
        let mut pool = BitstreamPool::new();
        let unit = vec![1u8; BitstreamPool::CHUNK];
        let held: Vec<_> = (0..2 * BitstreamPool::MAX_CHUNKS).map(|_| gather(&mut pool, &[&unit])).collect();
        assert_eq!(pool.chunks.len(), BitstreamPool::MAX_CHUNKS);
        assert!(held.iter().all(|bytes| bytes[..] == unit[..]));
    }

    #[test]
    fn an_access_unit_larger_than_a_chunk_gets_its_room() {
        let mut pool = BitstreamPool::new();
        let unit = vec![3u8; 3 * BitstreamPool::CHUNK];
        assert_eq!(gather(&mut pool, &[&unit]).len(), unit.len());
    }
}
