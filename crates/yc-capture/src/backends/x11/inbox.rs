//! What the server told that has not been acted upon yet.

use x11rb::connection::Connection;
use x11rb::connection::SequenceNumber;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{Rectangle, Window};

use super::display::{Display, lost};
use crate::CaptureError;

/// The events of one capture, sorted into what they ask for.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// What was drawn to, in the drawable's coordinates, and after which of our requests.
    pub(super) damage: Vec<(SequenceNumber, Rectangle)>,
    /// Something about the source, other than its pixels, may have changed.
    pub(super) source_changed: bool,
    /// The window's picture lies in new memory of the server.
    pub(super) picture_moved: bool,
    /// The cursor has a new shape.
    pub(super) cursor_changed: bool,
    /// The captured window as it is known, to tell a move from a resize.
    pub(super) window: Option<WindowShape>,
}

/// A window's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WindowShape {
    pub(super) id: Window,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) border: u16,
}

impl Inbox {
    /// Takes in every event that has arrived, without waiting.
    pub(super) fn drain(&mut self, display: &Display) -> Result<(), CaptureError> {
        let next = || {
            display
                .connection
                .poll_for_event_with_sequence()
                .map_err(|error| lost("reading events of the display", error))
        };
        while let Some((event, sequence)) = next()? {
            self.take(event, sequence);
        }
        Ok(())
    }

    fn take(&mut self, event: Event, sequence: SequenceNumber) {
        match event {
            Event::DamageNotify(event) => self.damage.push((sequence, event.area)),
            Event::XfixesCursorNotify(_) => self.cursor_changed = true,
            Event::ConfigureNotify(event) => {
                let now = WindowShape {
                    id: event.window,
                    width: event.width,
                    height: event.height,
                    border: event.border_width,
                };
                match self.window {
                    Some(known) if known == now => {}
                    Some(known) if known.id == now.id => {
                        self.source_changed = true;
                        self.picture_moved = true;
                    }
                    Some(_) => {}
                    None => self.source_changed = true,
                }
            }
            Event::UnmapNotify(_) | Event::MapNotify(_) | Event::ReparentNotify(_) => {
                self.source_changed = true;
                self.picture_moved = true;
            }
            Event::DestroyNotify(_) | Event::RandrScreenChangeNotify(_) | Event::RandrNotify(_) => {
                self.source_changed = true;
            }
            // A request on a window that has just gone: what follows finds out by itself.
            Event::Error(error) => tracing::trace!(?error, "the display refused a request"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use x11rb::protocol::xproto::{CONFIGURE_NOTIFY_EVENT, ConfigureNotifyEvent};

    use super::*;

    fn configured(inbox: &mut Inbox, id: Window, width: u16) {
        let event = ConfigureNotifyEvent {
            response_type: CONFIGURE_NOTIFY_EVENT,
            sequence: 0,
            event: id,
            window: id,
            above_sibling: 0,
            x: 5,
            y: 5,
            width,
            height: 20,
            border_width: 0,
            override_redirect: false,
        };
        inbox.take(Event::ConfigureNotify(event), 1);
    }

    #[test]
    fn a_moved_window_is_no_change_and_a_resized_one_is() {
        let window = Some(WindowShape { id: 7, width: 30, height: 20, border: 0 });
        let mut inbox = Inbox { window, ..Inbox::default() };
        configured(&mut inbox, 7, 30);
        configured(&mut inbox, 8, 99);
        assert!(!inbox.source_changed && !inbox.picture_moved);
        configured(&mut inbox, 7, 31);
        // And back again: its picture lies elsewhere all the same.
        configured(&mut inbox, 7, 30);
        assert!(inbox.source_changed && inbox.picture_moved);
    }
}
