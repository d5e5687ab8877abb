//! What gives way under pressure, and when it comes back: one ladder of four levels.
//!
//! Level 0 is what was asked for; level `n` turns the first `n` of three knobs (frame rate, resolution,
//! bitrate) in an order that suits the content. The pressures are judged over a moving window. Each step is
//! followed by an empty window, so that what was before it does not count against what it did.

mod back_off;
mod content;
mod pressure;
mod rung;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;
use yc_media::{Bitrate, CaptureTime, RateTarget, Resolution};

use crate::DegradationConfig;
use back_off::BackOff;
use content::Content;
use rung::{Order, Rung, order};
use window::{Stretch, Window};

pub use pressure::{Pressure, PressureCause};
pub use rung::DegradationKnob;
pub(crate) use window::PressureSample;

/// Decides which level holds. Takes the time as an argument.
#[derive(Debug)]
pub(crate) struct Ladder {
    config: DegradationConfig,
    configured: RateTarget,
    source: Option<Resolution>,
    level: u8,
    /// Follows the content on level 0 and stays as it is on the others.
    order: Order,
    /// Why each level was entered; those up to `level` are of use.
    causes: [Option<PressureCause>; LEVELS],
    window: Window,
    content: Content,
    pressure: Pressure,
    worse_since: Option<CaptureTime>,
    better_since: Option<CaptureTime>,
    /// Since when the network has taken again what level 0 needs.
    wide_since: Option<CaptureTime>,
    back_off: BackOff,
    /// Time spent in each level before the present stay.
    in_level: [Duration; LEVELS],
    entered_at: Option<CaptureTime>,
    changes: u64,
}

/// A step of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LevelChange {
    /// The level before.
    pub from: u8,
    /// The level now.
    pub to: u8,
    /// Of a step down, why; of a step back up, why the level that is left was entered.
    pub cause: PressureCause,
}

/// What the present level leaves of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shaped {
    /// What the encoder should aim at.
    pub(crate) target: RateTarget,
    /// The bitrate that a token bucket must hold it to, where the level caps it.
    pub(crate) cap: Option<Bitrate>,
}

/// How far the picture gave way, and why.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DegradationStatus {
    /// 0 (nothing gave way) to 3.
    pub level: u8,
    /// Why the level was entered; none on level 0.
    pub cause: Option<PressureCause>,
    /// What gives way in which order: the first `level` of these did.
    pub order: [DegradationKnob; 3],
    /// Time spent in each level, in milliseconds.
    pub in_level_ms: [u64; 4],
    /// Steps down and up.
    pub changes: u64,
    /// The pressures as last judged.
    pub pressure: Pressure,
}

/// How many times sooner the ladder goes back when the network is measured to take everything again: after half a
/// second by default.
const WIDE_SOONER: u32 = 10;

/// Nothing gave way, or the first one, two or three knobs did.
const LEVELS: usize = 4;

impl Ladder {
    /// On level 0. `configured` is what was asked for before network and ladder take from it.
    pub(crate) fn new(config: &DegradationConfig, configured: RateTarget) -> Self {
        Self {
            config: *config,
            configured,
            source: None,
            level: 0,
            order: order(config.content, false),
            causes: [None; LEVELS],
            window: Window::new(config.window),
            content: Content::default(),
            pressure: Pressure::default(),
            worse_since: None,
            better_since: None,
            wide_since: None,
            back_off: BackOff::new(config),
            in_level: [Duration::ZERO; LEVELS],
            entered_at: None,
            changes: 0,
        }
    }

    /// Takes in what happened since the sample before. Answers the step that follows from it.
    pub(crate) fn on_sample(&mut self, now: CaptureTime, sample: &PressureSample) -> Option<LevelChange> {
        self.entered_at.get_or_insert(now);
        if !self.config.enabled {
            return None;
        }
        self.source = sample.source.or(self.source);
        self.window.push(now, *sample);
        let measured = self.window.measured()?;
        self.back_off.on_time(now);
        if self.level == 0 {
            self.content.on_window(now, &measured.whole, &self.config);
            self.order = order(self.config.content, self.content.is_moving());
        }
        self.pressure = self.pressure_on(self.level, &measured.whole);
        let halves = measured.halves.map(|half| self.pressure_on(self.level, &half));
        if let Some(cause) = Pressure::beyond(&halves, &self.config) {
            self.better_since = None;
            self.wide_since = None;
            let since = *self.worse_since.get_or_insert(now);
            let held = now.saturating_since(since) >= self.config.hold_worse;
            return if held { self.step_down(now, cause) } else { None };
        }
        self.worse_since = None;
        // What the network takes is a mean already; it need only stay so.
        if self.is_wide_again(now, &Stretch { available: sample.available, ..measured.halves[1] }) {
            return self.step_to_top(now);
        }
        // A better level must be calm too, or going back would only bring the pressure back.
        if self.level == 0 || !self.pressure_on(self.level - 1, &measured.whole).is_calm(&self.config) {
            self.better_since = None;
            return None;
        }
        let since = *self.better_since.get_or_insert(now);
        let held = now.saturating_since(since) >= self.back_off.hold();
        if held { self.step_up(now) } else { None }
    }

