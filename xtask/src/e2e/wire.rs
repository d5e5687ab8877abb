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
    let media: Vec<_> = rows.iter().filter_map(|row| row.rtp.as_ref()).collect();
    ensure!(media.len() == rtp_sent, "{rtp_sent} RTP packets were sent and tshark knows {}", media.len());
    let reports = rows.iter().filter(|row| !row.rtcp_types.is_empty()).count();
    ensure!(reports == rtcp, "{rtcp} RTCP packets passed and tshark knows {reports}");
    media_is_in_order(&media)?;

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
    ssrc: String,
}

impl Row {
    fn is_malformed(&self) -> bool {
        self.malformed || !self.expert.is_empty()
    }
}

/// Sequence numbers without a gap, one SSRC, a marker at the end of each picture and nowhere else.
fn media_is_in_order(media: &[&Rtp]) -> Result<()> {
    let first = media.first().context("no RTP packet")?;
    let (mut pictures, mut ended) = (0, true);
    let mut previous: Option<&Rtp> = None;
    for packet in media {
        ensure!(packet.ssrc == first.ssrc, "a packet of SSRC {} among those of {}", packet.ssrc, first.ssrc);
        if let Some(previous) = previous {
            ensure!(
                packet.sequence == previous.sequence.wrapping_add(1),
                "sequence number {} after {}",
                packet.sequence,
                previous.sequence
            );
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
    ensure!(ended, "the last packet has no marker");
    eprintln!("   {pictures} pictures, each ended by one marker");
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
            ssrc: ssrc.to_owned(),
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
        Rtp { sequence, timestamp, marker, ssrc: "0x1".to_owned() }
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
        assert!(check(&[packet(1, 0, true), packet(2, 3_000, false)]).is_err());
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
