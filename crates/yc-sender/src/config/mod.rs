//! How a sender behaves: a plain struct first, and the one place where the environment is read.

mod degradation;
mod env;
mod resilience;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use yc_media::{Bitrate, Codec, FrameRate, Resolution};

pub use degradation::{ContentHint, DegradationConfig, Threshold};
pub use resilience::{DropTolerance, FailureConfig, RetreatConfig, Tolerance, WatchdogConfig};

/// How a sender behaves. Start from [`SenderConfig::default`] or [`SenderConfig::from_env`] and change what
/// differs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SenderConfig {
    /// What to encode into. Default: H264.
    pub codec: Codec,
    /// Encoder backends to try, in this order, by the names in `yc_encode::ENABLED`. Empty: every backend
    /// of the codec in the registry's order. Default: empty.
    pub encoders: Vec<String>,
    /// The most frames per second to encode. Default: 30.
    pub frame_rate: FrameRate,
    /// Bits per second of video to aim at. Default: 6,000 kbit/s.
    pub bitrate: Bitrate,
    /// The largest picture to encode; what is captured larger is scaled down into it. Default: 1920x1080.
    pub max_resolution: Resolution,
    /// Captured frames that may wait for the encoder, 1 to 64. The newest win. Default: 6.
    pub frame_queue_capacity: usize,
    /// The largest RTP packet, header and what SRTP adds included, in bytes of UDP payload, 256 to 1,460. Default:
    /// 1,200, which passes through tunnels with an MTU of 1,280.
    pub max_packet_len: usize,
    /// When a key frame that a receiver asked for is granted.
    pub keyframes: KeyframeConfig,
    /// What a still screen costs.
    pub still: StillConfig,
    /// How fast packets leave.
    pub pacing: PacingConfig,
    /// When the picture gives way under pressure, and by how much.
    pub degradation: DegradationConfig,
    /// How much of what may pass is borne before it counts as a failure.
    pub failures: FailureConfig,
    /// How the sender goes from a backend that failed to the next.
    pub retreat: RetreatConfig,
    /// How long one call into a stage may take before its thread is abandoned.
    pub watchdog: WatchdogConfig,
    /// How long stopping may take in all: a thread that has not ended shortly before is abandoned. 50 ms to
    /// 10 s. Default: 250 ms.
    pub stop_deadline: Duration,
    /// Sends here instead of where the negotiation said. For a debug harness only. Default: none.
    pub rtp_target: Option<SocketAddr>,
    /// Copies every datagram that leaves, before encryption, to this address too, so that the stream can be
    /// watched: see `docs/diagnostics.md`. A loopback address, since the copy is in the clear. Only in a
    /// build with the feature `native-diagnostic-udp-mirror`. Default: none.
    pub diagnostic_mirror: Option<SocketAddr>,
}

/// When a key frame that a receiver asked for is granted.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct KeyframeConfig {
    /// The least time between two key frames. Default: 300 ms.
    pub min_interval: Duration,
    /// The largest part of the bitrate that key frames may take, 0.01 to 1.0: after a large one the next
    /// waits longer than `min_interval`. Default: 0.25.
    pub bitrate_share: f32,
    /// The longest that the share may make a request wait. Default: 2 s.
    pub max_interval: Duration,
}

/// What a still screen costs.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StillConfig {
    /// How often the last picture is repeated while nothing changes, so that an SFU does not think the
    /// stream dead. At most 1 s. Default: 1 s.
    pub repeat_interval: Duration,
    /// For how long after the last change the picture is sent again to sharpen it. Default: 1 s.
    pub refine_for: Duration,
    /// Time between two such sharpening frames. Default: 66 ms.
    pub refine_interval: Duration,
    /// The quantizer at which the picture counts as sharp and sharpening ends, in the codec's scale.
    /// Default: 18 (H264: 0 to 51).
    pub sharp_qp: u8,
}

/// How fast packets leave.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PacingConfig {
    /// Packets leave at most at this multiple of the bitrate that the network was measured to take, 1.0 to
    /// 100.0. Default: 1.1.
    pub factor: f32,
    /// Before anything was measured, and where nothing can be: packets leave at most at this multiple of the
    /// target bitrate, 1.0 to 100.0. Default: 2.5.
    pub start_factor: f32,
    /// How much of that rate may leave at once, at most 40 ms. Default: 10 ms.
    pub burst: Duration,
    /// While packets worth more than this wait, no further frame is encoded; what would wait four times as
    /// long is dropped and counted. Default: 200 ms.
    pub max_backlog: Duration,
}

