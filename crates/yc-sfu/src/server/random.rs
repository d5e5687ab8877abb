//! Numbers from the system's random source.

pub(super) fn u32() -> Result<u32, getrandom::Error> {
    getrandom::u32()
}

/// 16 hexadecimal digits.
pub(super) fn id() -> Result<String, getrandom::Error> {
    getrandom::u64().map(|number| format!("{number:016x}"))
}
