//! The app's page on Vite's servers: in development with the bridge to `yc-share`, and as it is built.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::super::page::app_dir;
use super::super::rig::{Rig, wait_until};
use crate::process::{self, Process};
use crate::webdriver::free_ports;
use crate::workspace::root;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server of the app's page.
#[derive(Debug)]
pub(super) struct Site {
    origin: String,
    process: Process,
}

impl Site {
    /// The development page, whose bridge starts a `yc-share` that captures `display`.
    pub(super) fn development(rig: &Rig, display: &str) -> Result<Self> {
        Self::start(rig, "development", &[], display)
    }

    /// The page as it is built, without the bridge.
    pub(super) fn built(rig: &Rig) -> Result<Self> {
        Self::start(rig, "built", &["preview"], "")
    }

    fn start(rig: &Rig, name: &str, arguments: &[&str], display: &str) -> Result<Self> {
        let [port] = free_ports()?;
        let mut command = Command::new("node");
        command.arg(root().join("node_modules/vite/bin/vite.js")).args(arguments);
        command.args(["--host", "127.0.0.1", "--strictPort", "--port", &port.to_string()]);
        command.current_dir(app_dir()).env("YC_SHARE", rig.program("yc-share").get_program());
        command.env("YC_BRIDGE_FAULTS", "1");
        match display {
            "" => command.env_remove("DISPLAY"),
            display => command.env("DISPLAY", display),
        };
        let mut process = Process::spawn(name, rig.dir(), rig.ready().apply(&mut command))?;
        wait_until("the page's server", START_TIMEOUT, || {
            process.ensure_running()?;
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
        })?;
        Ok(Self { origin: format!("http://127.0.0.1:{port}"), process })
    }

    /// The page's address with these settings.
    pub(super) fn url(&self, settings: &[(&str, &str)]) -> String {
        let query: Vec<_> =
            settings.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        format!("{}/?{}", self.origin, query.join("&"))
    }

    /// The process ids of the senders that the bridge has started.
    pub(super) fn senders(&self) -> Vec<u32> {
        process::children(self.process.id())
    }
}

/// For a value in a query: everything but letters, digits and `-._~` (RFC 3986, section 2.3).
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded += &format!("%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_may_not_hold_is_encoded() {
        assert_eq!(percent_encode("ws://h:1/ws?a=b c&é"), "ws%3A%2F%2Fh%3A1%2Fws%3Fa%3Db%20c%26%C3%A9");
        assert_eq!(percent_encode("a-Z_0.9~"), "a-Z_0.9~");
    }
}
