//! What backends do with pictures that an OS hands out: read rows, turn, convert, compare, draw the pointer.
//!
//! Bytes in, bytes out: no OS, no clock, no thread.

mod assemble;
mod blank;
mod changes;
mod content;
mod pointer;
mod rotation;
mod rows;
mod shape;
mod tone;

pub(crate) use assemble::assemble;
pub(crate) use blank::{BlankWatch, is_blank};
pub(crate) use changes::Changes;
pub(crate) use content::content;
pub(crate) use pointer::Pointer;
pub(crate) use rotation::Rotation;
pub(crate) use rows::{RowLayout, Rows};
pub(crate) use shape::PointerShape;
pub(crate) use tone::ToneMap;
