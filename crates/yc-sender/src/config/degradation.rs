//! When the picture gives way under pressure, and by how much: every threshold and scale of the ladder.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use yc_media::{Bitrate, FrameRate, Resolution};

use super::ConfigError;
use super::env::Vars;

/// When the picture gives way under pressure, and by how much. `docs/degradation.md` says how it works.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DegradationConfig {
    /// Whether it gives way at all. Default: true.
    pub enabled: bool,
    /// What is shown, which says what gives way first. Default: [`ContentHint::Auto`].
    pub content: ContentHint,
    /// Pressure is judged over this long, 0.5 to 10 s. Default: 2 s.
    pub window: Duration,
    /// Pressure must last this long before a step down, 0.1 to 60 s. Default: 1 s.
    pub hold_worse: Duration,
    /// Calm must last this long before a step back up, 0.5 to 600 s. Default: 5 s.
    pub hold_better: Duration,
    /// The longest that `hold_better` becomes by doubling, each time that a step back up proved wrong; at
    /// least `hold_better`, at most 600 s. Default: 60 s.
    pub max_hold_better: Duration,
    /// Time to convert and encode, as a part of the frame interval, 0.05 to 1.0. Default: 0.9 and 0.75.
    pub encode_load: Threshold<f32>,
    /// Mean of the older pictures that wait when the encoder takes the newest, 0.05 to 64 pictures.
    /// Default: 1.5 and 0.75.
    pub queue_average: Threshold<f32>,
    /// The most of them, if it comes again within the window, 0.05 to 64 pictures. Default: 3.5 and 2.
    pub queue_peak: Threshold<f32>,
    /// Pictures and packets lost in sending, 0.05 to 1,000 a second. Default: 3 and 0.5.
    pub send_drops: Threshold<f32>,
    /// Mean time that what waits to be sent takes to leave, 1 ms to 10 s. Default: 150 ms and 50 ms.
    pub backlog: Threshold<Duration>,
    /// Bitrate that the network takes, as a part of what the present level needs, 0.05 to 1.0: pressure is
    /// below `raise`, calm above `relax`. Default: 0.5 and 0.7.
    pub bandwidth: Threshold<f32>,
    /// The frame rate becomes this part of itself, 0.1 to 1.0. Default: 0.5.
    pub frame_rate_scale: f32,
    /// The frame rate is not scaled below this. Default: 5 fps.
    pub min_frame_rate: FrameRate,
    /// Each side of the picture becomes this part of itself, 0.1 to 1.0. Default: 0.67.
    pub resolution_scale: f32,
    /// The picture is not scaled below this in either side. Default: 320x180.
    pub min_resolution: Resolution,
    /// The bitrate is capped to this part of the configured one, 0.05 to 1.0. Default: 0.5.
    pub bitrate_scale: f32,
    /// The bitrate is not capped below this, 30 to 200,000 kbit/s. Default: 300 kbit/s.
    pub min_bitrate: Bitrate,
    /// How much of the capped bitrate may be saved up while little is sent, 10 ms to 5 s. Default: 500 ms.
    pub cap_burst: Duration,
    /// [`ContentHint::Auto`]: from so many captured pictures a second on it may be a video, 1 to 240.
    /// Default: 20.
    pub moving_pictures: f32,
    /// [`ContentHint::Auto`]: from this mean part of the picture changing on it may be a video, 0.05 to 1.0.
    /// Default: 0.5.
    pub moving_damage: f32,
    /// [`ContentHint::Auto`]: it is a video once both lasted this long, 0 to 60 s. Default: 5 s.
    pub judge_for: Duration,
}

/// Two bounds of one pressure, apart so that the level does not swing between them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Threshold<T> {
    /// Beyond this is pressure.
    pub raise: T,
    /// On the good side of this is calm. What lies between is neither.
    pub relax: T,
}

