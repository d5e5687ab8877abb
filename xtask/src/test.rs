//! `cargo xtask test`: everything that CI runs, in the order in which a mistake shows soonest.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use crate::e2e::page::{self, npm};
use crate::e2e::rig::Rig;
use crate::e2e::{self, SCENARIOS};
use crate::process;
use crate::setup::{self, Purpose, Ready};
use crate::tools::CARGO_DENY;
use crate::windows::{self, Action};
use crate::workspace::{cargo, root};

/// Options of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Lists the steps.
    #[arg(long)]
    list: bool,

    /// Runs only these steps, separated by commas.
    #[arg(long, value_name = "STEPS", value_delimiter = ',')]
    only: Vec<String>,
}

/// One step: its name and what it does on a prepared machine.
struct Step {
    name: String,
    run: Run,
}

type Run = Box<dyn Fn(&Ready) -> Result<()>>;

/// How one step went.
struct Outcome {
    name: String,
    took: Duration,
    error: Option<anyhow::Error>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = steps();
    if options.list {
        for step in &all {
            println!("{}", step.name);
        }
        return Ok(());
    }
    for name in &options.only {
        ensure!(all.iter().any(|step| step.name == *name), "no step is called {name:?}; see --list");
    }
    let chosen: Vec<_> =
        all.into_iter().filter(|step| options.only.is_empty() || options.only.contains(&step.name)).collect();

    // A missing assembler makes OpenH264 slow without a word; here it is an error.
    let ready = setup::prepare(Purpose::E2e)?.with("YC_REQUIRE_NASM", "1");
    setup::rust_components()?;
    let mut outcomes = Vec::new();
    for step in chosen {
        eprintln!("\n== {} ==", step.name);
        let started = Instant::now();
        let error = (step.run)(&ready).err();
        if let Some(error) = &error {
            eprintln!("FAILED {}: {error:#}", step.name);
        }
        outcomes.push(Outcome { name: step.name, took: started.elapsed(), error });
    }
    summary(&outcomes);
    if outcomes.iter().any(|outcome| outcome.error.is_some()) {
        // The summary's count is the last line.
        std::process::exit(1);
    }
    Ok(())
}

fn summary(outcomes: &[Outcome]) {
    println!();
    for outcome in outcomes {
        let word = if outcome.error.is_some() { "FAILED" } else { "ok" };
        println!("{word:<7} {:<24} {:>7.1} s", outcome.name, outcome.took.as_secs_f64());
    }
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            println!("\n{}: {error:#}", outcome.name);
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    println!("\n{} passed, {failed} failed", outcomes.len() - failed);
}

fn steps() -> Vec<Step> {
    let mut steps = vec![
        step("lockfile", |_| process::run(cargo().args(["fetch", "--locked"]))),
        step("format", |_| process::run(cargo().args(["fmt", "--all", "--check"]))),
        step("lint", |ready| lint(ready, &[])),
        step("lint features", |ready| lint(ready, FEATURES)),
        step("lint server", |ready| lint(ready, SERVER)),
        step("licences", |_| deny()),
        step("test", |ready| test(ready, &[])),
        step("test features", |ready| test(ready, &[FEATURES, &["--lib", "--bins"]].concat())),
        step("test server", |ready| test(ready, SERVER)),
        step("test x11", x11),
        step("docs", docs),
        step("fuzz targets", |ready| {
            process::run(ready.apply(cargo().args(["build", "-p", "yc-fuzz", "--bins"])))
        }),
        step("pages", pages),
        step("lint app", |ready| lint(ready, APP)),
        step("windows setup", |_| {
            setup::prepare(Purpose::Windows)?;
            windows::prepare()
        }),
        step("windows check", |_| windows::act(Action::Check, &[])),
        step("windows lint", |_| windows::act(Action::Clippy, &[])),
        step("windows build", |_| windows::act(Action::Build, &[])),
        step("windows test", |_| windows::act(Action::Test, &[])),
        step("e2e build", |_| Rig::build("e2e", Purpose::E2e).map(drop)),
    ];
    for scenario in SCENARIOS {
        steps.push(Step {
            name: format!("e2e {}", scenario.name),
            run: Box::new(move |ready| e2e::run_one(&Rig::built("e2e", ready.clone())?, scenario)),
        });
    }
    steps
}

fn step(name: &str, run: fn(&Ready) -> Result<()>) -> Step {
    Step { name: name.to_owned(), run: Box::new(run) }
}

/// What default features leave out on the sender's side. The tests that run whole senders are those of `test`.
const FEATURES: &[&str] = &["-p", "yc-sender", "-p", "yc-share", "--all-features"];

/// What default members leave out: the server, and the room of yc-sfu that needs mediasoup.
const SERVER: &[&str] = &["-p", "yc-server", "-p", "yc-sfu", "--all-features"];

/// What needs the Tauri app's web view, and its built page.
const APP: &[&str] = &["-p", "yc-tauri-app", "--features", "custom-protocol"];

/// The module of yc-sender that only tests turn on.
const FAULT_DOCS: &[&str] = &["-p", "yc-sender", "--features", "fault-injection"];

fn lint(ready: &Ready, packages: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["clippy", "--locked", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]);
    process::run(ready.apply(&mut command))
}

fn test(ready: &Ready, packages: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--locked", "--no-fail-fast"]).args(packages);
    process::run(ready.apply(&mut command))
}

/// The tests that need a desktop; they start Xvfb and a window manager themselves.
fn x11(ready: &Ready) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--locked", "-p", "yc-capture", "--features", "x11-tests", "--test", "x11"]);
    process::run(ready.apply(&mut command))
}

fn docs(ready: &Ready) -> Result<()> {
    for packages in [&[] as &[&str], SERVER, FAULT_DOCS] {
        let mut command = cargo();
        command.args(["doc", "--locked", "--no-deps"]).args(packages).env("RUSTDOCFLAGS", "-D warnings");
        process::run(ready.apply(&mut command))?;
    }
    Ok(())
}

fn pages(ready: &Ready) -> Result<()> {
    page::install(ready)?;
    for script in ["typecheck", "build", "test"] {
        process::run(ready.apply(npm(&["run", script]).current_dir(root())))?;
    }
    Ok(())
}

fn deny() -> Result<()> {
    let program = CARGO_DENY.program()?;
    let mut checks = vec!["bans", "licenses", "sources"];
    if advisories_answer() {
        checks.push("advisories");
    } else {
        eprintln!("the advisory database (GitHub) is out of reach: bans, licences and sources are checked");
    }
    let mut command = Command::new(program);
    command
        .args(["--locked", "--all-features", "--color=never", "check", "--hide-inclusion-graph"])
        .args(checks);
    process::run(command.current_dir(root()))
}

fn advisories_answer() -> bool {
    setup::answers("https://github.com/RustSec/advisory-db")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_a_step_and_names_are_unique() {
        let names: Vec<_> = steps().into_iter().map(|step| step.name).collect();
        for scenario in SCENARIOS {
            assert!(names.contains(&format!("e2e {}", scenario.name)));
        }
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }
}
