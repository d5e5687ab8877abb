//! A network in a box: seeded paths on a clock that is moved by hand, and the sender run through them.
//!
//! [`Path`] is one direction of a network: a bottleneck with a queue, delay, jitter, loss, and changes of them
//! in mid-run. It does no I/O and reads no clock, so a run is the same each time, and the same model can stand
//! between two real sockets. [`PROFILES`] are the networks that the sender is measured on.
//!
//! With the feature `session`, which is on by default, a `Scenario` runs the sender's session through two paths to
//! a receiver that is as mediasoup is, with a screen out of `TRACES`, and a `Score` says how it went; `compare`
//! holds bandwidth estimators side by side. `docs/simulator.md` says what is modelled, and what is not. Without
//! the feature there are the paths alone.
//!
//! ```
//! use std::time::Duration;
//! use yc_media::Bitrate;
//! use yc_simulator::{Path, PathConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PathConfig::new(Duration::from_millis(25)).with_rate(Bitrate::kbps(1_000));
//! let mut path = Path::new(config, 1)?;
//! path.push(Duration::ZERO, 1_250, "a datagram");
//! // 1,250 bytes take 10 ms at 1 Mbit/s, and 25 ms to the other end.
//! assert!(path.pop_due(Duration::from_millis(34)).is_none());
//! assert_eq!(path.pop_due(Duration::from_millis(35)).map(|arrival| arrival.payload), Some("a datagram"));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "session")]
mod candidate;
#[cfg(feature = "session")]
mod clock;
#[cfg(feature = "session")]
pub mod compare;
#[cfg(feature = "session")]
mod encoder;
#[cfg(feature = "session")]
mod goog_cc;
mod histogram;
mod loss;
mod path;
mod profile;
mod random;
#[cfg(feature = "session")]
mod receiver;
#[cfg(feature = "session")]
mod run;
#[cfg(feature = "session")]
mod score;
#[cfg(feature = "session")]
pub mod table;
#[cfg(feature = "session")]
mod trace;

#[cfg(feature = "session")]
pub use candidate::{CANDIDATES, Candidate};
#[cfg(feature = "session")]
pub use encoder::{Encoder, FrameMark, ModelFrame};
#[cfg(feature = "session")]
pub use goog_cc::GoogCc;
pub use histogram::DelayHistogram;
pub use loss::Loss;
pub use path::{
    Arrival, Change, Drops, Fate, IP_UDP_OVERHEAD, Path, PathChange, PathConfig, PathError, PathStats,
    QueueLimit,
};
pub use profile::{PROFILES, Profile};
pub use random::Random;
#[cfg(feature = "session")]
pub use receiver::{Receiver, ReceiverStats, Shown};
#[cfg(feature = "session")]
pub use run::{FrameRecord, Record, RunError, Scenario};
#[cfg(feature = "session")]
pub use score::{Moment, Score};
#[cfg(feature = "session")]
pub use trace::{ScreenChange, TRACES, Trace};
