//! What captures over Direct3D 11 share: a device on the right adapter, textures, and memory that is mapped.

mod fault;
#[allow(unsafe_code)]
mod sys;

pub(super) use fault::{Fault, code};
pub(super) use sys::{Device, Found, Staging, StoredFormat, find_output};
