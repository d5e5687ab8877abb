//! What is on the wire, as an independent dissector reads it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::relay::{Direction, Recorder, Recording};
use super::rig::{ROOM, Rig};
use super::share::ShareOptions;
use super::viewer::Viewer;
use super::{Scenario, pcap};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "wire",
    shows: "tshark finds no malformed RTP or RTCP in a session, and sequence, marker and reports as they must be",
    run,
};

const SECONDS: Duration = Duration::from_secs(6);

/// Records a session at 1280x720 in the middle of which a viewer joins, so that key frames are asked for.
pub(super) fn record(rig: &Rig) -> Result<Recording> {
    let xvfb = rig.display(1280, 720)?;
    let _desktop = rig.desktop(xvfb.name(), 30, "1280x720")?;
    let server = rig.server()?;
    let relay = Recorder::start(&server.ws)?;
    let mut browser = rig.browser()?;
    let options = ShareOptions {
        display: Some(xvfb.name()),
        address: Some(relay.address()),
        // What is encrypted no dissector reads.
        arguments: &["--srtp", "off"],
        ..ShareOptions::new("screen")
    };
    let mut share = rig.share(&server, &options)?;
    share.wait_event("sender_started")?;
    std::thread::sleep(SECONDS / 2);
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    viewer.first_picture(&mut browser)?;
    std::thread::sleep(SECONDS / 2);
    let ended = share.stop()?;
    ensure!(ended.success(), "yc-share ended with {ended}\n{}", share.process.tail());
    relay.finish()
}

fn run(rig: &Rig) -> Result<()> {
    let recording = record(rig)?;
    let file = rig.file("session.pcap");
    fs::write(&file, pcap::file(&recording)?).with_context(|| format!("writing {}", file.display()))?;
    let rows = dissect(&file, &recording)?;
    let of = |direction| recording.datagrams.iter().filter(move |datagram| datagram.direction == direction);
    let rtp_sent = of(Direction::ToServer).filter(|datagram| !datagram.is_rtcp()).count();
    let rtcp = recording.datagrams.len() - rtp_sent;

    let complaints: Vec<_> = rows.iter().filter(|row| row.is_malformed()).collect();
    ensure!(complaints.is_empty(), "tshark complains: {:?}", &complaints[..complaints.len().min(5)]);
    let rtp: Vec<_> = rows.iter().filter_map(|row| row.rtp.as_ref()).collect();
    ensure!(rtp.len() == rtp_sent, "{rtp_sent} RTP packets were sent and tshark knows {}", rtp.len());
    let reports = rows.iter().filter(|row| !row.rtcp_types.is_empty()).count();
    ensure!(reports == rtcp, "{rtcp} RTCP packets passed and tshark knows {reports}");
    let streams = ["/ssrc", "/rtx/ssrc"].map(|place| recording.ssrc(place));
    let of_stream = |ssrc: Option<u32>| -> Vec<_> {
        rtp.iter().copied().filter(|packet| Some(packet.ssrc) == ssrc).collect()
    };
    let [media, again] = streams.map(of_stream);
    let others = rtp.len() - media.len() - again.len();
    ensure!(others == 0, "{others} packets of neither SSRC: {streams:x?}");
    media_is_in_order(&media)?;
    nothing_is_missing(&again)?;
    eprintln!("   {} packets that go again or probe", again.len());

    let mut kinds = BTreeMap::new();
    for kind in rows.iter().flat_map(|row| &row.rtcp_types) {
        *kinds.entry(*kind).or_insert(0) += 1;
    }
    eprintln!("   {rtp_sent} RTP and {rtcp} RTCP packets, none malformed; RTCP by type {kinds:?}");
    for (kind, name) in [(200, "sender report"), (201, "receiver report"), (202, "SDES"), (206, "PLI")] {
        ensure!(kinds.contains_key(&kind), "no {name} ({kind}) in the session");
    }
    let sender_reports = rows.iter().filter(|row| row.rtcp_types.contains(&200));
    for row in sender_reports {
        ensure!(row.rtcp_types.contains(&202), "packet {}: a sender report without SDES", row.number);
    }
    Ok(())
}

