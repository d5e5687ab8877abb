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

use args::Args;
use output::Output;

fn main() -> ExitCode {
    if let Err(error) = yc_host::trust_system_libraries_only() {
        eprintln!("yc-share: limiting where libraries are loaded from: {error}");
        return ExitCode::FAILURE;
    }
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
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
