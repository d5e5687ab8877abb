//! How hard the present level is on machine and network, and whether that is too much.

use std::fmt;

use serde::Serialize;
use yc_media::Bitrate;

use super::rung::Rung;
use super::window::Stretch;
use crate::DegradationConfig;

/// What makes the picture give way: a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PressureCause {
    /// A picture takes too much of the frame interval to convert and encode.
    EncodeTime,
    /// Pictures wait for the encoder.
    Queue,
    /// Pictures or packets are lost in sending, or wait too long to be sent.
    SendDrops,
    /// The network takes too little.
    Bandwidth,
    /// A stage failed or hung under its load, and the failure policy asked for less.
    Overload,
}

impl PressureCause {
    /// The code as it stands in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EncodeTime => "encode_time",
            Self::Queue => "queue",
            Self::SendDrops => "send_drops",
            Self::Bandwidth => "bandwidth",
            Self::Overload => "overload",
        }
    }
}

impl fmt::Display for PressureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The pressures as last judged: over `DegradationConfig::window`, against what the present level asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pressure {
    /// Mean time to convert and encode a picture as a part of the frame interval, but no more than the part
    /// of the time that the encoder was busy: a few slow pictures are no overload.
    pub encode_load: f32,
    /// Mean of the older pictures that waited when the encoder took the newest.
    pub queue_average: f32,
    /// The most of them at one take.
    pub queue_peak: f32,
    /// Pictures and packets lost in sending, a second.
    pub send_drops: f32,
    /// Mean time that what waited to be sent took to leave, in milliseconds.
    pub backlog_ms: f32,
    /// Bitrate that the network takes as a part of what the level needs, where it is known.
    pub bandwidth: Option<f32>,
}

impl Pressure {
    /// What was measured on `present`, as it would be on `rung`: encoding takes time by the pixel, and what is
    /// needed of the network goes by the rung.
    pub(super) fn on(rung: &Rung, present: &Rung, needed: Bitrate, measured: &Stretch) -> Self {
        let interval = present.frame_rate.interval().as_secs_f32();
        let load = (measured.encode_time.as_secs_f32() / interval).min(measured.encode_busy);
        let need = f64::from(needed.as_bps()).max(1.0);
        Self {
            encode_load: load * (rung.pixel_rate() / present.pixel_rate()) as f32,
            queue_average: measured.queue_average,
            queue_peak: measured.queue_peak,
            send_drops: measured.drops,
            backlog_ms: measured.backlog.as_secs_f32() * 1_000.0,
            bandwidth: measured.available.map(|rate| (f64::from(rate.as_bps()) / need) as f32),
        }
    }

    /// The pressure furthest beyond its `raise` in both halves of a window, if one is: what came once, a burst
    /// of losses or one long wait, is in one of them at a time.
    pub(super) fn beyond(halves: &[Self; 2], config: &DegradationConfig) -> Option<PressureCause> {
        let [older, newer] = halves.map(|half| half.times_raise(config));
        let both = older.into_iter().zip(newer).map(|((cause, a), (_, b))| (cause, a.min(b)));
        both.filter(|(_, times)| *times > 1.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(cause, _)| cause)
    }

    /// How many times its `raise` each pressure is.
    fn times_raise(&self, config: &DegradationConfig) -> [(PressureCause, f32); 4] {
        let average = self.queue_average / config.queue_average.raise;
        let peak = self.queue_peak / config.queue_peak.raise;
        let drops = self.send_drops / config.send_drops.raise;
        let backlog = self.backlog_ms / (config.backlog.raise.as_secs_f32() * 1_000.0);
        [
            (PressureCause::EncodeTime, self.encode_load / config.encode_load.raise),
            (PressureCause::Queue, average.max(peak)),
            (PressureCause::SendDrops, drops.max(backlog)),
            (PressureCause::Bandwidth, self.bandwidth.map_or(0.0, |share| config.bandwidth.raise / share)),
        ]
    }

