//! The share itself: open, negotiate, start, watch, stop.

use std::fs::File;
use std::future::pending;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use yc_capture::{CaptureConfig, clock};
use yc_media::{Bitrate, CaptureTime, FrameRate};
use yc_sender::{PreparedSender, Sender, SenderConfig, SenderEvent, SenderStatus};
use yc_sfu::client::{ClientConfig, ClientEvent, Events, SignalClient};
use yc_sfu::messages::{ClientDiagnostic, NativeSenderOffer, Notification, OfferedCodec, Role};
use yc_sfu::{NativeSession, SessionRules};

use crate::args::Args;
#[cfg(feature = "metrics")]
use crate::exporter::Exporter;
use crate::failure::Failure;
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
    let opening = tokio::task::spawn_blocking({
        let args = CaptureOptions::of(&args)?;
        move || open(config, args)
    });
    let joining = async {
        let rules = SessionRules::default().with_plain_rtp(args.allow_plain_rtp);
        let config = ClientConfig::default().with_insecure(args.allow_insecure).with_session_rules(rules);
        let (client, events) = SignalClient::connect(&server, config).await?;
        client.join(&room, &args.token, Role::Share).await?;
        Ok::<_, Failure>((client, events))
    };
    let (opened, client) = tokio::join!(opening, joining);
    let prepared = opened.map_err(|error| Failure::new(1, "internal", error))??;
    let (client, mut signals) = client?;
    let ready = clock::now();

    let codec = prepared.codec_params()?;
    let offer = NativeSenderOffer::new(vec![OfferedCodec::from(&codec)]);
    let session = client.create_native_sender_session(&offer).await?;
    let negotiated = clock::now();
    describe(output, &session, &prepared, [begun, ready, negotiated]);

    let mut sender = prepared.start(session.stream.clone(), session.rtp_target)?;
    let on_status = |status: &SenderStatus| {
        output.status(status);
        #[cfg(feature = "metrics")]
        if let Some(exporter) = &exporter {
            exporter.publish(status);
        }
    };
    let end = watch_over(&args, output, &on_status, &sender, &mut signals, &mut stopped).await;
    sender.stop();
    if let Err(failure) = &end
        && failure.kind != "connection_lost"
    {
        let mut diagnostic = ClientDiagnostic::new("sender_stopped");
        diagnostic.reason_code = Some(failure.kind.to_owned());
        diagnostic.encoder_backend = Some(sender.status().encoder_backend.to_owned());
        // The server learns why; that it cannot be told is no second failure.
        let _ = client.client_diagnostic(diagnostic).await;
    }
    client.close().await;
    let status = sender.status();
    let reason = match &end {
        Ok(()) => status.stop_reason.map_or("requested", yc_sender::StopReason::code),
        Err(failure) => failure.kind,
    };
    output.stopped(reason, end.as_ref().err().map(|failure| failure.message.as_str()), &status);
    end
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
                    return Err(Failure::lost(format!("the server closed the session: {reason:?}")));
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
        let capture = CaptureConfig::new(args.source.clone()).with_cursor(!args.no_cursor);
        Ok(Self { capture, trace: trace.transpose()? })
    }
}

fn open(config: SenderConfig, options: CaptureOptions) -> Result<PreparedSender, Failure> {
    let Some(file) = options.trace else {
        return Ok(PreparedSender::open(config, options.capture)?);
    };
    let opened = yc_capture::open(&options.capture.with_frame_rate(config.frame_rate))
        .map_err(yc_sender::SenderError::from)?;
    Ok(PreparedSender::with_capture(config, Box::new(TracedCapture::new(opened.backend, file)))?)
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
        "payload_type": session.stream.payload_type,
        "codec": session.stream.codec.codec().name(),
        "profile_level_id": profile_level_id,
        "encoder_backend": prepared.encoder_backend(),
        "capture_backend": prepared.capture_backend(),
        "opened_and_joined_ms": millis(begun, ready),
        "negotiated_ms": millis(ready, negotiated),
    }));
}
