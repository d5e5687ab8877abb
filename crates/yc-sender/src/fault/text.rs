//! Scripts as text: `STAGE[#INDEX].CALL[@WHEN]=WHAT`, printed and read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use yc_capture::EndReason;
use yc_media::Resolution;

use super::script::{
    Fault, FaultCall, FaultKind, FaultRule, FaultScript, FaultWhen, Stage, check_fault, check_index,
    check_when, check_window,
};

/// A rule that cannot be read or makes no sense: which, where in the text, and what is allowed there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault rule {rule:?}{}: {value:?} is not allowed: {allowed}", place(.position))]
pub struct FaultError {
    rule: String,
    position: Option<usize>,
    value: String,
    allowed: String,
}

fn place(position: &Option<usize>) -> String {
    position.map(|at| format!(", character {at}")).unwrap_or_default()
}

impl FaultError {
    /// The rule as text.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Where in the whole script the refused part begins: characters from 1. `None` for a rule built in code.
    pub fn position(&self) -> Option<usize> {
        self.position
    }

    pub(super) fn of_rule(rule: &FaultRule, refusal: Refusal) -> Self {
        let Refusal { value, allowed } = refusal;
        Self { rule: rule.to_string(), position: None, value, allowed }
    }
}

/// What is refused, and what is allowed instead.
#[derive(Debug)]
pub(super) struct Refusal {
    value: String,
    allowed: String,
}

impl Refusal {
    pub(super) fn new(value: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { value: value.to_string(), allowed: allowed.into() }
    }
}

impl FromStr for FaultScript {
    type Err = FaultError;

    /// Reads rules separated by `;` or white space.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut script = Self::new();
        let mut at = 0;
        for rule in text.split_inclusive(|c: char| c == ';' || c.is_whitespace()) {
            let part = Part { text: rule.trim_end_matches(|c: char| c == ';' || c.is_whitespace()), at };
            at += rule.len();
            if part.text.is_empty() {
                continue;
            }
            script.push_checked(read_rule(part).map_err(|(bad, refusal)| FaultError {
                rule: part.text.to_owned(),
                position: Some(text[..bad].chars().count() + 1),
                value: refusal.value,
                allowed: refusal.allowed,
            })?);
        }
        Ok(script)
    }
}

/// Some of the script, and at which byte of it that begins.
#[derive(Debug, Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    at: usize,
}

/// At which byte of the script something is refused.
type Refused = (usize, Refusal);

impl<'a> Part<'a> {
    fn split(self, separator: &str) -> Option<(Self, Self)> {
        let at = self.text.find(separator)?;
        let after = at + separator.len();
        Some((
            Part { text: &self.text[..at], at: self.at },
            Part { text: &self.text[after..], at: self.at + after },
        ))
    }

    fn refuse(self, allowed: impl Into<String>) -> Refused {
        (self.at, Refusal::new(self.text, allowed))
    }

    fn checked(self, result: Result<(), Refusal>) -> Result<(), Refused> {
        result.map_err(|refusal| (self.at, refusal))
    }
}

fn read_rule(rule: Part<'_>) -> Result<FaultRule, Refused> {
    let (site, what) =
        rule.split("=").ok_or_else(|| rule.refuse("a rule reads STAGE[#INDEX].CALL[@WHEN]=WHAT"))?;
    let (point, when) = match site.split("@") {
        Some((point, when)) => (point, Some(when)),
        None => (site, None),
    };
    let (stage, name) = point.split(".").ok_or_else(|| point.refuse(format!("one of {}", names(CALLS))))?;
    let (stage, index) = match stage.split("#") {
        Some((stage, index)) => (stage, Some(index)),
        None => (stage, None),
    };
    let calls = CALLS.iter().filter(|(_, text)| text.split_once('.').is_some_and(|(s, _)| s == stage.text));
    let calls: Vec<(FaultCall, &str)> = calls.copied().collect();
    if calls.is_empty() {
        return Err(stage.refuse("one of capture, encoder, transport"));
    }
    let call = calls.iter().find(|(_, text)| text.split_once('.').is_some_and(|(_, c)| c == name.text));
    let call = call.ok_or_else(|| name.refuse(format!("one of {}", names(&calls))))?.0;

    let mut read = FaultRule::new(call, read_fault(call, what)?);
    if let Some(index) = index {
        let number = index.text.parse().map_err(|_| index.refuse("which candidate: 0, 1, …"))?;
        index.checked(check_index(call, Some(number)))?;
        read = read.with_index(number);
    }
    if let Some(when) = when {
        read_when(when, &mut read)?;
    }
    what.checked(check_fault(call, read.fault))?;
    Ok(read)
}