impl Default for SenderConfig {
    fn default() -> Self {
        Self {
            codec: Codec::H264,
            encoders: Vec::new(),
            frame_rate: FrameRate::new(30).expect("30 is inside 1 to 240"),
            bitrate: Bitrate::kbps(6_000),
            max_resolution: Resolution::new(1920, 1080).expect("1920x1080 is inside the bounds"),
            frame_queue_capacity: 6,
            max_packet_len: 1_200,
            keyframes: KeyframeConfig {
                min_interval: Duration::from_millis(300),
                bitrate_share: 0.25,
                max_interval: Duration::from_secs(2),
            },
            still: StillConfig {
                repeat_interval: Duration::from_secs(1),
                refine_for: Duration::from_secs(1),
                refine_interval: Duration::from_millis(66),
                sharp_qp: 18,
            },
            pacing: PacingConfig {
                factor: 1.1,
                start_factor: 2.5,
                burst: Duration::from_millis(10),
                max_backlog: Duration::from_millis(200),
            },
            degradation: DegradationConfig::default(),
            failures: FailureConfig::default(),
            retreat: RetreatConfig::default(),
            watchdog: WatchdogConfig::default(),
            stop_deadline: Duration::from_millis(250),
            rtp_target: None,
            diagnostic_mirror: None,
        }
    }
}

impl SenderConfig {
    /// The defaults, changed by the environment: the variables of `docs/configuration.md`.
    ///
    /// # Errors
    ///
    /// If a variable holds a value that it may not: the error names the variable, its value and its bounds.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// As [`SenderConfig::from_env`], with the variables given by `lookup`.
    ///
    /// # Errors
    ///
    /// As [`SenderConfig::from_env`].
    pub fn from_vars(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let vars = env::Vars::new(&lookup);
        let mut config = Self::default();

        let bounds = "auto, or names of encoder backends separated by commas";
        if let Some(text) = vars.text(env::ENCODER_BACKEND, bounds)? {
            let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
            if names.iter().any(String::is_empty) {
                return Err(ConfigError::new(env::ENCODER_BACKEND, text, bounds));
            }
            config.encoders = if names == ["auto"] { Vec::new() } else { names };
        }
        if let Some(capacity) = vars.number(env::FRAME_QUEUE_CAPACITY, 1..=64, "1 to 64 frames")? {
            config.frame_queue_capacity = capacity;
        }
        let bounds = "IP:PORT with a port of 1 to 65535, for example 127.0.0.1:40000";
        config.rtp_target = vars.parsed(env::RTP_TARGET, bounds, |text| {
            text.parse().ok().filter(|at: &SocketAddr| at.port() != 0)
        })?;
        config.degradation = DegradationConfig::from_vars(&vars)?;
        let target = vars.parsed(env::DIAGNOSTIC_UDP_MIRROR_TARGET, MIRROR_TARGETS, |text| {
            text.parse().ok().filter(may_be_mirrored_to)
        })?;
        if vars.number(env::ENABLE_DIAGNOSTIC_UDP_MIRROR, 0..=1, "0 or 1")? == Some(1) {
            if !MIRROR_BUILT_IN {
                return Err(ConfigError::new(env::ENABLE_DIAGNOSTIC_UDP_MIRROR, "1", MIRROR_NOT_BUILT_IN));
            }
            config.diagnostic_mirror = Some(target.unwrap_or(MIRROR_TARGET));
        }
        Ok(config)
    }

