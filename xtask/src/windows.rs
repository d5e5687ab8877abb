//! The Windows side, from Linux: cross-compiled with Debian's toolchain, run under Wine.
//!
//! Programs are built for the target that mingw links. What people use is Microsoft's, whose linker is not
//! here: that one is type-checked and linted beside the other.
//!
//! `tools/windows/setup.sh` makes the toolchain and keeps it in the cache; its README says how.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::process;
use crate::setup::{self, Purpose};
use crate::workspace::{cache_dir, clean, root, target_dir};

/// Options of `cargo xtask windows`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to do with every default member; the server is none, since mediasoup runs on Linux here.
    #[arg(value_enum)]
    action: Action,

    /// More arguments for cargo, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Type-check everything, for mingw's and for Microsoft's target.
    Check,
    /// Lint everything, for mingw's and for Microsoft's target.
    Clippy,
    /// Build the programs, `yc-share.exe` among them, and the desktop that tests look at.
    Build,
    /// Run the tests under Wine, on a virtual display.
    Test,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::prepare(Purpose::Windows)?;
    prepare()?;
    act(options.action, &options.arguments)
}

/// Makes the toolchain, which takes a second when it is there.
pub(crate) fn prepare() -> Result<()> {
    let mut command = Command::new("bash");
    clean(&mut command);
    process::run(command.arg(root().join("tools/windows/setup.sh")))
}

/// Does one thing on a machine that is prepared.
pub(crate) fn act(action: Action, arguments: &[String]) -> Result<()> {
    let cargo = tool("wincargo");
    let mut command = if action == Action::Test {
        let mut command = Command::new(tool("winx"));
        command.arg(cargo);
        command
    } else {
        Command::new(cargo)
    };
    clean(&mut command);
    command.current_dir(root()).env("CARGO_TARGET_DIR", programs_dir()?);
    command.args(match action {
        Action::Check => &["check", "--all-targets"] as &[_],
        Action::Clippy => &["clippy", "--all-targets"],
        Action::Build => &["build", "--bins", "--example", "desktop"],
        Action::Test => &["test", "--no-fail-fast"],
    });
    if matches!(action, Action::Check | Action::Clippy) {
        // In one run, which builds what runs on this machine once.
        command.args(TARGETS.iter().flat_map(|target| ["--target", target]));
    }
    command.args(arguments);
    if action == Action::Clippy {
        command.args(["--", "-D", "warnings"]);
    }
    process::run(&mut command)
}

/// One of the tools that `setup.sh` makes: `wincargo`, `winrun`, `winx`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let home = std::env::var_os("WIN_HOME").map_or_else(|| cache_dir().join("yc-windows"), PathBuf::from);
    home.join("bin").join(name)
}

/// The command that runs one of the programs that [`Action::Build`] makes: `yc-share`, `examples/desktop`.
pub(crate) fn program(name: &str) -> Result<Command> {
    let mut command = Command::new(tool("winrun"));
    command
        .current_dir(root())
        .arg(programs_dir()?.join(TARGETS[0]).join("debug").join(format!("{name}.exe")));
    Ok(command)
}

/// A target folder of its own: this is another compiler, and a shared one would make both build again.
fn programs_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("windows"))
}

/// What checks and lints are for. Without `--target`, the toolchain takes the first.
const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "x86_64-pc-windows-msvc"];
