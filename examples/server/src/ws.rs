//! `GET /ws`: axum's WebSocket as the two halves that the SFU wants.

use std::future::ready;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use yc_sfu::messages::MAX_MESSAGE_BYTES;
use yc_sfu::server::{Incoming, Outgoing};

use crate::app::Shared;

pub(crate) async fn upgrade(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        // Above the protocol's limit, so that what is a little too big can be answered with a close code.
        .max_message_size(4 * MAX_MESSAGE_BYTES)
        .max_frame_size(4 * MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| serve(shared, socket))
}

async fn serve(shared: Shared, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let incoming = stream
        .map(|message| match message {
            Ok(Message::Text(text)) if text.len() > MAX_MESSAGE_BYTES => Some(Incoming::TooBig),
            Ok(Message::Text(text)) => Some(Incoming::Text(text.as_str().to_owned())),
            Ok(Message::Binary(bytes)) if bytes.len() > MAX_MESSAGE_BYTES => Some(Incoming::TooBig),
            Ok(Message::Binary(_)) => Some(Incoming::Binary),
            Ok(Message::Ping(_) | Message::Pong(_)) => Some(Incoming::Alive),
            Ok(Message::Close(_)) | Err(_) => None,
        })
        .take_while(|message| ready(message.is_some()))
        .filter_map(ready);
    let outgoing = sink.with(|message| ready(Ok::<_, axum::Error>(to_axum(message))));
    Arc::clone(&shared.sfu).serve(incoming, outgoing).await;
    drop(shared.socket);
}

fn to_axum(message: Outgoing) -> Message {
    match message {
        Outgoing::Text(text) => Message::text(text),
        Outgoing::Ping => Message::Ping(Vec::new().into()),
        Outgoing::Close(reason) => {
            Message::Close(Some(CloseFrame { code: reason.code(), reason: reason.message().into() }))
        }
    }
}
