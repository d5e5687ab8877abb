//! Memory for converted pictures that costs no allocation once the size stands.

use std::sync::Arc;

/// One picture's memory and which picture is in it.
#[derive(Debug)]
pub(crate) struct Slot {
    memory: Arc<Vec<u8>>,
    /// Number of the picture it holds, or 0 for none that counts.
    pub(crate) picture: u64,
}

impl Slot {
    /// The memory, to hand out.
    pub(crate) fn memory(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.memory)
    }
}

/// A few pictures' memory, each free again once nobody holds it.
#[derive(Debug, Default)]
pub(crate) struct PicturePool {
    slots: Vec<Slot>,
    bytes: usize,
}

impl PicturePool {
    /// Pictures kept: one being written, one being encoded, one repeated on a still screen, one spare.
    /// What a caller holds beyond these is the caller's memory.
    const KEPT: usize = 4;

    /// Turns to pictures of `bytes` bytes. What there was is given back unless it is the same size;
    /// no slot's picture counts any longer.
    pub(crate) fn reset(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.slots.clear();
            self.bytes = bytes;
        }
        for slot in &mut self.slots {
            slot.picture = 0;
        }
    }

    /// The slot that holds picture number `picture`, free or not.
    pub(crate) fn holding(&mut self, picture: u64) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.picture == picture)
    }

    /// Memory that nobody else holds: of the free slots the one with the newest picture, else a new one.
    /// `write` gets it with the number of the picture in it, 0 for none; the slot counts as `picture` after.
    pub(crate) fn write(&mut self, picture: u64, write: impl FnOnce(&mut [u8], u64)) -> Arc<Vec<u8>> {
        let free = (0..self.slots.len()).filter(|&at| Arc::strong_count(&self.slots[at].memory) == 1);
        let at = free.max_by_key(|&at| self.slots[at].picture).unwrap_or_else(|| {
            let slot = Slot { memory: Arc::new(vec![0; self.bytes]), picture: 0 };
            if self.slots.len() == Self::KEPT {
                // All are held: forget the oldest, whose holder keeps it alive.
                let oldest = (0..Self::KEPT).min_by_key(|&at| self.slots[at].picture).unwrap_or(0);
                self.slots[oldest] = slot;
                oldest
            } else {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        });
        let slot = &mut self.slots[at];
        let memory = Arc::get_mut(&mut slot.memory).expect("only this pool holds it, and it lends no Weak");
        write(memory, slot.picture);
        slot.picture = picture;
        slot.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_written_again_and_held_memory_is_not() {
        let mut pool = PicturePool::default();
        pool.reset(4);
        let first = pool.write(1, |bytes, _| bytes.fill(1));
        let second = pool.write(2, |bytes, _| bytes.fill(2));
        assert_eq!((first[0], second[0]), (1, 2));
        let was = Arc::as_ptr(&first);
        drop(first);
        let third = pool.write(3, |bytes, held| {
            assert_eq!(held, 1);
            bytes.fill(3);
        });
        assert_eq!(Arc::as_ptr(&third), was);
        assert_eq!(second[0], 2);
    }

    #[test]
    fn the_newest_free_picture_is_the_one_written_over() {
        let mut pool = PicturePool::default();
        pool.reset(1);
        let held: Vec<_> = (1..=3).map(|picture| pool.write(picture, |_, _| {})).collect();
        drop(held);
        pool.write(4, |_, picture| assert_eq!(picture, 3));
        pool.reset(1);
        pool.write(5, |_, picture| assert_eq!(picture, 0, "a reset forgets the pictures"));
    }

    #[test]
    fn a_caller_who_holds_everything_does_not_grow_the_pool() {
        let mut pool = PicturePool::default();
        pool.reset(1);
        let held: Vec<_> = (1..=20u8).map(|n| pool.write(n.into(), |bytes, _| bytes[0] = n)).collect();
        assert_eq!(pool.slots.len(), PicturePool::KEPT);
        assert!(held.iter().zip(1..).all(|(memory, n)| memory[0] == n));
    }
}