    /// Whether only the network held anything back, and takes all of it again. That is measured, not tried: there
    /// is no reason to go back step by step.
    fn is_wide_again(&mut self, now: CaptureTime, lately: &Stretch) -> bool {
        let causes = &self.causes[1..=usize::from(self.level)];
        let by_network = causes
            .iter()
            .all(|cause| matches!(cause, Some(PressureCause::Bandwidth | PressureCause::SendDrops)));
        let pressure = self.pressure_on(0, lately);
        let wide =
            self.level > 0 && by_network && pressure.bandwidth.is_some() && pressure.is_calm(&self.config);
        if !wide {
            self.wide_since = None;
            return false;
        }
        let since = *self.wide_since.get_or_insert(now);
        now.saturating_since(since) >= self.back_off.hold() / WIDE_SOONER
    }

    /// Steps down at once: something broke under its load. None on the last level, or if nothing may give way.
    pub(crate) fn force_down(&mut self, now: CaptureTime, cause: PressureCause) -> Option<LevelChange> {
        if self.config.enabled { self.step_down(now, cause) } else { None }
    }

    /// What the present level leaves of `network`, which is what rate control allows.
    pub(crate) fn shape(&self, network: RateTarget) -> Shaped {
        // The cap is a part of what was asked for: what the network takes less of is bounded already.
        let asked = RateTarget { bitrate: self.configured.bitrate, ..network };
        let knobs = self.knobs(self.level);
        let rung = Rung::new(&self.config, knobs, asked, self.source);
        let cap = rung.cap.map(|cap| cap.min(network.bitrate));
        // A bound on the picture is not lowered to the source's present size, which may grow.
        let scaled = knobs.contains(&DegradationKnob::Resolution);
        let resolution = if scaled { rung.picture } else { network.resolution };
        let target = RateTarget::new(cap.unwrap_or(network.bitrate), rung.frame_rate, resolution);
        Shaped { target, cap }
    }

    pub(crate) fn status(&self, now: CaptureTime) -> DegradationStatus {
        let mut in_level = self.in_level;
        in_level[usize::from(self.level)] += self.in_present_level(now);
        DegradationStatus {
            level: self.level,
            cause: self.causes[usize::from(self.level)],
            order: self.order,
            in_level_ms: in_level.map(|time| time.as_millis() as u64),
            changes: self.changes,
            pressure: self.pressure,
        }
    }

    fn step_down(&mut self, now: CaptureTime, cause: PressureCause) -> Option<LevelChange> {
        let to = self.level + 1;
        if usize::from(to) == LEVELS {
            return None;
        }
        self.content.on_degraded();
        self.back_off.on_worse(now);
        self.causes[usize::from(to)] = Some(cause);
        self.step(now, to, cause)
    }

    fn step_up(&mut self, now: CaptureTime) -> Option<LevelChange> {
        // None on level 0, which has no cause.
        let cause = self.causes[usize::from(self.level)]?;
        self.back_off.on_better(now);
        self.step(now, self.level - 1, cause)
    }

    fn step_to_top(&mut self, now: CaptureTime) -> Option<LevelChange> {
        let cause = self.causes[usize::from(self.level)]?;
        self.back_off.on_better(now);
        self.step(now, 0, cause)
    }

    fn step(&mut self, now: CaptureTime, to: u8, cause: PressureCause) -> Option<LevelChange> {
        self.in_level[usize::from(self.level)] += self.in_present_level(now);
        self.entered_at = Some(now);
        self.window.clear(now);
        self.worse_since = None;
        self.better_since = None;
        self.wide_since = None;
        self.changes += 1;
        let from = std::mem::replace(&mut self.level, to);
        Some(LevelChange { from, to, cause })
    }

    fn in_present_level(&self, now: CaptureTime) -> Duration {
        self.entered_at.map_or(Duration::ZERO, |since| now.saturating_since(since))
    }

    fn knobs(&self, level: u8) -> &[DegradationKnob] {
        &self.order[..usize::from(level)]
    }

    fn rung(&self, level: u8) -> Rung {
        Rung::new(&self.config, self.knobs(level), self.configured, self.source)
    }

    /// What was measured on the present level, as it would be on `level`.
    fn pressure_on(&self, level: u8, measured: &Stretch) -> Pressure {
        let rung = self.rung(level);
        // As sharp a picture as on level 0, but for what the level caps.
        let share = rung.pixel_rate() / self.rung(0).pixel_rate();
        let needed = f64::from(rung.cap.unwrap_or(self.configured.bitrate).as_bps()) * share;
        Pressure::on(&rung, &self.rung(self.level), Bitrate::bps(needed as u32), measured)
    }
}
