//! The app in its own window, driven as a user drives it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::rig::{ROOM, Rig, Server};
use super::super::viewer::Viewer;
use super::fallback::counted;
use crate::browser::Browser;
use crate::webdriver::App;

const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// What of the screen is compared: a moving desktop in its corner.
const DESKTOP: (u32, u32) = (640, 360);
const PICTURES: usize = 5;

pub(super) fn run(rig: &Rig) -> Result<()> {
    let display = rig.display(1280, 800)?;
    let server = rig.server()?;
    let mut browser = rig.browser()?;
    let viewer = Viewer::open(&mut browser, &server.viewer_url(ROOM)?)?;
    // The app's settings are this run's own.
    let home = rig.file("home");
    std::fs::create_dir_all(&home).context("a folder for the app's settings")?;
    let environment = [("DISPLAY", display.name()), ("XDG_DATA_HOME", path(&home)?), ("GDK_BACKEND", "x11")];
    let app = App::launch(rig.dir(), Path::new(rig.program("yc-tauri-app").get_program()), &environment)?;
    let _other = rig.desktop(display.name(), 5, "400x240+700+500")?;

    refused(&app, &server)?;
    join(&app, &server)?;
    app.wait_for(
        "document.querySelector('.source-card[data-source=\"screen\"] img')?.naturalWidth",
        STEP_TIMEOUT,
    )?;
    app.wait_for("document.querySelectorAll('.source-card[data-source^=window] img').length", STEP_TIMEOUT)?;
    ensure!(
        app.evaluate("document.querySelector('#debug-panel') === null")? == true,
        "the debug panel shows unasked"
    );
    app.screenshot(&rig.figure("app-picker.png"))?;

    // On top of the app's corner, and alone to move.
    let desktop = rig.desktop(display.name(), 30, &format!("{}x{}", DESKTOP.0, DESKTOP.1))?;
    share(&app, "screen")?;
    let matching = matching_pictures(&mut browser, &viewer)?;
    app.wait_for("ycApp.watchers().length === 1", STEP_TIMEOUT)?;
    app.screenshot(&rig.figure("app-sharing.png"))?;
    eprintln!("   app shares its screen: {matching} of {PICTURES} decoded pictures are the captured ones");
    ensure!(matching * 2 > PICTURES, "only {matching} of {PICTURES} pictures are the captured ones");
    stop(&app, &mut browser, &viewer)?;
    drop(desktop);

    window_closed(rig, display.name(), &app, &mut browser, &viewer)?;
    debug_panel(rig, &app, &server)?;
    app.close()?;
    let empty = viewer.wait_for(&mut browser, "ycViewer.shares().length === 0", STEP_TIMEOUT);
    empty.context("the app was closed and the room still has its share").map(drop)
}

/// A token that the server does not take is said in words, and another may be typed.
fn refused(app: &App, server: &Server) -> Result<()> {
    app.wait_for("document.querySelector('#join')", STEP_TIMEOUT)?;
    app.fill("#server", &server.ws)?;
    app.fill("#room", ROOM)?;
    app.fill("#token", "v1.share.1.demo.nonsense")?;
    app.click("#join")?;
    app.wait_for(
        "/token/i.test(document.querySelector('[role=alert]:not([hidden])')?.innerText ?? '')",
        STEP_TIMEOUT,
    )
    .map(drop)
}

fn join(app: &App, server: &Server) -> Result<()> {
    app.wait_for("document.querySelector('#join')", STEP_TIMEOUT)?;
    app.fill("#server", &server.ws)?;
    app.fill("#room", ROOM)?;
    app.fill("#token", &server.token(ROOM, "share")?)?;
    app.fill("#name", "Ada")?;
    app.click("#join").map(drop)
}

fn share(app: &App, source: &str) -> Result<()> {
    let card = format!(".source-card[data-source=\"{source}\"]");
    app.wait_for(&format!("document.querySelector({})", json!(card)), STEP_TIMEOUT)?;
    app.click(&card)?;
    app.click("#share")?;
    app.wait_for("ycApp.state() === 'sharing' && ycApp.path() === 'native'", STEP_TIMEOUT).map(drop)
}

fn stop(app: &App, browser: &mut Browser, viewer: &Viewer) -> Result<()> {
    app.click("#stop")?;
    app.wait_for("ycApp.state() === 'idle'", STEP_TIMEOUT)?;
    viewer.wait_for(browser, "ycViewer.shares().length === 0", STEP_TIMEOUT).map(drop)
}

fn matching_pictures(browser: &mut Browser, viewer: &Viewer) -> Result<usize> {
    viewer.first_picture(browser)?;
    let compared = viewer.compare(browser, DESKTOP, PICTURES)?;
    Ok(compared.iter().filter(|comparison| comparison.matches()).count())
}

/// A window that is closed is the end of its share and no failure.
fn window_closed(rig: &Rig, display: &str, app: &App, browser: &mut Browser, viewer: &Viewer) -> Result<()> {
    let window = rig.desktop(display, 15, "480x270+750+100")?;
    share(app, &format!("window:{}", window.window))?;
    viewer.wait_for(browser, "ycViewer.stats().then((stats) => stats?.framesDecoded)", STEP_TIMEOUT)?;
    drop(window);
    app.wait_for("ycApp.state() === 'idle' && /closed/i.test(document.body.innerText)", STEP_TIMEOUT)?;
    viewer.wait_for(browser, "ycViewer.shares().length === 0", STEP_TIMEOUT)?;
    eprintln!("   app: the shared window was closed, and the app says so");
    Ok(())
}

/// The debug panel of a build for users: only with the setting, and then with figures.
fn debug_panel(rig: &Rig, app: &App, server: &Server) -> Result<()> {
    app.evaluate("localStorage.setItem('yankcord_debug_native_sender', '1')")?;
    app.reload()?;
    join(app, server)?;
    share(app, "screen")?;
    app.wait_for("document.querySelector('#debug-panel')?.innerText.includes('openh264')", STEP_TIMEOUT)?;
    // A few statuses make a graph.
    std::thread::sleep(Duration::from_secs(6));
    app.screenshot(&rig.figure("app-debug.png"))?;
    counted(server, "fallback_triggered", 0)
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
