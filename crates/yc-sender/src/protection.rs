//! Whether what a share sends is protected on its way.

use std::net::SocketAddr;

use crate::srtp::SrtpTally;
use crate::{PacketTransport, SenderError, SenderErrorKind, SrtpKeys, SrtpTransport};

/// How what a share sends is protected on its way. A start says it, so that nobody sends in the clear by leaving
/// something out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Protection {
    /// SRTP and SRTCP under these keys.
    Srtp(SrtpKeys),
    /// None, and no way out of this machine: a start to an address that is not a loopback address is refused.
    PlainOnLoopback,
    /// None, wherever it goes. Whoever is on the way can watch the share, and whoever learns the address can put
    /// another picture in its place.
    PlainAnywhere,
}

impl Protection {
    /// Whether this may go to `target`; that of a transport of the app's own is not known.
    pub(crate) fn check(&self, target: Option<SocketAddr>) -> Result<(), SenderError> {
        let why = match (self, target) {
            (Self::Srtp(_) | Self::PlainAnywhere, _) => return Ok(()),
            (Self::PlainOnLoopback, Some(target)) if target.ip().is_loopback() => return Ok(()),
            (Self::PlainOnLoopback, Some(target)) => {
                format!("plain RTP to {target}, which is not this machine, must be allowed explicitly")
            }
            (Self::PlainOnLoopback, None) => {
                "plain RTP through a transport that may lead out of this machine must be allowed explicitly"
                    .into()
            }
        };
        Err(SenderError::new(SenderErrorKind::Config, why))
    }

    /// By how many bytes an RTP packet grows.
    pub(crate) fn rtp_overhead(&self) -> usize {
        match self {
            Self::Srtp(keys) => keys.suite().rtp_overhead(),
            Self::PlainOnLoopback | Self::PlainAnywhere => 0,
        }
    }

    /// `transport`, protected, and what it counts.
    pub(crate) fn around(
        self,
        transport: Box<dyn PacketTransport>,
    ) -> (Box<dyn PacketTransport>, Option<SrtpTally>) {
        match self {
            Self::Srtp(keys) => {
                let transport = SrtpTransport::new(transport, keys);
                let tally = transport.tally();
                (Box::new(transport), Some(tally))
            }
            Self::PlainOnLoopback | Self::PlainAnywhere => {
                tracing::warn!("the share is not encrypted");
                (transport, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SrtpMasterKey, SrtpSuite};

    #[test]
    fn plain_rtp_leaves_the_machine_only_where_that_is_said() {
        let key = || SrtpMasterKey::generate(SrtpSuite::AeadAes128Gcm).unwrap();
        let srtp = Protection::Srtp(SrtpKeys::new(key(), key()).unwrap());
        let at = |text: &str| Some(text.parse().unwrap());
        for near in ["127.0.0.1:5", "127.9.9.9:5", "[::1]:5"] {
            assert!(Protection::PlainOnLoopback.check(at(near)).is_ok(), "{near}");
        }
        // An IPv4 address in IPv6 form is not taken for this machine, by the negotiation's check neither.
        for far in
            [at("192.0.2.1:5"), at("[2001:db8::1]:5"), at("0.0.0.0:5"), at("[::ffff:127.0.0.1]:5"), None]
        {
            let error = Protection::PlainOnLoopback.check(far).unwrap_err();
            assert_eq!(error.kind(), SenderErrorKind::Config);
            assert!(error.to_string().contains("must be allowed explicitly"), "{error}");
            if let Some(far) = far {
                assert!(error.to_string().contains(&far.to_string()), "{error}");
            }
            assert!(Protection::PlainAnywhere.check(far).is_ok());
            assert!(srtp.check(far).is_ok());
        }
    }
}
