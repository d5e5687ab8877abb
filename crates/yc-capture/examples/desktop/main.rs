//! Shows the synthetic desktop on the X11 display that `DISPLAY` names: something known for captures to
//! look at.
//!
//! Without `--window` it covers the top left of the screen as a desktop would, without asking a window
//! manager. With `--window` it is one ordinary window. Frame n is drawn at t0 + n/fps, where t0 is in the
//! line that it prints first: `READY {"t0_unix_us":…,"fps":30,"window":"0x…"}`. A frame whose time has
//! passed is skipped. It ends after `--frames`, on SIGTERM or ctrl-c, when its window is closed, and when
//! the display goes away.

#[cfg(target_os = "linux")]
mod options;
#[cfg(target_os = "linux")]
#[path = "../../src/backends/x11/sys.rs"]
#[allow(dead_code, reason = "the example writes and never reads")]
mod sys;
#[cfg(target_os = "linux")]
mod window;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    match window::show(&options::Options::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("desktop: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("desktop: this platform has no X11 display");
    std::process::ExitCode::FAILURE
}
