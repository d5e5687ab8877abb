//! Full intra request. [RFC 5104 §4.3.1](https://www.rfc-editor.org/rfc/rfc5104#section-4.3.1).

use std::collections::VecDeque;

use webrtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;

use crate::FeedbackEvent;

/// The last command of each pair of asker and stream.
///
/// Commands are repeated until the key frame arrives; a repeat has the sequence number of its command
/// ([RFC 5104 §4.3.1.1](https://www.rfc-editor.org/rfc/rfc5104#section-4.3.1.1)) and asks for nothing new.
#[derive(Debug, Default)]
pub(super) struct FirHistory {
    /// Asker, stream, sequence number; the pair heard of longest ago first.
    commands: VecDeque<(u32, u32, u8)>,
}

/// What became of the entries of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FirTally {
    pub(super) repeats: u64,
    pub(super) foreign: u64,
}

impl FirHistory {
    pub(super) fn read(
        &mut self,
        packet: &FullIntraRequest,
        is_ours: impl Fn(u32) -> bool,
        on_event: &mut dyn FnMut(FeedbackEvent),
    ) -> FirTally {
        let mut tally = FirTally::default();
        for entry in &packet.fir {
            if !is_ours(entry.ssrc) {
                tally.foreign += 1;
            } else if self.is_new(packet.sender_ssrc, entry.ssrc, entry.sequence_number) {
                on_event(FeedbackEvent::KeyframeWanted { ssrc: entry.ssrc, fir: true });
            } else {
                tally.repeats += 1;
            }
        }
        tally
    }

    fn is_new(&mut self, asker: u32, stream: u32, sequence: u8) -> bool {
        let known = self.commands.iter().position(|&(a, s, _)| (a, s) == (asker, stream));
        let last = known.and_then(|at| self.commands.remove(at));
        if last.is_none() && self.commands.len() == MAX_PAIRS {
            // Whoever invents askers pushes out old ones, and nothing grows.
            self.commands.pop_front();
        }
        self.commands.push_back((asker, stream, sequence));
        last.is_none_or(|(_, _, last)| last != sequence)
    }
}

/// FMT of FIR.
pub(super) const FORMAT: u8 = 4;

const MAX_PAIRS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_has_the_sequence_number_of_its_command() {
        let mut history = FirHistory::default();
        assert!(history.is_new(1, 10, 0));
        assert!(!history.is_new(1, 10, 0));
        assert!(history.is_new(2, 10, 0), "another asker counts for itself");
        assert!(history.is_new(1, 11, 0), "so does another stream");
        assert!(history.is_new(1, 10, 1));
        assert!(!history.is_new(1, 10, 1));
        assert!(history.is_new(1, 10, 255));
        assert!(history.is_new(1, 10, 0), "the number wraps");
    }

    #[test]
    fn invented_askers_do_not_make_it_grow() {
        let mut history = FirHistory::default();
        for asker in 0..10_000 {
            assert!(history.is_new(asker, 10, 3));
            assert!(history.commands.len() <= MAX_PAIRS);
        }
        assert!(!history.is_new(9_999, 10, 3), "the latest is still known");
    }
}
