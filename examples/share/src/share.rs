//! The share itself: open, negotiate, start, watch, stop.

use std::fs::File;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use yc_capture::{CaptureConfig, clock};
use yc_host::{offered_key, protection};
use yc_media::{Bitrate, CaptureTime, FrameRate};
use yc_sender::{
    Backends, PreparedSender, ProducerState, Protection, Sender, SenderConfig, SenderEvent, SenderStatus,
    SrtpMasterKey,
};
use yc_sfu::client::{ClientConfig, ClientErrorKind, ClientEvent, Events, RootCertificates, SignalClient};
use yc_sfu::messages::{
    ClientDiagnostic, ErrorCode, NativeSenderOffer, NativeSessionEnd, Notification, OfferedCodec, Role,
};
use yc_sfu::{NativeSession, SessionRules};

use crate::args::Args;
#[cfg(feature = "metrics")]
use crate::exporter::Exporter;
use crate::failure::Failure;
use crate::faults::Injection;
use crate::output::Output;
use crate::trace::TracedCapture;

/// Shares until the time is over, the user stops it, or it ends by itself.
pub(crate) fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let (stop, stopped) = watch::channel(false);
    ctrlc::set_handler(move || {
        // Nobody listens any more: it is ending already.
        let _ = stop.send(true);
    })
    .map_err(|error| Failure::new(1, "resources", error))?;
    tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(1, "resources", error))?
        .block_on(share(args, output, stopped))
}

async fn share(args: Args, output: &Output, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let begun = clock::now();
    let config = sender_config(&args)?;
    let server = args.server.clone().unwrap_or_default();
    let room = args.room.clone().unwrap_or_default();
    #[cfg(feature = "metrics")]
    let exporter = match args.metrics {
        Some(address) => Some(Exporter::start(address).await.map_err(Failure::usage)?),
        None => None,
    };

    // Opening the source and the encoder takes as long as reaching the server: do both at once.
    let injection = Arc::new(Injection::new(&args.faults));
    let opening = tokio::task::spawn_blocking({
        let (args, injection) = (CaptureOptions::of(&args)?, Arc::clone(&injection));
        move || open(config, args, &injection)
    });
    let client_config = client_config(&args)?;
    let joining = async {
        let (client, events) = SignalClient::connect(&server, client_config).await?;
        client.join(&room, &args.token, Role::Share).await?;
        Ok::<_, Failure>((client, events))
    };
    let (opened, client) = tokio::join!(opening, joining);
    let prepared = opened.map_err(|error| Failure::new(1, "internal", error))??;
    let (client, mut signals) = client?;
    let ready = clock::now();

    let codec = prepared.codec_params()?;
    let offer = NativeSenderOffer::new(vec![OfferedCodec::from(&codec)]).with_rtx();
    let (session, protection) = negotiate(&client, &offer, &args).await?;
    let negotiated = clock::now();
    describe(output, &session, &prepared, [begun, ready, negotiated]);

    // A capture that hangs in starting must not keep the server waiting for our pings.
    let (stream, target) = (session.stream.clone(), session.rtp_target);
    let starting = tokio::task::spawn_blocking({
        let injection = Arc::clone(&injection);
        move || prepared.start_through(stream, target, protection, |inner| injection.transport(inner))
    });
    let mut sender = starting.await.map_err(|error| Failure::new(1, "internal", error))??;
    sender.set_producer_state(ProducerState::Open);
    let on_status = |status: &SenderStatus| {
        output.status(status);
        #[cfg(feature = "metrics")]
        if let Some(exporter) = &exporter {
            exporter.publish(status);
        }
    };
    let end = watch_over(&args, output, &on_status, &sender, &mut signals, &mut stopped).await;
    sender.stop();
    let status = sender.status();
    let reason = match &end {
        Ok(()) => status.stop_reason.map_or("requested", yc_sender::Reason::code),
        Err(failure) => failure.reason,
    };
    output.stopped(reason, end.as_ref().err().map(|failure| failure.message.as_str()), &status);
    // A server that hangs must not keep anybody from what comes after the share.
    let _ = timeout(GOODBYE, say_goodbye(client, end.as_ref().err(), &status)).await;
    end
}

