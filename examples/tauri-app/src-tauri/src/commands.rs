//! The commands of the native host as Tauri commands: by the same names, with the same JSON.
//!
//! Each blocks for as long as a driver does, so it runs on a thread that may. An error reaches the page as
//! `{code, message}`, a request that does not fit included: it is read by the host, not by Tauri.

use serde_json::Value;
use tauri::State;
use yc_host::{HostError, NativeHost, dispatch};

type Reply = Result<Value, HostError>;

/// Lists what can be shared.
#[tauri::command]
pub(crate) async fn native_capture_sources(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_sources", request).await
}

/// Takes one small picture of a source.
#[tauri::command]
pub(crate) async fn native_capture_thumbnail(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_thumbnail", request).await
}

/// Opens a source and an encoder, and says what to offer the server.
#[tauri::command]
pub(crate) async fn native_capture_prepare(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_prepare", request).await
}

/// Sends what was prepared to where the server said.
#[tauri::command]
pub(crate) async fn native_capture_start(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_start", request).await
}

/// Stops whatever runs, or is about to.
#[tauri::command]
pub(crate) async fn native_capture_stop(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_stop", request).await
}

/// Tells what runs, and how.
#[tauri::command]
pub(crate) async fn native_capture_status(host: State<'_, NativeHost>, request: Option<Value>) -> Reply {
    run(&host, "native_capture_status", request).await
}

async fn run(host: &NativeHost, command: &'static str, request: Option<Value>) -> Reply {
    let host = host.clone();
    let request = request.unwrap_or_default();
    let work = tauri::async_runtime::spawn_blocking(move || dispatch(&host, command, request));
    // A panic of the host's ends the command, not the app.
    work.await.unwrap_or_else(|error| {
        Err(HostError::new(HostError::INTERNAL_ERROR, format!("{command} did not end well: {error}")))
    })
}
