//! What `lifecycle.rs` and `queue.rs` are locked with. A model checker puts its own in its place, so those
//! two take it from here and from nowhere else: see `tests/model.rs`.

pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
