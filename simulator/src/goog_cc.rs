//! The estimator of libwebrtc behind our seam, to be compared with: its port to Rust, the crate `goog_cc`.
//!
//! It is fed as libwebrtc feeds it: a process interval of 25 ms, the round trip and the loss of each second
//! as receiver reports tell them, feedback with the times of sending and receiving, probes obeyed with their
//! cluster told of each packet, periodic probing while little is sent as for screen sharing. Lengths are those
//! of RTP, as our own estimator gets them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use goog_cc::network_control::{NetworkControllerConfig, NetworkControllerInterface};
use goog_cc::transport::{
    NetworkAvailability, NetworkControlUpdate, PacedPacketInfo, PacketResult, ProcessInterval,
    RemoteBitrateReport, RoundTripTimeUpdate, SentPacket as TheirPacket, StreamsConfig,
    TargetRateConstraints, TransportLossReport, TransportPacketsFeedback,
};
use goog_cc::units::{DataRate, DataSize, TimeDelta, Timestamp};
use goog_cc::{GoogCcConfig, GoogCcNetworkController};
use yc_media::{Bitrate, CaptureTime};
use yc_sender::bandwidth::{
    BandwidthConfig, BandwidthEstimator, Estimate, PacketOutcome, ProbeCluster, SentPacket,
};

/// libwebrtc's estimator.
///
/// The port may not go from one thread to another, so that it lives on one of its own, which ends with this.
pub struct GoogCc {
    controller: Controller,
    estimate: Estimate,
    /// Clusters to be sent, and those that packets may yet be told of.
    probes: VecDeque<ProbeCluster>,
    clusters: VecDeque<(u32, PacedPacketInfo)>,
    next_process: Option<CaptureTime>,
    /// Packets that left and were not told of: their numbers and lengths.
    flying: VecDeque<(u64, i64)>,
    /// What the next feedback that tells of an arrival tells of too.
    lost_alone: Vec<PacketResult>,
    /// Lost and received since the last loss report, and when that was.
    losses: (u64, u64),
    loss_reported: Option<CaptureTime>,
}

impl GoogCc {
    /// libwebrtc's estimator with its defaults, these bounds and this start.
    pub fn new(config: BandwidthConfig) -> Self {
        let start = config.start.clamp(config.min, config.max.max(config.min));
        let constraints = TargetRateConstraints {
            at_time: Timestamp::zero(),
            min_data_rate: Some(rate(config.min)),
            max_data_rate: Some(rate(config.max)),
            starting_rate: Some(rate(start)),
        };
        let stream_based_config = StreamsConfig {
            at_time: Timestamp::zero(),
            requests_alr_probing: Some(true),
            max_total_allocated_bitrate: Some(rate(start)),
            ..StreamsConfig::default()
        };
        let config = NetworkControllerConfig { constraints, stream_based_config, ..Default::default() };
        Self {
            controller: Controller::new(config),
            estimate: Estimate::new(start),
            probes: VecDeque::new(),
            clusters: VecDeque::new(),
            next_process: None,
            flying: VecDeque::new(),
            lost_alone: Vec::new(),
            losses: (0, 0),
            loss_reported: None,
        }
    }

    /// Tells the controller, and does what it answers.
    fn tell(&mut self, told: Told) {
        for update in self.controller.tell(told) {
            self.on_update(update);
        }
    }

    fn on_update(&mut self, update: NetworkControlUpdate) {
        if let Some(target) = update.target_rate {
            self.estimate.bitrate = bitrate(target.target_rate);
            self.estimate.loss = target.network_estimate.loss_rate_ratio;
        }
        for probe in update.probe_cluster_configs {
            let cluster_rate = bitrate(probe.target_data_rate);
            let time = Duration::from_micros(probe.target_duration.us().max(0).unsigned_abs());
            let (id, bytes) = (probe.id.max(0).unsigned_abs(), cluster_rate.bytes_in(time));
            let mut info = PacedPacketInfo::new(probe.id, probe.target_probe_count.into(), bytes as i64);
            info.send_bitrate = probe.target_data_rate;
            self.clusters.push_back((id, info));
            if self.clusters.len() > MAX_CLUSTERS {
                self.clusters.pop_front();
            }
            let packets = probe.target_probe_count.max(1).unsigned_abs();
            self.probes.push_back(ProbeCluster::new(id, cluster_rate, packets, bytes));
        }
    }

