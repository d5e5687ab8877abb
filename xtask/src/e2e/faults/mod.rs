//! What goes wrong in the field: before a share runs, and in its middle.

mod leaks;
mod matrix;
mod measured;
mod row;
mod startup;
mod table;

use anyhow::Result;

use super::Scenario;
use super::rig::Rig;
pub(super) use row::{Row, tells_the_app};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "faults",
    shows: "each thing that goes wrong is repaired or ends cleanly, in time, with its own message and code",
    run,
};

fn run(rig: &Rig) -> Result<()> {
    startup::run(rig)?;
    matrix::run(rig)
}
