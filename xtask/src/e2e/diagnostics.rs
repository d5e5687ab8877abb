//! Looking into a running share: the mirror of what it sends, and its figures for Prometheus.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Scenario;
use super::rig::Rig;
use super::share::ShareOptions;
use crate::http;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "diagnostics",
    shows: "the diagnostic mirror has every datagram that leaves, and /metrics tells of the running share",
    run,
};

const WATCHED: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(100);

fn run(rig: &Rig) -> Result<()> {
    let mirror = UdpSocket::bind("127.0.0.1:0").context("a socket to mirror to")?;
    mirror.set_read_timeout(Some(POLL)).context("the socket's timeout")?;
    let target = mirror.local_addr().context("the socket's address")?.to_string();
    // A port that was free a moment ago.
    let metrics = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("a free port")?;
    let metrics = metrics.to_string();

    let server = rig.server()?;
    let arguments = ["--metrics", &metrics];
    let environment = [
        ("YANKCORD_NATIVE_ENABLE_DIAGNOSTIC_UDP_MIRROR", "1"),
        ("YANKCORD_NATIVE_DIAGNOSTIC_UDP_MIRROR_TARGET", target.as_str()),
    ];
    let options = ShareOptions {
        arguments: &arguments,
        environment: &environment,
        ..ShareOptions::new("synthetic:1280x720")
    };
    let mut share = rig.share(&server, &options)?;
    let (_, session) = share.wait_event("session")?;
    let ssrc = |name: &str| session[name].as_u64().map(|ssrc| ssrc as u32);
    let ours = [ssrc("ssrc").context("the session's ssrc")?, ssrc("rtx_ssrc").context("its rtx_ssrc")?];
    share.wait_event("sender_started")?;

    let mut seen = Seen::default();
    seen.watch(&mirror, ours, Instant::now() + WATCHED)?;
    let text = http::get(&metrics, "/metrics")?;
    share.stop()?;
    seen.watch(&mirror, ours, Instant::now() + 5 * POLL)?;
    let (_, stopped) = share.wait_event("sender_stopped")?;
    let status = &stopped["status"];

    eprintln!(
        "   sent {} RTP packets; mirrored {} RTP and {} RTCP",
        status["packets_sent"], seen.rtp, seen.rtcp
    );
    eprintln!("   the mirror says {}", status["mirror"]);
    ensure!(status["packets_sent"] == seen.rtp, "the mirror does not have every RTP packet");
    ensure!(status["mirror"]["sent"] == seen.rtp + seen.rtcp, "the mirror's count is another");
    ensure!(status["mirror"]["dropped"] == 0 && status["mirror"]["failed"] == 0, "the mirror left some out");
    ensure!(seen.rtcp >= 2, "a report and a goodbye at least were to be mirrored");

    let figures = figures(&text);
    let sent = figures.get("yc_sender_frames_sent_total").copied().unwrap_or_default();
    eprintln!("   /metrics: {} figures, {sent} frames sent", figures.len());
    ensure!(sent > 0.0, "/metrics tells of no frame:\n{text}");
    ensure!(
        figures.get("yc_sender_state{state=\"running\"}") == Some(&1.0),
        "/metrics: not running:\n{text}"
    );
    Ok(())
}

/// What came to the mirror.
#[derive(Debug, Default)]
struct Seen {
    rtp: u64,
    rtcp: u64,
}

impl Seen {
    fn watch(&mut self, mirror: &UdpSocket, ours: [u32; 2], until: Instant) -> Result<()> {
        let mut datagram = [0; 2_048];
        while Instant::now() < until {
            let Ok(len) = mirror.recv(&mut datagram) else { continue };
            ensure!(len >= 12, "a datagram of {len} bytes was mirrored");
            // RFC 5761 §4: RTCP packet types are 192 to 223 where RTP has its marker and payload type.
            if (192..=223).contains(&datagram[1]) {
                self.rtcp += 1;
            } else {
                let of = u32::from_be_bytes(datagram[8..12].try_into().expect("four bytes"));
                ensure!(ours.contains(&of), "a packet of SSRC {of} was mirrored; the share's are {ours:?}");
                self.rtp += 1;
            }
        }
        Ok(())
    }
}

/// Name, labels included, and value of every sample.
fn figures(text: &str) -> BTreeMap<&str, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect()
}
