//! What every encoder backend must do, asked of every entry of `ENABLED`.
//!
//! A new backend is held to this by being listed. What has to be seen is decoded by another implementation's
//! standards: OpenH264's decoder, which stops at the first flaw.

mod allocations;
mod decoder;
mod scenes;
mod sps;
mod stream;

mod keyframes;
mod life;
mod limits;
mod picture;
mod rate;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;
