//! The pages: installs what they are built with, and builds the viewer's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::process;
use crate::setup::Ready;
use crate::workspace::root;

/// Installs the packages of every page, unless they are there.
pub(crate) fn install(ready: &Ready) -> Result<()> {
    let installed = modified(&root().join("node_modules/.package-lock.json"));
    if installed.is_none_or(|at| modified(&root().join("package-lock.json")).is_some_and(|lock| lock > at)) {
        process::run(ready.apply(npm(&["ci", "--no-audit", "--no-fund"]).current_dir(root())))?;
    }
    Ok(())
}

/// Builds the viewer's page unless it is newer than its sources.
pub(crate) fn build(ready: &Ready) -> Result<()> {
    build_in(ready, &viewer_dir())
}

/// Builds the app's page unless it is newer than its sources.
pub(crate) fn build_app(ready: &Ready) -> Result<()> {
    build_in(ready, &app_dir())
}

fn build_in(ready: &Ready, dir: &Path) -> Result<()> {
    install(ready)?;
    let built = modified(&dir.join("dist/index.html"));
    let newest = newest_below(dir)?.max(newest_below(&root().join("packages"))?);
    if built.is_none_or(|at| newest.is_some_and(|source| source > at)) {
        process::run(ready.apply(npm(&["run", "build"]).current_dir(dir)))?;
    }
    Ok(())
}

/// npm with these arguments, quiet about news.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(arguments).env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
    command
}

/// The viewer page's sources.
pub(crate) fn viewer_dir() -> PathBuf {
    root().join("examples/server/viewer")
}

/// The app's sources.
pub(crate) fn app_dir() -> PathBuf {
    root().join("examples/tauri-app")
}

fn newest_below(dir: &Path) -> Result<Option<SystemTime>> {
    let mut newest = None;
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry.context("reading a folder")?;
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" || name == "src-tauri" {
            continue;
        }
        let path = entry.path();
        newest = newest.max(if path.is_dir() { newest_below(&path)? } else { modified(&path) });
    }
    Ok(newest)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
