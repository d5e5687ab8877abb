//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use yc_sfu::messages::{Role, RoomName};

/// Signalling server and SFU of the yc screen-share suite.
///
/// Environment: NATIVE_RTP_LISTEN_IP (where media arrives and leaves; default 127.0.0.1) and
/// NATIVE_RTP_ANNOUNCED_IP (what clients are told; default the listen IP, must be given for 0.0.0.0 or ::).
#[derive(Debug, clap::Parser)]
#[command(name = "yc-server", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address of HTTP and WebSocket; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// PEM file with the certificate to serve HTTPS and wss: by, those between it and its authority after it.
    #[arg(long, value_name = "PEM", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "PEM", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Folder of the built viewer page.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/viewer/dist"), hide_default_value = true)]
    pub(crate) viewer_dir: PathBuf,
    /// mediasoup workers [default: one per core].
    #[arg(long)]
    pub(crate) workers: Option<NonZeroUsize>,
    /// Most peers of a room, 1 to 10000.
    #[arg(long, default_value_t = 50, value_parser = at_most_ten_thousand)]
    pub(crate) max_peers: usize,
    /// Key that room tokens are signed with, 32 to 128 hexadecimal digits [default: a random one].
    #[arg(long, env = "YC_SERVER_TOKEN_KEY", hide_env_values = true, global = true)]
    pub(crate) token_key: Option<String>,
    /// Print one JSON line when ready.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print a room token.
    Token(TokenArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// The room, 1 to 64 characters of A-Z a-z 0-9 _ -.
    #[arg(long)]
    pub(crate) room: RoomName,
    /// share, view or both.
    #[arg(long)]
    pub(crate) role: Role,
    /// Seconds until it expires, 1 to 2592000.
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub(crate) ttl: u64,
}

impl TokenArgs {
    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl)
    }
}

fn at_most_ten_thousand(text: &str) -> Result<usize, String> {
    let peers: usize = text.parse().map_err(|_| "not a whole number")?;
    if (1..=10_000).contains(&peers) { Ok(peers) } else { Err(format!("{peers} is not 1 to 10000")) }
}
