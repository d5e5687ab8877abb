//! The same packets, decoded by FFmpeg and by GStreamer.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Read};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::relay::{Datagram, Recording};
use super::rig::{Rig, wait_until};
use super::{Scenario, wire};
use crate::picture::{Reference, marker_of_luma};
use crate::process::Quiet;

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
/// In bytes; the kernel gives what its own limit allows.
const SOCKET_BUFFER: &str = "8388608";

fn run(rig: &Rig) -> Result<()> {
    let recording = wire::record(rig)?;
    let mut media: Vec<&Datagram> = recording.media().collect();
    let ends_picture = |datagram: &&Datagram| datagram.bytes[1] & 0x80 != 0;
    // Packets are paced: the end of the share may cut a picture off, which one decoder shows and another does not.
    media.truncate(media.iter().rposition(ends_picture).map_or(0, |last| last + 1));
    let pictures = media.iter().copied().filter(|datagram| ends_picture(datagram)).count();
    eprintln!("   {} RTP packets, {pictures} pictures", media.len());
    let session = Session { rig, recording: &recording, media };
    let ffmpeg = session.decode("FFmpeg", ffmpeg)?;
    let gstreamer = session.decode("GStreamer", gstreamer)?;
    for (name, decoded) in [("FFmpeg", &ffmpeg), ("GStreamer", &gstreamer)] {
        eprintln!(
            "   {name}: {} pictures, least brightness PSNR {:.1} dB",
            decoded.hashes.len(),
            decoded.least_psnr
        );
        let count = decoded.hashes.len();
        ensure!(count == pictures, "{name} decoded {count} pictures of {pictures}");
    }
    ensure!(ffmpeg.hashes == gstreamer.hashes, "the two decoders made different pictures");
    Ok(())
}

/// A recorded session to be decoded.
struct Session<'a> {
    rig: &'a Rig,
    recording: &'a Recording,
    media: Vec<&'a Datagram>,
}

/// What a decoder made of the session.
#[derive(Debug)]
struct Decoded {
    /// Of each picture, in order.
    hashes: Vec<u64>,
    least_psnr: f64,
}

/// Makes the command of a decoder that listens on a port and writes I420 pictures into a file.
type Decoder = fn(&Session<'_>, u16, &Path) -> Result<Command>;

impl Session<'_> {
    /// Sends the packets to the decoder at the pace of the recording; where its socket overflows, which says
    /// nothing about the packets, slower.
    fn decode(&self, name: &str, decoder: Decoder) -> Result<Decoded> {
        let file = self.rig.file(&format!("{name}.i420"));
        for slowness in [1, 2, 4, 8] {
            let overflowed = self.decode_once(name, decoder, slowness, &file)?;
            if overflowed == 0 {
                let decoded = pictures(&mut BufReader::new(File::open(&file)?));
                let _ = fs::remove_file(&file);
                return decoded.with_context(|| format!("{name}'s pictures"));
            }
            eprintln!("   {name}'s socket overflowed by {overflowed} packets: again, slower");
        }
        bail!("{name} is too slow on this machine: its socket overflows")
    }

    /// How many packets its socket could not hold.
    fn decode_once(&self, name: &str, decoder: Decoder, slowness: u32, file: &Path) -> Result<u64> {
        let _ = fs::remove_file(file);
        let port = free_even_port()?;
        let log = self.rig.dir().join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = decoder(self, port, file)?;
        let mut child = Quiet::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
            .with_context(|| format!("starting {name}"))?;
        wait_until(&format!("{name} listens"), LISTEN_TIMEOUT, || {
            ensure!(!child.has_ended()?, "{name} ended before the first packet");
            Ok(overflow(port)?.is_some())
        })?;
        self.send(port, slowness)?;
        // The socket is gone where the decoder took the good-bye for the end.
        let overflowed = overflow(port)?.unwrap_or(0);
        let sent = Instant::now();
        let mut asked = false;
        while !child.has_ended()? {
            if sent.elapsed() > IDLE && !asked {
                // GStreamer does not end at a good-bye; a second interruption would cut its output.
                child.interrupt();
                asked = true;
            }
            ensure!(sent.elapsed() < IDLE * 20, "{name} does not end");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(overflowed)
    }

    /// Sends the packets, then says good-bye.
    fn send(&self, port: u16, slowness: u32) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("a socket")?;
        let target = ("127.0.0.1", port);
        let first = self.media.first().context("no RTP packet was recorded")?.at_unix_us;
        let started = Instant::now();
        for datagram in &self.media {
            let due = Duration::from_micros(datagram.at_unix_us.saturating_sub(first)) * slowness;
            thread::sleep(due.saturating_sub(started.elapsed()));
            socket.send_to(&datagram.bytes, target).context("sending to the decoder")?;
        }
        thread::sleep(Duration::from_millis(200));
        // BYE, after the empty report that a compound begins with:
        // https://www.rfc-editor.org/rfc/rfc3550#section-6.6
        let ssrc = self.recording.ssrc("/ssrc").context("the session names no SSRC")?.to_be_bytes();
        let bye = [[0x80, 201, 0, 1], ssrc, [0x81, 203, 0, 1], ssrc].concat();
        // A decoder that does not listen to RTCP refuses it.
        let _ = socket.send_to(&bye, ("127.0.0.1", port + 1));
        Ok(())
    }
}

