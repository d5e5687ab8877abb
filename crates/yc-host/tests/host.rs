//! A host with its real parts: the built-in desktop, OpenH264, a receiver on loopback.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use yc_host::{Around, HostConfig, HostEvent, NativeHost, dispatch, offered_key};
use yc_rtp::RtpHeader;
use yc_sender::SrtpMasterKey;
use yc_sender::fault::Faults;
use yc_sfu::messages::{NativeSenderOffer, NativeSenderSession, PROTOCOL_VERSION};
use yc_sfu::params;

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const SSRC: u32 = 0x5eed_0001;

fn host(config: HostConfig) -> (NativeHost, Receiver<HostEvent>) {
    let (sender, events) = channel();
    let sender = Mutex::new(sender);
    let host = NativeHost::new(config, move |event| {
        // A test that has ended listens no more.
        let _ = sender.lock().unwrap().send(event);
    });
    (host, events)
}

/// A host whose every prepare has the faults of `script` anew. They are kept, so that what hangs hangs.
fn faulty(script: &str) -> (NativeHost, Receiver<HostEvent>, Arc<Mutex<Vec<Faults>>>) {
    let script: yc_sender::fault::FaultScript = script.parse().unwrap();
    let kept: Arc<Mutex<Vec<Faults>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let config = HostConfig::default().with_around(move || {
        let faults = Faults::new(script.clone());
        keep.lock().unwrap().push(faults.clone());
        let transport = faults.clone();
        Around::new(move |all| faults.backends(all), move |inner| transport.transport(inner))
    });
    let (host, events) = host(config);
    (host, events, kept)
}

#[expect(clippy::disallowed_methods, reason = "the far end of the sender under test")]
fn receiver() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// What a server answers to `offer`.
fn session(offer: &Value, receiver: &UdpSocket) -> Value {
    let offer: NativeSenderOffer = serde_json::from_value(offer.clone()).unwrap();
    let stream = params::canonical(params::select_codec(&offer).unwrap(), SSRC, None, "yc-1");
    let srtp = offer.srtp.as_ref().map(|ours| {
        let key = SrtpMasterKey::new(ours.crypto_suite.name().parse().unwrap(), &[7; 28]).unwrap();
        offered_key(&key).unwrap()
    });
    serde_json::to_value(NativeSenderSession {
        protocol: PROTOCOL_VERSION,
        session_id: "s".into(),
        rtp_target: receiver.local_addr().unwrap().to_string(),
        rtcp_mux: true,
        payload_type: stream.payload_type.into(),
        ssrc: stream.ssrc.into(),
        codec: params::codec_reply(&stream.codec),
        rtx: None,
        header_extensions: params::extension_replies(&stream.extensions),
        rtcp_feedback: params::feedback_replies(),
        cname: stream.cname,
        mid: stream.mid,
        srtp,
        producer_id: "p".into(),
        transport_id: "t".into(),
    })
    .unwrap()
}

fn ask(host: &NativeHost, command: &str, data: Value) -> Result<Value, String> {
    dispatch(host, &format!("native_capture_{command}"), data).map_err(|error| error.code.to_owned())
}

fn prepare(host: &NativeHost) -> Result<Value, String> {
    ask(host, "prepare", json!({"source": "synthetic:320x200", "fps": 30}))
}

fn phase(host: &NativeHost) -> Value {
    ask(host, "status", json!({})).unwrap()["phase"].clone()
}

#[test]
fn a_share_goes_from_prepare_to_its_end_and_sends_real_packets() {
    let (host, events) = host(HostConfig::default());
    assert_eq!(phase(&host), "idle");
    let prepared = prepare(&host).unwrap();
    assert_eq!(
        (&prepared["capture_backend"], &prepared["encoder_backend"]),
        (&json!("synthetic"), &json!("openh264"))
    );
    assert_eq!(phase(&host), "prepared");

    let receiver = receiver();
    assert_eq!(prepared["offer"]["rtx"], true, "what is lost can be sent again");
    let session = session(&prepared["offer"], &receiver);
    let started = ask(&host, "start", json!({"session": session})).unwrap();
    assert_eq!(started["native_sender"]["producer_state"], "open");
    let mut datagram = [0; 2_048];
    let header = loop {
        let length = receiver.recv(&mut datagram).unwrap();
        if !yc_rtp::rtcp::is_rtcp(&datagram[..length]) {
            break RtpHeader::parse(&datagram[..length]).unwrap().0;
        }
    };
    assert_eq!((header.ssrc, header.payload_type), (SSRC, 96));
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().name(), "sender_started");
    assert_eq!(phase(&host), "running");
    assert_eq!(prepare(&host).unwrap_err(), "already_running");
    assert_eq!(ask(&host, "start", json!({"session": session})).unwrap_err(), "already_running");

    let stopped = ask(&host, "stop", json!({})).unwrap();
    assert_eq!(stopped["was_running"], true);
    assert_eq!(stopped["native_sender"]["state"], "stopped");
    assert!(stopped["native_sender"]["frames_sent"].as_u64().unwrap() > 0);
    let last = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok())
        .find(|event| event.name() == "sender_stopped")
        .unwrap();
    let last = serde_json::to_value(last).unwrap();
    assert_eq!((&last["reason"], &last["failure"]), (&json!("requested"), &json!(false)));
    assert_eq!(phase(&host), "over");
    assert_eq!(ask(&host, "stop", json!({})).unwrap()["was_running"], false);
    assert!(prepare(&host).is_ok());
}

