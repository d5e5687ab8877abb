//! What backends do with pictures that an OS hands out: read rows, turn, convert, compare, draw the pointer.
//!
//! Bytes in, bytes out: no OS, no clock, no thread.

mod rows;

pub(crate) use rows::{RowLayout, Rows};