    /// Checks the fields against their documented bounds.
    ///
    /// # Errors
    ///
    /// If a field is out of its bounds: the error names it, its value and its bounds.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check(
            (1..=64).contains(&self.frame_queue_capacity),
            "frame_queue_capacity",
            || self.frame_queue_capacity.to_string(),
            "1 to 64 frames",
        )?;
        check(
            (256..=1_460).contains(&self.max_packet_len),
            "max_packet_len",
            || self.max_packet_len.to_string(),
            "256 to 1460 bytes",
        )?;
        check(
            (30_000..=200_000_000).contains(&self.bitrate.as_bps()),
            "bitrate",
            || format!("{} bit/s", self.bitrate.as_bps()),
            "30 kbit/s to 200000 kbit/s",
        )?;
        check(
            (0.01..=1.0).contains(&self.keyframes.bitrate_share),
            "keyframes.bitrate_share",
            || self.keyframes.bitrate_share.to_string(),
            "0.01 to 1.0",
        )?;
        for (factor, name) in
            [(self.pacing.factor, "pacing.factor"), (self.pacing.start_factor, "pacing.start_factor")]
        {
            check((1.0..=100.0).contains(&factor), name, || factor.to_string(), "1.0 to 100.0")?;
        }
        let burst = self.pacing.burst;
        check(burst <= Duration::from_millis(40), "pacing.burst", || format!("{burst:?}"), "0 to 40 ms")?;
        let repeat = self.still.repeat_interval;
        check(
            (Duration::from_millis(10)..=Duration::from_secs(1)).contains(&repeat),
            "still.repeat_interval",
            || format!("{repeat:?}"),
            "10 ms to 1 s",
        )?;
        let refine = self.still.refine_interval;
        check(
            (Duration::from_millis(4)..=Duration::from_secs(1)).contains(&refine),
            "still.refine_interval",
            || format!("{refine:?}"),
            "4 ms to 1 s",
        )?;
        let stop = self.stop_deadline;
        check(
            (Duration::from_millis(50)..=Duration::from_secs(10)).contains(&stop),
            "stop_deadline",
            || format!("{stop:?}"),
            "50 ms to 10 s",
        )?;
        self.degradation.validate()?;
        self.failures.validate()?;
        self.retreat.validate()?;
        self.watchdog.validate()?;
        let Some(mirror) = &self.diagnostic_mirror else { return Ok(()) };
        check(MIRROR_BUILT_IN, "diagnostic_mirror", || mirror.to_string(), MIRROR_NOT_BUILT_IN)?;
        check(may_be_mirrored_to(mirror), "diagnostic_mirror", || mirror.to_string(), MIRROR_TARGETS)
    }
}

fn check(
    ok: bool,
    name: &'static str,
    value: impl FnOnce() -> String,
    bounds: &'static str,
) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError::new(name, value(), bounds)) }
}

/// Whether this build can mirror. One that cannot refuses to be told to, so that nobody waits in vain.
const MIRROR_BUILT_IN: bool = cfg!(feature = "native-diagnostic-udp-mirror");
const MIRROR_NOT_BUILT_IN: &str =
    "only in a build with the Cargo feature native-diagnostic-udp-mirror of yc-sender";
/// Where the mirror goes unless the environment says otherwise: RTP's customary port.
const MIRROR_TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_004);
const MIRROR_TARGETS: &str = "IP:PORT of this machine's loopback with a port of 1 to 65535, for example \
    127.0.0.1:5004: the mirror is not encrypted";

fn may_be_mirrored_to(target: &SocketAddr) -> bool {
    target.ip().is_loopback() && target.port() != 0
}

/// A setting that may not have its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value:?} is not allowed: {bounds}")]
pub struct ConfigError {
    name: &'static str,
    value: String,
    bounds: &'static str,
}

impl ConfigError {
    fn new(name: &'static str, value: impl Into<String>, bounds: &'static str) -> Self {
        Self { name, value: value.into(), bounds }
    }
}

#[cfg(test)]
mod tests {
    use super::env::{
        DIAGNOSTIC_UDP_MIRROR_TARGET, ENABLE_DIAGNOSTIC_UDP_MIRROR, ENCODER_BACKEND, FRAME_QUEUE_CAPACITY,
        RTP_TARGET,
    };
    use super::*;

    fn with(name: &str, value: &str) -> Result<SenderConfig, ConfigError> {
        SenderConfig::from_vars(|asked| (asked == name).then(|| value.into()))
    }

    #[test]
    fn an_empty_environment_is_the_defaults() {
        let config = SenderConfig::from_vars(|_| None).unwrap();
        assert_eq!(config, SenderConfig::default());
        assert_eq!(config.frame_queue_capacity, 6);
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(with(FRAME_QUEUE_CAPACITY, "").unwrap(), config);
    }

    #[test]
    fn every_variable_is_read() {
        assert_eq!(with(FRAME_QUEUE_CAPACITY, "64").unwrap().frame_queue_capacity, 64);
        assert_eq!(with(ENCODER_BACKEND, "nvenc, openh264").unwrap().encoders, ["nvenc", "openh264"]);
        assert!(with(ENCODER_BACKEND, "auto").unwrap().encoders.is_empty());
        assert_eq!(with(RTP_TARGET, "[::1]:40000").unwrap().rtp_target.unwrap().port(), 40_000);
    }

