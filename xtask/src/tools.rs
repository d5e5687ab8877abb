//! Programs of the registry that checks run: of one version, from the path or built into the cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::setup::find_program;
use crate::workspace::{cache_dir, cargo};

/// A program that `cargo install` builds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

pub(crate) const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
/// Between a WebDriver client and the driver of the web view that a Tauri app shows itself in.
pub(crate) const TAURI_DRIVER: Tool = Tool { name: "tauri-driver", version: "2.1.0" };

impl Tool {
    /// Its file: from the path, where that tells our version, from the cache, or built into the cache.
    ///
    /// # Errors
    ///
    /// It could not be built.
    pub(crate) fn program(self) -> Result<PathBuf> {
        let Self { name, version } = self;
        if let Some(installed) = find_program(name)
            && let Ok(output) = Command::new(&installed).arg("--version").output()
            && String::from_utf8_lossy(&output.stdout).trim().ends_with(version)
        {
            return Ok(installed);
        }
        let dir = cache_dir().join("yc-tools").join(format!("{name}-{version}"));
        let program = dir.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        if !program.exists() {
            let build = cache_dir().join("yc-tools").join(format!("{name}-build-{}", std::process::id()));
            fs::create_dir_all(&build).with_context(|| format!("creating {}", build.display()))?;
            let mut install = cargo();
            install.args(["install", name, "--locked", "--version", version, "--root"]).arg(&dir);
            // It runs for a second: what it costs is its build.
            install.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
            install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            install.env("CARGO_PROFILE_RELEASE_DEBUG", "0");
            let installed = process::run(&mut install);
            let _ = fs::remove_dir_all(&build);
            installed?;
        }
        Ok(program)
    }
}
