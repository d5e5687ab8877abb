//! A peer in a room: what it has made there, and the actions that make and close it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mediasoup::consumer::{Consumer, ConsumerOptions};
use mediasoup::prelude::MediaKind;
use mediasoup::prelude::{
    DtlsParameters, Producer, ProducerId, ProducerOptions, Protocol, RtpCapabilities, RtpParameters,
    Transport, WebRtcTransport, WebRtcTransportListenInfos, WebRtcTransportOptions,
    WebRtcTransportRemoteParameters,
};
use mediasoup_types::data_structures::{DtlsState, IceState};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::SfuServer;
use super::diagnostics;
use super::ingest::{NativeIngest, listen_info};
use super::metrics::{Gauge, Held};
use super::outbox::{Outbox, Outgoing};
use super::room::{Announced, Room, Seat, Watching};
use super::watchers::WatcherNews;
use crate::messages::{
    Action, ClientDiagnostic, ConnectTransport, Consume, Consumed, ConsumerRef, CreateTransport, Direction,
    ErrorBody, ErrorCode, Kind, NativeSenderOffer, NativeSessionEnd, Notification, PROTOCOL_VERSION, Produce,
    Produced, ProducerInfo, ProducerRef, Role, TransportCreated, fields,
};

/// A peer in a room. Dropping it closes everything it has.
#[derive(Debug)]
pub(super) struct Peer {
    // Closed in this order: what is sent ends before the peer is said to have left.
    sessions: HashMap<String, NativeIngest>,
    producers: HashMap<String, WebProducer>,
    consumers: HashMap<String, WebConsumer>,
    transports: HashMap<String, WebTransport>,
    news: WatcherNews,
    role: Role,
    seat: Seat,
    server: Arc<SfuServer>,
    outbox: Outbox,
    events: mpsc::UnboundedSender<PeerEvent>,
    _held: Held,
}

/// Something that happened to what a peer has.
#[derive(Debug)]
pub(super) enum PeerEvent {
    /// The producer of a consumer is gone.
    ConsumerEnded { consumer_id: String },
    /// No RTP came for too long.
    NoMedia { session_id: String },
    /// The set of those who watch a producer changed.
    Watched { producer_id: String },
    /// The client closed a transport, or it failed: DTLS is over.
    TransportEnded { transport_id: String },
    /// ICE lost the client of a transport, or has it again.
    TransportReach { transport_id: String, lost: bool },
}

#[derive(Debug)]
struct WebTransport {
    transport: WebRtcTransport,
    direction: Direction,
    connected: bool,
    lost_at: Option<Instant>,
}

#[derive(Debug)]
struct WebProducer {
    transport_id: String,
    _announced: Announced,
    _producer: Producer,
    _held: Held,
}

#[derive(Debug)]
struct WebConsumer {
    transport_id: String,
    consumer: Consumer,
    _watching: Option<Watching>,
    _held: Held,
}

impl Peer {
    pub(super) fn new(
        server: Arc<SfuServer>,
        seat: Seat,
        role: Role,
        outbox: Outbox,
        events: mpsc::UnboundedSender<PeerEvent>,
    ) -> Self {
        let held = server.metrics.hold(Gauge::Peers);
        Self {
            sessions: HashMap::new(),
            producers: HashMap::new(),
            consumers: HashMap::new(),
            transports: HashMap::new(),
            news: WatcherNews::default(),
            role,
            seat,
            server,
            outbox,
            events,
            _held: held,
        }
    }

    pub(super) fn id(&self) -> &str {
        self.seat.peer_id()
    }

    fn room(&self) -> &Arc<Room> {
        self.seat.room()
    }

