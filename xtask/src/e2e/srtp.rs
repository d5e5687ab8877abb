//! Shares under SRTP, and somebody on the way who has no key.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Scenario;
use super::relay::{Direction, Recorder, Recording};
use super::rig::{ROOM, Rig, Server};
use super::share::{Share, ShareOptions};
use super::viewer::Viewer;
use crate::browser::Browser;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "srtp",
    shows: "each suite shares into the browser; who has no key changes nothing by forging, tampering and repeating",
    run,
};

const SUITES: [&str; 3] = ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"];
/// How long the share is left alone, and how long it is attacked.
const STRETCH: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_millis(10);
/// While it is attacked, at least this part of the pictures of before must be decoded: less than all, for a busy machine.
const LEAST_PICTURES: f64 = 0.6;

fn run(rig: &Rig) -> Result<()> {
    for suite in SUITES {
        attacked(&rig.inside(suite)?, suite).with_context(|| suite.to_owned())?;
    }
    wrong_key(&rig.inside("wrong-key")?).context("a wrong key")
}

fn attacked(rig: &Rig, suite: &str) -> Result<()> {
    let server = rig.server()?;
    let relay = Recorder::start(&server.ws)?;
    let mut browser = rig.browser()?;
    let arguments = ["--srtp", &suite.to_lowercase()];
    let options = ShareOptions {
        address: Some(relay.address()),
        arguments: &arguments,
        ..ShareOptions::new("synthetic:640x360")
    };
    let mut share = rig.share(&server, &options)?;
    let (_, session) = share.wait_event("session")?;
    ensure!(session["srtp"] == suite, "the session is under {}", session["srtp"]);
    share.wait_event("sender_started")?;
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    viewer.first_picture(&mut browser)?;

    let mut watch = Watch { share: &mut share, browser: &mut browser, viewer: &viewer };
    let alone = watch.during(|| std::thread::sleep(STRETCH))?;
    let recording = relay.so_far();
    nothing_in_the_clear(&recording)?;
    let mut attack = Attack::new(&recording)?;
    let attacked = watch.during(|| attack.run(&relay))?;
    // The status that says so comes once a second.
    std::thread::sleep(Duration::from_millis(1_500));
    let status = watch.share.status().context("yc-share printed no status")?.clone();
    watch.share.process.ensure_running()?;

    eprintln!(
        "   {suite}: {} pictures alone, {} attacked; {} forged datagrams to the server, {} to the sender",
        alone.pictures, attacked.pictures, attack.to_server, attack.to_sender
    );
    eprintln!("   the sender rejected {}", status["srtp"]["rtcp_rejected"]);
    ensure!(
        attacked.pictures as f64 >= alone.pictures as f64 * LEAST_PICTURES,
        "{} pictures were decoded under attack, {} before",
        attacked.pictures,
        alone.pictures
    );
    ensure!(
        attacked.key_frames <= alone.key_frames + 1,
        "the attack made {} key frames; before there were {}",
        attacked.key_frames,
        alone.key_frames
    );
    let count = |name: &str| status["srtp"]["rtcp_rejected"][name].as_u64().unwrap_or_default();
    for (name, least) in [
        ("authentication", attack.forged / 2),
        ("replayed", attack.replayed / 2),
        ("malformed", attack.malformed / 2),
    ] {
        ensure!(
            least > 0 && count(name) >= least,
            "{name}: {} counted, at least {least} wanted",
            count(name)
        );
    }
    ensure!(status["srtp"]["not_protected"] == 0, "packets of the sender's own were not protected");
    server_counts(&server, &status)?;
    let ended = share.stop()?;
    ensure!(ended.success(), "yc-share ended with {ended}\n{}", share.process.tail());
    Ok(())
}

/// The server took what the sender sent and nothing else, and saw that more came.
fn server_counts(server: &Server, status: &Value) -> Result<()> {
    let metrics = server.metrics()?;
    let metric = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|text| text.parse::<u64>().ok()).with_context(|| format!("no {name} in\n{metrics}"))
    };
    let (packets, rtp) = (metric("yc_native_rtp_packets_total")?, metric("yc_native_rtp_bytes_total")?);
    let received = metric("yc_native_received_bytes_total")?;
    let sent = status["packets_sent"].as_u64().context("the status counts no packets")?;
    eprintln!("   the server took {packets} packets of {sent} sent by then, {rtp} of {received} bytes");
    ensure!(packets > 0, "the server took no packet");
    // It is asked a moment after the sender's status: what left since then may be among it.
    ensure!(packets <= sent + 200, "the server took {packets} packets; {sent} were sent");
    ensure!(received > rtp + rtp / 4, "the server saw {received} bytes, {rtp} of them RTP");
    Ok(())
}

