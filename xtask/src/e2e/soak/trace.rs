//! What a share's status said each second, and what must hold of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// The course of one share. Times are seconds since its first picture.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) samples: Vec<Sample>,
    /// When there was load.
    pub(super) loaded: Option<(f64, f64)>,
    /// Steps of the ladder: when, from, to, why.
    pub(super) steps: Vec<Step>,
    /// Events of the retreat from one backend to the next.
    fallbacks: usize,
    /// How often the share said that it had started.
    started: usize,
}

/// One status.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) at: f64,
    pub(super) state: String,
    pub(super) level: u64,
    pub(super) target_fps: f64,
    pub(super) target_kbps: f64,
    pub(super) size: (u64, u64),
    pub(super) fps: f64,
    pub(super) encode_ms: f64,
    pub(super) encode_load: f64,
    pub(super) queue_average: f64,
    pub(super) queue_peak: f64,
    pub(super) send_drops: f64,
    pub(super) frames_captured: u64,
}

/// One change of the level.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) at: f64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) cause: String,
}

/// More changes of the level than this are flapping: three down, three up, and one try that failed.
const MOST_STEPS: usize = 8;
/// What a machine presses by; the network of this one does not.
const CAUSES: &[&str] = &["encode_time", "queue", "send_drops", "overload"];

impl Trace {
    /// Of what a share said, each with when it did, in microseconds since 1970.
    pub(super) fn new(began: u64, loaded: Option<(u64, u64)>, said: &[(u64, Value)]) -> Self {
        let secs = |at: u64| (at as f64 - began as f64) / 1e6;
        let mut trace = Self { loaded: loaded.map(|(from, to)| (secs(from), secs(to))), ..Self::default() };
        for (at, event) in said {
            match event["event"].as_str() {
                Some("status") => trace.samples.push(Sample::new(secs(*at), &event["status"])),
                Some("degradation_changed") => trace.steps.push(Step {
                    at: secs(*at),
                    from: event["from"].as_u64().unwrap_or_default(),
                    to: event["level"].as_u64().unwrap_or_default(),
                    cause: event["cause"].as_str().unwrap_or_default().to_owned(),
                }),
                Some("fallback_triggered" | "fallback_completed") => trace.fallbacks += 1,
                Some("sender_started") => trace.started += 1,
                _ => {}
            }
        }
        trace
    }

    fn is_loaded(&self, at: f64) -> bool {
        self.loaded.is_some_and(|(from, to)| (from..to).contains(&at))
    }

    /// One JSON object a line.
    pub(super) fn to_lines(&self) -> String {
        let samples = self.samples.iter().map(|sample| {
            let mut line = sample.to_json();
            line["loaded"] = self.is_loaded(sample.at).into();
            (sample.at, line)
        });
        let steps = self.steps.iter().map(|step| (step.at, step.to_json()));
        let mut lines: Vec<_> = samples.chain(steps).collect();
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.into_iter().fold(String::new(), |mut text, (_, line)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
            text
        })
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let load = if self.is_loaded(step.at) { "  loaded" } else { "" };
            let _ = writeln!(
                text,
                "   {:>5.1} s: level {} to {} ({}){load}",
                step.at, step.from, step.to, step.cause
            );
        }
        let mut by_level: BTreeMap<u64, Vec<&Sample>> = BTreeMap::new();
        for sample in &self.samples {
            by_level.entry(sample.level).or_default().push(sample);
        }
        for (level, samples) in by_level {
            let mean = |of: fn(&Sample) -> f64| {
                samples.iter().map(|sample| of(sample)).sum::<f64>() / samples.len() as f64
            };
            let _ = writeln!(
                text,
                "   level {level}: {:>3} s, {:.1} pictures a second, {:.1} ms a picture",
                samples.len(),
                mean(|sample| sample.fps),
                mean(|sample| sample.encode_ms)
            );
        }
        text.trim_end().to_owned()
    }

    /// What must hold.
    pub(super) fn judge(&self) -> Result<()> {
        let [Some(first), Some(last)] = [self.samples.first(), self.samples.last()] else {
            anyhow::bail!("no status was printed");
        };
        let Some((from, to)) = self.loaded else { anyhow::bail!("there was no load") };
        let early = self.steps.iter().find(|step| step.at < from);
        ensure!(early.is_none(), "a step before there was load: {early:?}");
        let down = self.steps.iter().find(|step| step.to > step.from && step.at < to);
        let Some(down) = down else { anyhow::bail!("no level was left under load") };
        ensure!(CAUSES.contains(&down.cause.as_str()), "the first step down was for {:?}", down.cause);
        for sample in &self.samples {
            let expected = if sample.level == 0 { "running" } else { "degraded" };
            // Level and state are read one after the other: a step may be between.
            let stepped = self.steps.iter().any(|step| (step.at - sample.at).abs() < 0.5);
            ensure!(
                sample.state == expected || sample.state == "starting" || stepped,
                "at {:.1} s on level {} the state is {:?}",
                sample.at,
                sample.level,
                sample.state
            );
        }
        ensure!(self.started == 1, "it said {} times that it had started", self.started);
        ensure!(self.fallbacks == 0, "{} events of a fallback", self.fallbacks);
        ensure!(
            self.steps.len() <= MOST_STEPS,
            "the level changed {} times; more than {MOST_STEPS} is flapping",
            self.steps.len()
        );
        let whole = |sample: &Sample| (sample.level, sample.target_fps, sample.target_kbps, sample.size);
        let asked = (0, first.target_fps, first.target_kbps, last.size);
        ensure!(whole(last) == asked, "it ended on {:?} and not on {asked:?}", whole(last));
        ensure!(last.size == (1_920, 1_080), "the last picture is {:?}", last.size);
        ensure!(
            last.fps >= last.target_fps * 0.8,
            "{} pictures left in the last second; {} were aimed at",
            last.fps,
            last.target_fps
        );
        Ok(())
    }
}

