//! The same packets, decoded by FFmpeg and by GStreamer.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::relay::{Datagram, Direction, Recording};
use super::rig::{Rig, wait_until};
use super::{Scenario, wire};
use crate::picture::{Reference, marker_of_luma};
use crate::process::OwnedChild;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "decoders",
    shows: "FFmpeg and GStreamer decode every picture of a session from the packets that were sent",
    run,
};

const SIZE: (u32, u32) = (1280, 720);
/// One picture in so many is compared with what was captured.
const COMPARE_EVERY: usize = 10;
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a decoder may go on after the last packet until it is asked to end.
const IDLE: Duration = Duration::from_secs(3);

fn run(rig: &Rig) -> Result<()> {
    let recording = wire::record(rig)?;
    let media: Vec<&Datagram> = recording
        .datagrams
        .iter()
        .filter(|datagram| datagram.direction == Direction::ToServer && !datagram.is_rtcp())
        .collect();
    let pictures = media.iter().filter(|datagram| datagram.bytes[1] & 0x80 != 0).count();
    eprintln!("   {} RTP packets, {pictures} pictures", media.len());
    let ffmpeg = decode("FFmpeg", &recording, &media, |port| ffmpeg(rig, &recording, port))?;
    let gstreamer = decode("GStreamer", &recording, &media, |port| Ok(gstreamer(&recording, port)))?;
    for (name, decoded) in [("FFmpeg", &ffmpeg), ("GStreamer", &gstreamer)] {
        eprintln!(
            "   {name}: {} pictures, least brightness PSNR {:.1} dB",
            decoded.hashes.len(),
            decoded.least_psnr
        );
        ensure!(
            decoded.hashes.len() == pictures,
            "{name} decoded {} pictures of {pictures}",
            decoded.hashes.len()
        );
    }
    ensure!(ffmpeg.hashes == gstreamer.hashes, "the two decoders made different pictures");
    Ok(())
}

/// What a decoder made of the session.
#[derive(Debug, Default)]
struct Decoded {
    /// Of each picture, in order.
    hashes: Vec<u64>,
    least_psnr: f64,
}

fn decode(
    name: &'static str,
    recording: &Recording,
    media: &[&Datagram],
    command: impl FnOnce(u16) -> Result<Command>,
) -> Result<Decoded> {
    let port = free_even_port()?;
    let mut command = command(port)?;
    let mut child = OwnedChild::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))
        .with_context(|| format!("starting {name}"))?;
    let mut output = child.take_stdout().context("standard output was asked for")?;
    let reader = thread::Builder::new()
        .name(format!("{name} pictures"))
        .spawn(move || pictures(&mut output))
        .context("starting a thread")?;
    wait_until(&format!("{name} listens"), LISTEN_TIMEOUT, || listens(port))?;
    send(media, recording, port)?;
    let sent = Instant::now();
    let mut asked = false;
    while !reader.is_finished() {
        if sent.elapsed() > IDLE && !asked {
            // GStreamer does not take the good-bye for the end; a second interruption would cut its output.
            child.interrupt();
            asked = true;
        }
        ensure!(sent.elapsed() < IDLE * 10, "{name} does not end");
        thread::sleep(Duration::from_millis(20));
    }
    let decoded = reader.join().map_err(|_| anyhow::anyhow!("reading {name}'s pictures panicked"))?;
    decoded.with_context(|| format!("{name}'s pictures"))
}

/// Reads I420 pictures until the end and compares some of them with what was captured.
fn pictures(output: &mut impl Read) -> Result<Decoded> {
    let (width, height) = SIZE;
    let mut reference = Reference::new(width, height)?;
    let mut picture = vec![0; width as usize * height as usize * 3 / 2];
    let mut decoded = Decoded { least_psnr: f64::INFINITY, ..Decoded::default() };
    let mut numbers: BTreeMap<u32, usize> = BTreeMap::new();
    while read_whole(output, &mut picture)? {
        let index = decoded.hashes.len();
        let mut hasher = DefaultHasher::new();
        picture.hash(&mut hasher);
        decoded.hashes.push(hasher.finish());
        let number = marker_of_luma(&picture, width as usize)
            .with_context(|| format!("picture {index} shows no readable frame number"))?;
        let newest = numbers.last_key_value().map_or(0, |(newest, _)| *newest);
        ensure!(number >= newest, "picture {index} shows frame {number} after frame {newest}");
        numbers.insert(number, index);
        if index.is_multiple_of(COMPARE_EVERY) {
            let comparison = reference.compare_i420(&picture)?;
            decoded.least_psnr = decoded.least_psnr.min(comparison.luma_psnr);
            ensure!(comparison.matches(), "picture {index} is not the captured one: {comparison:?}");
        }
    }
    Ok(decoded)
}