/// Neither the words nor the pictures that were sent are on the wire.
fn nothing_in_the_clear(recording: &Recording) -> Result<()> {
    let cname = recording.session["cname"].as_str().context("the session has no CNAME")?.as_bytes();
    for datagram in &recording.datagrams {
        let bytes = &datagram.bytes;
        ensure!(!bytes.windows(cname.len()).any(|window| window == cname), "the CNAME is in the clear");
    }
    // Headers are in the clear, and of plain H264 the first byte after them would be one of a few.
    let kinds = recording.datagrams.iter().filter(|datagram| {
        datagram.direction == Direction::ToServer && !datagram.is_rtcp() && datagram.bytes.len() > 40
    });
    let mut seen = [false; 256];
    for datagram in kinds {
        let words = usize::from(u16::from_be_bytes([datagram.bytes[14], datagram.bytes[15]]));
        ensure!(datagram.bytes[0] & 0x10 != 0, "a packet without extensions");
        seen[usize::from(datagram.bytes[16 + 4 * words])] = true;
    }
    let different = seen.iter().filter(|seen| **seen).count();
    ensure!(different > 64, "payloads begin with {different} different bytes: they do not look encrypted");
    Ok(())
}

/// What happened in a stretch of time.
struct Stretch {
    pictures: usize,
    key_frames: u64,
}

struct Watch<'a> {
    share: &'a mut Share,
    browser: &'a mut Browser,
    viewer: &'a Viewer,
}

impl Watch<'_> {
    fn during(&mut self, stretch: impl FnOnce()) -> Result<Stretch> {
        let (pictures, key_frames) = self.counts()?;
        stretch();
        let (after, key_frames_after) = self.counts()?;
        Ok(Stretch { pictures: after - pictures, key_frames: key_frames_after - key_frames })
    }

    fn counts(&mut self) -> Result<(usize, u64)> {
        let pictures = self.viewer.shown(self.browser)?.len();
        let status = self.share.status().context("yc-share printed no status")?;
        Ok((pictures, status["key_frames"]["total"].as_u64().context("the status counts no key frames")?))
    }
}

/// Everything that can be sent without a key, by somebody elsewhere and by somebody on the way.
struct Attack {
    stranger: UdpSocket,
    ssrc: u32,
    payload_type: u8,
    /// What the sender sent, and what the server answered.
    media: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    to_server: u64,
    to_sender: u64,
    forged: u64,
    replayed: u64,
    malformed: u64,
}

impl Attack {
    fn new(recording: &Recording) -> Result<Self> {
        let server = recording.server.context("the relay saw no session")?;
        let stranger = UdpSocket::bind("127.0.0.1:0").context("a stranger's socket")?;
        stranger.connect(server).context("a stranger's socket")?;
        let session = &recording.session;
        let of = |direction: Direction, rtcp: bool| {
            let chosen =
                recording.datagrams.iter().filter(|d| d.direction == direction && d.is_rtcp() == rtcp);
            chosen.map(|datagram| datagram.bytes.clone()).collect::<Vec<_>>()
        };
        let (media, answers) = (of(Direction::ToServer, false), of(Direction::ToSender, true));
        ensure!(media.len() > 30 && answers.len() > 3, "{} packets, {} answers", media.len(), answers.len());
        Ok(Self {
            stranger,
            ssrc: session["ssrc"].as_u64().and_then(|ssrc| u32::try_from(ssrc).ok()).context("ssrc")?,
            payload_type: session["payload_type"].as_u64().context("payload_type")? as u8,
            media,
            answers,
            to_server: 0,
            to_sender: 0,
            forged: 0,
            replayed: 0,
            malformed: 0,
        })
    }

    fn run(&mut self, relay: &Recorder) {
        let until = Instant::now() + STRETCH;
        let mut round = 0;
        while Instant::now() < until {
            self.at_the_server(relay, round);
            self.at_the_sender(relay, round);
            round += 1;
            std::thread::sleep(ROUND);
        }
    }