impl<T> Threshold<T> {
    /// Pressure beyond `raise`, calm on the good side of `relax`.
    pub const fn new(raise: T, relax: T) -> Self {
        Self { raise, relax }
    }
}

/// What is shown, which says what gives way first under pressure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ContentHint {
    /// Judged by how much of the picture changes how often; what is not surely a video counts as text.
    #[default]
    Auto,
    /// Must stay readable: the resolution goes last.
    Text,
    /// Must stay fluent: the frame rate goes last.
    Motion,
}

impl FromStr for ContentHint {
    type Err = ConfigError;

    /// Reads `auto`, `text` or `motion`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "motion" => Ok(Self::Motion),
            _ => Err(ConfigError::new("content hint", text, HINTS)),
        }
    }
}

impl Default for DegradationConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            content: ContentHint::Auto,
            window: Duration::from_secs(2),
            hold_worse: Duration::from_secs(1),
            hold_better: Duration::from_secs(5),
            max_hold_better: Duration::from_secs(60),
            encode_load: Threshold::new(0.9, 0.75),
            queue_average: Threshold::new(1.5, 0.75),
            queue_peak: Threshold::new(3.5, 2.0),
            send_drops: Threshold::new(3.0, 0.5),
            backlog: Threshold::new(Duration::from_millis(150), Duration::from_millis(50)),
            bandwidth: Threshold::new(0.5, 0.7),
            frame_rate_scale: 0.5,
            min_frame_rate: FrameRate::new(5).expect("5 is inside 1 to 240"),
            resolution_scale: 0.67,
            min_resolution: Resolution::new(320, 180).expect("320x180 is inside the bounds"),
            bitrate_scale: 0.5,
            min_bitrate: Bitrate::kbps(300),
            cap_burst: Duration::from_millis(500),
            moving_pictures: 20.0,
            moving_damage: 0.5,
            judge_for: Duration::from_secs(5),
        }
    }
}

impl DegradationConfig {
    /// The defaults, changed by the environment.
    pub(super) fn from_vars(vars: &Vars<'_>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let switch = |text: &str| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        };
        if let Some(enabled) = vars.parsed(ENABLED, "0 or 1", switch)? {
            config.enabled = enabled;
        }
        if let Some(content) = vars.parsed(CONTENT_HINT, HINTS, |text| text.parse().ok())? {
            config.content = content;
        }
        let bounds = "WIDTHxHEIGHT with sides of 1 to 16384 pixels, for example 320x180";
        if let Some(size) = vars.parsed(MIN_RESOLUTION, bounds, |text| text.parse().ok())? {
            config.min_resolution = size;
        }
        for setting in SETTINGS {
            vars.parsed(setting.variable, setting.bounds, |text| {
                (setting.place)(&mut config).write(text, &setting.range)
            })?;
        }
        for pair in PAIRS.iter().filter(|pair| !pair.holds(config)) {
            for setting in [pair.higher(), pair.lower()] {
                // The other one may be a default that nobody wrote down: blame what was written.
                if let Some(text) = vars.text(setting.variable, setting.bounds)? {
                    return Err(ConfigError::new(setting.variable, text, pair.bounds));
                }
            }
        }
        Ok(config)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let mut copy = *self;
        for setting in SETTINGS {
            let value = (setting.place)(&mut copy).read();
            if !setting.range.contains(&value) {
                return Err(ConfigError::new(setting.field, value.to_string(), setting.bounds));
            }
        }
        match PAIRS.iter().find(|pair| !pair.holds(copy)) {
            None => Ok(()),
            Some(pair) => {
                let value = (pair.higher().place)(&mut copy).read();
                Err(ConfigError::new(pair.higher().field, value.to_string(), pair.bounds))
            }
        }
    }
}

/// A number of the ladder: its variable, its field, its bounds, once for reading and for checking.
struct Setting {
    variable: &'static str,
    field: &'static str,
    range: RangeInclusive<f32>,
    bounds: &'static str,
    place: fn(&mut DegradationConfig) -> Place<'_>,
}

