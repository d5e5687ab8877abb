//! What a person or a CI machine types: `cargo xtask demo`, `test`, `e2e`, `windows`, `setup`.
//!
//! Each room is one file: [`setup`] installs what is missing, [`demo`] shows a share from end to end,
//! [`mod@test`] is everything that CI runs, [`e2e`] holds the end-to-end scenarios, [`windows`] checks the
//! Windows side from Linux, [`browser`] and [`webdriver`] drive pages and an app. [`process`] owns every child that any of them starts.
#![expect(
    clippy::disallowed_methods,
    reason = "this program starts, times and relays for the libraries; their rule about clocks, threads and sockets is not about it"
)]

mod browser;
mod demo;
mod e2e;
mod http;
mod picture;
mod process;
mod setup;
mod test;
mod tools;
mod webdriver;
mod windows;
mod workspace;

use clap::{Parser, Subcommand};

/// Tasks of the yc screen-share suite.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Shows a share from end to end: server, sender and the viewer's address.
    Demo(demo::Options),
    /// Runs everything that CI runs.
    Test(test::Options),
    /// Runs one end-to-end scenario, or all.
    E2e(e2e::Options),
    /// Checks, lints, builds or tests the Windows side on Linux, under Wine.
    Windows(windows::Options),
    /// Installs what a task needs (Debian and Ubuntu), or says what to install.
    Setup(setup::Options),
}

fn main() {
    process::end_children_on_signals();
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Test(options) => test::run(&options),
        Task::E2e(options) => e2e::run(&options),
        Task::Windows(options) => windows::run(&options),
        Task::Setup(options) => setup::run(&options),
    };
    if let Err(error) = done
        && !process::interrupted()
    {
        eprintln!("error: {error:#}");
        std::process::exit(1);
    }
}
