//! Tells, before anyone measures it, that OpenH264 is about to be built without its assembly.
//!
//! `openh264-sys2` assembles OpenH264's x86 SIMD with nasm and goes on without it in silence. What was
//! really built is known at run time (`EncoderInfo::accelerated`); this is the early warning.

use std::env;
use std::path::Path;

const REQUIRE: &str = "YC_REQUIRE_NASM";
const NO_ASM: &str = "OPENH264_NO_ASM";

fn main() {
    for variable in ["PATH", NO_ASM, REQUIRE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(openh264_assembled)");

    let x86 = matches!(env::var("CARGO_CFG_TARGET_ARCH").as_deref(), Ok("x86" | "x86_64"));
    let built = env::var_os("CARGO_FEATURE_OPENH264").is_some();
    if !x86 || !built {
        return;
    }
    let missing = if env::var_os(NO_ASM).is_some() {
        format!("{NO_ASM} is set: unset it")
    } else if !nasm_on_path() {
        "nasm is not on PATH: install it (Debian, Ubuntu: apt-get install nasm; Fedora: dnf install nasm; \
         macOS: brew install nasm; Windows: winget install NASM.NASM, then add it to PATH)"
            .to_owned()
    } else {
        // For a test that what is said at run time is true.
        println!("cargo::rustc-cfg=openh264_assembled");
        return;
    };
    let message = format!(
        "OpenH264 is built without its SIMD assembly and encodes 1.5 to 3 times slower. {missing}, \
         then run `cargo clean -p openh264-sys2`."
    );
    if env::var(REQUIRE).is_ok_and(|value| value == "1") {
        println!("cargo::error={message} ({REQUIRE}=1 makes this an error.)");
    } else {
        println!("cargo::warning={message}");
    }
}

/// Looks for the program as a shell would; running it is `openh264-sys2`'s business.
fn nasm_on_path() -> bool {
    let names: &[&str] = if cfg!(windows) { &["nasm.exe"] } else { &["nasm"] };
    env::var_os("PATH").is_some_and(|path| {
        env::split_paths(&path).any(|folder| names.iter().any(|name| Path::new(&folder).join(name).is_file()))
    })
}
