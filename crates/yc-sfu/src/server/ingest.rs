//! A native sender's place in a room: a PlainTransport with a producer on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mediasoup::prelude::{
    ListenInfo, MediaKind, PlainTransport, PlainTransportOptions, PlainTransportRemoteParameters, Producer,
    ProducerOptions, Protocol, Transport, TransportGeneric,
};
use mediasoup::producer::ProducerStat;
use mediasoup_types::srtp_parameters::{SrtpCryptoSuite, SrtpParameters};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::codecs;
use super::config::{MediaAddress, ServerConfig};
use super::metrics::{Counter, Gauge, Held, Metrics};
use super::peer::{PeerEvent, failed};
use super::random;
use super::room::{Announced, Room, Ssrcs};
use crate::messages::{
    CryptoSuite, ErrorBody, ErrorCode, Kind, NativeSenderOffer, NativeSenderSession, PROTOCOL_VERSION,
    ProducerInfo, SrtpKey,
};
use crate::params;

/// A native sender session. Dropping it closes producer and transport.
#[derive(Debug)]
pub(super) struct NativeIngest {
    // Closed in this order: first the watch, then the room is told, then mediasoup.
    _watch: Watch,
    _announced: Announced,
    producer: Producer,
    _transport: PlainTransport,
    _ssrcs: Ssrcs,
    _held: [Held; 2],
}