/// Where a number lies. Outside it is an `f32` of the variable's unit, which holds each whole number in
/// bounds exactly.
enum Place<'a> {
    /// A plain number.
    Number(&'a mut f32),
    /// Whole milliseconds.
    Millis(&'a mut Duration),
    /// Whole thousands of bits a second.
    Kbps(&'a mut Bitrate),
    /// Whole frames a second.
    Fps(&'a mut FrameRate),
}

impl Place<'_> {
    fn read(&self) -> f32 {
        match self {
            Self::Number(number) => **number,
            Self::Millis(time) => time.as_secs_f32() * 1_000.0,
            Self::Kbps(rate) => rate.as_bps() as f32 / 1_000.0,
            Self::Fps(rate) => rate.as_fps() as f32,
        }
    }

    /// Nothing if `text` is no such number or out of `range`.
    fn write(self, text: &str, range: &RangeInclusive<f32>) -> Option<()> {
        if let Self::Number(number) = self {
            *number = text.parse().ok().filter(|number| range.contains(number))?;
            return Some(());
        }
        let whole: u32 = text.parse().ok().filter(|whole| range.contains(&(*whole as f32)))?;
        match self {
            Self::Number(_) => {}
            Self::Millis(time) => *time = Duration::from_millis(whole.into()),
            Self::Kbps(rate) => *rate = Bitrate::kbps(whole),
            Self::Fps(rate) => *rate = FrameRate::new(whole).ok()?,
        }
        Some(())
    }
}

/// Two settings that belong in an order.
struct Pair {
    higher: &'static str,
    lower: &'static str,
    bounds: &'static str,
}

impl Pair {
    fn higher(&self) -> &'static Setting {
        setting(self.higher)
    }

    fn lower(&self) -> &'static Setting {
        setting(self.lower)
    }

    fn holds(&self, mut config: DegradationConfig) -> bool {
        let higher = (self.higher().place)(&mut config).read();
        higher >= (self.lower().place)(&mut config).read()
    }
}

fn setting(field: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.field == field).expect("a pair names two fields of the table")
}

const ENABLED: &str = "YANKCORD_NATIVE_DEGRADATION_ENABLED";
const CONTENT_HINT: &str = "YANKCORD_NATIVE_DEGRADATION_CONTENT_HINT";
const MIN_RESOLUTION: &str = "YANKCORD_NATIVE_DEGRADATION_MIN_RESOLUTION";
const HINTS: &str = "auto, text or motion";

/// `VARIABLE: field, kind, least to most, unit;` where the variable begins as all of them do.
macro_rules! settings {
    ($($name:literal: $($field:ident).+, $kind:ident, $least:literal to $most:literal, $unit:literal;)+) => {
        &[$(Setting {
            variable: concat!("YANKCORD_NATIVE_DEGRADATION_", $name),
            field: concat!("degradation" $(, ".", stringify!($field))+),
            range: ($least as f32)..=($most as f32),
            bounds: concat!($least, " to ", $most, $unit),
            place: |config| Place::$kind(&mut config.$($field).+),
        },)+]
    };
}