fn read_when(when: Part<'_>, rule: &mut FaultRule) -> Result<(), Refused> {
    let forms = "N, N.., N..M or /N, and then or alone +TIME or +TIME..+TIME";
    let (count, window) = match when.split("+") {
        Some((count, window)) => (count, Some(window)),
        None => (when, None),
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| count.refuse(forms));
    rule.when = match (count.text.strip_prefix('/'), count.text.split_once("..")) {
        _ if count.text.is_empty() && window.is_some() => FaultWhen::Always,
        (Some(every), _) => FaultWhen::Every(number(every)?),
        (None, Some((first, ""))) => FaultWhen::From(number(first)?),
        (None, Some((first, last))) => FaultWhen::Between(number(first)?, number(last)?),
        (None, None) => FaultWhen::Nth(number(count.text)?),
    };
    count.checked(check_when(rule.when))?;
    if let Some(window) = window {
        let (after, until) = match window.split("..+") {
            Some((after, until)) => (after, Some(until)),
            None => (window, None),
        };
        rule.after = read_time(after)?;
        rule.until = until.map(read_time).transpose()?;
        window.checked(check_window(rule.after, rule.until))?;
    }
    Ok(())
}

fn read_fault(call: FaultCall, what: Part<'_>) -> Result<Fault, Refused> {
    let (word, value) = match what.split(":") {
        Some((word, value)) => (word, Some(value)),
        None => (what, None),
    };
    Ok(match (word.text, value) {
        ("hang", None) => Fault::Hang,
        ("panic", None) => Fault::Panic,
        ("drop", None) => Fault::Drop,
        ("slow", Some(time)) => Fault::Slow(read_time(time)?),
        ("fail", Some(kind)) => match KINDS.iter().find(|(_, text)| *text == kind.text) {
            Some((known, _)) => Fault::Fail(*known),
            None => return Err(kind.refuse(format!("one of {}", kinds_of(call.stage())))),
        },
        ("end", Some(reason)) => match REASONS.iter().find(|(_, text)| *text == reason.text) {
            Some((known, _)) => Fault::End(*known),
            None => return Err(reason.refuse(format!("one of {}", names(REASONS)))),
        },
        ("size", Some(size)) => Fault::Size(
            size.text
                .parse::<Resolution>()
                .map_err(|error| (size.at, Refusal::new(size.text, error.to_string())))?,
        ),
        _ => {
            let forms = "fail:KIND, hang, slow:TIME, panic, drop, size:WxH or end:REASON";
            return Err(what.refuse(forms));
        }
    })
}

/// A decimal number with its unit, to the nanosecond.
fn read_time(part: Part<'_>) -> Result<Duration, Refused> {
    let read = || {
        let (number, unit) = part.text.split_at(part.text.find(|c: char| c.is_ascii_alphabetic())?);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let places = u32::try_from(fraction.len()).ok().filter(|places| (1..=9).contains(places))?;
        let digits =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
        let part = digits(fraction)? * nanos / 10u64.pow(places);
        Some(Duration::from_nanos(digits(whole)?.checked_mul(*nanos)?.checked_add(part)?))
    };
    read().ok_or_else(|| part.refuse("a time with its unit, for example 1.5s, 120ms or 500us"))
}

impl fmt::Display for FaultScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, rule) in self.rules().iter().enumerate() {
            write!(f, "{}{rule}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Display for FaultRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stage, call) = name(CALLS, self.call).split_once('.').expect("every name in CALLS has a dot");
        f.write_str(stage)?;
        if let Some(index) = self.index {
            write!(f, "#{index}")?;
        }
        write!(f, ".{call}")?;
        if self.when != FaultWhen::Always || self.is_timed() {
            write!(f, "@{}", self.when)?;
        }
        if self.is_timed() {
            write!(f, "+{}", printed(self.after))?;
        }
        if let Some(until) = self.until {
            write!(f, "..+{}", printed(until))?;
        }
        write!(f, "={}", self.fault)
    }
}

impl fmt::Display for FaultCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(CALLS, *self))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(KINDS, *self))
    }
}

