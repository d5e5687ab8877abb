//! What there is to capture: the screen, its monitors, the windows on it.

use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::res::{self, ClientIdMask, ClientIdSpec};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, GetGeometryReply, GetWindowAttributesReply, MapState, Window,
    WindowClass,
};
use yc_media::Resolution;

use super::NAME;
use super::display::{Display, failed, lost};
use super::source::{monitor_area, monitors, screen_size};
use crate::{CaptureError, CaptureSource, CaptureTarget, SourceKind};

/// Lists the display that `DISPLAY` names.
pub(super) fn list() -> Result<Vec<CaptureSource>, CaptureError> {
    let display = Display::connect(None)?;
    let size = screen_size(&display)?;
    let mut sources =
        vec![CaptureSource::new(CaptureTarget::Screen, SourceKind::Screen, "Screen".to_owned(), size, NAME)];
    for (index, monitor) in (0..).zip(monitors(&display)?) {
        let area = monitor_area(&monitor);
        let Ok(size) = Resolution::new(area.width, area.height) else { continue };
        let name = atom_name(&display, monitor.name)?;
        let title = if name.is_empty() { format!("Monitor {index}") } else { name };
        sources.push(CaptureSource::new(
            CaptureTarget::Monitor(index),
            SourceKind::Monitor,
            title,
            size,
            NAME,
        ));
    }
    let atoms = Atoms::find(&display).map_err(|error| failed(DOING, error))?;
    for window in windows(&display, &atoms)? {
        // A window may go while it is looked at: then it is not listed.
        if let Some(source) = describe(&display, &atoms, window)? {
            sources.push(source);
        }
    }
    Ok(sources)
}

/// The properties that say something about windows. 0 for those that nobody on this display uses.
struct Atoms {
    client_list: Atom,
    manager: Atom,
    name: Atom,
    pid: Atom,
    utf8: Atom,
    state: Atom,
}

impl Atoms {
    fn find(display: &Display) -> Result<Self, ReplyError> {
        Ok(Self {
            client_list: display.atom("_NET_CLIENT_LIST")?,
            manager: display.atom("_NET_SUPPORTING_WM_CHECK")?,
            name: display.atom("_NET_WM_NAME")?,
            pid: display.atom("_NET_WM_PID")?,
            utf8: display.atom("UTF8_STRING")?,
            state: display.atom("WM_STATE")?,
        })
    }
}

/// The windows of programs: those that the window manager lists, or, without one, those on the screen.
fn windows(display: &Display, atoms: &Atoms) -> Result<Vec<Window>, CaptureError> {
    let root = display.screen().root;
    let listed = property(display, root, atoms.client_list, AtomEnum::WINDOW.into(), MOST_WINDOWS)?;
    if let Some(listed) = listed
        && is_managed(display, atoms)?
    {
        return Ok(listed.as_chunks::<4>().0.iter().map(|id| u32::from_ne_bytes(*id)).collect());
    }
    let mut found = Vec::new();
    for window in children(display, root)? {
        found.push(client_in(display, atoms, window, 2)?.unwrap_or(window));
    }
    Ok(found)
}

/// Whether the window manager that wrote to the root window still runs: then the window that it names
/// there names itself (EWMH, _NET_SUPPORTING_WM_CHECK).
fn is_managed(display: &Display, atoms: &Atoms) -> Result<bool, CaptureError> {
    let named = |window| property(display, window, atoms.manager, AtomEnum::WINDOW.into(), 1);
    let Some(id) = named(display.screen().root)? else { return Ok(false) };
    let Some(window) = id.first_chunk().copied().map(u32::from_ne_bytes) else { return Ok(false) };
    Ok(named(window)? == Some(id))
}

/// The window of the program inside a window manager's frame, which WM_STATE marks.
fn client_in(
    display: &Display,
    atoms: &Atoms,
    window: Window,
    depth: u32,
) -> Result<Option<Window>, CaptureError> {
    if atoms.state == 0 {
        return Ok(None);
    }
    if property(display, window, atoms.state, AtomEnum::ANY.into(), 2)?.is_some() {
        return Ok(Some(window));
    }
    if depth > 0 {
        for child in children(display, window)? {
            if let Some(client) = client_in(display, atoms, child, depth - 1)? {
                return Ok(Some(client));
            }
        }
    }
    Ok(None)
}

fn children(display: &Display, window: Window) -> Result<Vec<Window>, CaptureError> {
    let tree = display.connection.query_tree(window).map_err(|error| lost(DOING, error))?;
    Ok(if_there(tree.reply())?.map(|tree| tree.children).unwrap_or_default())
}

