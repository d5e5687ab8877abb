//! The least that shares a screen from a Rust app: `embed WS_URL ROOM TOKEN [SOURCE]`. Ends with the share.

use std::time::Duration;

use yc_capture::CaptureConfig;
use yc_sender::{Backends, PreparedSender, Protection, SenderConfig, SenderEvent};
use yc_sender::{SrtpKeys, SrtpMasterKey, SrtpSuite};
use yc_sfu::client::{ClientConfig, SignalClient};
use yc_sfu::messages::{NativeSenderOffer, OfferedCodec, Role, SrtpKey};

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

    // 2. Negotiate: the codec, and a key each. The client refuses a reply that does not fit the offer.
    let (client, _notifications) = SignalClient::connect(url, ClientConfig::default()).await?;
    client.join(room, token, Role::Share).await?;
    let ours = SrtpMasterKey::generate(SrtpSuite::AeadAes128Gcm)?;
    let key = SrtpKey { crypto_suite: ours.suite().name().parse()?, key_base64: ours.to_base64() };
    let offer =
        NativeSenderOffer::new(vec![OfferedCodec::from(&prepared.codec_params()?)]).with_rtx().with_srtp(key);
    let session = client.create_native_sender_session(&offer).await?;
    let theirs = session.srtp.ok_or("the server sent no key")?;
    let theirs = SrtpMasterKey::from_base64(ours.suite(), &theirs.key_base64)?;
    let protection = Protection::Srtp(SrtpKeys::new(ours, theirs)?);

    // 3. Send, until it ends.
    let sender = prepared.start(session.stream, session.rtp_target, protection)?;
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