const SETTINGS: &[Setting] = settings! {
    "WINDOW_MS": window, Millis, 500 to 10000, " ms";
    "HOLD_WORSE_MS": hold_worse, Millis, 100 to 60000, " ms";
    "HOLD_BETTER_MS": hold_better, Millis, 500 to 600000, " ms";
    "MAX_HOLD_BETTER_MS": max_hold_better, Millis, 500 to 600000, " ms";
    "ENCODE_LOAD_RAISE": encode_load.raise, Number, 0.05 to 1.0, "";
    "ENCODE_LOAD_RELAX": encode_load.relax, Number, 0.05 to 1.0, "";
    "QUEUE_AVERAGE_RAISE": queue_average.raise, Number, 0.05 to 64, " pictures";
    "QUEUE_AVERAGE_RELAX": queue_average.relax, Number, 0.05 to 64, " pictures";
    "QUEUE_PEAK_RAISE": queue_peak.raise, Number, 0.05 to 64, " pictures";
    "QUEUE_PEAK_RELAX": queue_peak.relax, Number, 0.05 to 64, " pictures";
    "SEND_DROPS_RAISE": send_drops.raise, Number, 0.05 to 1000, " a second";
    "SEND_DROPS_RELAX": send_drops.relax, Number, 0.05 to 1000, " a second";
    "BACKLOG_RAISE_MS": backlog.raise, Millis, 1 to 10000, " ms";
    "BACKLOG_RELAX_MS": backlog.relax, Millis, 1 to 10000, " ms";
    "BANDWIDTH_RAISE": bandwidth.raise, Number, 0.05 to 1.0, "";
    "BANDWIDTH_RELAX": bandwidth.relax, Number, 0.05 to 1.0, "";
    "FRAME_RATE_SCALE": frame_rate_scale, Number, 0.1 to 1.0, "";
    "MIN_FRAME_RATE": min_frame_rate, Fps, 1 to 240, " fps";
    "RESOLUTION_SCALE": resolution_scale, Number, 0.1 to 1.0, "";
    "BITRATE_SCALE": bitrate_scale, Number, 0.05 to 1.0, "";
    "MIN_BITRATE_KBPS": min_bitrate, Kbps, 30 to 200000, " kbit/s";
    "CAP_BURST_MS": cap_burst, Millis, 10 to 5000, " ms";
    "MOVING_PICTURES": moving_pictures, Number, 1 to 240, " pictures a second";
    "MOVING_DAMAGE": moving_damage, Number, 0.05 to 1.0, "";
    "JUDGE_FOR_MS": judge_for, Millis, 0 to 60000, " ms";
};

/// `higher, lower;` with what a refusal says.
macro_rules! pairs {
    ($($higher:literal >= $lower:literal;)+) => {
        &[$(Pair {
            higher: concat!("degradation.", $higher),
            lower: concat!("degradation.", $lower),
            bounds: concat!($higher, " must be at least ", $lower),
        },)+]
    };
}