#[test]
fn what_is_not_prepared_cannot_start_and_a_second_prepare_takes_the_place_of_the_first() {
    let (host, _events) = host(HostConfig::default());
    let prepared = prepare(&host).unwrap();
    let session = session(&prepared["offer"], &receiver());
    ask(&host, "stop", json!({})).unwrap();
    assert_eq!(ask(&host, "start", json!({"session": session})).unwrap_err(), "not_prepared");
    prepare(&host).unwrap();
    ask(&host, "prepare", json!({"source": "synthetic:640x360"})).unwrap();
    assert_eq!(phase(&host), "prepared");
    assert_eq!(ask(&host, "prepare", json!({"source": "replay:none.y4m"})).unwrap_err(), "bad_request");
}

#[test]
fn a_session_that_does_not_fit_is_refused_and_what_is_prepared_stays() {
    let (host, _events) = host(HostConfig::default());
    let prepared = prepare(&host).unwrap();
    let good = session(&prepared["offer"], &receiver());
    for (field, bad) in [
        ("payload_type", json!(95)),
        ("ssrc", json!(0)),
        ("rtp_target", json!("0.0.0.0:5")),
        ("srtp", Value::Null),
    ] {
        let mut session = good.clone();
        session[field] = bad;
        assert_eq!(ask(&host, "start", json!({"session": session})).unwrap_err(), "negotiation_failed");
        assert_eq!(phase(&host), "prepared");
    }
    assert!(ask(&host, "start", json!({"session": good})).is_ok());
}

#[test]
fn plain_rtp_is_offered_where_that_is_asked_for_and_stays_on_this_machine() {
    let (host, _events) = host(HostConfig::default());
    let plain = json!({"source": "synthetic:320x200", "srtp": "off"});
    let prepared = ask(&host, "prepare", plain.clone()).unwrap();
    assert_eq!(prepared["offer"]["srtp"], Value::Null);
    let near = session(&prepared["offer"], &receiver());
    let mut far = near.clone();
    far["rtp_target"] = json!("192.0.2.1:5");
    assert_eq!(ask(&host, "start", json!({"session": far})).unwrap_err(), "negotiation_failed");
    let started = ask(&host, "start", json!({"session": near})).unwrap();
    assert_eq!(started["native_sender"]["srtp"], Value::Null);
    ask(&host, "stop", json!({})).unwrap();
    ask(&host, "prepare", plain).unwrap();
    assert!(ask(&host, "start", json!({"session": far, "allow_plain_rtp": true})).is_ok());
}

#[test]
fn each_prepare_has_a_key_of_its_own_and_no_other_reply_or_event_shows_one() {
    let (host, events) = host(HostConfig::default());
    let [first, prepared] = [prepare(&host).unwrap(), prepare(&host).unwrap()];
    let key = |prepared: &Value| prepared["offer"]["srtp"]["key_base64"].as_str().unwrap().to_owned();
    assert_ne!(key(&first), key(&prepared));
    let receiver = receiver();
    let session = session(&prepared["offer"], &receiver);
    let mut wrong = session.clone();
    wrong["srtp"]["key_base64"] = json!("c2VjcmV0");
    let refused = dispatch(&host, "native_capture_start", json!({"session": wrong})).unwrap_err();
    let started = ask(&host, "start", json!({"session": session})).unwrap();
    assert_eq!(started["native_sender"]["srtp"]["suite"], "AEAD_AES_128_GCM");
    receiver.recv(&mut [0; 2_048]).unwrap();
    let status = ask(&host, "status", json!({})).unwrap();
    let stopped = ask(&host, "stop", json!({})).unwrap();
    let mut shown = format!("{refused:?} {started} {status} {stopped} {host:?}");
    while let Ok(event) = events.recv_timeout(PATIENCE) {
        shown += &serde_json::to_string(&event).unwrap();
        if event.name() == "sender_stopped" {
            break;
        }
    }
    assert!(shown.contains("sender_stopped"), "{shown}");
    for hidden in [&key(&prepared), session["srtp"]["key_base64"].as_str().unwrap(), "c2VjcmV0"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn stop_ends_a_prepare_that_hangs() {
    let (host, _events, kept) = faulty("capture.open=hang");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| prepare(&host));
        let hanging = || kept.lock().unwrap().first().cloned();
        while hanging().is_none_or(|faults| !faults.wait_hanging(1, PATIENCE)) {
            std::thread::yield_now();
        }
        assert_eq!(phase(&host), "preparing");
        assert_eq!(ask(&host, "stop", json!({})).unwrap()["was_running"], false);
        assert_eq!(phase(&host), "idle");
        waiting.join().unwrap()
    });
    assert_eq!(waiting.unwrap_err(), "stopped");
}

