//! `POST /api/rooms/{room}/tokens`: room tokens for whoever has the server's key.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use yc_sfu::messages::{Role, RoomName};

use crate::app::Shared;

#[derive(Deserialize)]
#[serde(default)]
struct Wanted {
    role: Role,
    ttl_seconds: u64,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { role: Role::View, ttl_seconds: 3600 }
    }
}

pub(crate) async fn mint(
    State(shared): State<Shared>,
    Path(room): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let refuse = |status, code: &str, message: String| {
        (status, Json(json!({ "error": { "code": code, "message": message } })))
    };
    let key = shared.sfu.token_key();
    let bearer =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if !bearer.is_some_and(|hex| key.matches_hex(hex.trim())) {
        let message = "Authorization must be Bearer and the server's token key in hex".to_owned();
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized", message);
    }
    let room: RoomName = match room.parse() {
        Ok(room) => room,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "bad_request", error.message),
    };
    let wanted = if body.is_empty() { Ok(Wanted::default()) } else { serde_json::from_slice(&body) };
    let Wanted { role, ttl_seconds } = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "bad_request", error.to_string()),
    };
    if !(1..=2_592_000).contains(&ttl_seconds) {
        let message = format!("ttl_seconds {ttl_seconds} is not 1 to 2592000");
        return refuse(StatusCode::BAD_REQUEST, "bad_request", message);
    }
    let token = key.mint(&room, role, Duration::from_secs(ttl_seconds), SystemTime::now());
    let reply =
        json!({ "token": token.text, "room": room, "role": role, "expires_unix": token.expires_unix });
    (StatusCode::OK, Json(reply))
}
