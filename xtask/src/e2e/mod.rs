//! End-to-end scenarios: every part is the real one.

mod app;
mod cycles;
mod decoders;
mod demo;
mod diagnostics;
mod faults;
mod late_join;
mod network;
pub(crate) mod page;
mod pcap;
mod relay;
pub(crate) mod rig;
pub(crate) mod share;
mod soak;
mod srtp;
mod start_time;
pub(crate) mod viewer;
mod web;
mod windows;
mod wire;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::setup::{self, Purpose};
use rig::Rig;
pub(crate) use web::FIREFOX;

/// Options of `cargo xtask e2e`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The scenario's name, or `all`.
    #[arg(required_unless_present = "list")]
    name: Option<String>,

    /// Lists the scenarios.
    #[arg(long)]
    list: bool,

    /// Takes the programs as they were built before.
    #[arg(long)]
    no_build: bool,

    /// Puts the figures of this run into docs/.
    #[arg(long)]
    docs: bool,

    /// Runs one row of the scenario `network`: the network of this name.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

/// One thing that must hold from end to end.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) shows: &'static str,
    /// Prints its figures to standard error and fails where they are not good enough.
    pub(crate) run: fn(&Rig) -> Result<()>,
}

/// All scenarios, in the order in which `all` runs them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    demo::SCENARIO,
    start_time::SCENARIO,
    late_join::SCENARIO,
    wire::SCENARIO,
    decoders::SCENARIO,
    network::SCENARIO,
    diagnostics::SCENARIO,
    srtp::SCENARIO,
    web::SCENARIO,
    app::SCENARIO,
    windows::SCENARIO,
    faults::SCENARIO,
    soak::SCENARIO,
    cycles::SCENARIO,
];

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        for scenario in SCENARIOS {
            println!("{:<12} {}", scenario.name, scenario.shows);
        }
        return Ok(());
    }
    let name = options.name.as_deref().unwrap_or("all");
    let chosen: Vec<&Scenario> =
        SCENARIOS.iter().filter(|scenario| name == "all" || scenario.name == name).collect();
    let names = || SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    ensure!(!chosen.is_empty(), "no scenario is called {name:?}; there are {} and all", names());
    let rig = if options.no_build {
        Rig::built("e2e", setup::prepare(Purpose::E2e)?)?
    } else {
        Rig::build("e2e", Purpose::E2e)?
    };
    let rig = rig.with_docs(options.docs).with_profile(options.profile.clone());
    let mut failed = Vec::new();
    for scenario in &chosen {
        if let Err(error) = run_one(&rig, scenario) {
            eprintln!("FAILED {}: {error:#}", scenario.name);
            failed.push(scenario.name);
        }
    }
    println!("{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs one scenario in a folder of its own.
pub(crate) fn run_one(rig: &Rig, scenario: &Scenario) -> Result<()> {
    eprintln!("== {}: {}", scenario.name, scenario.shows);
    let started = Instant::now();
    let rig = rig.another(scenario.name)?;
    (scenario.run)(&rig).with_context(|| format!("logs in {}", rig.dir().display()))?;
    eprintln!("   {} took {:.1} s", scenario.name, started.elapsed().as_secs_f64());
    Ok(())
}
