//! Picture memory that is used again once nobody looks at it any more.

use std::sync::Arc;

/// A bounded set of picture memories. Each goes out inside frames as a shared owner and is free again when
/// the last frame that holds it is dropped; nothing is allocated once as many exist as are in flight.
#[derive(Debug)]
pub(crate) struct Pool<M, S> {
    slots: Vec<Slot<M, S>>,
    filled: u64,
}

/// One memory and what the backend knows of its content.
#[derive(Debug)]
pub(crate) struct Slot<M, S> {
    memory: Arc<M>,
    /// What the backend knows of the content.
    pub(crate) state: S,
    /// Counts up with every use: the highest holds the newest picture.
    filled: u64,
}

impl<M, S> Pool<M, S> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), filled: 0 }
    }

    /// The free slot with the newest picture in it, which needs the least to be brought up to date; a new
    /// one from `make` if none is free. `None` if none is and there are [`LIMIT`] already.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(crate) fn take<E>(
        &mut self,
        make: impl FnOnce() -> Result<(M, S), E>,
    ) -> Result<Option<&mut Slot<M, S>>, E> {
        let free = self
            .slots
            .iter_mut()
            .enumerate()
            .filter_map(|(at, slot)| Arc::get_mut(&mut slot.memory).map(|_| (slot.filled, at)))
            .max();
        let at = match free {
            Some((_, at)) => at,
            None if self.slots.len() >= LIMIT => return Ok(None),
            None => {
                let (memory, state) = make()?;
                self.slots.push(Slot { memory: Arc::new(memory), state, filled: 0 });
                self.slots.len() - 1
            }
        };
        self.filled += 1;
        self.slots[at].filled = self.filled;
        Ok(Some(&mut self.slots[at]))
    }

    /// All slots, those in flight too.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for backends whose memory the OS fills"))]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<M, S>> {
        self.slots.iter_mut()
    }

    /// Gives up all slots. Those in flight live as long as their frames.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for backends whose memory the OS fills"))]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Slot<M, S>> {
        self.slots.drain(..)
    }
}

impl<M, S> Slot<M, S> {
    /// The memory and the state, to write to. Only between [`Pool::take`] and [`Slot::share`].
    ///
    /// # Panics
    ///
    /// If the memory is shared already.
    pub(crate) fn parts(&mut self) -> (&mut M, &mut S) {
        (Arc::get_mut(&mut self.memory).expect("taken from the pool and not yet shared"), &mut self.state)
    }

    /// Another owner of the memory, for a frame.
    pub(crate) fn share(&self) -> Arc<M> {
        Arc::clone(&self.memory)
    }

    /// The memory, to look at.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "for backends whose memory the OS fills"))]
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }
}

/// The most memories in one pool: more than a full queue (6 by default), an encoder and a packetizer hold.
pub(crate) const LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pool: &mut Pool<u32, u32>) -> Option<Arc<u32>> {
        let slot = pool.take(|| Ok::<_, ()>((0, 0))).unwrap()?;
        *slot.parts().0 += 1;
        Some(slot.share())
    }

    #[test]
    fn memory_comes_back_when_its_last_owner_goes_newest_first() {
        let mut pool = Pool::new();
        let (first, second) = (take(&mut pool).unwrap(), take(&mut pool).unwrap());
        assert_eq!((*first, *second), (1, 1));
        drop(first);
        drop(second);
        // The second was filled last.
        assert_eq!(*take(&mut pool).unwrap(), 2);
        assert_eq!(*take(&mut pool).unwrap(), 3);
        assert_eq!(pool.iter_mut().count(), 2);
    }

    #[test]
    fn the_pool_does_not_grow_past_its_limit() {
        let mut pool = Pool::new();
        let held: Vec<_> = std::iter::from_fn(|| take(&mut pool)).collect();
        assert_eq!(held.len(), LIMIT);
        drop(held);
        assert!(take(&mut pool).is_some());
        assert_eq!(pool.drain().count(), LIMIT);
    }

    #[test]
    fn a_memory_that_cannot_be_made_leaves_the_pool_as_it_was() {
        let mut pool = Pool::<u32, ()>::new();
        assert_eq!(pool.take(|| Err("no memory")).err(), Some("no memory"));
        assert_eq!(pool.iter_mut().count(), 0);
    }
}