    fn pacing_info(&self, probe: Option<u32>) -> PacedPacketInfo {
        let known = probe.and_then(|id| self.clusters.iter().find(|(known, _)| *known == id));
        known.map_or_else(PacedPacketInfo::default, |(_, info)| *info)
    }

    fn in_flight(&self) -> DataSize {
        DataSize::from_bytes(self.flying.iter().map(|(_, bytes)| bytes).sum())
    }

    fn packet(&self, sent: &SentPacket) -> TheirPacket {
        TheirPacket {
            send_time: timestamp(sent.at),
            size: DataSize::from_bytes(sent.bytes as i64),
            pacing_info: self.pacing_info(sent.probe),
            sequence_number: sent.sequence as i64,
            data_in_flight: self.in_flight(),
            ..TheirPacket::default()
        }
    }

    /// What libwebrtc hears of loss by a receiver report each second.
    fn report_loss(&mut self, now: CaptureTime) {
        let since = *self.loss_reported.get_or_insert(now);
        if now.saturating_since(since) < Duration::from_secs(1) {
            return;
        }
        let (lost, received) = std::mem::take(&mut self.losses);
        self.loss_reported = Some(now);
        let report = TransportLossReport {
            receive_time: timestamp(now),
            start_time: timestamp(since),
            end_time: timestamp(now),
            packets_lost_delta: lost,
            packets_received_delta: received,
        };
        self.tell(Told::Loss(report));
    }
}

impl BandwidthEstimator for GoogCc {
    fn on_sent(&mut self, packet: &SentPacket) {
        if self.next_process.is_none() {
            // The network is there, and the first interval takes in the configuration.
            self.next_process = Some(packet.at);
            let at_time = timestamp(packet.at);
            self.tell(Told::Available(NetworkAvailability { at_time, network_available: true }));
            self.handle_timeout(packet.at);
        }
        self.flying.push_back((packet.sequence, packet.bytes as i64));
        let packet = self.packet(packet);
        self.controller.note_sent(packet);
    }

    fn on_feedback(&mut self, now: CaptureTime, outcomes: &[PacketOutcome]) {
        let mut results = std::mem::take(&mut self.lost_alone);
        for outcome in outcomes {
            match outcome.arrived {
                Some(_) => self.losses.1 += 1,
                None => self.losses.0 += 1,
            }
            results.push(PacketResult {
                sent_packet: self.packet(&outcome.sent),
                receive_time: outcome
                    .arrived
                    .map_or(Timestamp::plus_infinity(), |at| Timestamp::from_micros(at.as_micros() as i64)),
                ..PacketResult::default()
            });
        }
        if let Some(last) = outcomes.last() {
            self.flying.retain(|(sequence, _)| *sequence > last.sent.sequence);
        }
        self.report_loss(now);
        // The port cannot bear feedback that tells of losses alone.
        if !results.iter().any(PacketResult::is_received) {
            self.lost_alone = results;
            return;
        }
        let feedback = TransportPacketsFeedback {
            feedback_time: timestamp(now),
            data_in_flight: self.in_flight(),
            packet_feedbacks: results,
            sendless_arrival_times: Vec::new(),
        };
        self.tell(Told::Feedback(feedback));
    }

    fn on_round_trip(&mut self, now: CaptureTime, rtt: Duration) {
        self.estimate.round_trip = Some(rtt);
        self.tell(Told::RoundTrip(RoundTripTimeUpdate {
            receive_time: timestamp(now),
            // The port asserts that it is not zero.
            round_trip_time: TimeDelta::from_micros((rtt.as_micros() as i64).max(1)),
            smoothed: false,
        }));
    }

    fn set_receiver_bound(&mut self, now: CaptureTime, bound: Option<Bitrate>) {
        let bandwidth = bound.map_or(DataRate::infinity(), rate);
        self.tell(Told::Bound(RemoteBitrateReport { receive_time: timestamp(now), bandwidth }));
    }

