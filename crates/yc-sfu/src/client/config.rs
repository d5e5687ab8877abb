//! Where and how a client connects.

use std::net::IpAddr;
use std::time::Duration;

use tokio_tungstenite::tungstenite::http::Uri;

use super::RootCertificates;
use crate::SessionRules;

/// How a client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Longest wait for the connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for a reply. Default: 5 s.
    pub request_timeout: Duration,
    /// The connection counts as lost after so long without a word; the server pings every 15 s. Default: 45 s.
    pub idle_timeout: Duration,
    /// Whether `ws://` may leave this machine: room token and SRTP keys would go unprotected. Default: false.
    pub allow_insecure: bool,
    /// `wss://`: the authorities that may have made the server's certificate, in the place of those that the system
    /// trusts. Default: the system's.
    pub root_certificates: Option<RootCertificates>,
    /// What is accepted of a session. Default: plain RTP to this machine alone.
    pub session_rules: SessionRules,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(45),
            allow_insecure: false,
            root_certificates: None,
            session_rules: SessionRules::default(),
        }
    }
}

impl ClientConfig {
    /// Sets [`ClientConfig::connect_timeout`].
    pub fn with_connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// Sets [`ClientConfig::request_timeout`].
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        Self { request_timeout, ..self }
    }

    /// Sets [`ClientConfig::idle_timeout`].
    pub fn with_idle_timeout(self, idle_timeout: Duration) -> Self {
        Self { idle_timeout, ..self }
    }

    /// Sets [`ClientConfig::allow_insecure`].
    pub fn with_insecure(self, allow_insecure: bool) -> Self {
        Self { allow_insecure, ..self }
    }

    /// Sets [`ClientConfig::root_certificates`].
    pub fn with_root_certificates(self, roots: RootCertificates) -> Self {
        Self { root_certificates: Some(roots), ..self }
    }

    /// Sets [`ClientConfig::session_rules`].
    pub fn with_session_rules(self, session_rules: SessionRules) -> Self {
        Self { session_rules, ..self }
    }
}

/// A URL that may be connected to.
pub(super) fn check_url(url: &str, allow_insecure: bool) -> Result<Uri, String> {
    let shown = without_query(url);
    let uri: Uri = url
        .parse()
        .map_err(|error| format!("server {shown:?} is not a URL such as ws://127.0.0.1:8080/ws: {error}"))?;
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return Err(format!("server {shown:?} names no host"));
    };
    match uri.scheme_str() {
        Some("ws") if allow_insecure || is_loopback(host) => Ok(uri),
        Some("ws") => Err(format!(
            "server {shown:?} is another machine: ws:// would show the way there the room token and the keys; use wss://, or allow it explicitly"
        )),
        Some("wss") => Ok(uri),
        _ => Err(format!("server {shown:?} does not begin with wss:// or ws://")),
    }
}

/// The part of a URL that may be shown: a query can hold a token.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_websockets_stay_on_this_machine_unless_allowed() {
        for near in ["ws://localhost:1/ws", "ws://127.0.0.1/ws", "ws://127.8.9.1:2", "ws://[::1]:3/ws"] {
            assert!(check_url(near, false).is_ok(), "{near}");
        }
        for far in
            ["ws://192.0.2.1/ws", "ws://example.org/ws", "ws://[2001:db8::1]/ws", "ws://localhost.example/ws"]
        {
            let message = check_url(far, false).unwrap_err();
            assert!(message.contains("explicitly"), "{message}");
            assert!(check_url(far, true).is_ok(), "{far}");
        }
    }

    #[test]
    fn a_protected_websocket_may_go_anywhere() {
        for url in
            ["wss://localhost/ws", "wss://example.org:8443/ws", "wss://192.0.2.1/ws", "wss://[2001:db8::1]/"]
        {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_and_their_query_is_not_shown() {
        for (bad, says) in [
            ("http://localhost/ws?token=secret", "ws://"),
            ("localhost", "ws://"),
            ("/ws", "names no host"),
            ("", "not a URL"),
            ("ws://local host/?token=secret", "not a URL"),
        ] {
            let message = check_url(bad, true).unwrap_err();
            assert!(message.contains(says) && !message.contains("secret"), "{message}");
        }
    }
}