impl fmt::Display for FaultWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Nth(n) => write!(f, "{n}"),
            Self::From(n) => write!(f, "{n}.."),
            Self::Between(first, last) => write!(f, "{first}..{last}"),
            Self::Every(n) => write!(f, "/{n}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        match self {
            Self::Fail(kind) => write!(f, "{word}:{kind}"),
            Self::Slow(time) => write!(f, "{word}:{}", printed(*time)),
            Self::Size(size) => write!(f, "{word}:{size}"),
            Self::End(reason) => write!(f, "{word}:{}", name(REASONS, *reason)),
            Self::Hang | Self::Panic | Self::Drop => f.write_str(word),
        }
    }
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::Fail(_) => "fail",
            Self::Hang => "hang",
            Self::Slow(_) => "slow",
            Self::Panic => "panic",
            Self::Drop => "drop",
            Self::Size(_) => "size",
            Self::End(_) => "end",
        }
    }
}

/// A time in the largest unit that gives a whole number.
pub(super) fn printed(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (name, unit) = UNITS
        .iter()
        .find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit)))
        .expect("one nanosecond divides every number of them");
    format!("{}{name}", nanos / u128::from(*unit))
}

/// The words of those faults that `knows` says yes to, whatever their value.
pub(super) fn words_of(knows: impl Fn(Fault) -> bool) -> String {
    let size = Resolution::new(1, 1).expect("1x1 is inside the bounds");
    let all = [
        Fault::Fail(FaultKind::Failed),
        Fault::Hang,
        Fault::Slow(Duration::ZERO),
        Fault::Panic,
        Fault::Drop,
        Fault::Size(size),
        Fault::End(EndReason::WindowClosed),
    ];
    let words: Vec<_> = all.into_iter().filter(|fault| knows(*fault)).map(Fault::word).collect();
    words.join(", ")
}

/// The kinds of error of `stage`.
pub(super) fn kinds_of(stage: Stage) -> String {
    let kinds: Vec<_> = KINDS.iter().filter(|(kind, _)| kind.is_of(stage)).map(|(_, text)| *text).collect();
    kinds.join(", ")
}

