//! Who may use OpenH264's threads.
//!
//! They are one pool for the whole process (`CWelsThreadPool`), and an encoder that ends while another keeps
//! the pool alive is freed under a thread of the pool that is still leaving its lock: memory of somebody else
//! is overwritten. An encoder that has the pool for itself takes its threads with it before it is freed. So one
//! encoder at a time gets threads; the others encode in one slice on the thread that calls them.

use std::sync::atomic::{AtomicBool, Ordering};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to open an encoder with more than one thread, given back when dropped: after the encoder.
#[derive(Debug)]
pub(super) struct Threads(());

impl Threads {
    /// Takes them, if `wanted` are more than one and no other encoder has them.
    pub(super) fn take(wanted: u8) -> Option<Self> {
        if wanted < 2 {
            return None;
        }
        if TAKEN.swap(true, Ordering::Acquire) {
            tracing::info!("another encoder has OpenH264's threads: this one goes without");
            return None;
        }
        Some(Self(()))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}
