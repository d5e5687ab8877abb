//! A copy of what leaves, on this machine, to look at with the usual tools: for diagnostics only.
//!
//! `udp.rs` does it and exists only with the feature `native-diagnostic-udp-mirror`; this is its seam.

#[cfg(feature = "native-diagnostic-udp-mirror")]
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::{PacketTransport, TransportError};

/// What became of the datagrams that were mirrored for diagnostics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MirrorCounters {
    /// Datagrams that left for the mirror's target.
    pub sent: u64,
    /// Datagrams left out: the mirror was busy, or they were longer than it takes (1,500 bytes).
    pub dropped: u64,
    /// Datagrams that the OS refused, for example because nobody listens at the target.
    pub failed: u64,
}

/// The counts of a running mirror, for who reports them.
#[derive(Debug, Clone, Default)]
pub(crate) struct MirrorTally(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl MirrorTally {
    pub(crate) fn counters(&self) -> MirrorCounters {
        MirrorCounters {
            sent: self.0.sent.load(Ordering::Relaxed),
            dropped: self.0.dropped.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
        }
    }
}

/// `transport`, with everything that it sends mirrored to `target`, where there is one.
///
/// # Errors
///
/// If the OS gives no socket or no thread, or `target` is not a loopback address.
#[cfg(feature = "native-diagnostic-udp-mirror")]
pub(crate) fn mirrored(
    transport: Box<dyn PacketTransport>,
    target: Option<SocketAddr>,
) -> Result<(Box<dyn PacketTransport>, Option<MirrorTally>), TransportError> {
    let Some(target) = target else { return Ok((transport, None)) };
    let mirror = udp::Mirror::start(target).map_err(|error| TransportError::new("mirroring", error))?;
    tracing::warn!(%target, "everything sent is mirrored unencrypted, for diagnostics");
    let tally = mirror.tally();
    Ok((Box::new(udp::MirroredTransport::new(transport, mirror)), Some(tally)))
}

/// `transport` as it is: this build cannot mirror, and [`SenderConfig::validate`](crate::SenderConfig::validate)
/// refuses a target.
#[cfg(not(feature = "native-diagnostic-udp-mirror"))]
pub(crate) fn mirrored(
    transport: Box<dyn PacketTransport>,
    _target: Option<SocketAddr>,
) -> Result<(Box<dyn PacketTransport>, Option<MirrorTally>), TransportError> {
    Ok((transport, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UdpTransport;

    #[test]
    fn without_a_target_the_transport_stays_as_it_is() {
        let transport = UdpTransport::connect("127.0.0.1:9".parse().unwrap()).unwrap();
        let (transport, tally) = mirrored(Box::new(transport), None).unwrap();
        assert!(format!("{transport:?}").starts_with("UdpTransport"));
        assert_eq!(tally.map(|tally| tally.counters()), None);
    }
}
