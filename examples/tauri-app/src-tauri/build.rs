//! Prepares what Tauri needs at build time: the configuration, the permissions, the Windows resources.

fn main() {
    tauri_build::build();
}
