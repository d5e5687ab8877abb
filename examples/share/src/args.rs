//! The command line.

use std::path::PathBuf;

use clap::Parser;
use yc_capture::CaptureTarget;
use yc_host::SrtpChoice;
use yc_sender::ContentHint;

use crate::faults::FaultArgs;

/// Shares a screen or a window to a room, natively.
///
/// Exit codes: 0 the share ended as asked (or with its source, when that is a recording); 2 a bad argument or
/// environment value; 3 the source cannot be captured or is gone; 4 no encoder works or the encoder failed;
/// 5 the server refused (token, full room, negotiation); 6 the server or the receiver is out of reach, was
/// lost, or cannot be trusted; 7 the machine is too busy; 1 a defect of ours.
///
/// The environment variables of docs/configuration.md apply (YANKCORD_NATIVE_…).
#[derive(Debug, Parser)]
#[command(name = "yc-share", version, verbatim_doc_comment)]
pub(crate) struct Args {
    /// List what can be shared, and end.
    #[arg(long)]
    pub(crate) list: bool,

    /// Take commands from standard input, one JSON object a line, instead of the command line: for an app that
    /// does the signalling itself. See docs/native-host.md.
    #[arg(long, conflicts_with_all = CONFLICTS)]
    pub(crate) control: bool,

    /// Let commands share recordings (replay:FILE) too: whoever can send them can then read any file.
    #[arg(long, conflicts_with_all = ["list", "server", "room"])]
    pub(crate) recordings: bool,

    /// What to share: screen, monitor:INDEX, window:ID, region:WxH+X+Y, synthetic:WxH, replay:FILE.
    #[arg(long, value_name = "SOURCE", default_value = "screen")]
    pub(crate) source: CaptureTarget,

    /// The server's WebSocket, for example wss://sfu.example/ws, or ws://127.0.0.1:4443/ws on this machine.
    #[arg(long, value_name = "URL", required_unless_present_any = ["list", "control"])]
    pub(crate) server: Option<String>,

    /// The room to share into.
    #[arg(long, required_unless_present_any = ["list", "control"])]
    pub(crate) room: Option<String>,

    /// The room token that the server's owner gave out.
    #[arg(long, env = "YC_ROOM_TOKEN", hide_env_values = true, default_value = "")]
    pub(crate) token: String,

    /// The most frames per second, 1 to 240.
    #[arg(long, value_name = "FPS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub(crate) fps: u32,

    /// Video bitrate to aim at, in thousands of bits per second, 30 to 200000.
    #[arg(long, value_name = "KBPS", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(30..=200_000))]
    pub(crate) bitrate: u32,

    /// Encoder backend: auto, or a name; several separated by commas are tried in order.
    #[arg(long, value_name = "NAME")]
    pub(crate) encoder: Option<String>,

    /// What is shown, which says what gives way first under pressure: auto, text, motion. Default: the
    /// environment's, else auto.
    #[arg(long, value_name = "KIND")]
    pub(crate) content: Option<ContentHint>,

    /// Stop after this many seconds.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<f64>,

    /// Leave the mouse cursor out of the picture.
    #[arg(long)]
    pub(crate) no_cursor: bool,

    /// Ask for the capturing thread to be scheduled before ordinary ones; on Windows, by the multimedia class
    /// scheduler.
    #[arg(long)]
    pub(crate) high_priority: bool,

    /// Print one JSON object a line instead of the status line.
    #[arg(long)]
    pub(crate) json: bool,

    /// What to protect media with: auto, aead_aes_128_gcm, aead_aes_256_gcm, aes_cm_128_hmac_sha1_80, or off. auto
    /// offers them in this order until the server takes one.
    #[arg(long, value_name = "SUITE", default_value_t = SrtpChoice::Auto)]
    pub(crate) srtp: SrtpChoice,

    /// With --srtp off: send media unencrypted to a receiver that is not on this machine.
    #[arg(long)]
    pub(crate) allow_plain_rtp: bool,

    /// wss:// only: trust the authorities in this PEM file in the place of those that the system trusts.
    #[arg(long, value_name = "PEM")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Talk to a server that is not on this machine without TLS.
    #[arg(long)]
    pub(crate) allow_insecure: bool,

    /// Write when each captured picture was taken, with the frame number that the test desktop shows in it,
    /// as JSON lines: {"marker":…,"captured_unix_us":…}.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace_frames: Option<PathBuf>,

    /// Show the running share to Prometheus at http://ADDR/metrics, as OpenMetrics text. An IP:PORT of this
    /// machine's loopback, for example 127.0.0.1:9464.
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "ADDR", value_parser = crate::exporter::loopback)]
    pub(crate) metrics: Option<std::net::SocketAddr>,

    #[command(flatten)]
    pub(crate) faults: FaultArgs,
}

/// What the commands say themselves, or what is about a server. The room token may be in the environment all the
/// same.
const CONFLICTS: [&str; 18] = [
    "list",
    "source",
    "server",
    "room",
    "fps",
    "bitrate",
    "encoder",
    "content",
    "duration",
    "no_cursor",
    "high_priority",
    "json",
    "srtp",
    "allow_plain_rtp",
    "allow_insecure",
    "ca_file",
    "trace_frames",
    METRICS,
];

#[cfg(feature = "metrics")]
const METRICS: &str = "metrics";
/// An option that a build without them does not have: another that conflicts anyway.
#[cfg(not(feature = "metrics"))]
const METRICS: &str = "list";

fn seconds(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.0 && *seconds <= 31_536_000.0)
        .ok_or_else(|| format!("{text:?} is not allowed: more than 0, up to 31536000 seconds"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_share_needs_a_server_and_a_room_and_a_listing_does_not() {
        assert!(Args::try_parse_from(["yc-share"]).is_err());
        assert!(Args::try_parse_from(["yc-share", "--list"]).is_ok());
        let args = ["yc-share", "--server", "ws://127.0.0.1:1/ws", "--room", "demo", "--for", "1.5"];
        assert_eq!(Args::try_parse_from(args).unwrap().duration, Some(1.5));
    }

    #[test]
    fn commands_come_with_no_option_that_they_say_themselves() {
        let with = |options: &[&str]| Args::try_parse_from(["yc-share", "--control"].iter().chain(options));
        assert!(with(&[]).is_ok_and(|args| args.control && !args.recordings));
        assert!(with(&["--recordings"]).is_ok_and(|args| args.recordings));
        for options in
            [["--server=ws://a/ws"], ["--room=demo"], ["--list"], ["--fps=30"], ["--source=screen"]]
        {
            assert!(with(&options).is_err(), "{options:?}");
        }
        // Without --control it is either a listing or a share, and neither takes commands.
        assert!(Args::try_parse_from(["yc-share", "--list", "--recordings"]).is_err());
        assert!(Args::try_parse_from(["yc-share", "--recordings"]).is_err());
    }

    #[test]
    fn bad_values_are_named_with_their_bounds() {
        for (option, value, bounds) in [
            ("--fps", "0", "1..=240"),
            ("--bitrate", "29", "30..=200000"),
            ("--for", "-1", "more than 0"),
            ("--source", "scren", "none of screen"),
            ("--srtp", "on", "auto, aead_aes_128_gcm, aead_aes_256_gcm, aes_cm_128_hmac_sha1_80 or off"),
        ] {
            let error = Args::try_parse_from(["yc-share", "--list", &format!("{option}={value}")]);
            let text = error.unwrap_err().to_string();
            assert!(text.contains(value) && text.contains(bounds), "{text}");
        }
    }
}