/// Fills `picture`; `false` at the end of the stream, where a part of a picture is an error.
fn read_whole(input: &mut impl Read, picture: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    while filled < picture.len() {
        match input.read(&mut picture[filled..]).context("reading")? {
            0 if filled == 0 => return Ok(false),
            0 => anyhow::bail!("the last picture has {filled} bytes of {}", picture.len()),
            count => filled += count,
        }
    }
    Ok(true)
}

fn ffmpeg(rig: &Rig, recording: &Recording, port: u16) -> Result<Command> {
    let sdp = rig.file("session.sdp");
    write_sdp(&sdp, recording, port)?;
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-protocol_whitelist", "file,udp,rtp"]);
    command.args(["-buffer_size", "8388608", "-reorder_queue_size", "0"]).arg("-i").arg(sdp);
    command.args(["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"]);
    Ok(command)
}

/// [RFC 6184 §8.2.1](https://www.rfc-editor.org/rfc/rfc6184#section-8.2.1)
fn write_sdp(file: &Path, recording: &Recording, port: u16) -> Result<()> {
    let session = &recording.session;
    let payload_type = &session["payload_type"];
    let profile = session["codec"]["fmtp"]["profile-level-id"].as_str().unwrap_or("42e01f");
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=video {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} H264/90000\r\n\
         a=fmtp:{payload_type} packetization-mode=1;profile-level-id={profile}\r\n"
    );
    fs::write(file, sdp).with_context(|| format!("writing {}", file.display()))
}

fn gstreamer(recording: &Recording, port: u16) -> Command {
    let payload_type = &recording.session["payload_type"];
    let caps = format!(
        "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,packetization-mode=(string)1,\
         payload={payload_type}"
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args([
        "-q",
        "-e",
        "udpsrc",
        &format!("port={port}"),
        "buffer-size=8388608",
        &format!("caps={caps}"),
    ]);
    command.args([
        "!",
        "rtpjitterbuffer",
        "latency=500",
        "!",
        "rtph264depay",
        "!",
        "h264parse",
        "!",
        "avdec_h264",
    ]);
    command.args(["!", "video/x-raw,format=I420", "!", "fdsink", "fd=1", "sync=false"]);
    command
}

/// Sends the packets at the pace at which they were recorded, then says good-bye.
fn send(media: &[&Datagram], recording: &Recording, port: u16) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("a socket")?;
    let target = ("127.0.0.1", port);
    let (started, first) = (Instant::now(), media.first().context("no RTP packet was recorded")?.at_unix_us);
    for datagram in media {
        let due = Duration::from_micros(datagram.at_unix_us.saturating_sub(first));
        thread::sleep(due.saturating_sub(started.elapsed()));
        socket.send_to(&datagram.bytes, target).context("sending to the decoder")?;
    }
    // BYE: https://www.rfc-editor.org/rfc/rfc3550#section-6.6, after the empty report that a compound begins with.
    let ssrc = u32::try_from(recording.session["ssrc"].as_u64().unwrap_or(0)).unwrap_or(0).to_be_bytes();
    let bye = [[0x80, 201, 0, 1], ssrc, [0x81, 203, 0, 1], ssrc].concat();
    for target in [target, ("127.0.0.1", port + 1)] {
        // A decoder that does not listen to RTCP refuses it.
        let _ = socket.send_to(&bye, target);
    }
    Ok(())
}

/// A port that is free together with the next one, where RTCP goes.
fn free_even_port() -> Result<u16> {
    for _ in 0..100 {
        let rtp = UdpSocket::bind("127.0.0.1:0").context("a free port")?;
        let port = rtp.local_addr().context("a free port")?.port();
        if port % 2 == 0 && UdpSocket::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no two neighbouring UDP ports are free")
}

fn listens(port: u16) -> Result<bool> {
    let sockets = fs::read_to_string("/proc/net/udp").context("the list of UDP sockets")?;
    let sockets6 = fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    let wanted = format!(":{port:04X} ");
    Ok(sockets.lines().chain(sockets6.lines()).any(|line| line.contains(&wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_picture_by_picture_and_a_cut_one_is_an_error() {
        let mut picture = [0; 4];
        let mut whole: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
        assert!(read_whole(&mut whole, &mut picture).unwrap());
        assert!(read_whole(&mut whole, &mut picture).unwrap());
        assert_eq!(picture, [5, 6, 7, 8]);
        assert!(!read_whole(&mut whole, &mut picture).unwrap());
        let mut cut: &[u8] = &[1, 2];
        assert!(read_whole(&mut cut, &mut picture).is_err());
    }
}