fn names<T>(table: &[(T, &'static str)]) -> String {
    table.iter().map(|(_, text)| *text).collect::<Vec<_>>().join(", ")
}

fn name<T: PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    table.iter().find(|(known, _)| *known == value).map_or("unknown", |(_, text)| text)
}

const CALLS: &[(FaultCall, &str)] = &[
    (FaultCall::CaptureOpen, "capture.open"),
    (FaultCall::CaptureStart, "capture.start"),
    (FaultCall::CaptureStop, "capture.stop"),
    (FaultCall::CaptureRequestFrame, "capture.request_frame"),
    (FaultCall::CaptureSetFrameRate, "capture.set_frame_rate"),
    (FaultCall::CaptureFrame, "capture.frame"),
    (FaultCall::EncoderOpen, "encoder.open"),
    (FaultCall::EncoderSubmit, "encoder.submit"),
    (FaultCall::EncoderPoll, "encoder.poll"),
    (FaultCall::EncoderSetRate, "encoder.set_rate"),
    (FaultCall::EncoderDrop, "encoder.drop"),
    (FaultCall::TransportSend, "transport.send"),
    (FaultCall::TransportRecv, "transport.recv"),
    (FaultCall::TransportWait, "transport.wait"),
];

const KINDS: &[(FaultKind, &str)] = &[
    (FaultKind::Unsupported, "unsupported"),
    (FaultKind::PermissionDenied, "permission_denied"),
    (FaultKind::NotFound, "not_found"),
    (FaultKind::DeviceLost, "device_lost"),
    (FaultKind::InvalidInput, "invalid_input"),
    (FaultKind::Full, "full"),
    (FaultKind::Unreachable, "unreachable"),
    (FaultKind::TooLarge, "too_large"),
    (FaultKind::Failed, "failed"),
];

/// As `Reason` calls them.
const REASONS: &[(EndReason, &str)] = &[
    (EndReason::WindowClosed, "window_closed"),
    (EndReason::MonitorRemoved, "monitor_removed"),
    (EndReason::EndOfFile, "end_of_file"),
];

/// Each with its nanoseconds, the largest first.
const UNITS: &[(&str, u64)] = &[("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_reads_back_the_same() {
        for (text, printed) in [
            ("", ""),
            ("capture.open=hang", "capture.open=hang"),
            ("capture#0.frame@1+2s=fail:device_lost", "capture#0.frame@1+2s=fail:device_lost"),
            (
                " encoder.submit@3..=fail:failed\n;;encoder#12.drop@2..5=slow:0.12s",
                "encoder.submit@3..=fail:failed; encoder#12.drop@2..5=slow:120ms",
            ),
            ("transport.send@/10=drop;transport.recv=drop", "transport.send@/10=drop; transport.recv=drop"),
            ("transport.wait@+1.5s..+3s=panic", "transport.wait@+1500ms..+3s=panic"),
            ("transport.send@/2+0s..+250us=fail:too_large", "transport.send@/2+0s..+250us=fail:too_large"),
            ("capture.frame@+0.000000001s=size:31x17", "capture.frame@+1ns=size:31x17"),
            ("capture.frame@7=end:monitor_removed", "capture.frame@7=end:monitor_removed"),
        ] {
            let script: FaultScript = text.parse().unwrap();
            assert_eq!(script.to_string(), printed, "{text}");
            assert_eq!(printed.parse::<FaultScript>().unwrap(), script, "{text}");
        }
    }

    #[test]
    fn every_call_every_kind_and_every_reason_has_its_name() {
        for (call, text) in CALLS {
            let script: FaultScript = format!("{text}=hang").parse().unwrap();
            assert_eq!(script.rules()[0].call, *call);
        }
        for (kind, text) in KINDS {
            let call = if kind.is_of(Stage::Capture) { "capture.open" } else { "transport.send" };
            let script: FaultScript = format!("{call}=fail:{text}").parse().unwrap();
            assert_eq!(script.rules()[0].fault, Fault::Fail(*kind));
        }
        for (reason, text) in REASONS {
            let script: FaultScript = format!("capture.frame=end:{text}").parse().unwrap();
            assert_eq!(script.rules()[0].fault, Fault::End(*reason));
        }
    }

    #[test]
    fn a_bad_rule_is_named_with_its_place_and_what_is_allowed() {
        for (text, position, allowed) in [
            ("encoder.sumbit=hang", 9, "one of encoder.open, encoder.submit"),
            ("encodr.submit=hang", 1, "one of capture, encoder, transport"),
            ("encoder=hang", 1, "one of capture.open"),
            ("capture.open", 1, "STAGE[#INDEX].CALL[@WHEN]=WHAT"),
            ("capture.open=hang é.open=hang", 19, "one of capture, encoder, transport"),
            ("capture#x.open=hang", 9, "0, 1, …"),
            ("transport#0.send=hang", 11, "a sender has one transport"),
            ("capture.open@=hang", 14, "N, N.., N..M or /N"),
            ("capture.open@0=hang", 14, "calls count from 1"),
            ("capture.open@5..2=hang", 14, "a range rises"),
            ("capture.open@/0=hang", 14, "calls count from 1"),
            ("capture.open@-1=hang", 14, "N, N.., N..M or /N"),
            ("capture.open@1+=hang", 16, "a time with its unit"),
            ("capture.open@1+2=hang", 16, "a time with its unit"),
            ("capture.open@+1s..+2h=hang", 20, "a time with its unit"),
            ("capture.open@+3s..+2s=hang", 15, "the end after the beginning"),
            ("capture.open@+86401s=hang", 15, "0s to 86400s"),
            ("capture.open=hung", 14, "fail:KIND, hang, slow:TIME"),
            ("capture.open=hang:1", 14, "fail:KIND, hang, slow:TIME"),
            ("capture.open=slow:1.s", 19, "a time with its unit"),
            ("capture.open=slow:99999999999999999999s", 19, "a time with its unit"),
            ("capture.open=fail:full", 14, "capture.open fails with unsupported, permission_denied"),
            ("capture.open=fail:ful", 19, "one of unsupported, permission_denied"),
            ("capture.frame=end:closed", 19, "one of window_closed, monitor_removed, end_of_file"),
            ("capture.frame=size:0x9", 20, "width 0 is not allowed: 1 to 16384 pixels"),
            ("encoder.poll=drop; transport.send=size:64x64", 35, "transport.send knows fail, hang, slow"),
        ] {
            let error = text.parse::<FaultScript>().unwrap_err();
            assert_eq!(error.position(), Some(position), "{text}: {error}");
            assert!(error.to_string().contains(allowed), "{text}: {error}");
            assert!(text.contains(error.rule()), "{text}: {error}");
        }
    }
}