    /// A second sender, plain and with a wrong key; packets of the sender's own, changed and repeated: from another
    /// port, and from the sender's.
    fn at_the_server(&mut self, relay: &Recorder, round: usize) {
        let sequence = (round as u16).wrapping_mul(3);
        let plain = self.packet(sequence, &[&[0x65], [0x5a; 800].as_slice()].concat());
        let wrong_key = self.packet(sequence, &noise(round, 816));
        let repeated = self.media[round % self.media.len()].clone();
        let mut tampered = repeated.clone();
        let place = round % tampered.len();
        tampered[place] ^= 1 << (round % 8);
        let goodbye = [&[0x81, 203, 0, 1], self.ssrc.to_be_bytes().as_slice()].concat();
        for datagram in [plain, wrong_key, repeated, tampered, goodbye, noise(round, 300)] {
            // A refused datagram is lost, as on any network.
            let _ = self.stranger.send(&datagram);
            relay.inject(Direction::ToServer, &datagram);
            self.to_server += 2;
        }
    }

    /// PLIs, transport-wide feedback and noise of nobody, and what the server said before, changed and repeated.
    fn at_the_sender(&mut self, relay: &Recorder, round: usize) {
        let ssrc = self.ssrc.to_be_bytes();
        let pli = [&[0x81, 206, 0, 2, 0, 0, 0, 0], ssrc.as_slice()].concat();
        // It says that nothing arrived. [transport-wide-cc-01 §3.1]
        let feedback = [
            &[0x8f, 205, 0, 5, 0, 0, 0, 0],
            ssrc.as_slice(),
            &[0, 0, 0, 100, 0, 0, 0, round as u8],
            &[0, 100, 0, 0],
        ];
        let feedback = feedback.concat();
        let tagged = |rtcp: &[u8]| [rtcp, &noise(round, 30)].concat();
        let repeated = self.answers[round % self.answers.len()].clone();
        let mut tampered = repeated.clone();
        let place = 4 + round % (tampered.len() - 4);
        tampered[place] ^= 1 << (round % 8);
        let forged = [tagged(&pli), tagged(&pli), tagged(&feedback), tampered];
        let malformed = [pli, noise(round, 5), self.media[0].clone()];
        self.forged += forged.len() as u64;
        self.malformed += malformed.len() as u64;
        self.replayed += 1;
        for datagram in forged.iter().chain(&malformed).chain([&repeated]) {
            relay.inject(Direction::ToSender, datagram);
            self.to_sender += 1;
        }
    }

    fn packet(&self, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, self.payload_type];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0, 0, 1, 0]);
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        packet
    }
}

/// Bytes that look like nothing.
fn noise(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64 | 1 << 40;
    let next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The server is told another key than the sender has: no picture comes, and the share ends by an error that says so.
fn wrong_key(rig: &Rig) -> Result<()> {
    let server = rig.server()?;
    let relay = Recorder::start_with(&server.ws, |mut message| {
        if let Some(key) = message["data"]["srtp"]["key_base64"].as_str() {
            let other: String = key.chars().map(|c| if c == '=' { c } else { 'A' }).collect();
            message["data"]["srtp"]["key_base64"] = other.into();
        }
        message
    })?;
    let mut browser = rig.browser()?;
    let options = ShareOptions { address: Some(relay.address()), ..ShareOptions::new("synthetic:640x360") };
    let mut share = rig.share(&server, &options)?;
    share.wait_event("sender_started")?;
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    let ended = share.wait(Duration::from_secs(60))?;
    let pictures = viewer.shown(&mut browser)?.len();
    ensure!(pictures == 0, "{pictures} pictures came");
    let (_, error) = share.wait_event("error")?;
    let message = error["message"].as_str().unwrap_or_default();
    eprintln!("   a wrong key: yc-share ends with {ended}: {message}");
    ensure!(ended.code() == Some(6), "yc-share ended with {ended}");
    ensure!(message.contains("the receiver may have another key"), "the error says {message:?}");
    let metrics = server.metrics()?;
    ensure!(metrics.contains("\nyc_native_rtp_packets_total 0\n"), "the server took packets:\n{metrics}");
    Ok(())
}
