//! Prints how the sender does on the built-in networks.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;
use yc_simulator::compare::{Contest, Source};
use yc_simulator::{CANDIDATES, Moment, PROFILES, Profile, Scenario, Score, TRACES, table};

/// Runs the sender's session through simulated networks and prints how it went.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only this network; may be given again. Default: all.
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// Only this screen, or with --compare greedy, which sends all it may; may be given again. Default: all.
    #[arg(long, value_name = "NAME")]
    trace: Vec<String>,
    /// What decides what chance decides; may be given again.
    #[arg(long, value_name = "N", default_values_t = [1])]
    seed: Vec<u64>,
    /// The seeds 1 to N.
    #[arg(long, value_name = "N", conflicts_with = "seed")]
    seeds: Option<u64>,
    /// One line a network and screen: the worst of all seeds.
    #[arg(long, conflicts_with_all = ["compare", "timeline", "json"])]
    worst: bool,
    /// Runs the session with this estimator: gcc, which is its own, or goog-cc, that of libwebrtc.
    #[arg(long, value_name = "NAME", conflicts_with = "compare")]
    estimator: Option<String>,
    /// Compares the estimators alone, with sources that send what the estimate says.
    #[arg(long)]
    compare: bool,
    /// Prints what happened in each tenth of a second instead of how it went in all.
    #[arg(long)]
    timeline: bool,
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
    let seeds = arguments.seeds.map_or_else(|| arguments.seed.clone(), |last| (1..=last).collect());
    if arguments.compare {
        return compare(arguments, &profiles, &seeds);
    }
    let traces = chosen(&arguments.trace, TRACES, |trace| trace.name, "trace")?;
    let estimators =
        chosen(arguments.estimator.as_slice(), CANDIDATES, |candidate| candidate.name, "estimator")?;
    let estimator = arguments.estimator.as_ref().and_then(|_| estimators.first().copied());
    let mut scores = Vec::new();
    for profile in profiles {
        for trace in &traces {
            for &seed in &seeds {
                let mut scenario = Scenario::new(profile, trace, seed);
                scenario.estimator = estimator;
                let what = what(profile, trace.name, seed);
                let record = scenario.run().with_context(|| what.clone())?;
                if arguments.timeline {
                    head(arguments, &what);
                    print(arguments.json, &Moment::all(&scenario, &record), table::moments)?;
                } else {
                    scores.push(Score::new(&scenario, &record));
                }
            }
        }
    }
    let table = if arguments.worst { table::worst } else { table::scores };
    print(arguments.json, &scores, table)
}

fn compare(arguments: &Arguments, profiles: &[&Profile], seeds: &[u64]) -> Result<()> {
    let screens = TRACES.iter().map(|trace| Source::Screen(*trace));
    let all: Vec<_> = [Source::Greedy].into_iter().chain(screens).collect();
    let sources = chosen(&arguments.trace, &all, |source| source.name(), "trace")?;
    let mut scores = Vec::new();
    for profile in profiles {
        for &&source in &sources {
            for &seed in seeds {
                let contest = Contest::new(profile, source, seed);
                for candidate in CANDIDATES {
                    let what = || format!("{}, {}", what(profile, source.name(), seed), candidate.name);
                    if arguments.timeline {
                        let moments = contest.moments(candidate).with_context(what)?;
                        head(arguments, &what());
                        print(arguments.json, &moments, table::moments)?;
                    } else {
                        scores.push(contest.score(candidate).with_context(what)?);
                    }
                }
            }
        }
    }
    print(arguments.json, &scores, table::estimators)
}

/// Says what the next table is of.
fn head(arguments: &Arguments, what: &str) {
    if !arguments.json {
        println!("{what}:");
    }
}

fn print<T: Serialize>(json: bool, scores: &[T], table: impl Fn(&[T]) -> String) -> Result<()> {
    if scores.is_empty() {
        return Ok(());
    }
    if json {
        for score in scores {
            println!("{}", serde_json::to_string(score)?);
        }
    } else {
        print!("{}", table(scores));
    }
    Ok(())
}

fn what(profile: &Profile, sent: &str, seed: u64) -> String {
    format!("profile {}, {sent}, seed {seed}", profile.name)
}

/// Those of `all` that are called by `names`, or all of them if nobody is.
fn chosen<'a, T>(
    names: &[String],
    all: &'a [T],
    name: impl Fn(&T) -> &str,
    what: &str,
) -> Result<Vec<&'a T>> {
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