    /// Carries out an action of a joined peer and returns the reply's data.
    pub(super) async fn handle(&mut self, action: Action) -> Result<Value, ErrorBody> {
        self.check_role(&action)?;
        match action {
            Action::CreateTransport(fields) => self.create_transport(&fields).await,
            Action::ConnectTransport(fields) => self.connect_transport(fields).await,
            Action::Produce(fields) => self.produce(fields).await,
            Action::Consume(fields) => self.consume(fields).await,
            Action::ResumeConsumer(fields) => self.resume_consumer(&fields).await,
            Action::CloseConsumer(fields) => self.close_consumer(&fields),
            Action::CloseProducer(fields) => self.close_producer(&fields),
            Action::CreateNativeSenderSession(offer) => self.create_session(&offer).await,
            Action::CloseNativeSenderSession(fields) => self
                .sessions
                .remove(&fields.session_id)
                .map(|_| json!({}))
                .ok_or_else(|| not_found("session", &fields.session_id)),
            Action::ClientDiagnostic(diagnostic) => self.diagnostic(&diagnostic),
            Action::Join(_) => Err(ErrorBody::new(ErrorCode::AlreadyJoined, "this connection has joined")),
            Action::Leave => unreachable!("leaving drops the peer: its connection does that"),
        }
    }

    /// Takes note of something that happened to what this peer has.
    pub(super) fn on_event(&mut self, event: PeerEvent) {
        let notification = match event {
            PeerEvent::ConsumerEnded { consumer_id } => {
                // The client may have closed it in the meantime, and then wants no notice.
                if self.consumers.remove(&consumer_id).is_none() {
                    return;
                }
                Notification::ConsumerClosed { consumer_id }
            }
            PeerEvent::NoMedia { session_id } => {
                if self.sessions.remove(&session_id).is_none() {
                    return;
                }
                tracing::warn!(
                    peer = self.id(),
                    session = session_id,
                    "a native session without media is closed"
                );
                Notification::NativeSessionClosed { session_id, reason: NativeSessionEnd::NoMedia }
            }
            PeerEvent::Watched { producer_id } => {
                self.news.forget(|producer_id| self.seat.room().has_producer(producer_id));
                return self.news.on_change(producer_id, Instant::now());
            }
            PeerEvent::TransportEnded { transport_id } => {
                return self.end_transport(&transport_id, "its client closed it");
            }
            PeerEvent::TransportReach { transport_id, lost } => {
                if let Some(entry) = self.transports.get_mut(&transport_id) {
                    entry.lost_at = lost.then(Instant::now);
                }
                return;
            }
        };
        self.tell(&notification);
    }

