//! The built program runs on a Windows that has nothing but itself: no C++ redistributable, no mingw.
#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use object::LittleEndian as LE;
use object::read::pe::PeFile64;

#[test]
fn it_imports_nothing_but_libraries_of_windows() {
    let program = std::fs::read(PROGRAM).unwrap();
    let imports = imports(&program);
    assert!(imports.iter().any(|name| name == "kernel32.dll"), "no program does without: {imports:?}");
    let foreign: Vec<_> = imports.iter().filter(|name| !is_of_windows(name)).collect();
    assert!(foreign.is_empty(), "not on every Windows, or not looked at yet: {foreign:?}");
}

/// What the linker of the other target cannot say, `yc_host::trust_system_libraries_only` does as soon as it may.
#[test]
#[cfg(target_env = "msvc")]
fn what_it_is_linked_with_is_loaded_from_the_system_folder() {
    let program = std::fs::read(PROGRAM).unwrap();
    let file = PeFile64::parse(&*program).unwrap();
    let directory = file.data_directory(object::pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG).unwrap();
    let config = directory.data(&*program, &file.section_table()).unwrap();
    let flags = u16::from_le_bytes(config[DEPENDENT_LOAD_FLAGS..][..2].try_into().unwrap());
    assert_eq!(flags, LOAD_LIBRARY_SEARCH_SYSTEM32);
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_yc-share");

/// Where `DependentLoadFlags` lies in IMAGE_LOAD_CONFIG_DIRECTORY64 (Microsoft Learn, "PE Format", Load
/// Configuration Layout; there it is the field after CSDVersion).
#[cfg(target_env = "msvc")]
const DEPENDENT_LOAD_FLAGS: usize = 78;
#[cfg(target_env = "msvc")]
const LOAD_LIBRARY_SEARCH_SYSTEM32: u16 = 0x800;

/// Libraries that each Windows since version 10 has. A name is added here once somebody has seen that it is so:
/// `vcruntime140.dll` and its like are in the system folder of machines that had them installed, and of no others.
const OF_WINDOWS: &[&str] = &[
    "advapi32.dll",
    "avrt.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "coremessaging.dll",
    "crypt32.dll",
    "d3d11.dll",
    "dwmapi.dll",
    "dxgi.dll",
    "gdi32.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ncrypt.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "rpcrt4.dll",
    "secur32.dll",
    "shcore.dll",
    "user32.dll",
    "userenv.dll",
    "ws2_32.dll",
];

/// API sets are names that the loader itself resolves into libraries of the system.
fn is_of_windows(name: &str) -> bool {
    name.starts_with("api-ms-win-core-") || OF_WINDOWS.contains(&name)
}

/// The libraries that the program is linked with, in lower case.
fn imports(program: &[u8]) -> Vec<String> {
    let file = PeFile64::parse(program).unwrap();
    let table = file.import_table().unwrap().unwrap();
    let mut libraries = table.descriptors().unwrap();
    let mut names = Vec::new();
    while let Some(library) = libraries.next().unwrap() {
        let name = table.name(library.name.get(LE)).unwrap();
        names.push(String::from_utf8_lossy(name).to_lowercase());
    }
    names
}
