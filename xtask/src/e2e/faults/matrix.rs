//! All rows, several at a time, each in a room of its own.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::measured::Stage;
use super::row::ROWS;
use super::{leaks, table};
use crate::e2e::rig::Rig;

/// Shares side by side: a two-core machine is half busy with them.
const AT_A_TIME: usize = 6;

pub(super) fn run(rig: &Rig) -> Result<()> {
    let stage = Stage::new(rig.inside("stage")?)?;
    // Those that may take longest come first, so that none is waited for alone.
    let mut order: Vec<usize> = (0..ROWS.len()).collect();
    order.sort_by(|a, b| ROWS[*b].within.total_cmp(&ROWS[*a].within));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let row = &ROWS[index];
                    let outcome = stage.run(row);
                    match &outcome {
                        Ok(measured) => eprintln!("{}", table::line(row, measured)),
                        Err(error) => eprintln!("   {:<58} FAILED: {error:#}", row.fault),
                    }
                    done.lock().expect("no row panics with it in hand").insert(index, outcome);
                }
            });
        }
    });
    let done = done.into_inner().expect("no row panics with it in hand");
    let (mut outcomes, mut failed) = (Vec::new(), Vec::new());
    for (index, outcome) in done {
        let row = &ROWS[index];
        match outcome {
            Ok(measured) => {
                if measured.took > row.within {
                    failed.push(format!(
                        "{}: {:.1} s; the limit is {} s",
                        row.fault, measured.took, row.within
                    ));
                }
                outcomes.push((row, measured));
            }
            Err(_) => failed.push(row.fault.to_owned()),
        }
    }
    let table = table::markdown(&outcomes);
    let file = rig.file("faults.md");
    fs::write(&file, &table).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("   {}", file.display());
    drop(stage);
    let zombies = leaks::zombies();
    ensure!(zombies.is_empty(), "zombies: {zombies:?}");
    ensure!(failed.is_empty(), "{} of {} faults:\n{}", failed.len(), ROWS.len(), failed.join("\n"));
    if let Some(page) = rig.page("failures.md") {
        let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
        let text =
            table::into_page(&text, &table).with_context(|| format!("{} has no table", page.display()))?;
        fs::write(&page, text).with_context(|| format!("writing {}", page.display()))?;
    }
    Ok(())
}
