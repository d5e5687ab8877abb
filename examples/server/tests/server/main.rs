//! `yc-server` end to end, but for a browser: real HTTP, WebSockets, UDP and mediasoup on this machine.

#[cfg(test)]
mod common;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod native;
#[cfg(test)]
mod process;
#[cfg(test)]
mod signalling;
#[cfg(test)]
mod srtp;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod watchers;