impl NativeIngest {
    /// Makes the session that `offer` asks for, and tells the room.
    pub(super) async fn create(
        room: &Arc<Room>,
        peer_id: &str,
        offer: &NativeSenderOffer,
        config: &ServerConfig,
        metrics: &Arc<Metrics>,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Result<(Self, NativeSenderSession), ErrorBody> {
        let codec = params::select_codec(offer)?;
        let session_id = random::id().map_err(|error| failed("making a session id", &error))?;
        let ssrcs = room.reserve_ssrcs().map_err(|error| failed("choosing SSRCs", &error))?;
        let rtx = offer.rtx.then_some(ssrcs.rtx);
        let stream = params::canonical(codec, ssrcs.media, rtx, format!("yc-{session_id}"));

        let transport = room
            .router()
            .create_plain_transport(transport_options(&config.media, offer.srtp.as_ref()))
            .await
            .map_err(|error| failed("creating a plain transport", &error))?;
        let srtp = match &offer.srtp {
            Some(key) => Some(exchange_keys(&transport, key).await?),
            None => None,
        };
        let mut options = ProducerOptions::new(MediaKind::Video, codecs::rtp_parameters(&stream));
        options.key_frame_request_delay =
            u32::try_from(config.key_frame_request_delay.as_millis()).unwrap_or(u32::MAX);
        let producer = transport
            .produce(options)
            .await
            .map_err(|error| ErrorBody::new(ErrorCode::UnsupportedCodec, error.to_string()))?;

        let reply = NativeSenderSession {
            protocol: PROTOCOL_VERSION,
            session_id: session_id.clone(),
            rtp_target: SocketAddr::new(config.media.announced_ip, transport.tuple().local_port())
                .to_string(),
            rtcp_mux: true,
            payload_type: stream.payload_type.into(),
            ssrc: stream.ssrc.into(),
            codec: params::codec_reply(&stream.codec),
            rtx: stream.rtx.as_ref().map(params::rtx_reply),
            header_extensions: params::extension_replies(&stream.extensions),
            rtcp_feedback: params::feedback_replies(),
            cname: stream.cname,
            mid: stream.mid,
            srtp,
            producer_id: producer.id().to_string(),
            transport_id: transport.id().to_string(),
        };
        let info = ProducerInfo {
            producer_id: reply.producer_id.clone(),
            peer_id: peer_id.to_owned(),
            kind: Kind::Video,
            native: true,
        };
        let announced = room.announce(info, events.clone());
        let watched = (&producer, &transport);
        let watch = Watch::start(watched, session_id, config.no_media_timeout, Arc::clone(metrics), events);
        let held = [metrics.hold(Gauge::Producers), metrics.hold(Gauge::NativeSessions)];
        let ingest = Self {
            _watch: watch,
            _announced: announced,
            producer,
            _transport: transport,
            _ssrcs: ssrcs,
            _held: held,
        };
        Ok((ingest, reply))
    }

    pub(super) fn producer_id(&self) -> String {
        self.producer.id().to_string()
    }
}

fn transport_options(media: &MediaAddress, srtp: Option<&SrtpKey>) -> PlainTransportOptions {
    let mut listen = listen_info(media, Protocol::Udp);
    listen.recv_buffer_size = Some(RECV_BUFFER);
    let mut options = PlainTransportOptions::new(listen);
    options.rtcp_mux = true;
    options.comedia = true;
    options.enable_sctp = false;
    if let Some(key) = srtp {
        options.enable_srtp = true;
        options.srtp_crypto_suite = suite(key.crypto_suite);
    }
    options
}

/// Bytes that may wait in a native session's socket: a key frame comes as a burst, and the worker may be busy
/// with another room. The system's bound (Linux: `net.core.rmem_max`) applies where it is lower.
const RECV_BUFFER: u32 = 2 << 20;

/// Where a transport listens and what it tells clients.
pub(super) fn listen_info(media: &MediaAddress, protocol: Protocol) -> ListenInfo {
    let announced = (media.announced_ip != media.listen_ip).then(|| media.announced_ip.to_string());
    ListenInfo {
        protocol,
        ip: media.listen_ip,
        announced_address: announced,
        expose_internal_ip: false,
        port: None,
        port_range: None,
        flags: None,
        send_buffer_size: None,
        recv_buffer_size: None,
    }
}

/// Gives the transport the sender's key and returns its own. With comedia, `connect` takes the key alone.
async fn exchange_keys(transport: &PlainTransport, theirs: &SrtpKey) -> Result<SrtpKey, ErrorBody> {
    let remote = PlainTransportRemoteParameters {
        ip: None,
        port: None,
        rtcp_port: None,
        srtp_parameters: Some(SrtpParameters {
            crypto_suite: suite(theirs.crypto_suite),
            key_base64: theirs.key_base64.clone(),
        }),
    };
    transport.connect(remote).await.map_err(|error| failed("setting up SRTP", &error))?;
    // Only now: connect() may have changed the suite to the sender's.
    let ours = transport
        .srtp_parameters()
        .ok_or_else(|| failed("setting up SRTP", &"the transport has no key of its own"))?;
    Ok(SrtpKey { crypto_suite: theirs.crypto_suite, key_base64: ours.key_base64 })
}

fn suite(suite: CryptoSuite) -> SrtpCryptoSuite {
    match suite {
        CryptoSuite::AeadAes256Gcm => SrtpCryptoSuite::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => SrtpCryptoSuite::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => SrtpCryptoSuite::AesCm128HmacSha180,
        CryptoSuite::AesCm128HmacSha1_32 => SrtpCryptoSuite::AesCm128HmacSha132,
    }
}

/// Reads a session's counters once a second: for the metrics, and to notice a sender that is gone although its
/// WebSocket is not.
#[derive(Debug)]
struct Watch(AbortHandle);

impl Watch {
    fn start(
        (producer, transport): (&Producer, &PlainTransport),
        session_id: String,
        no_media_timeout: Duration,
        metrics: Arc<Metrics>,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Self {
        // Weak: the session closes when its owner drops it, not when this task next wakes.
        let (producer, transport) = (producer.downgrade(), transport.downgrade());
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_secs(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut seen, mut received) = ([0; READ.len()], 0);
            let mut heard = Instant::now();
            loop {
                let now = ticks.tick().await;
                let (Some(producer), Some(transport)) = (producer.upgrade(), transport.upgrade()) else {
                    return;
                };
                let Ok(stats) = producer.get_stats().await else { return };
                let Ok(transport_stats) = transport.get_stats().await else { return };
                drop((producer, transport));
                let bytes = transport_stats.iter().map(|stat| stat.bytes_received).sum::<u64>();
                metrics.add(Counter::NativeReceivedBytes, bytes.saturating_sub(received));
                received = bytes;
                let total = READ.map(|(_, read)| stats.iter().map(read).fold(0, u64::saturating_add));
                for (((counter, _), total), seen) in READ.iter().zip(total).zip(seen) {
                    metrics.add(*counter, total.saturating_sub(seen));
                }
                if total[0] > seen[0] {
                    heard = now;
                }
                seen = total;
                if now.duration_since(heard) >= no_media_timeout {
                    let _ = events.send(PeerEvent::NoMedia { session_id });
                    return;
                }
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is read of a stream's statistics. The first tells whether media comes.
const READ: [(Counter, Read); 6] = [
    (Counter::NativeRtpPackets, |stat| stat.packet_count),
    (Counter::NativeRtpBytes, |stat| stat.byte_count),
    (Counter::NativePacketsNacked, |stat| stat.nack_packet_count),
    (Counter::NativePacketsRetransmitted, |stat| stat.packets_retransmitted),
    (Counter::NativePacketsRepaired, |stat| stat.packets_repaired),
    (Counter::NativePlis, |stat| stat.pli_count),
];

type Read = fn(&ProducerStat) -> u64;

#[cfg(test)]
mod tests;
