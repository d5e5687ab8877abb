//! SRTP and SRTCP, [RFC 3711](https://www.rfc-editor.org/rfc/rfc3711) and
//! [RFC 7714](https://www.rfc-editor.org/rfc/rfc7714), as a sender needs them: RTP and RTCP out, RTCP in.
//!
//! The primitives are RustCrypto's. The packets' transforms are here, because the ones that exist for WebRTC in Rust
//! (`rtc-srtp`, `webrtc-srtp`) allocate for each packet and leave keys in memory that was given back; tests hold
//! ours to `rtc-srtp`, and to the vectors of both RFCs.
//!
//! Keys come from signalling, as [RFC 4568](https://www.rfc-editor.org/rfc/rfc4568) has them: each side makes the
//! key that it protects with. There is no MKI, no key derivation rate and no re-keying: a share has its own keys,
//! and they outlast it.

mod cipher;
mod error;
mod inbound;
mod key;
mod outbound;
mod replay;
mod suite;
#[cfg(test)]
mod tests;
mod transport;

pub use error::{SrtpError, SrtpErrorKind};
pub use key::{SrtpKeys, SrtpMasterKey};
pub use suite::SrtpSuite;
pub use transport::{SrtpRejections, SrtpStatus, SrtpTransport};

pub(crate) use transport::SrtpTally;

use inbound::Inbound;
use outbound::Outbound;
