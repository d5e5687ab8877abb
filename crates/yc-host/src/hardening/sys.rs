//! The calls into Windows' loader.

use windows::Win32::System::LibraryLoader::{LOAD_LIBRARY_SEARCH_SYSTEM32, SetDefaultDllDirectories};

/// Where libraries are looked for that are asked for by name (Microsoft Learn, "SetDefaultDllDirectories function").
pub(super) fn search_the_system_folder_only() -> std::io::Result<()> {
    // SAFETY: it takes a number and reads no memory of ours; libraries that are loaded stay.
    unsafe { SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32) }?;
    Ok(())
}

/// Whether a library of this name is found and loads.
#[cfg(test)]
pub(super) fn can_load(name: &str) -> bool {
    use windows::Win32::Foundation::FreeLibrary;
    use windows::Win32::System::LibraryLoader::LoadLibraryW;
    use windows::core::HSTRING;

    // SAFETY: the name is a string that outlives the call, and what the libraries of the tests do when they are
    // loaded is Windows' own.
    let Ok(library) = (unsafe { LoadLibraryW(&HSTRING::from(name)) }) else { return false };
    // SAFETY: the handle is the one just opened, and nothing of the library is in use.
    unsafe { FreeLibrary(library) }.is_ok()
}
