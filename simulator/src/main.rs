//! Prints how the sender does on the built-in networks.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use yc_simulator::{PROFILES, Profile, Scenario, Score, TRACES, Trace, table};

/// Runs the sender's session through simulated networks and prints how it went.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only this network; may be given again. Default: all.
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// Only this screen; may be given again. Default: all.
    #[arg(long, value_name = "NAME")]
    trace: Vec<String>,
    /// What decides what chance decides; may be given again.
    #[arg(long, value_name = "N", default_values_t = [1])]
    seed: Vec<u64>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let profiles = chosen(&arguments.profile, PROFILES, |profile| profile.name, "profile")?;
    let traces = chosen(&arguments.trace, TRACES, |trace| trace.name, "trace")?;
    let mut scores = Vec::new();
    for profile in profiles {
        for trace in &traces {
            for &seed in &arguments.seed {
                scores.push(score(profile, trace, seed)?);
            }
        }
    }
    if arguments.json {
        for score in &scores {
            println!("{}", serde_json::to_string(score)?);
        }
    } else {
        print!("{}", table::scores(&scores));
    }
    Ok(())
}

fn score(profile: &Profile, trace: &Trace, seed: u64) -> Result<Score> {
    Scenario::new(profile, trace, seed)
        .score()
        .with_context(|| format!("profile {}, trace {}, seed {seed}", profile.name, trace.name))
}

/// Those of `all` that are called by `names`, or all of them if nobody is.
fn chosen<T>(
    names: &[String],
    all: &'static [T],
    name: impl Fn(&T) -> &str,
    what: &str,
) -> Result<Vec<&'static T>> {
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let mut chosen = Vec::new();
    for wanted in names {
        let Some(one) = all.iter().find(|one| name(one) == wanted) else {
            let known: Vec<_> = all.iter().map(&name).collect();
            bail!("no {what} is called {wanted:?}: there are {}", known.join(", "));
        };
        chosen.push(one);
    }
    Ok(chosen)
}
