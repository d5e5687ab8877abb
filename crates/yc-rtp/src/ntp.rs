//! Wall-clock time as RTP and RTCP write it.

use std::fmt;
use std::time::Duration;

/// An instant on the wall clock: seconds since 1900-01-01 UTC as a 32.32 fixed-point number, wrapping in
/// 2036. [RFC 3550 §4](https://www.rfc-editor.org/rfc/rfc3550#section-4).
///
/// This crate reads no clock: the caller does, once, and says what it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTime(u64);

impl NtpTime {
    /// The instant with these bits: whole seconds in the upper half.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The instant `since_unix_epoch` after 1970-01-01 UTC, rounded down to 2⁻³² s.
    pub const fn from_unix(since_unix_epoch: Duration) -> Self {
        // Wraps with the era, as the format says.
        let seconds = since_unix_epoch.as_secs().wrapping_add(UNIX_EPOCH_IN_NTP) << 32;
        let fraction = ((since_unix_epoch.subsec_nanos() as u64) << 32) / NANOS_PER_SECOND;
        Self(seconds | fraction)
    }

    /// The 64 bits as they are written.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The middle 32 bits: the short form of reception reports, in units of 1/65,536 s.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The instant `later` after this one.
    #[must_use]
    pub const fn wrapping_add(self, later: Duration) -> Self {
        let seconds = later.as_secs() << 32;
        let fraction = ((later.subsec_nanos() as u64) << 32) / NANOS_PER_SECOND;
        Self(self.0.wrapping_add(seconds).wrapping_add(fraction))
    }
}

impl fmt::Display for NtpTime {
    /// Seconds since 1900 with six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = ((self.0 & 0xffff_ffff) * 1_000_000) >> 32;
        write!(f, "{}.{micros:06}", self.0 >> 32)
    }
}

/// A difference of two short-form times, in units of 1/65,536 s.
pub(crate) fn short_duration(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * NANOS_PER_SECOND) >> 16)
}

/// 70 years, 17 of them leap years. [RFC 868](https://www.rfc-editor.org/rfc/rfc868).
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_is_2_208_988_800_seconds_in() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO).bits(), 0x83aa_7e80_0000_0000);
        let half = NtpTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(half.bits(), 0x83aa_7e81_8000_0000);
        assert_eq!(half.middle(), 0x7e81_8000);
        assert_eq!(half.to_string(), "2208988801.500000");
    }

    #[test]
    fn the_era_wraps_in_2036() {
        let last = Duration::from_secs((1 << 32) - UNIX_EPOCH_IN_NTP - 1);
        assert_eq!(NtpTime::from_unix(last).bits(), 0xffff_ffff_0000_0000);
        assert_eq!(NtpTime::from_unix(last + Duration::from_secs(1)).bits(), 0);
        assert_eq!(NtpTime::from_unix(last).wrapping_add(Duration::from_millis(1_250)).bits(), 0x4000_0000);
        assert_eq!(NtpTime::from_unix(Duration::MAX).bits() >> 32, 0x83aa_7e7f, "no overflow at the far end");
    }

    #[test]
    fn short_durations_are_65_536ths_of_a_second() {
        assert_eq!(short_duration(0x0001_8000), Duration::from_millis(1_500));
        assert_eq!(short_duration(u32::MAX).as_secs(), 65_535);
    }
}
