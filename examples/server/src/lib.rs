//! The HTTP side of `yc-server`: the WebSocket, the viewer page, tokens, health and metrics over one
//! [`SfuServer`](yc_sfu::server::SfuServer).
#![forbid(unsafe_code)]

mod app;
mod tokens;
mod viewer;
mod ws;

pub use app::App;
pub use viewer::Viewer;