    /// Whether every pressure is on the good side of its `relax`.
    pub(super) fn is_calm(&self, config: &DegradationConfig) -> bool {
        self.encode_load < config.encode_load.relax
            && self.queue_average < config.queue_average.relax
            && self.queue_peak < config.queue_peak.relax
            && self.send_drops < config.send_drops.relax
            && self.backlog_ms < config.backlog.relax.as_secs_f32() * 1_000.0
            && self.bandwidth.is_none_or(|share| share > config.bandwidth.relax)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(change: impl FnOnce(&mut Pressure)) -> (Option<PressureCause>, bool) {
        let mut pressure = Pressure::default();
        change(&mut pressure);
        let config = DegradationConfig::default();
        (Pressure::beyond(&[pressure, pressure], &config), pressure.is_calm(&config))
    }

    #[test]
    fn each_pressure_has_two_bounds_and_neither_is_passed_by_reaching_it() {
        let none = (None, true);
        let between = (None, false);
        assert_eq!(judge(|_| {}), none);

        let encode = |load| judge(|p| p.encode_load = load);
        assert_eq!([encode(0.74), encode(0.75), encode(0.9)], [none, between, between]);
        assert_eq!(encode(0.91).0, Some(PressureCause::EncodeTime));

        let average = |pictures| judge(|p| p.queue_average = pictures);
        assert_eq!([average(0.74), average(0.75), average(1.5)], [none, between, between]);
        assert_eq!(average(1.51).0, Some(PressureCause::Queue));

        let peak = |pictures| judge(|p| p.queue_peak = pictures);
        assert_eq!([peak(1.0), peak(2.0), peak(3.0)], [none, between, between]);
        assert_eq!(peak(4.0).0, Some(PressureCause::Queue));

        let drops = |a_second| judge(|p| p.send_drops = a_second);
        assert_eq!([drops(0.4), drops(0.5), drops(3.0)], [none, between, between]);
        assert_eq!(drops(3.5).0, Some(PressureCause::SendDrops));

        let backlog = |ms| judge(|p| p.backlog_ms = ms);
        assert_eq!([backlog(49.0), backlog(50.0), backlog(150.0)], [none, between, between]);
        assert_eq!(backlog(151.0).0, Some(PressureCause::SendDrops));

        let bandwidth = |share| judge(|p| p.bandwidth = Some(share));
        assert_eq!([bandwidth(0.71), bandwidth(0.7), bandwidth(0.5)], [none, between, between]);
        assert_eq!(bandwidth(0.49).0, Some(PressureCause::Bandwidth));
        assert_eq!(bandwidth(0.0).0, Some(PressureCause::Bandwidth));
    }

    #[test]
    fn the_cause_is_the_pressure_furthest_beyond_its_bound() {
        let both = |load| {
            judge(|p| {
                p.encode_load = load;
                p.queue_average = 1.8;
            })
        };
        assert_eq!(both(1.0).0, Some(PressureCause::Queue));
        assert_eq!(both(1.2).0, Some(PressureCause::EncodeTime));
    }

    #[test]
    fn what_only_one_half_of_the_window_knows_is_no_pressure() {
        let config = DegradationConfig::default();
        let burst =
            Pressure { send_drops: 100.0, queue_peak: 6.0, queue_average: 6.0, ..Pressure::default() };
        let load = Pressure { encode_load: 1.0, ..Pressure::default() };
        for once in [burst, load] {
            assert_eq!(Pressure::beyond(&[once, Pressure::default()], &config), None);
            assert_eq!(Pressure::beyond(&[Pressure::default(), once], &config), None);
        }
        assert_eq!(Pressure::beyond(&[burst, load], &config), None, "two causes, each of them once");
    }

    #[test]
    fn a_cause_s_code_is_its_name_in_json() {
        for cause in [
            PressureCause::EncodeTime,
            PressureCause::Queue,
            PressureCause::SendDrops,
            PressureCause::Bandwidth,
            PressureCause::Overload,
        ] {
            assert_eq!(cause.to_string(), cause.code());
        }
    }
}
