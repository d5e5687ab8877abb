//! `yc-server` end to end, but for a browser: real HTTP, WebSockets, UDP and mediasoup on this machine.

mod common;
mod hostile;
mod http;
mod native;
mod process;
mod signalling;