const PAIRS: &[Pair] = pairs! {
    "max_hold_better" >= "hold_better";
    "encode_load.raise" >= "encode_load.relax";
    "queue_average.raise" >= "queue_average.relax";
    "queue_peak.raise" >= "queue_peak.relax";
    "send_drops.raise" >= "send_drops.relax";
    "backlog.raise" >= "backlog.relax";
    "bandwidth.relax" >= "bandwidth.raise";
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenderConfig;

    fn with(values: &[(&str, &str)]) -> Result<DegradationConfig, ConfigError> {
        let lookup = |asked: &str| values.iter().find(|(name, _)| *name == asked).map(|(_, v)| (*v).into());
        SenderConfig::from_vars(lookup).map(|config| config.degradation)
    }

    #[test]
    fn the_defaults_are_inside_their_own_bounds() {
        assert_eq!(DegradationConfig::default().validate(), Ok(()));
        assert_eq!(with(&[]).unwrap(), DegradationConfig::default());
    }

    #[test]
    fn every_number_is_read_from_its_own_variable_and_into_no_other_field() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            // Towards the bound that keeps every pair in order.
            let upwards = PAIRS.iter().any(|pair| pair.higher == setting.field);
            let value = if upwards { *setting.range.end() } else { *setting.range.start() };
            let mut config = with(&[(setting.variable, &value.to_string())]).unwrap();
            assert_eq!(config.validate(), Ok(()), "{}", setting.variable);
            for (other, place) in SETTINGS.iter().map(|setting| setting.place).enumerate() {
                let default = place(&mut DegradationConfig::default()).read();
                let expected = if other == index { value } else { default };
                assert_eq!(place(&mut config).read(), expected, "{}", setting.variable);
            }
        }
    }

    #[test]
    fn switch_hint_and_smallest_picture_are_read() {
        assert!(!with(&[(ENABLED, "0")]).unwrap().enabled);
        assert!(with(&[(ENABLED, "1")]).unwrap().enabled);
        assert_eq!(with(&[(CONTENT_HINT, "text")]).unwrap().content, ContentHint::Text);
        assert_eq!(with(&[(CONTENT_HINT, "motion")]).unwrap().content, ContentHint::Motion);
        assert_eq!(with(&[(CONTENT_HINT, "auto")]).unwrap().content, ContentHint::Auto);
        let size = with(&[(MIN_RESOLUTION, "640x360")]).unwrap().min_resolution;
        assert_eq!(size, Resolution::new(640, 360).unwrap());
    }

    #[test]
    fn a_bad_value_names_variable_value_and_bounds() {
        let name = "YANKCORD_NATIVE_DEGRADATION_ENCODE_LOAD_RAISE";
        assert_eq!(
            with(&[(name, "9")]).unwrap_err().to_string(),
            format!("{name}=\"9\" is not allowed: 0.05 to 1.0")
        );
        for setting in SETTINGS {
            let above = (setting.range.end() + 1.0).to_string();
            for value in ["much", "NaN", "-1", &above] {
                let error = with(&[(setting.variable, value)]).unwrap_err().to_string();
                let expected = format!("{}={value:?} is not allowed: {}", setting.variable, setting.bounds);
                assert_eq!(error, expected);
            }
        }
        for (name, value) in [(ENABLED, "yes"), (CONTENT_HINT, "Text"), (MIN_RESOLUTION, "320")] {
            let error = with(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}={value:?} is not allowed: ")), "{error}");
        }
    }

    #[test]
    fn bounds_in_the_wrong_order_blame_the_one_that_was_written() {
        let (raise, relax) = (
            "YANKCORD_NATIVE_DEGRADATION_ENCODE_LOAD_RAISE",
            "YANKCORD_NATIVE_DEGRADATION_ENCODE_LOAD_RELAX",
        );
        let wrong = "is not allowed: encode_load.raise must be at least encode_load.relax";
        assert_eq!(with(&[(raise, "0.5")]).unwrap_err().to_string(), format!("{raise}=\"0.5\" {wrong}"));
        assert_eq!(with(&[(relax, "0.95")]).unwrap_err().to_string(), format!("{relax}=\"0.95\" {wrong}"));
        assert!(with(&[(raise, "0.5"), (relax, "0.4")]).is_ok());
        assert!(with(&[("YANKCORD_NATIVE_DEGRADATION_BANDWIDTH_RELAX", "0.4")]).is_err());
    }

    #[test]
    fn a_field_out_of_bounds_or_order_is_named() {
        let mut config = SenderConfig::default();
        config.degradation.resolution_scale = 0.0;
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "degradation.resolution_scale=\"0\" is not allowed: 0.1 to 1.0"
        );
        config.degradation = DegradationConfig::default();
        config.degradation.queue_peak.relax = 4.0;
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "degradation.queue_peak.raise=\"3.5\" is not allowed: queue_peak.raise must be at least queue_peak.relax"
        );
    }

    #[test]
    fn every_variable_is_documented_with_its_bounds_and_default() {
        let page = include_str!("../../../../docs/configuration.md");
        for name in [ENABLED, CONTENT_HINT, MIN_RESOLUTION] {
            assert!(page.contains(&format!("| `{name}` | ")), "{name}");
        }
        for setting in SETTINGS {
            let default = (setting.place)(&mut DegradationConfig::default()).read();
            let row = format!("| `{}` | {} | {default} | ", setting.variable, setting.bounds);
            assert!(page.contains(&row), "no row begins with {row:?}");
        }
    }
}