/// Offers `offer` with a key for each suite in turn, until the server takes one.
async fn negotiate(
    client: &SignalClient,
    offer: &NativeSenderOffer,
    args: &Args,
) -> Result<(NativeSession, Protection), Failure> {
    let suites = args.srtp.suites();
    for (at, suite) in suites.iter().enumerate() {
        let key = SrtpMasterKey::generate(*suite).map_err(|error| Failure::new(1, "resources", error))?;
        let ours = offered_key(&key).map_err(|error| Failure::new(1, "internal", error))?;
        match client.create_native_sender_session(&offer.clone().with_srtp(ours)).await {
            Ok(session) => {
                let protection = protection(Some(key), session.srtp.as_ref(), args.allow_plain_rtp);
                let protection = protection.map_err(|error| Failure::new(5, "negotiation", error))?;
                return Ok((session, protection));
            }
            Err(error) if at + 1 < suites.len() && refuses_the_suite(error.kind()) => {
                tracing::info!(%suite, %error, "the server does not take the crypto suite: the next");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let session = client.create_native_sender_session(offer).await?;
    let protection = protection(None, session.srtp.as_ref(), args.allow_plain_rtp);
    Ok((session, protection.map_err(|error| Failure::new(5, "negotiation", error))?))
}

/// Whether the server refused an offer for its crypto suite: docs/signalling.md says by what.
fn refuses_the_suite(kind: &ClientErrorKind) -> bool {
    matches!(kind, ClientErrorKind::Refused(body)
        if body.code == ErrorCode::BadMessage && body.message.contains("crypto_suite"))
}

/// How long the goodbye to the server may take. It sees that we are gone without one, too.
const GOODBYE: Duration = Duration::from_secs(1);

/// Tells the server why the share failed, if it did, and leaves.
async fn say_goodbye(client: SignalClient, failure: Option<&Failure>, status: &SenderStatus) {
    if let Some(failure) = failure
        && failure.kind != "connection_lost"
    {
        let mut diagnostic = ClientDiagnostic::new("sender_stopped");
        diagnostic.reason_code = Some(failure.reason.to_owned());
        diagnostic.encoder_backend = Some(status.encoder_backend.to_owned());
        diagnostic.degradation_level = Some(status.degradation.level);
        diagnostic.versions = Some([("yc_share".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into());
        // The server learns why; that it cannot be told is no second failure.
        let _ = client.client_diagnostic(diagnostic).await;
    }
    client.close().await;
}

/// Watches the running share until something ends it.
async fn watch_over(
    args: &Args,
    output: &Output,
    on_status: &dyn Fn(&SenderStatus),
    sender: &Sender,
    signals: &mut Events,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), Failure> {
    let until = args.duration.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut events = interval(Duration::from_millis(20));
    let mut status = interval(Duration::from_secs(1));
    events.set_missed_tick_behavior(MissedTickBehavior::Skip);
    status.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = stopped.changed() => return Ok(()),
            () = async { match until { Some(at) => sleep_until(at).await, None => pending().await } } => return Ok(()),
            _ = status.tick() => on_status(&sender.status()),
            _ = events.tick() => {
                while let Some(event) = sender.next_event(Duration::ZERO) {
                    if let SenderEvent::SenderStopped { reason, detail } = event {
                        return Failure::of_stop(reason, detail).map_or(Ok(()), Err);
                    }
                    output.event(&event);
                }
            }
            signal = signals.next() => match signal {
                Some(ClientEvent::Notification(Notification::NativeSessionClosed { reason, .. })) => {
                    sender.set_producer_state(ProducerState::Closed);
                    return Err(Failure::lost(format!("the server closed the session: {}", why_closed(reason))));
                }
                Some(ClientEvent::Notification(_)) => {}
                Some(ClientEvent::Closed(error)) => {
                    return Err(Failure::lost(format!("the server is gone: {error}")));
                }
                None => return Err(Failure::lost("the server is gone")),
            },
        }
    }
}

fn why_closed(reason: NativeSessionEnd) -> &'static str {
    match reason {
        NativeSessionEnd::ProducerClosed => "its producer was closed",
        NativeSessionEnd::NoMedia => "no packet of ours reached it, or none that it could authenticate",
        _ => "for a reason that this version does not know",
    }
}

/// What the opening thread needs of the command line.
struct CaptureOptions {
    capture: CaptureConfig,
    trace: Option<File>,
}

impl CaptureOptions {
    fn of(args: &Args) -> Result<Self, Failure> {
        let trace = args.trace_frames.as_ref().map(|path| {
            File::create(path)
                .map_err(|error| Failure::usage(format!("--trace-frames {}: {error}", path.display())))
        });
        let capture = CaptureConfig::new(args.source.clone())
            .with_cursor(!args.no_cursor)
            .with_high_priority(args.high_priority);
        Ok(Self { capture, trace: trace.transpose()? })
    }
}

fn open(
    config: SenderConfig,
    options: CaptureOptions,
    injection: &Injection,
) -> Result<PreparedSender, Failure> {
    let mut backends = injection.backends(Backends::compiled_in(&config, options.capture)?);
    if let Some(file) = options.trace {
        backends = backends.map_captures(move |_, capture| match file.try_clone() {
            Ok(file) => Box::new(TracedCapture::new(capture, file)),
            // The share matters more than its trace.
            Err(_) => capture,
        });
    }
    Ok(PreparedSender::open_from(config, backends)?)
}

fn client_config(args: &Args) -> Result<ClientConfig, Failure> {
    let rules = SessionRules::default().with_plain_rtp(args.allow_plain_rtp);
    let config = ClientConfig::default().with_insecure(args.allow_insecure).with_session_rules(rules);
    let Some(path) = &args.ca_file else { return Ok(config) };
    let refuse = |why: String| Failure::usage(format!("--ca-file {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    Ok(config.with_root_certificates(RootCertificates::from_pem(&pem).map_err(refuse)?))
}

/// The environment first, then the command line.
fn sender_config(args: &Args) -> Result<SenderConfig, Failure> {
    let mut config = SenderConfig::from_env().map_err(Failure::usage)?;
    config.frame_rate = FrameRate::new(args.fps).map_err(Failure::usage)?;
    config.bitrate = Bitrate::kbps(args.bitrate);
    if let Some(names) = &args.encoder {
        config.encoders = match names.as_str() {
            "auto" => Vec::new(),
            names => names.split(',').map(|name| name.trim().to_owned()).collect(),
        };
    }
    config.degradation.content = args.content.unwrap_or(config.degradation.content);
    config.validate().map_err(Failure::usage)?;
    Ok(config)
}

fn describe(output: &Output, session: &NativeSession, prepared: &PreparedSender, at: [CaptureTime; 3]) {
    let [begun, ready, negotiated] = at;
    let millis = |from: CaptureTime, to: CaptureTime| to.saturating_since(from).as_millis() as u64;
    let profile_level_id = match &session.stream.codec {
        yc_rtp::CodecParams::H264 { profile_level_id } => Some(profile_level_id.to_string()),
        _ => None,
    };
    output.session(json!({
        "rtp_target": session.rtp_target.to_string(),
        "ssrc": session.stream.ssrc,
        "rtx_ssrc": session.stream.rtx.map(|rtx| rtx.ssrc),
        "payload_type": session.stream.payload_type,
        "srtp": session.srtp.as_ref().map(|key| key.crypto_suite.name()),
        "codec": session.stream.codec.codec().name(),
        "profile_level_id": profile_level_id,
        "encoder_backend": prepared.encoder_backend(),
        "capture_backend": prepared.capture_backend(),
        "opened_and_joined_ms": millis(begun, ready),
        "negotiated_ms": millis(ready, negotiated),
    }));
}

#[cfg(test)]
mod tests {
    use yc_sfu::messages::{ErrorBody, Request};

    use super::*;

    #[test]
    fn a_server_that_does_not_know_a_suite_is_offered_the_next() {
        let offer =
            r#"{"protocol":1,"codecs":[],"srtp":{"crypto_suite":"AEAD_AES_512_GCM","key_base64":"AAAA"}}"#;
        let request = format!(r#"{{"id":1,"action":"create_native_sender_session","data":{offer}}}"#);
        let body = Request::parse(&request).unwrap_err().error;
        assert!(refuses_the_suite(&ClientErrorKind::Refused(body)));
        for (code, message) in [
            (ErrorCode::BadMessage, "codecs has 0 entries, not 1 to 16"),
            (ErrorCode::LimitReached, "4 of 4 sessions"),
        ] {
            assert!(!refuses_the_suite(&ClientErrorKind::Refused(ErrorBody::new(code, message))));
        }
    }
}