impl Sample {
    fn new(at: f64, status: &Value) -> Self {
        let number = |value: &Value| value.as_f64().unwrap_or_default();
        let (degradation, target) = (&status["degradation"], &status["target"]);
        let pressure = &degradation["pressure"];
        let side = |name: &str| status["encoded_size"][name].as_u64().unwrap_or_default();
        Self {
            at,
            state: status["state"].as_str().unwrap_or_default().to_owned(),
            level: degradation["level"].as_u64().unwrap_or_default(),
            target_fps: number(&target["frame_rate"]),
            target_kbps: number(&target["bitrate"]) / 1_000.0,
            size: (side("width"), side("height")),
            fps: number(&status["fps"]),
            encode_ms: number(&status["encode_ms"]),
            encode_load: number(&pressure["encode_load"]),
            queue_average: number(&pressure["queue_average"]),
            queue_peak: number(&pressure["queue_peak"]),
            send_drops: number(&pressure["send_drops"]),
            frames_captured: status["frames_captured"].as_u64().unwrap_or_default(),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "at": rounded(self.at),
            "state": self.state,
            "level": self.level,
            "target_fps": self.target_fps,
            "target_kbps": self.target_kbps,
            "width": self.size.0,
            "height": self.size.1,
            "fps": self.fps,
            "encode_ms": rounded(self.encode_ms),
            "encode_load": rounded(self.encode_load),
            "queue_average": rounded(self.queue_average),
            "queue_peak": self.queue_peak,
            "send_drops": rounded(self.send_drops),
            "frames_captured": self.frames_captured,
        })
    }
}

impl Step {
    fn to_json(&self) -> Value {
        json!({ "at": rounded(self.at), "from": self.from, "to": self.to, "cause": self.cause })
    }
}

/// To thousandths.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A share that was on these levels, a second each; loaded from second 2 to 6.
    fn course(levels: &[u64]) -> Trace {
        let mut said = vec![(0, json!({ "event": "sender_started" }))];
        let mut before = 0;
        for (second, &level) in levels.iter().enumerate() {
            let at = second as u64 * 1_000_000;
            if level != before {
                let event = json!({
                    "event": "degradation_changed", "level": level, "from": before, "cause": "queue",
                });
                said.push((at - 100_000, event));
                before = level;
            }
            let fps = if level == 0 { 30 } else { 15 };
            let status = json!({
                "state": if level == 0 { "running" } else { "degraded" },
                "degradation": { "level": level },
                "target": { "frame_rate": fps, "bitrate": 6_000_000 },
                "encoded_size": { "width": 1_920, "height": 1_080 },
                "fps": fps,
            });
            said.push((at, json!({ "event": "status", "status": status })));
        }
        Trace::new(0, Some((2_000_000, 6_000_000)), &said)
    }

    #[test]
    fn a_share_that_gives_way_under_load_and_comes_back_is_good() {
        course(&[0, 0, 0, 1, 1, 1, 1, 0, 0]).judge().unwrap();
    }

    #[test]
    fn what_does_not_give_way_does_not_come_back_or_flaps_is_not() {
        for (levels, why) in [
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0][..], "no level was left"),
            (&[0, 0, 0, 1, 1, 1, 1, 1, 1][..], "it ended on"),
            (&[0, 1, 1, 1, 1, 1, 1, 0, 0][..], "before there was load"),
            (&[0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0][..], "flapping"),
        ] {
            let error = course(levels).judge().unwrap_err().to_string();
            assert!(error.contains(why), "{levels:?}: {error}");
        }
    }

    #[test]
    fn the_lines_are_in_the_order_of_time_and_say_when_there_was_load() {
        let lines = course(&[0, 0, 0, 1]).to_lines();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let at: Vec<f64> = lines.iter().map(|line| line["at"].as_f64().unwrap()).collect();
        assert_eq!(at, [0.0, 1.0, 2.0, 2.9, 3.0]);
        assert_eq!((&lines[0]["loaded"], &lines[4]["loaded"]), (&json!(false), &json!(true)));
        assert_eq!(lines[3]["cause"], "queue");
    }
}
