//! Which packets were received already.

/// The latest indices of one stream, [RFC 3711 §3.3.2](https://www.rfc-editor.org/rfc/rfc3711#section-3.3.2).
#[derive(Debug, Default)]
pub(super) struct ReplayWindow {
    /// The highest index so far; none before the first.
    highest: Option<u32>,
    /// Bit n: whether the index n below the highest was there.
    seen: u128,
}

impl ReplayWindow {
    /// Takes note of an authentic packet of `index`. Answers whether it is the first of it: what is too old to tell
    /// is not. A sender that comes to the end of its indices must stop, so that none begins anew.
    pub(super) fn accept(&mut self, index: u32) -> bool {
        let Some(highest) = self.highest else {
            (self.highest, self.seen) = (Some(index), 1);
            return true;
        };
        if index > highest {
            self.seen = self.seen.checked_shl(index - highest).unwrap_or(0) | 1;
            self.highest = Some(index);
            return true;
        }
        let age = highest - index;
        if age >= WINDOW {
            return false;
        }
        let bit = 1 << age;
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }
}

/// At least 64 (RFC 3711 §3.3.2).
pub(super) const WINDOW: u32 = u128::BITS;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_index_passes_once_in_any_order_and_none_that_is_too_old() {
        let mut window = ReplayWindow::default();
        for (index, passes) in [
            (1_000, true),
            (1_000, false),
            (1_002, true),
            (1_001, true),
            (1_001, false),
            (1_002 - WINDOW, false),
            (1_003 - WINDOW, true),
            (1_003 - WINDOW, false),
            (1_000_000, true),
            (1_002, false),
            (999_999, true),
        ] {
            assert_eq!(window.accept(index), passes, "{index}");
        }
    }

    #[test]
    fn after_the_last_index_none_begins_anew() {
        let mut window = ReplayWindow::default();
        assert!(window.accept((1 << 31) - 1));
        assert!(!window.accept(0));
        assert!(!window.accept(1));
        assert!(window.accept((1 << 31) - 2));
    }

    proptest! {
        #[test]
        fn it_answers_as_a_set_of_everything_would(steps in proptest::collection::vec(0_u32..400, 1..200)) {
            let (mut window, mut all, mut highest) = (ReplayWindow::default(), HashSet::new(), 0);
            for index in steps {
                let told = window.accept(index);
                highest = highest.max(index);
                let fresh = highest - index < WINDOW && all.insert(index);
                prop_assert_eq!(told, fresh, "{}", index);
            }
        }
    }
}