/// One packet as tshark sees it.
#[derive(Debug)]
struct Row {
    number: u32,
    /// Empty, or what the expert information says.
    expert: String,
    malformed: bool,
    rtp: Option<Rtp>,
    rtcp_types: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Rtp {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    ssrc: u32,
}

impl Row {
    fn is_malformed(&self) -> bool {
        self.malformed || !self.expert.is_empty()
    }
}

/// Sequence numbers of one stream without a gap.
fn nothing_is_missing(packets: &[&Rtp]) -> Result<()> {
    let sequences = packets.iter().map(|packet| packet.sequence);
    for (before, after) in sequences.clone().zip(sequences.skip(1)) {
        ensure!(after == before.wrapping_add(1), "sequence number {after} after {before}");
    }
    Ok(())
}

/// Sequence numbers without a gap, a marker at the end of each picture but the last, and nowhere else.
fn media_is_in_order(media: &[&Rtp]) -> Result<()> {
    ensure!(!media.is_empty(), "no RTP packet");
    nothing_is_missing(media)?;
    let (mut pictures, mut ended) = (0, true);
    let mut previous: Option<&Rtp> = None;
    for packet in media {
        if let Some(previous) = previous {
            let step = packet.timestamp.wrapping_sub(previous.timestamp);
            ensure!(
                (step == 0) != ended,
                "sequence number {}: the timestamp moved by {step}",
                packet.sequence
            );
            ensure!(step < 90_000 * 5, "sequence number {}: the timestamp jumped by {step}", packet.sequence);
        }
        ended = packet.marker;
        pictures += u32::from(ended);
        previous = Some(packet);
    }
    // Packets are paced: the end of the share may come in the middle of a picture.
    let cut = if ended { "" } else { "; the end of the share cut off one more" };
    eprintln!("   {pictures} pictures, each ended by one marker{cut}");
    ensure!(pictures > 0, "no packet has a marker");
    Ok(())
}

const FIELDS: &[&str] = &[
    "frame.number",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.group",
    "_ws.expert.message",
    "rtp.seq",
    "rtp.timestamp",
    "rtp.marker",
    "rtp.ssrc",
    "rtcp.pt",
];
/// Warnings and errors; tshark's notes and chats are no complaints.
const SEVERITY_WARNING: u64 = 0x0060_0000;
/// What tshark says where its own dissector ends: it does not read the slices of H264.
const GROUP_UNDECODED: u64 = 0x0500_0000;

fn dissect(file: &Path, recording: &Recording) -> Result<Vec<Row>> {
    let port = recording.server.context("the recording has no server")?.port();
    let payload_type = &recording.session["payload_type"];
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file).args(["-d", &format!("udp.port=={port},rtp")]);
    command.args(["-d", &format!("rtp.pt=={payload_type},h264")]);
    command.args(["-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-E", "aggregator=,"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().context("tshark")?;
    ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr).trim());
    String::from_utf8_lossy(&output.stdout).lines().map(row).collect()
}

fn row(line: &str) -> Result<Row> {
    let fields: Vec<&str> = line.split('|').collect();
    let [number, malformed, severity, group, expert, sequence, timestamp, marker, ssrc, types] = fields[..]
    else {
        anyhow::bail!("tshark's line {line:?} has {} fields", fields.len());
    };
    let numbers =
        |list: &str| list.split(',').filter_map(|value| value.parse::<u64>().ok()).collect::<Vec<_>>();
    let complains = numbers(severity)
        .into_iter()
        .zip(numbers(group))
        .any(|(severity, group)| severity >= SEVERITY_WARNING && group != GROUP_UNDECODED);
    let rtp = (!sequence.is_empty()).then(|| {
        Some(Rtp {
            sequence: sequence.parse().ok()?,
            timestamp: timestamp.parse().ok()?,
            marker: matches!(marker, "1" | "True"),
            ssrc: u32::from_str_radix(ssrc.trim_start_matches("0x"), 16).ok()?,
        })
    });
    Ok(Row {
        number: number.parse().with_context(|| format!("tshark's line {line:?}"))?,
        expert: if complains { expert.to_owned() } else { String::new() },
        malformed: !malformed.is_empty(),
        rtp: rtp.flatten(),
        rtcp_types: types.split(',').filter_map(|value| value.parse().ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, timestamp: u32, marker: bool) -> Rtp {
        Rtp { sequence, timestamp, marker, ssrc: 1 }
    }

    fn check(packets: &[Rtp]) -> Result<()> {
        media_is_in_order(&packets.iter().collect::<Vec<_>>())
    }

    #[test]
    fn pictures_that_end_with_their_marker_are_in_order() {
        let packets =
            [packet(65_535, 90, false), packet(0, 90, true), packet(1, 3_090, true), packet(2, 6_090, true)];
        check(&packets).unwrap();
    }

    #[test]
    fn a_gap_a_missing_marker_and_a_marker_inside_are_found() {
        assert!(check(&[packet(1, 0, true), packet(3, 3_000, true)]).is_err());
        assert!(check(&[packet(1, 0, false), packet(2, 3_000, true)]).is_err());
        assert!(check(&[packet(1, 0, true), packet(2, 0, true)]).is_err());
        assert!(check(&[packet(1, 0, false), packet(2, 0, false)]).is_err());
        assert!(check(&[packet(1, 0, true), packet(2, 3_000, false)]).is_ok(), "cut off by the end");
    }

    #[test]
    fn a_line_of_tshark_is_read() {
        let media = row("7|||||100|9000|1|0xabc|").unwrap();
        assert!(!media.is_malformed() && media.rtp.as_ref().unwrap().marker);
        let reports = row("8||2097152|33554432|a note|||||200,202").unwrap();
        assert_eq!((reports.is_malformed(), reports.rtcp_types.as_slice()), (false, &[200, 202][..]));
        assert!(row("9|1|8388608|117440512|cut short|||||200").unwrap().is_malformed());
        let bad_checksum =
            row("10||6291456,8388608|83886080,16777216|not decoded,checksum|1|2|1|0x1|").unwrap();
        assert!(bad_checksum.is_malformed());
        let slice = row("11||6291456|83886080|[Not decoded yet]|1|2|1|0x1|").unwrap();
        assert!(!slice.is_malformed());
        assert!(row("nonsense").is_err());
    }
}
