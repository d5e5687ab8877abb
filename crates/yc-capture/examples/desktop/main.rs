//! Shows the synthetic desktop on the screen (on Linux: on the X11 display that `DISPLAY` names): something
//! known for captures to look at.
//!
//! Without `--window` it covers the top left of the screen as a desktop would. With `--window` it is one
//! ordinary window. Frame n is drawn at t0 + n/fps, where t0 is in the line that it prints first:
//! `READY {"t0_unix_us":…,"fps":30,"window":"0x…"}`. A frame whose time has passed is skipped. It ends after
//! `--frames`, on SIGTERM or ctrl-c, when its window is closed, and when the display goes away.

#[cfg(any(target_os = "linux", windows))]
mod options;
#[cfg(any(target_os = "linux", windows))]
mod show;
#[cfg(target_os = "linux")]
#[path = "../../src/backends/x11/sys.rs"]
#[allow(dead_code, reason = "the example writes and never reads")]
mod sys;
#[cfg(windows)]
#[path = "win32/mod.rs"]
mod window;
#[cfg(target_os = "linux")]
#[path = "x11.rs"]
mod window;

#[cfg(any(target_os = "linux", windows))]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    match show::show(&options::Options::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("desktop: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(any(target_os = "linux", windows)))]
fn main() -> std::process::ExitCode {
    eprintln!("desktop: there is no window for this platform");
    std::process::ExitCode::FAILURE
}