    fn set_wanted(&mut self, now: CaptureTime, wanted: Bitrate) {
        self.tell(Told::Streams(StreamsConfig {
            at_time: timestamp(now),
            max_total_allocated_bitrate: Some(rate(wanted)),
            ..StreamsConfig::default()
        }));
    }

    fn handle_timeout(&mut self, now: CaptureTime) {
        if self.next_process.is_none_or(|at| at > now) {
            return;
        }
        self.next_process = Some(now + PROCESS_INTERVAL);
        self.tell(Told::Interval(timestamp(now)));
    }

    fn poll_timeout(&self) -> Option<CaptureTime> {
        self.next_process
    }

    fn poll_probe(&mut self) -> Option<ProbeCluster> {
        self.probes.pop_front()
    }

    fn estimate(&self) -> Estimate {
        self.estimate
    }
}

impl fmt::Debug for GoogCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoogCc").field("estimate", &self.estimate).finish_non_exhaustive()
    }
}

/// The port, on its thread.
struct Controller {
    told: Sender<Vec<Told>>,
    updates: Receiver<Vec<NetworkControlUpdate>>,
    /// What it need not answer goes with the next that it must.
    waiting: Vec<Told>,
}

/// What the port is told.
enum Told {
    Available(NetworkAvailability),
    Sent(TheirPacket),
    Feedback(TransportPacketsFeedback),
    RoundTrip(RoundTripTimeUpdate),
    Loss(TransportLossReport),
    Bound(RemoteBitrateReport),
    Streams(StreamsConfig),
    Interval(Timestamp),
}

impl Controller {
    fn new(config: NetworkControllerConfig) -> Self {
        let (told, hears) = channel::<Vec<Told>>();
        let (answers, updates) = channel();
        let body = move || {
            let config_of_port = GoogCcConfig { feedback_only: false };
            let mut port = GoogCcNetworkController::new(config, config_of_port);
            // Ends when either end of the channels is gone.
            while let Ok(told) = hears.recv() {
                if answers.send(told.into_iter().map(|told| told.to(&mut port)).collect()).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new().name("goog-cc".to_owned()).spawn(body);
        drop(spawned.expect("a simulation may have a thread"));
        Self { told, updates, waiting: Vec::new() }
    }

    /// A packet left. Without a congestion window the port has no answer to it.
    fn note_sent(&mut self, packet: TheirPacket) {
        self.waiting.push(Told::Sent(packet));
    }

    fn tell(&mut self, told: Told) -> Vec<NetworkControlUpdate> {
        self.waiting.push(told);
        let sent = self.told.send(std::mem::take(&mut self.waiting));
        let updates = sent.ok().and_then(|()| self.updates.recv().ok());
        updates.expect("the port panicked: its message stands above")
    }
}

impl Told {
    fn to(self, port: &mut GoogCcNetworkController) -> NetworkControlUpdate {
        match self {
            Self::Available(available) => port.on_network_availability(available),
            Self::Sent(packet) => port.on_sent_packet(packet),
            Self::Feedback(feedback) => port.on_transport_packets_feedback(feedback),
            Self::RoundTrip(round_trip) => port.on_round_trip_time_update(round_trip),
            Self::Loss(report) => port.on_transport_loss_report(report),
            Self::Bound(report) => port.on_remote_bitrate_report(report),
            Self::Streams(config) => port.on_streams_config(config),
            Self::Interval(at_time) => {
                port.on_process_interval(ProcessInterval { at_time, pacer_queue: None })
            }
        }
    }
}

fn timestamp(at: CaptureTime) -> Timestamp {
    Timestamp::from_micros(at.since_epoch().as_micros() as i64)
}

fn rate(bitrate: Bitrate) -> DataRate {
    DataRate::from_bits_per_sec(bitrate.as_bps().into())
}

fn bitrate(rate: DataRate) -> Bitrate {
    Bitrate::bps(rate.bps_or(u32::MAX.into()).clamp(0, u32::MAX.into()) as u32)
}

/// What libwebrtc calls it in.
const PROCESS_INTERVAL: Duration = Duration::from_millis(25);
/// Clusters whose packets may yet be told of.
const MAX_CLUSTERS: usize = 64;
