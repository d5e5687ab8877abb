//! `yc-share`: shares a screen or a window to a room of `yc-server`, natively.

mod args;
mod control;
#[cfg(feature = "metrics")]
mod exporter;
mod failure;
mod faults;
mod list;
#[cfg(feature = "metrics")]
mod metrics;
mod output;
mod share;
mod trace;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::Args;
use output::Output;

fn main() -> ExitCode {
    if let Err(error) = yc_host::trust_system_libraries_only() {
        eprintln!("yc-share: limiting where libraries are loaded from: {error}");
        return ExitCode::FAILURE;
    }
    let args = Args::parse();
    tracing_subscriber::registry()
        .with(tracing_subscriber::EnvFilter::from_default_env())
        .with(filter_fn(shows_no_message))
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr))
        .init();
    let output = Output::new(args.json);
    let result = if args.list {
        list::list(args.json)
    } else if args.control {
        control::run(&args)
    } else {
        share::run(args, &output)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.error(failure.kind, &failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// The WebSocket library traces whole messages, and in them are the room's token and the keys of the share: whatever
/// `RUST_LOG` says, they are not for a log.
fn shows_no_message(about: &tracing::Metadata<'_>) -> bool {
    *about.level() < tracing::Level::TRACE || !about.target().starts_with("tungstenite")
}