    /// When to call [`Peer::on_time`] next.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let lost = self.transports.values().filter_map(|entry| Some(entry.lost_at? + LOST_FOR));
        lost.chain(self.news.due_at()).min()
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Instant) {
        while let Some((producer_id, watchers)) = self.news.poll(now, |id| self.seat.room().watchers(id)) {
            self.tell(&Notification::WatchersChanged { producer_id, watchers });
        }
        let lost = |entry: &WebTransport| entry.lost_at.is_some_and(|at| at + LOST_FOR <= now);
        let ended: Vec<String> =
            self.transports.iter().filter(|(_, entry)| lost(entry)).map(|(id, _)| id.clone()).collect();
        for transport_id in ended {
            self.end_transport(&transport_id, "its client is out of reach");
        }
    }

    /// Closes a transport and what is on it: what nobody sends any more must not stand in the room.
    fn end_transport(&mut self, transport_id: &str, why: &str) {
        if self.transports.remove(transport_id).is_none() {
            return;
        }
        tracing::info!(peer = self.id(), transport = transport_id, "a transport is closed: {why}");
        self.producers.retain(|_, producer| producer.transport_id != transport_id);
        let on_it =
            |(id, entry): (&String, &WebConsumer)| (entry.transport_id == transport_id).then(|| id.clone());
        let consumers: Vec<String> = self.consumers.iter().filter_map(on_it).collect();
        for consumer_id in consumers {
            self.consumers.remove(&consumer_id);
            self.tell(&Notification::ConsumerClosed { consumer_id });
        }
    }

    fn tell(&self, notification: &Notification) {
        self.outbox.send(Outgoing::Text(notification.to_json()));
    }

    fn check_role(&self, action: &Action) -> Result<(), ErrorBody> {
        let (allowed, needed) = match action {
            Action::CreateTransport(CreateTransport { direction: Direction::Send })
            | Action::Produce(_)
            | Action::CloseProducer(_)
            | Action::CreateNativeSenderSession(_)
            | Action::CloseNativeSenderSession(_) => (self.role.may_share(), "share"),
            Action::CreateTransport(CreateTransport { direction: Direction::Recv })
            | Action::Consume(_)
            | Action::ResumeConsumer(_)
            | Action::CloseConsumer(_) => (self.role.may_view(), "view"),
            Action::ConnectTransport(_) | Action::ClientDiagnostic(_) | Action::Join(_) | Action::Leave => {
                (true, "")
            }
        };
        if allowed {
            return Ok(());
        }
        let message = format!("{} needs role {needed} or both, this peer has {}", action.name(), self.role);
        Err(ErrorBody::new(ErrorCode::Forbidden, message))
    }

    async fn create_transport(&mut self, fields: &CreateTransport) -> Result<Value, ErrorBody> {
        limit("transports", self.transports.len(), MAX_TRANSPORTS)?;
        let media = &self.server.config.media;
        let listen = WebRtcTransportListenInfos::new(listen_info(media, Protocol::Udp))
            .insert(listen_info(media, Protocol::Tcp));
        let mut options = WebRtcTransportOptions::new(listen);
        options.enable_tcp = true;
        options.prefer_udp = true;
        let transport = self
            .room()
            .router()
            .create_webrtc_transport(options)
            .await
            .map_err(|error| failed("creating a WebRTC transport", &error))?;
        let transport_id = transport.id().to_string();
        let reply = TransportCreated {
            transport_id: transport_id.clone(),
            ice_parameters: to_json(transport.ice_parameters()),
            ice_candidates: to_json(transport.ice_candidates()),
            dtls_parameters: to_json(&transport.dtls_parameters()),
        };
        let (events, ended) = (self.events.clone(), transport_id.clone());
        transport
            .on_dtls_state_change(move |state| {
                if matches!(state, DtlsState::Closed | DtlsState::Failed) {
                    let _ = events.send(PeerEvent::TransportEnded { transport_id: ended.clone() });
                }
            })
            .detach();
        let (events, moved) = (self.events.clone(), transport_id.clone());
        transport
            .on_ice_state_change(move |state| {
                let (transport_id, lost) = (moved.clone(), state == IceState::Disconnected);
                let _ = events.send(PeerEvent::TransportReach { transport_id, lost });
            })
            .detach();
        let entry = WebTransport { transport, direction: fields.direction, connected: false, lost_at: None };
        self.transports.insert(transport_id, entry);
        Ok(to_json(&reply))
    }

    async fn connect_transport(&mut self, connect: ConnectTransport) -> Result<Value, ErrorBody> {
        let entry = self
            .transports
            .get_mut(&connect.transport_id)
            .ok_or_else(|| not_found("transport", &connect.transport_id))?;
        if entry.connected {
            return Err(ErrorBody::new(ErrorCode::AlreadyConnected, "this transport is connected"));
        }
        let dtls_parameters: DtlsParameters = nested("dtls_parameters", connect.dtls_parameters)?;
        let remote = WebRtcTransportRemoteParameters { dtls_parameters };
        entry
            .transport
            .connect(remote)
            .await
            .map_err(|error| ErrorBody::bad_message(format!("data.dtls_parameters: {error}")))?;
        entry.connected = true;
        Ok(json!({}))
    }

    fn transport(&self, id: &str, direction: Direction) -> Result<&WebRtcTransport, ErrorBody> {
        self.transports
            .get(id)
            .filter(|entry| entry.direction == direction)
            .map(|entry| &entry.transport)
            .ok_or_else(|| not_found("transport of that direction", id))
    }

    async fn produce(&mut self, produce: Produce) -> Result<Value, ErrorBody> {
        limit("producers", self.producers.len(), MAX_PRODUCERS)?;
        let transport = self.transport(&produce.transport_id, Direction::Send)?;
        let rtp_parameters: RtpParameters = nested("rtp_parameters", produce.rtp_parameters)?;
        let sizes = [
            ("codecs", rtp_parameters.codecs.len(), 1),
            ("encodings", rtp_parameters.encodings.len(), 1),
            ("headerExtensions", rtp_parameters.header_extensions.len(), 0),
        ];
        for (name, len, least) in sizes {
            if !(least..=MAX_ENTRIES).contains(&len) {
                let message =
                    format!("data.rtp_parameters.{name} has {len} entries, not {least} to {MAX_ENTRIES}");
                return Err(ErrorBody::bad_message(message));
            }
        }
        let kind = match produce.kind {
            Kind::Audio => MediaKind::Audio,
            Kind::Video => MediaKind::Video,
        };
        let mut options = ProducerOptions::new(kind, rtp_parameters);
        options.key_frame_request_delay =
            u32::try_from(self.server.config.key_frame_request_delay.as_millis()).unwrap_or(u32::MAX);
        let producer = transport
            .produce(options)
            .await
            .map_err(|error| ErrorBody::new(ErrorCode::UnsupportedCodec, error.to_string()))?;
        let producer_id = producer.id().to_string();
        let info = ProducerInfo {
            producer_id: producer_id.clone(),
            peer_id: self.id().to_owned(),
            kind: produce.kind,
            native: false,
        };
        let announced = self.room().announce(info, self.events.clone());
        let held = self.server.metrics.hold(Gauge::Producers);
        let transport_id = produce.transport_id;
        let entry = WebProducer { transport_id, _announced: announced, _producer: producer, _held: held };
        self.producers.insert(producer_id.clone(), entry);
        Ok(to_json(&Produced { producer_id }))
    }

    async fn consume(&mut self, consume: Consume) -> Result<Value, ErrorBody> {
        limit("consumers", self.consumers.len(), MAX_CONSUMERS)?;
        let transport = self.transport(&consume.transport_id, Direction::Recv)?;
        let missing = || not_found("producer", &consume.producer_id);
        let producer_id: ProducerId = consume.producer_id.parse().map_err(|_| missing())?;
        let producer_name = producer_id.to_string();
        if !self.room().has_producer(&producer_name) {
            return Err(missing());
        }
        let rtp_capabilities: RtpCapabilities = nested("rtp_capabilities", consume.rtp_capabilities)?;
        if !self.room().router().can_consume(&producer_id, &rtp_capabilities) {
            let message = format!("the client's capabilities do not fit producer {producer_name}");
            return Err(ErrorBody::new(ErrorCode::CannotConsume, message));
        }
        let mut options = ConsumerOptions::new(producer_id, rtp_capabilities);
        options.paused = true;
        let consumer = transport
            .consume(options)
            .await
            .map_err(|error| ErrorBody::new(ErrorCode::CannotConsume, error.to_string()))?;
        let consumer_id = consumer.id().to_string();
        let reply = Consumed {
            consumer_id: consumer_id.clone(),
            producer_id: producer_name,
            kind: match consumer.kind() {
                MediaKind::Audio => Kind::Audio,
                MediaKind::Video => Kind::Video,
            },
            rtp_parameters: to_json(consumer.rtp_parameters()),
        };
        let (events, ended) = (self.events.clone(), consumer_id.clone());
        consumer
            .on_producer_close(move || {
                let _ = events.send(PeerEvent::ConsumerEnded { consumer_id: ended });
            })
            .detach();
        let held = self.server.metrics.hold(Gauge::Consumers);
        let watching = self.room().watch(&reply.producer_id, self.id());
        let gone = watching.is_none();
        let transport_id = consume.transport_id;
        let entry = WebConsumer { transport_id, consumer, _watching: watching, _held: held };
        self.consumers.insert(consumer_id.clone(), entry);
        // Its producer may have gone before the callback was there.
        if gone {
            let _ = self.events.send(PeerEvent::ConsumerEnded { consumer_id });
        }
        Ok(to_json(&reply))
    }

    async fn resume_consumer(&mut self, fields: &ConsumerRef) -> Result<Value, ErrorBody> {
        let id = &fields.consumer_id;
        let entry = self.consumers.get(id).ok_or_else(|| not_found("consumer", id))?;
        entry.consumer.resume().await.map_err(|error| failed("resuming a consumer", &error))?;
        Ok(json!({}))
    }

    fn close_consumer(&mut self, fields: &ConsumerRef) -> Result<Value, ErrorBody> {
        let id = &fields.consumer_id;
        self.consumers.remove(id).map(|_| json!({})).ok_or_else(|| not_found("consumer", id))
    }

    fn close_producer(&mut self, fields: &ProducerRef) -> Result<Value, ErrorBody> {
        let id = &fields.producer_id;
        if self.producers.remove(id).is_some() {
            return Ok(json!({}));
        }
        let session = self.sessions.iter().find(|(_, session)| session.producer_id() == *id);
        let session_id =
            session.map(|(session_id, _)| session_id.clone()).ok_or_else(|| not_found("producer", id))?;
        self.sessions.remove(&session_id);
        let reason = NativeSessionEnd::ProducerClosed;
        self.tell(&Notification::NativeSessionClosed { session_id, reason });
        Ok(json!({}))
    }

    async fn create_session(&mut self, offer: &NativeSenderOffer) -> Result<Value, ErrorBody> {
        check_protocol(offer.protocol)?;
        limit("native sessions", self.sessions.len(), MAX_SESSIONS)?;
        let (config, metrics) = (&self.server.config, &self.server.metrics);
        let events = self.events.clone();
        let (session, reply) =
            NativeIngest::create(self.room(), self.id(), offer, config, metrics, events).await?;
        tracing::info!(
            peer = self.id(),
            room = %self.room().name(),
            session = reply.session_id,
            target = reply.rtp_target,
            codec = reply.codec.mime_type,
            srtp = reply.srtp.is_some(),
            "native session"
        );
        self.sessions.insert(reply.session_id.clone(), session);
        Ok(to_json(&reply))
    }

    fn diagnostic(&self, diagnostic: &ClientDiagnostic) -> Result<Value, ErrorBody> {
        self.server.metrics.diagnostic(diagnostic);
        diagnostics::log(self.room().name(), self.id(), diagnostic);
        Ok(json!({}))
    }
}

