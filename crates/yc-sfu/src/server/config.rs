//! What a server is started with.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What a server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// mediasoup workers; rooms are spread over them. Default: one per core.
    pub workers: NonZeroUsize,
    /// Most peers of a room. Default: 50.
    pub max_peers: usize,
    /// Where media arrives and leaves. Default: 127.0.0.1.
    pub media: MediaAddress,
    /// UDP and TCP ports of the media. Default: 10000 to 59999.
    pub rtc_ports: RangeInclusive<u16>,
    /// Time between two requests for a key frame to one producer. A request that comes earlier is held
    /// until then, so that viewers who join together cost one key frame, not one each. Less makes a viewer
    /// who joins just after another wait less, and costs more bits. Default: 500 ms.
    pub key_frame_request_delay: Duration,
    /// A native session without RTP for so long is closed; a sender sends at least a frame a second, also of
    /// a still screen. Default: 30 s.
    pub no_media_timeout: Duration,
    /// A connection that has not joined by then is closed. Default: 10 s.
    pub join_timeout: Duration,
    /// Time between two WebSocket pings. Default: 15 s.
    pub ping_interval: Duration,
    /// A connection that was silent for so long is closed. Default: 45 s.
    pub idle_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_peers: 50,
            media: MediaAddress::LOOPBACK,
            rtc_ports: 10_000..=59_999,
            key_frame_request_delay: Duration::from_millis(500),
            no_media_timeout: Duration::from_secs(30),
            join_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(45),
        }
    }
}

impl ServerConfig {
    /// Sets [`ServerConfig::workers`].
    pub fn with_workers(self, workers: NonZeroUsize) -> Self {
        Self { workers, ..self }
    }

    /// Sets [`ServerConfig::max_peers`].
    pub fn with_max_peers(self, max_peers: usize) -> Self {
        Self { max_peers, ..self }
    }

    /// Sets [`ServerConfig::media`].
    pub fn with_media(self, media: MediaAddress) -> Self {
        Self { media, ..self }
    }
}

/// Where media arrives and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaAddress {
    /// The address that sockets are bound to.
    pub listen_ip: IpAddr,
    /// The address that clients are told.
    pub announced_ip: IpAddr,
}

impl MediaAddress {
    /// This machine alone.
    pub const LOOPBACK: Self = Self {
        listen_ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        announced_ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    };

    /// Reads `NATIVE_RTP_LISTEN_IP` (default: 127.0.0.1) and `NATIVE_RTP_ANNOUNCED_IP` (default: the listen
    /// IP), as `lookup` gives them.
    ///
    /// # Errors
    ///
    /// Names the variable, its value and its bounds.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidVariable> {
        let address = |name: &'static str, text: String| {
            let expected = "an IPv4 or IPv6 address, for example 127.0.0.1";
            text.trim().parse().map_err(|_| InvalidVariable { name, value: text, expected })
        };
        let listen_ip = match lookup(LISTEN) {
            None => Self::LOOPBACK.listen_ip,
            Some(text) => address(LISTEN, text)?,
        };
        let announced_ip = match lookup(ANNOUNCED) {
            Some(text) => address(ANNOUNCED, text)?,
            None => listen_ip,
        };
        if announced_ip.is_unspecified() {
            let value = lookup(ANNOUNCED).unwrap_or_default();
            let expected = "an address that clients can send to; it must be given when NATIVE_RTP_LISTEN_IP is 0.0.0.0 or ::";
            return Err(InvalidVariable { name: ANNOUNCED, value, expected });
        }
        Ok(Self { listen_ip, announced_ip })
    }

    /// [`MediaAddress::from_vars`] of this process's environment.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_env() -> Result<Self, InvalidVariable> {
        Self::from_vars(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }
}

/// A bad environment variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value:?}: not {expected}")]
pub struct InvalidVariable {
    name: &'static str,
    value: String,
    expected: &'static str,
}

const LISTEN: &str = "NATIVE_RTP_LISTEN_IP";
const ANNOUNCED: &str = "NATIVE_RTP_ANNOUNCED_IP";

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<MediaAddress, String> {
        let lookup =
            |name: &str| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        MediaAddress::from_vars(lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn media_stays_on_this_machine_unless_asked_otherwise() {
        assert_eq!(from(&[]), Ok(MediaAddress::LOOPBACK));
        let address = from(&[(LISTEN, "192.0.2.7")]).unwrap();
        assert_eq!(
            (address.listen_ip, address.announced_ip),
            (address.announced_ip, "192.0.2.7".parse().unwrap())
        );
        let address = from(&[(LISTEN, "::"), (ANNOUNCED, "2001:db8::7")]).unwrap();
        assert_eq!(address.announced_ip, "2001:db8::7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_bad_address_is_named_with_its_variable() {
        for (vars, says) in [
            (&[(LISTEN, "localhost")][..], "NATIVE_RTP_LISTEN_IP=\"localhost\": not an IPv4 or IPv6 address"),
            (&[(LISTEN, "")], "NATIVE_RTP_LISTEN_IP=\"\""),
            (&[(ANNOUNCED, "1.2.3")], "NATIVE_RTP_ANNOUNCED_IP=\"1.2.3\""),
            (&[(LISTEN, "0.0.0.0")], "NATIVE_RTP_ANNOUNCED_IP=\"\": not an address that clients can send to"),
            (&[(LISTEN, "::"), (ANNOUNCED, "::")], "NATIVE_RTP_ANNOUNCED_IP=\"::\""),
        ] {
            let message = from(vars).unwrap_err();
            assert!(message.contains(says), "{message}");
        }
    }
}
