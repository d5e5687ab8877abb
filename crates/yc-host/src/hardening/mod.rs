//! What a program does first of all, so that nobody slips a library into it.

#[cfg(windows)]
#[allow(unsafe_code)]
mod sys;

/// Lets this process load libraries by name from Windows' own folder alone, from now on.
///
/// Call it first in `main`: before it, Windows looks into the program's own folder and the working folder too,
/// where a download or a document may have brought a file of a system library's name. A library that is asked for
/// by its whole path is loaded from there as before. What the program was linked with is loaded before `main` runs,
/// and is the linker's part: `/DEPENDENTLOADFLAG:0x800`, which `.cargo/config.toml` sets for Microsoft's linker.
///
/// On other systems the loader does not look there, and this does nothing.
///
/// # Errors
///
/// Windows refuses. Only a Windows 7 without the update KB2533623 does, and nothing here runs on that.
pub fn trust_system_libraries_only() -> std::io::Result<()> {
    #[cfg(windows)]
    sys::search_the_system_folder_only()?;
    Ok(())
}

#[cfg(test)]
#[cfg(windows)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_windows_is_found_and_one_beside_the_program_is_not() {
        let beside = std::env::current_exe().unwrap().with_file_name("yc-planted.dll");
        std::fs::copy(system_library(), &beside).unwrap();
        assert!(sys::can_load("yc-planted.dll"), "it must be found before, or the test shows nothing");

        trust_system_libraries_only().unwrap();
        let found = sys::can_load("yc-planted.dll");
        std::fs::remove_file(&beside).unwrap();
        assert!(!found);
        assert!(sys::can_load("version.dll"));
    }

    /// One that no program of ours is linked with, and whose name is often used for planting.
    fn system_library() -> std::path::PathBuf {
        std::path::Path::new(&std::env::var_os("SystemRoot").unwrap()).join("System32/version.dll")
    }
}
