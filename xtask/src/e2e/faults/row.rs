//! The rows of the table: what is done to a share, and what must come of it.

use std::time::Duration;

/// One fault.
#[derive(Debug)]
pub(in crate::e2e) struct Row {
    /// The folder of its logs.
    pub(in crate::e2e) name: &'static str,
    /// In words.
    pub(in crate::e2e) fault: &'static str,
    /// For `yc-share --fault`.
    pub(in crate::e2e) script: &'static str,
    /// More arguments of `yc-share`.
    pub(super) arguments: &'static [&'static str],
    /// What is done to the world around the share.
    pub(super) deed: Deed,
    pub(super) expect: Expect,
    /// The longest that it may take, in seconds: to recover, or to end.
    pub(in crate::e2e) within: f64,
}

/// Something real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// The script is all there is.
    Nothing,
    /// The X server is killed.
    KillDisplay,
    /// The captured window is closed.
    CloseWindow,
    /// The receiver does nothing any more, as after a crash of its machine.
    SuspendServer,
    /// The receiver does nothing for five seconds.
    SuspendServerBriefly,
    /// The receiver is killed.
    KillServer,
    /// The user stops the share.
    Stop,
}

/// What must come of a fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    /// This step of the retreat repairs it.
    Repaired { step: &'static str, reason: &'static str },
    /// It passes without any step, and is told with this reason where it is told. It is over this many
    /// seconds after it began.
    Borne { reason: Option<&'static str>, over: f64 },
    /// The source has this size from then on.
    Resized { width: u64, height: u64 },
    /// The picture gives way for one of these reasons, and comes back.
    GivesWay { causes: &'static [&'static str] },
    /// Another backend is taken from the start on; the status has this in why the first was not.
    Starts { why_not: &'static str },
    /// The share does not start, with this in its message.
    Refused { says: &'static str, code: i32 },
    /// The share ends.
    Ends { reason: &'static str, code: i32 },
}

/// When a fault happens after the start of `yc-share`: what the scripts say.
pub(super) const FAULT_AT: Duration = Duration::from_secs(5);

impl Row {
    /// A fault by script alone.
    const fn new(name: &'static str, fault: &'static str, script: &'static str) -> Self {
        let expect = Expect::Ends { reason: "requested", code: 0 };
        Self { name, fault, script, arguments: &[], deed: Deed::Nothing, expect, within: 1.0 }
    }

    /// A fault of the world.
    const fn real(name: &'static str, fault: &'static str, deed: Deed) -> Self {
        Self { deed, ..Self::new(name, fault, "") }
    }

    const fn with(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }

    const fn and(self, deed: Deed) -> Self {
        Self { deed, ..self }
    }

    const fn repaired(self, step: &'static str, reason: &'static str, within: f64) -> Self {
        Self { expect: Expect::Repaired { step, reason }, within, ..self }
    }

    const fn borne(self, reason: Option<&'static str>, over: f64, within: f64) -> Self {
        Self { expect: Expect::Borne { reason, over }, within, ..self }
    }

    const fn ends(self, reason: &'static str, code: i32, within: f64) -> Self {
        Self { expect: Expect::Ends { reason, code }, within, ..self }
    }

    const fn refused(self, says: &'static str, code: i32, within: f64) -> Self {
        Self { expect: Expect::Refused { says, code }, within, ..self }
    }

    const fn expecting(self, expect: Expect, within: f64) -> Self {
        Self { expect, within, ..self }
    }

    /// Whether it happens before the share runs.
    pub(super) fn is_at_start(&self) -> bool {
        matches!(self.expect, Expect::Starts { .. } | Expect::Refused { .. })
    }

    /// Whether the app is told to share by its other path.
    fn tells_the_app(&self) -> bool {
        match self.expect {
            Expect::Ends { reason, .. } => {
                !["requested", "window_closed", "monitor_removed"].contains(&reason)
            }
            Expect::Refused { .. } => true,
            _ => false,
        }
    }

    /// Whether the share goes on, so that somebody should watch it.
    pub(super) fn goes_on(&self) -> bool {
        !matches!(self.expect, Expect::Refused { .. } | Expect::Ends { .. })
    }
}

/// The scripted faults that end in the app's other path. (Without its server, there is no room to share to.)
pub(in crate::e2e) fn tells_the_app() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.deed == Deed::Nothing && row.tells_the_app())
}

/// Two of the same: the second takes over.
const TWO_ENCODERS: &[&str] = &["--encoder", "openh264,openh264"];

