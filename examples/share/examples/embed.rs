//! The least that shares a screen from a Rust app: `embed WS_URL ROOM TOKEN [SOURCE]`. Ends with the share.

use std::time::Duration;

use yc_capture::CaptureConfig;
use yc_sender::{Backends, PreparedSender, SenderConfig, SenderEvent};
use yc_sfu::client::{ClientConfig, SignalClient};
use yc_sfu::messages::{NativeSenderOffer, OfferedCodec, Role};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, room, token, source @ ..] = &arguments[..] else {
        return Err("usage: embed WS_URL ROOM TOKEN [SOURCE]".into());
    };
    let source = source.first().map_or("screen", String::as_str).parse()?;

    // 1. Open the source and the encoder: what comes of it is what can be offered.
    let config = SenderConfig::from_env()?;
    let backends = Backends::compiled_in(&config, CaptureConfig::new(source))?;
    let prepared = PreparedSender::open_from(config, backends)?;

    // 2. Negotiate. The client refuses a reply that does not fit the offer.
    let (client, _notifications) = SignalClient::connect(url, ClientConfig::default()).await?;
    client.join(room, token, Role::Share).await?;
    let offer = NativeSenderOffer::new(vec![OfferedCodec::from(&prepared.codec_params()?)]);
    let session = client.create_native_sender_session(&offer).await?;

    // 3. Send, until it ends.
    let sender = prepared.start(session.stream, session.rtp_target)?;
    loop {
        while let Some(event) = sender.next_event(Duration::ZERO) {
            println!("{}", serde_json::to_string(&event)?);
            if let SenderEvent::SenderStopped { reason, .. } = event {
                client.close().await;
                // A failure: this is where an app goes to its other path.
                return if reason.is_failure() { Err(reason.to_string().into()) } else { Ok(()) };
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
