//! The HTTP side of `yc-server`, over TLS where it is given a certificate: the WebSocket, the viewer page, tokens,
//! health and metrics over one
//! [`SfuServer`](yc_sfu::server::SfuServer).
#![forbid(unsafe_code)]

mod app;
mod tls;
mod tokens;
mod viewer;
mod ws;

pub use app::App;
pub use tls::Tls;
pub use viewer::Viewer;
