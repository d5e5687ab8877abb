//! What a process left behind, as the kernel counts it.

use std::fs;

/// The threads of process `id` by name; empty if there is no such process, or nobody tells here.
pub(super) fn threads(id: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    // Tokio's own threads for calls that block come and go.
    let mut names: Vec<String> =
        names.map(|name| name.trim().to_owned()).filter(|name| !name.starts_with("tokio")).collect();
    names.sort();
    names
}

/// How many files, sockets and shared memory segments process `id` has open.
pub(super) fn open_files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Children of this process that ended and that nobody waited for.
pub(super) fn zombies() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats = fs::read_dir("/proc").into_iter().flatten().flatten();
    stats
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| {
            // The name stands in parentheses and may hold anything.
            let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            fields.next() == Some("Z") && fields.next() == Some(own.as_str())
        })
        .collect()
}
