//! mediasoup for the yc screen-share suite: what a native sender, a browser and the server agree on.
//!
//! - [`messages`]: the signalling protocol of `docs/signalling.md` as types.
//! - [`params`]: the canonical RTP parameters of a native stream, in one place.
//! - [`NativeSession`]: the server's answer, checked before the first packet is sent.
//! - `client` (feature `client`): the WebSocket client of a sender.
//! - `server` (feature `server`): rooms, peers and RTP ingest on mediasoup workers in this process.
//!
//! It captures nothing, encodes nothing and sends no RTP. The types of the `mediasoup` crate stay inside the
//! feature `server`; without features the crate is data and checks.
//!
//! ```
//! use yc_sfu::messages::{Action, NativeSenderOffer, OfferedCodec, Request};
//!
//! let sps = [0x67, 0x42, 0xc0, 0x28];
//! let profile = yc_media::H264ProfileLevelId::from_sps(&sps).expect("an SPS");
//! let offer = NativeSenderOffer::new(vec![OfferedCodec::h264(profile)]);
//! let text = Request::new(1, Action::CreateNativeSenderSession(offer)).to_json();
//! assert!(text.contains(r#""profile_level_id":"42c028""#));
//! ```
//!
//! | feature | adds | needs | platforms |
//! | --- | --- | --- | --- |
//! | (none) | messages, parameters, validation | nothing | all |
//! | `client` | `client::SignalClient` | nothing | all |
//! | `server` | `server::SfuServer` | a C++20 compiler, python3: `tools/mediasoup/README.md` | Linux, macOS |
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
pub mod messages;
pub mod params;
#[cfg(feature = "server")]
pub mod server;
mod session;

pub use session::{InvalidSession, NativeSession, SessionRules};