/// Refuses a protocol version that this server does not speak.
pub(super) fn check_protocol(asked: u32) -> Result<(), ErrorBody> {
    if asked == PROTOCOL_VERSION {
        return Ok(());
    }
    let message = format!("protocol {asked} is not {PROTOCOL_VERSION}, the only version of this server");
    Err(ErrorBody::new(ErrorCode::UnsupportedProtocol, message))
}

/// A failure of ours: the log has the reason, the client that it was not its fault.
pub(super) fn failed(doing: &str, error: &dyn fmt::Display) -> ErrorBody {
    tracing::error!(%error, "{doing} failed");
    ErrorBody::new(ErrorCode::ServerError, format!("{doing} failed"))
}

fn limit(what: &str, have: usize, most: usize) -> Result<(), ErrorBody> {
    if have < most {
        return Ok(());
    }
    Err(ErrorBody::new(ErrorCode::LimitReached, format!("this peer has {have} {what}, as many as it may")))
}

fn not_found(what: &str, id: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::NotFound, format!("this peer has no {what} {id:?}"))
}

/// Reads one of mediasoup's own objects and names the field in it that does not fit.
fn nested<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> Result<T, ErrorBody> {
    fields(value).map_err(|error| {
        let message = error.message.strip_prefix("data").unwrap_or(&error.message);
        ErrorBody::bad_message(format!("data.{name}{message}"))
    })
}

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("messages have string keys and no fallible serializer")
}

const MAX_TRANSPORTS: usize = 4;
const MAX_PRODUCERS: usize = 8;
const MAX_CONSUMERS: usize = 256;
const MAX_SESSIONS: usize = 4;

/// How long ICE may have lost a client before its transport is closed. mediasoup says so 30 s after the last
/// connectivity check came (RFC 7675), or when the client's TCP connection ends, which it may open again.
const LOST_FOR: Duration = Duration::from_secs(5);

/// Most codecs, encodings or header extensions of a producer: browsers send fewer than 32 of each.
const MAX_ENTRIES: usize = 32;
