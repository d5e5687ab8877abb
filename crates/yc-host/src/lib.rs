//! The native sender behind named commands and JSON: what an app needs whose page does the signalling.
//!
//! A page cannot capture with native code, and native code need not know of rooms and WebSockets. So the page
//! negotiates, and this crate captures, encodes and sends to where the page was told: it joins `yc-sender` with
//! the messages of `yc-sfu`. It knows no framework; a Tauri app, `yc-share --control` and any other program
//! carry the same commands in their own way. `docs/native-host.md` is the reference of the JSON.
//!
//! It opens no connection of its own but the UDP socket of the stream, and decides nothing about falling back:
//! it says what happened.
//!
//! ```
//! use serde_json::json;
//! use yc_host::{HostConfig, NativeHost, dispatch};
//!
//! let host = NativeHost::new(HostConfig::default(), |event| println!("{}", event.name()));
//!
//! // Opens the source and the encoder. What comes back is what to offer the server.
//! let prepare = json!({"source": "synthetic:640x360", "fps": 15});
//! let prepared = dispatch(&host, "native_capture_prepare", prepare)?;
//! assert_eq!(prepared["offer"]["codecs"][0]["mime_type"], "video/H264");
//! assert_eq!(prepared["offer"]["srtp"]["crypto_suite"], "AEAD_AES_128_GCM");
//!
//! // Here the page sends `offer` to the server and hands the answer to `native_capture_start`.
//! let status = dispatch(&host, "native_capture_status", json!({}))?;
//! assert_eq!(status["phase"], "prepared");
//!
//! let stopped = dispatch(&host, "native_capture_stop", json!({}))?;
//! assert_eq!(stopped["was_running"], false);
//! # Ok::<(), yc_host::HostError>(())
//! ```
//!
//! | command | method |
//! | --- | --- |
//! | `native_capture_sources` | [`NativeHost::sources`] |
//! | `native_capture_thumbnail` | [`NativeHost::thumbnail`] |
//! | `native_capture_prepare` | [`NativeHost::prepare`] |
//! | `native_capture_start` | [`NativeHost::start`] |
//! | `native_capture_stop` | [`NativeHost::stop`] |
//! | `native_capture_status` | [`NativeHost::status`] |
//!
//! # Threads
//!
//! All methods block, `status` only for a moment: call the others from a thread that may. They may be called from
//! any number of threads at once: `stop` ends a `prepare` or a `start` that is under way. Whatever the OS, a driver
//! or an encoder does, no method waits for it longer than its documented bound.
//!
//! # What is loaded into the program
//!
//! Drivers and encoders are libraries that are loaded while a share runs. A program that captures a screen calls
//! [`trust_system_libraries_only`] first of all, so that none comes from a folder that others can write to.
//!
//! No Cargo features. All platforms; what can be captured there is `yc-capture`'s table.
#![deny(unsafe_code)]

mod abandon;
mod config;
mod dispatch;
mod error;
mod event;
mod hardening;
mod host;
mod pump;
mod reply;
mod request;
mod sources;
mod srtp;
mod state;
mod thumbnail;

pub use config::{Around, AroundBackends, AroundTransport, HostConfig};
pub use dispatch::{COMMANDS, dispatch};
pub use error::HostError;
pub use event::{EVENTS, HostEvent};
pub use hardening::trust_system_libraries_only;
pub use host::NativeHost;
pub use reply::{HostStatus, Phase, Prepared, Source, Sources, Started, Stopped, Thumbnail, Versions};
pub use request::{PrepareRequest, SourcesRequest, StartRequest, ThumbnailRequest};
pub use srtp::{SrtpChoice, offered_key, protection};