/// All of them: of the capture, the encoder, the transport, the receiver.
pub(super) const ROWS: &[Row] = &[
    Row::new("capture-denied", "capture is forbidden", "capture.open=fail:permission_denied").refused(
        "permission",
        3,
        2.0,
    ),
    Row::new("capture-hang-open", "capture hangs in opening", "capture#0.open=hang").refused(
        "does not return",
        3,
        8.0,
    ),
    Row::new("capture-hang-start", "capture hangs in starting", "capture#0.start=hang").refused(
        "does not return",
        3,
        8.0,
    ),
    Row::new("capture-lost", "capture loses its device once", "capture.frame@1+5s=fail:device_lost")
        .repaired("restart_capture", "capture_device_lost", 1.0),
    Row::new(
        "capture-lost-for-good",
        "capture loses its device for good",
        "capture.frame@+5s=fail:device_lost",
    )
    .ends("capture_device_lost", 3, 4.0),
    Row::real("display-killed", "X server is killed", Deed::KillDisplay).ends("capture_device_lost", 3, 4.0),
    Row::new(
        "capture-denied-later",
        "capture is forbidden in mid-share",
        "capture.frame@1+5s=fail:permission_denied",
    )
    .ends("capture_denied", 3, 1.0),
    Row::new("capture-silent-10s", "capture delivers nothing for 9 s", "capture.frame@+5s..+14s=drop")
        .repaired("restart_capture", "capture_silent", 12.0),
    Row::new(
        "capture-silent",
        "capture delivers nothing any more, and does not answer",
        "capture.frame@+5s=drop",
    )
    .ends("capture_silent", 3, 30.0),
    Row::new(
        "capture-probe-hang",
        "silent capture hangs when asked",
        "capture.frame@+5s..+12s=drop capture.request_frame@1=hang",
    )
    .repaired("restart_capture", "capture_hung", 10.0),
    Row::new("capture-frame-hang", "capture's own thread hangs", "capture.frame@1+5s=hang").repaired(
        "restart_capture",
        "capture_silent",
        10.0,
    ),
    Row::new("capture-frame-panic", "capture's own thread panics", "capture.frame@1+5s=panic").ends(
        "internal_error",
        1,
        1.0,
    ),
    Row::new(
        "capture-hang-rate",
        "capture hangs in a change of its rate",
        "capture.set_frame_rate@1=hang encoder.submit@+5s..+11s=slow:80ms",
    )
    .repaired("restart_capture", "capture_hung", 9.0),
    Row::new("capture-hang-stop", "capture hangs in stopping", "capture.stop=hang").and(Deed::Stop).ends(
        "requested",
        0,
        0.5,
    ),
    Row::new("resize", "source changes its size", "capture.frame@+5s=size:480x270")
        .expecting(Expect::Resized { width: 480, height: 270 }, 2.0),
    Row::new("monitor-removed", "monitor is unplugged", "capture.frame@1+5s=end:monitor_removed").ends(
        "monitor_removed",
        3,
        1.0,
    ),
    Row::real("window-closed", "captured window is closed", Deed::CloseWindow).ends("window_closed", 3, 1.0),
    Row::new("encoder-unsupported", "no encoder works here", "encoder.open=fail:unsupported").refused(
        "not supported",
        4,
        2.0,
    ),
    Row::new("encoder-hang-open", "encoder hangs in opening; there is another", "encoder#0.open=hang")
        .with(TWO_ENCODERS)
        .expecting(Expect::Starts { why_not: "does not return" }, 8.0),
    Row::new("encoder-lost", "encoder loses its device once", "encoder.submit@1+5s=fail:device_lost")
        .repaired("restart_encoder", "encoder_device_lost", 1.0),
    Row::new(
        "encoder-lost-for-good",
        "encoder loses its device for good; there is another",
        "encoder#0.submit@+5s=fail:device_lost",
    )
    .with(TWO_ENCODERS)
    .repaired("next_encoder", "encoder_device_lost", 2.0),
    Row::new(
        "encoders-lost",
        "every encoder loses its device for good",
        "encoder.submit@+5s=fail:device_lost",
    )
    .with(TWO_ENCODERS)
    .ends("encoder_device_lost", 4, 4.0),
    Row::new("encoder-hang", "encoder hangs in a picture", "encoder.submit@1+5s=hang").repaired(
        "restart_encoder",
        "encoder_hung",
        4.0,
    ),
    Row::new("encoder-hang-poll", "encoder hangs in giving an access unit", "encoder.poll@1+5s=hang")
        .repaired("restart_encoder", "encoder_hung", 4.0),
    Row::new(
        "encoder-hang-rate",
        "encoder hangs in a change of its rate",
        "encoder.set_rate@1=hang encoder.submit@+5s..+9s=slow:80ms",
    )
    .repaired("restart_encoder", "encoder_hung", 9.0),
    Row::new(
        "encoder-hang-for-good",
        "encoder hangs each time; there is another",
        "encoder#0.submit@+5s=hang",
    )
    .with(TWO_ENCODERS)
    .repaired("next_encoder", "encoder_hung", 10.0),
    Row::new("encoder-hang-stop", "user stops while the encoder hangs", "encoder.submit@1+4500ms=hang")
        .and(Deed::Stop)
        .ends("requested", 0, 0.5),
    Row::new("encoder-panic", "encoder panics", "encoder.submit@1+5s=panic").ends("internal_error", 1, 1.0),
    Row::new("bad-frames", "encoder refuses five pictures", "encoder.submit@1..5+5s=fail:invalid_input")
        .borne(Some("frame_refused"), 0.2, 2.0),
    Row::new(
        "many-bad-frames",
        "encoder refuses eleven pictures",
        "encoder.submit@1..11+5s=fail:invalid_input",
    )
    .repaired("restart_encoder", "encode_errors", 2.0),
    Row::new(
        "slow-encoder",
        "encoder takes 80 ms for a picture, for 8 s",
        "encoder.submit@+5s..+13s=slow:80ms",
    )
    .expecting(Expect::GivesWay { causes: &["encode_time", "queue"] }, 45.0),
    Row::new("overload", "encoder takes 700 ms for a picture", "encoder.submit@+5s=slow:700ms").ends(
        "overloaded",
        7,
        25.0,
    ),
    Row::new(
        "unreachable-2s",
        "every packet is refused for 2 s: peer unreachable",
        "transport.send@+5s..+7s=fail:unreachable",
    )
    .borne(Some("peer_unreachable"), 2.0, 4.0),
    Row::new(
        "no-network",
        "every packet is refused: peer unreachable",
        "transport.send@+5s=fail:unreachable",
    )
    .ends("send_errors", 6, 11.5),
    Row::new("buffer-full-2s", "socket's buffer is full for 2 s", "transport.send@+5s..+7s=fail:full").borne(
        Some("send_buffer_full"),
        2.0,
        4.0,
    ),
    Row::new("loss", "one packet in twenty vanishes for 3 s", "transport.send@/20+5s..+8s=drop")
        .borne(None, 3.0, 5.0),
    Row::new("too-large", "path takes no packet of this size", "transport.send@1+5s=fail:too_large").ends(
        "datagram_too_large",
        6,
        1.0,
    ),
    Row::new("socket-broken", "socket breaks", "transport.send@1+5s=fail:failed").ends(
        "socket_failed",
        6,
        1.0,
    ),
    Row::new("transport-hang", "sending hangs", "transport.send@1+5s=hang").ends("transport_hung", 6, 4.0),
    Row::new("transport-hang-wait", "waiting for the socket hangs", "transport.wait@1+5s=hang").ends(
        "transport_hung",
        6,
        4.0,
    ),
    Row::new("transport-panic", "sending panics", "transport.send@1+5s=panic").ends("internal_error", 1, 1.0),
    Row::new("receiver-silent", "receiver reports nothing any more", "transport.recv@+5s=drop").ends(
        "rtcp_timeout",
        6,
        17.0,
    ),
    Row::real(
        "server-suspended-5s",
        "receiver's machine hangs for 5 s (SIGSTOP, SIGCONT)",
        Deed::SuspendServerBriefly,
    )
    .borne(None, 8.0, 10.0),
    Row::real("server-suspended", "receiver's machine hangs (SIGSTOP)", Deed::SuspendServer).ends(
        "rtcp_timeout",
        6,
        17.0,
    ),
    Row::real("server-killed", "receiver is killed", Deed::KillServer).ends("connection_lost", 6, 2.0),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_reasons_that_the_documentation_knows() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        let faults: BTreeSet<_> = ROWS.iter().map(|row| row.fault).collect();
        assert_eq!((names.len(), faults.len()), (ROWS.len(), ROWS.len()));
        let page = include_str!("../../../../docs/failures.md");
        for row in ROWS {
            let reason = match row.expect {
                Expect::Repaired { reason, .. } | Expect::Ends { reason, .. } => reason,
                Expect::Borne { reason: Some(reason), .. } => reason,
                _ => continue,
            };
            let documented = page.contains(&format!("### `{reason}`")) || reason == "connection_lost";
            assert!(documented, "{}: {reason}", row.name);
        }
    }
}
