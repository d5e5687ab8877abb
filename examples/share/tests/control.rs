//! `yc-share --control` as an app runs it: a child process and lines.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

struct Share {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Share {
    #[expect(clippy::disallowed_methods, reason = "the reader ends with the child")]
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_yc-share"))
            .arg("--control")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let value = serde_json::from_str(&line.unwrap()).expect("every line is JSON");
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that `wanted` wants.
    fn hear(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok())
            .find(|line| wanted(line))
            .expect("the line comes")
    }

    fn ask(&mut self, id: u64, command: &str, data: &Value) -> Value {
        self.say(&json!({"id": id, "command": command, "data": data}).to_string());
        self.hear(|line| line["id"] == id)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // It has ended, where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the far end of the share")]
fn an_app_lists_prepares_starts_and_stops_by_lines() {
    let mut share = Share::start();
    let ready = share.hear(|_| true);
    assert_eq!(ready["event"], "host_ready");
    assert!(ready["commands"].as_array().unwrap().contains(&json!("native_capture_start")));

    let listed = share.ask(1, "native_capture_sources", &json!({"include_test": true}));
    let sources = listed["data"]["sources"].as_array().unwrap();
    assert!(sources.iter().any(|source| source["kind"] == "test"), "{listed}");

    let prepared = share.ask(2, "native_capture_prepare", &json!({"source": "synthetic:320x200"}));
    assert_eq!(prepared["ok"], true, "{prepared}");
    let offer = &prepared["data"]["offer"];
    let profile = &offer["codecs"][0]["profile_level_id"];
    assert_eq!(offer["srtp"]["crypto_suite"], "AEAD_AES_128_GCM");

    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let session = json!({
        "protocol": 1, "session_id": "s", "rtp_target": receiver.local_addr().unwrap().to_string(),
        "rtcp_mux": true, "payload_type": 96, "ssrc": 7, "cname": "yc-1", "producer_id": "p", "transport_id": "t",
        "codec": {"mime_type": "video/H264", "clock_rate": 90_000, "fmtp": {
            "packetization-mode": 1, "level-asymmetry-allowed": 1, "profile-level-id": profile,
        }},
        "srtp": offer["srtp"],
    });
    let started = share.ask(3, "native_capture_start", &json!({"session": session}));
    assert_eq!(started["ok"], true, "{started}");
    let mut datagram = [0; 2_048];
    assert!(receiver.recv(&mut datagram).unwrap() > 12);
    let status = share.ask(4, "native_capture_status", &json!({}));
    assert_eq!(status["data"]["phase"], "running");

    share.say(&json!({"id": 5, "command": "native_capture_stop"}).to_string());
    // The reply and the event come in any order.
    let (mut reply, mut event) = (Value::Null, Value::Null);
    while reply.is_null() || event.is_null() {
        let line = share.hear(|line| line["id"] == 5 || line["event"] == "sender_stopped");
        let place = if line["id"] == 5 { &mut reply } else { &mut event };
        *place = line;
    }
    assert_eq!((&reply["data"]["was_running"], &event["failure"]), (&json!(true), &json!(false)));
}

#[test]
fn bad_lines_are_refused_and_the_end_of_the_input_ends_it() {
    let mut share = Share::start();
    share.say("this is no JSON");
    let bad = share.hear(|line| line["ok"] == false);
    assert_eq!((&bad["id"], &bad["error"]["code"]), (&Value::Null, &json!("bad_request")));
    let unknown = share.ask(7, "native_capture_begin", &json!({}));
    assert_eq!(unknown["error"]["code"], "bad_request");
    let wrong = share.ask(8, "native_capture_prepare", &json!({"source": "screen", "fps": 0}));
    let message = wrong["error"]["message"].as_str().unwrap();
    assert!(message.contains("data.fps: 0 is not a whole number from 1 to 240"), "{message}");
    assert!(share.ask(9, "native_capture_prepare", &json!({"source": "synthetic:320x200"}))["ok"] == true);
    drop(share.input.take());
    assert_eq!(share.child.wait().unwrap().code(), Some(0));
}
