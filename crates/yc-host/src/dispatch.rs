//! Commands by their names.

use serde::Serialize;
use serde_json::Value;

use crate::request::{cut, read};
use crate::{HostError, NativeHost};

/// The names of all commands.
pub const COMMANDS: &[&str] = &[
    "native_capture_sources",
    "native_capture_thumbnail",
    "native_capture_prepare",
    "native_capture_start",
    "native_capture_stop",
    "native_capture_status",
];

/// Carries out `command` with `data`, an object or null, and answers with its reply. Blocks as the methods of
/// [`NativeHost`] do.
///
/// # Errors
///
/// [`HostError::BAD_REQUEST`] for a command that is not known and for data that does not fit; else as the method
/// of the command.
pub fn dispatch(host: &NativeHost, command: &str, data: Value) -> Result<Value, HostError> {
    match command {
        "native_capture_sources" => reply(host.sources(read(data)?)?),
        "native_capture_thumbnail" => reply(host.thumbnail(read(data)?)?),
        "native_capture_prepare" => reply(host.prepare(read(data)?)?),
        "native_capture_start" => reply(host.start(read(data)?)?),
        "native_capture_stop" => reply(host.stop()),
        "native_capture_status" => reply(host.status()),
        unknown => Err(HostError::bad_request(format!(
            "command {:?} is not one of {}",
            cut(unknown),
            COMMANDS.join(", ")
        ))),
    }
}

fn reply(reply: impl Serialize) -> Result<Value, HostError> {
    serde_json::to_value(reply).map_err(HostError::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::HostConfig;

    #[test]
    fn every_command_is_known_and_no_other() {
        let host = NativeHost::new(HostConfig::default(), |_| {});
        for command in COMMANDS {
            // An empty request suits some of them and not others; none of them is unknown.
            let answer = dispatch(&host, command, Value::Null);
            let unknown = answer.is_err_and(|error| error.message.contains("is not one of native_"));
            assert!(!unknown, "{command}");
        }
        let error = dispatch(&host, "native_capture_begin", json!({})).unwrap_err();
        assert_eq!(error.code, HostError::BAD_REQUEST);
        assert!(error.message.contains("\"native_capture_begin\" is not one of native_capture_sources, "));
    }
}
