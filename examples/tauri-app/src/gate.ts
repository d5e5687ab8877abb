/** Who sees the debug panel. Pure. */

/** A development build shows it; any other where the page's storage holds `"1"` under {@link DEBUG_KEY}. */
export function debugAllowed(developmentBuild: boolean, storage: () => Pick<Storage, 'getItem'>): boolean {
  if (developmentBuild) return true;
  try {
    return storage().getItem(DEBUG_KEY) === '1';
  } catch {
    // A browser may forbid the storage.
    return false;
  }
}

export const DEBUG_KEY = 'yankcord_debug_native_sender';