/// Reads I420 pictures until the end and compares some of them with what was captured.
fn pictures(input: &mut impl Read) -> Result<Decoded> {
    let (width, height) = SIZE;
    let mut reference = Reference::new(width, height)?;
    let mut picture = vec![0; width as usize * height as usize * 3 / 2];
    let mut decoded = Decoded { hashes: Vec::new(), least_psnr: f64::INFINITY };
    let mut newest = 0;
    while read_whole(input, &mut picture)? {
        let index = decoded.hashes.len();
        let mut hasher = DefaultHasher::new();
        picture.hash(&mut hasher);
        decoded.hashes.push(hasher.finish());
        let number = marker_of_luma(&picture, width as usize)
            .with_context(|| format!("picture {index} shows no readable frame number"))?;
        ensure!(number >= newest, "picture {index} shows frame {number} after frame {newest}");
        newest = number;
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
            0 => bail!("the last picture has {filled} bytes of {}", picture.len()),
            count => filled += count,
        }
    }
    Ok(true)
}

fn ffmpeg(session: &Session<'_>, port: u16, output: &Path) -> Result<Command> {
    let sdp = session.rig.file("session.sdp");
    write_sdp(&sdp, session.recording, port)?;
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-protocol_whitelist", "file,udp,rtp"]);
    command.args(["-buffer_size", SOCKET_BUFFER, "-reorder_queue_size", "0"]).arg("-i").arg(sdp);
    command.args(["-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-y"]).arg(output);
    Ok(command)
}

/// [RFC 6184 §8.2.1](https://www.rfc-editor.org/rfc/rfc6184#section-8.2.1)
fn write_sdp(file: &Path, recording: &Recording, port: u16) -> Result<()> {
    let session = &recording.session;
    let payload_type = &session["payload_type"];
    let profile =
        session["codec"]["fmtp"]["profile-level-id"].as_str().context("the session names no profile")?;
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=video {port} RTP/AVP {payload_type}\r\na=rtpmap:{payload_type} H264/90000\r\n\
         a=fmtp:{payload_type} packetization-mode=1;profile-level-id={profile}\r\n"
    );
    fs::write(file, sdp).with_context(|| format!("writing {}", file.display()))
}

fn gstreamer(session: &Session<'_>, port: u16, output: &Path) -> Result<Command> {
    let payload_type = &session.recording.session["payload_type"];
    let caps = format!(
        "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,packetization-mode=(string)1,\
         payload={payload_type}"
    );
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "-e", "udpsrc", &format!("port={port}"), &format!("buffer-size={SOCKET_BUFFER}")]);
    command.args([&format!("caps={caps}"), "!", "rtpjitterbuffer", "latency=500"]);
    command.args(["!", "rtph264depay", "!", "h264parse", "!", "avdec_h264", "!", "video/x-raw,format=I420"]);
    command.args(["!", "filesink", "sync=false"]).arg(format!("location={}", output.display()));
    Ok(command)
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
    bail!("no two neighbouring UDP ports are free")
}

/// How many datagrams the socket on this port could not hold, or `None` if there is no such socket.
fn overflow(port: u16) -> Result<Option<u64>> {
    let mut sockets = fs::read_to_string("/proc/net/udp").context("the list of UDP sockets")?;
    sockets += &fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    Ok(overflow_in(&sockets, port))
}

fn overflow_in(sockets: &str, port: u16) -> Option<u64> {
    let wanted = format!(":{port:04X}");
    let mut rows = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1).is_some_and(|local| local.ends_with(&wanted)))?;
    row.last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sockets_overflow_is_the_last_column_of_its_line() {
        let list = "  sl  local_address rem_address   st\n\
            1: 0100007F:B3B0 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 0 17\n";
        assert_eq!(overflow_in(list, 46_000), Some(17));
        assert_eq!(overflow_in(list, 46_001), None);
    }

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