/// A window that a user would pick, or `None`.
fn describe(display: &Display, atoms: &Atoms, window: Window) -> Result<Option<CaptureSource>, CaptureError> {
    let ask = |error: ConnectionError| lost(DOING, error);
    let connection = &display.connection;
    let attributes = connection.get_window_attributes(window).map_err(ask)?;
    let geometry = connection.get_geometry(window).map_err(ask)?;
    let (Some(attributes), Some(geometry)) = (if_there(attributes.reply())?, if_there(geometry.reply())?)
    else {
        return Ok(None);
    };
    if !is_pickable(&attributes, &geometry) || display.check_visual(attributes.visual).is_err() {
        return Ok(None);
    }
    let Ok(size) = Resolution::new(geometry.width.into(), geometry.height.into()) else { return Ok(None) };
    let title = match property(display, window, atoms.name, atoms.utf8, MOST_TITLE)? {
        Some(title) => Some(title),
        None => property(display, window, AtomEnum::WM_NAME.into(), AtomEnum::ANY.into(), MOST_TITLE)?,
    };
    let title = printable(&title.unwrap_or_default());
    let process = process_of(display, atoms, window)?.and_then(process_name);
    let target = CaptureTarget::Window(window.into());
    Ok(Some(CaptureSource::new(target, SourceKind::Window, title, size, NAME).with_process(process)))
}

fn is_pickable(attributes: &GetWindowAttributesReply, geometry: &GetGeometryReply) -> bool {
    attributes.map_state == MapState::VIEWABLE
        && attributes.class == WindowClass::INPUT_OUTPUT
        && !attributes.override_redirect
        && geometry.width >= LEAST_SIDE
        && geometry.height >= LEAST_SIDE
}

/// The process that owns a window: as the server knows it, else as the program says.
fn process_of(display: &Display, atoms: &Atoms, window: Window) -> Result<Option<u32>, CaptureError> {
    if display.client_ids {
        let spec = ClientIdSpec { client: window, mask: ClientIdMask::LOCAL_CLIENT_PID };
        let reply =
            res::query_client_ids(&display.connection, &[spec]).map_err(|error| lost(DOING, error))?.reply();
        let ids = if_there(reply)?.map(|reply| reply.ids).unwrap_or_default();
        if let Some(&pid) = ids.iter().flat_map(|id| &id.value).next() {
            return Ok(Some(pid));
        }
    }
    let pid = property(display, window, atoms.pid, AtomEnum::CARDINAL.into(), 1)?;
    Ok(pid.and_then(|bytes| bytes.first_chunk().copied()).map(u32::from_ne_bytes))
}

/// The name of a running process, by its program file.
fn process_name(pid: u32) -> Option<String> {
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let program = program.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    // Programs of other users hide their file, not their short name.
    program.or_else(|| Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned()))
}

/// A property's bytes, `None` if the window has none of that kind. At most `most` units of 4 bytes.
fn property(
    display: &Display,
    window: Window,
    name: Atom,
    kind: Atom,
    most: u32,
) -> Result<Option<Vec<u8>>, CaptureError> {
    if name == 0 {
        return Ok(None);
    }
    let asked = display
        .connection
        .get_property(false, window, name, kind, 0, most)
        .map_err(|error| lost(DOING, error))?;
    Ok(if_there(asked.reply())?.filter(|reply| reply.type_ != 0).map(|reply| reply.value))
}

fn atom_name(display: &Display, atom: Atom) -> Result<String, CaptureError> {
    if atom == 0 {
        return Ok(String::new());
    }
    let reply = display.connection.get_atom_name(atom).map_err(|error| lost(DOING, error))?.reply();
    Ok(if_there(reply)?.map(|reply| printable(&reply.name)).unwrap_or_default())
}

/// `None` where the server says that what was asked about is not there.
fn if_there<T>(reply: Result<T, ReplyError>) -> Result<Option<T>, CaptureError> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(ReplyError::X11Error(_)) => Ok(None),
        Err(error) => Err(failed(DOING, error)),
    }
}

/// What a program wrote, without what would spoil a terminal or a list.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

const DOING: &str = "listing the windows";
/// Windows with a shorter side, in pixels, are helpers of programs and nothing to share.
const LEAST_SIDE: u16 = 16;
/// The most that is read of a list of windows and of a title, in units of 4 bytes.
const MOST_WINDOWS: u32 = 4096;
const MOST_TITLE: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_what_would_spoil_a_terminal() {
        assert_eq!(printable(b" a\x1b[31mb\nc\0"), "a [31mb c");
        assert_eq!(printable(b"\xff\xc3\xa4"), "\u{fffd}\u{e4}");
    }

    #[test]
    fn our_own_process_has_a_name() {
        assert!(process_name(std::process::id()).unwrap().starts_with("yc_capture"));
        assert_eq!(process_name(u32::MAX), None);
    }
}
