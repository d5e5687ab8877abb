//! What captures of a Windows desktop show and leave behind, with the desktop that the tests run on.

#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;
mod cycles;
mod desktop;
mod pictures;
#[allow(unsafe_code)]
mod sys;
#[path = "../../examples/desktop/win32/sys.rs"]
#[allow(unsafe_code)]
#[allow(dead_code, reason = "the window is opened here and never asks for the screen's size")]
mod window;