#[test]
fn stop_ends_a_start_that_hangs() {
    let (host, _events, kept) = faulty("capture.start=hang");
    let session = session(&prepare(&host).unwrap()["offer"], &receiver());
    let started = std::thread::scope(|scope| {
        let starting = scope.spawn(|| ask(&host, "start", json!({"session": session})));
        let faults = kept.lock().unwrap()[0].clone();
        assert!(faults.wait_hanging(1, PATIENCE));
        assert_eq!(phase(&host), "starting");
        assert_eq!(ask(&host, "stop", json!({})).unwrap()["was_running"], true);
        starting.join().unwrap()
    });
    assert_eq!(started.unwrap_err(), "stopped");
    assert_eq!(phase(&host), "idle");
}

#[test]
fn a_failing_end_sends_the_app_to_the_browser_first() {
    let (host, events, _kept) = faulty("capture.frame@3=fail:permission_denied");
    let session = session(&prepare(&host).unwrap()["offer"], &receiver());
    ask(&host, "start", json!({"session": session})).unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|event: &Value| event["event"] != "sender_stopped") {
        told.push(serde_json::to_value(events.recv_timeout(PATIENCE).unwrap()).unwrap());
    }
    let end = told.pop().unwrap();
    assert_eq!((&end["reason"], &end["failure"]), (&json!("capture_denied"), &json!(true)));
    assert!(told.iter().any(|event| event["event"] == "fallback_triggered" && event["step"] == "browser"));
    let status = ask(&host, "status", json!({})).unwrap();
    assert_eq!((&status["phase"], &status["native_sender"]["state"]), (&json!("over"), &json!("failed")));
}

#[test]
fn what_cannot_be_opened_says_why_by_its_code() {
    for (script, code) in [
        ("capture.open=fail:not_found", "source_not_found"),
        ("capture.open=fail:permission_denied", "capture_denied"),
        ("encoder.open=fail:unsupported", "encoder_unsupported"),
        ("encoder.open=fail:device_lost", "encoder_device_lost"),
    ] {
        let (host, _events, _kept) = faulty(script);
        assert_eq!(prepare(&host).unwrap_err(), code, "{script}");
        assert_eq!(phase(&host), "idle");
    }
}

#[test]
fn commands_from_many_threads_leave_the_host_whole() {
    let (host, events) = host(HostConfig::default());
    let target = receiver();
    std::thread::scope(|scope| {
        for turn in 0..4 {
            let (host, target) = (&host, &target);
            scope.spawn(move || {
                for _ in 0..6 {
                    if turn == 0 {
                        ask(host, "stop", json!({})).unwrap();
                    } else if let Ok(prepared) = prepare(host) {
                        let session = session(&prepared["offer"], target);
                        let _ = ask(host, "start", json!({"session": session}));
                    }
                    ask(host, "status", json!({})).unwrap();
                }
            });
        }
    });
    ask(&host, "stop", json!({})).unwrap();
    let session = session(&prepare(&host).unwrap()["offer"], &target);
    ask(&host, "start", json!({"session": session})).unwrap();
    // Dropping the last one stops it, and nothing holds the listener after that.
    drop(host);
    let all: Vec<_> = events.iter().collect();
    assert_eq!(all.last().map(HostEvent::name), Some("sender_stopped"));
}

#[test]
fn a_thumbnail_is_a_png_of_the_size_it_says_and_shows_something() {
    let (host, _events) = host(HostConfig::default());
    let data = json!({"source": "synthetic:640x480", "max_width": 160, "max_height": 160});
    let thumbnail = ask(&host, "thumbnail", data).unwrap();
    assert_eq!((&thumbnail["width"], &thumbnail["height"]), (&json!(160), &json!(120)));
    let text = thumbnail["png_base64"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, info.color_type), (160, 120, png::ColorType::Rgb));
    let mean = pixels.iter().map(|sample| u64::from(*sample)).sum::<u64>() / pixels.len() as u64;
    assert!((10..=250).contains(&mean), "{mean}");
}