    #[test]
    fn a_bad_value_names_variable_value_and_bounds() {
        assert_eq!(
            with(FRAME_QUEUE_CAPACITY, "65").unwrap_err().to_string(),
            "YANKCORD_NATIVE_FRAME_QUEUE_CAPACITY=\"65\" is not allowed: 1 to 64 frames"
        );
        for (name, value) in [
            (FRAME_QUEUE_CAPACITY, "0"),
            (FRAME_QUEUE_CAPACITY, "-1"),
            (FRAME_QUEUE_CAPACITY, "six"),
            (ENCODER_BACKEND, "openh264,"),
            (RTP_TARGET, "127.0.0.1"),
            (RTP_TARGET, "127.0.0.1:0"),
            (RTP_TARGET, "localhost:1"),
            (ENABLE_DIAGNOSTIC_UDP_MIRROR, "yes"),
            (ENABLE_DIAGNOSTIC_UDP_MIRROR, "2"),
            (DIAGNOSTIC_UDP_MIRROR_TARGET, "127.0.0.1:0"),
        ] {
            let error = with(name, value).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}={value:?} is not allowed: ")), "{error}");
        }
    }

    #[test]
    fn a_field_out_of_bounds_is_named() {
        let mut config = SenderConfig { max_packet_len: 9_000, ..SenderConfig::default() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "max_packet_len=\"9000\" is not allowed: 256 to 1460 bytes"
        );
        config.max_packet_len = 1_200;
        config.still.repeat_interval = Duration::from_secs(2);
        assert!(config.validate().is_err());
        config.still.repeat_interval = Duration::from_secs(1);
        config.retreat.max_cool_down = Duration::from_secs(1);
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "retreat.max_cool_down=\"1s\" is not allowed: cool_down to 24 h"
        );
    }

    #[test]
    fn the_mirror_stays_on_this_machine() {
        for elsewhere in ["192.0.2.1:5004", "0.0.0.0:5004", "[::]:5004", "[2001:db8::1]:5004"] {
            let error = with(DIAGNOSTIC_UDP_MIRROR_TARGET, elsewhere).unwrap_err().to_string();
            assert!(error.contains(elsewhere) && error.contains("loopback"), "{error}");
            let diagnostic_mirror = Some(elsewhere.parse().unwrap());
            let config = SenderConfig { diagnostic_mirror, ..SenderConfig::default() };
            assert!(config.validate().is_err(), "{elsewhere}");
        }
        let target = with(DIAGNOSTIC_UDP_MIRROR_TARGET, "127.0.0.1:9").unwrap().diagnostic_mirror;
        assert_eq!(target, None, "a target alone turns nothing on");
        assert_eq!(with(ENABLE_DIAGNOSTIC_UDP_MIRROR, "0").unwrap().diagnostic_mirror, None);
    }

    #[cfg(feature = "native-diagnostic-udp-mirror")]
    #[test]
    fn the_mirror_is_turned_on_by_the_environment() {
        let config = with(ENABLE_DIAGNOSTIC_UDP_MIRROR, "1").unwrap();
        assert_eq!(config.diagnostic_mirror, Some("127.0.0.1:5004".parse().unwrap()));
        assert_eq!(config.validate(), Ok(()));
        let both = SenderConfig::from_vars(|name| match name {
            ENABLE_DIAGNOSTIC_UDP_MIRROR => Some("1".into()),
            DIAGNOSTIC_UDP_MIRROR_TARGET => Some("[::1]:5006".into()),
            _ => None,
        });
        assert_eq!(both.unwrap().diagnostic_mirror, Some("[::1]:5006".parse().unwrap()));
    }

    #[cfg(not(feature = "native-diagnostic-udp-mirror"))]
    #[test]
    fn a_build_without_the_mirror_refuses_to_be_told_to_mirror() {
        let error = with(ENABLE_DIAGNOSTIC_UDP_MIRROR, "1").unwrap_err().to_string();
        assert!(error.contains("Cargo feature native-diagnostic-udp-mirror"), "{error}");
        let diagnostic_mirror = Some(MIRROR_TARGET);
        let config = SenderConfig { diagnostic_mirror, ..SenderConfig::default() };
        assert!(config.validate().unwrap_err().to_string().contains("native-diagnostic-udp-mirror"));
    }
}
