//! An app that shares a screen natively, and by the browser where that does not work.
//!
//! This side only captures, encodes and sends: `commands.rs` hands the page's commands to `yc-host`. Everything
//! else (the room, what is shown, falling back) is the page's, in `../src`.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;

use tauri::webview::PageLoadEvent;
use tauri::{App, Emitter, Manager, WebviewWindowBuilder, WindowEvent};
use yc_host::{HostConfig, NativeHost};

fn main() {
    yc_host::trust_system_libraries_only().expect("every Windows that has a web view limits where it looks");
    tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![
            commands::native_capture_sources,
            commands::native_capture_thumbnail,
            commands::native_capture_prepare,
            commands::native_capture_start,
            commands::native_capture_stop,
            commands::native_capture_status,
        ])
        .setup(|app| open_window(app).map_err(Into::into))
        .run(tauri::generate_context!())
        .expect("the system's web view is installed");
}

/// Opens the window that tauri.conf.json describes, and gives it the native host.
fn open_window(app: &App) -> tauri::Result<()> {
    let events = app.handle().clone();
    let host = NativeHost::new(HostConfig::default(), move |event| {
        // Fails only when the window is gone, and with it whoever would hear of it.
        let _ = events.emit_to(WINDOW, event.name(), &event);
    });
    app.manage(host.clone());

    let config = app.config().app.windows.iter().find(|window| window.label == WINDOW);
    let config = config.expect("tauri.conf.json describes the window `main`");
    let stopped_by_reload = host.clone();
    let window = WebviewWindowBuilder::from_config(app.handle(), config)?
        // The page's title says whether it shares.
        .on_document_title_changed(|window, title| {
            let _ = window.set_title(&title);
        })
        // A page that is loaded anew knows nothing of a share of the one before it.
        .on_page_load(move |_, load| {
            if load.event() == PageLoadEvent::Started {
                stopped_by_reload.stop();
            }
        })
        .build()?;
    window.on_window_event(move |event| {
        if matches!(event, WindowEvent::Destroyed) {
            host.stop();
        }
    });
    Ok(())
}

/// The label of the only window.
const WINDOW: &str = "main";
