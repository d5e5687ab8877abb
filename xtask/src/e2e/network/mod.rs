//! A share through each of the networks that the sender is measured on, by a relay that behaves like them.

mod bounds;
mod course;
mod measured;
mod stage;
mod table;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use yc_media::Bitrate;
use yc_simulator::{PROFILES, Profile};

use super::Scenario;
use super::rig::Rig;
use stage::Stage;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "network",
    shows: "loss, bottlenecks and hand-overs: no freeze, short queues, use of what is there, recovery in 3 s",
    run,
};

/// What shares aim at: more than the bottlenecks take, less than the other networks do.
const BITRATE: Bitrate = Bitrate::kbps(6_000);
/// How long a network is measured that does not change.
const STEADY: Duration = Duration::from_secs(15);
/// How long one that does is measured after its last change.
const AFTER_CHANGE: Duration = Duration::from_secs(10);

fn run(rig: &Rig) -> Result<()> {
    let chosen: Vec<&Profile> =
        PROFILES.iter().filter(|profile| rig.profile().is_none_or(|name| profile.name == name)).collect();
    let names = || PROFILES.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ");
    let name = rig.profile().unwrap_or_default();
    ensure!(!chosen.is_empty(), "no network is called {name:?}; there are {}", names());
    let mut stage = Stage::new(rig.inside("stage")?)?;
    let (mut rows, mut courses, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for profile in &chosen {
        let mut broken = Vec::new();
        for attempt in 1..=ATTEMPTS {
            match stage.run(profile, attempt) {
                Ok((measured, course)) => {
                    eprintln!("{}", table::line(profile, &measured));
                    broken = bounds::broken(profile, &measured);
                    courses.push(course);
                    rows.retain(|(of, _): &(&Profile, _)| of.name != profile.name);
                    rows.push((*profile, measured));
                }
                Err(error) => {
                    eprintln!("   {:<10} FAILED: {error:#}", profile.name);
                    broken = vec![error.to_string()];
                }
            }
            if broken.is_empty() {
                break;
            }
            eprintln!("   {:<10} attempt {attempt} of {ATTEMPTS}: {}", profile.name, broken.join("; "));
        }
        failed.extend(broken.into_iter().map(|what| format!("{}: {what}", profile.name)));
    }
    drop(stage);
    let table = table::markdown(&rows);
    eprintln!("{}", table.trim_end());
    for (name, text) in [("network.md", table.clone()), ("network.json", Value::from(courses).to_string())] {
        let file = rig.file(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        eprintln!("   {}", file.display());
    }
    ensure!(failed.is_empty(), "{} bounds do not hold:\n{}", failed.len(), failed.join("\n"));
    if let Some(page) = rig.page("network.md") {
        ensure!(rows.len() == PROFILES.len(), "docs/ shows all networks, not {} alone", names());
        let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
        let text =
            table::into_page(&text, &table).with_context(|| format!("{} has no table", page.display()))?;
        fs::write(&page, text).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(())
}

/// How often a network is measured at most. Capture, encoder, server, browser and relay share the machine: what a busy
/// one stops is no fault of the sender's, and is another thing the next time.
const ATTEMPTS: u32 = 3;

/// For how long a network is measured.
fn time(profile: &Profile) -> Duration {
    profile.forward.changes.last().map_or(STEADY, |change| change.at + AFTER_CHANGE)
}
