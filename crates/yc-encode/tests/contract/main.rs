//! What every encoder backend must do, asked of every entry of `ENABLED`.
//!
//! A new backend is held to this by being listed. What has to be seen is decoded by OpenH264's
//! decoder, where the first complaint is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod decoder;
mod memory;
mod scenes;
mod sps;
mod stream;

mod keyframes;
mod life;
mod limits;
mod picture;
mod rate;
