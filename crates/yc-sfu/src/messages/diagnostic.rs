//! `client_diagnostic`: something that happened in a client.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{ErrorBody, excerpt};

/// `client_diagnostic`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "made field by field by clients; a new field is a new version")]
pub struct ClientDiagnostic {
    /// Kind of event: 1 to 64 characters of `a–z 0–9 _`.
    pub class: String,
    /// Stable code: 1 to 64 characters of `a–z 0–9 _`.
    #[serde(default)]
    pub reason_code: Option<String>,
    /// Encoder in use, at most 64 bytes.
    #[serde(default)]
    pub encoder_backend: Option<String>,
    /// Level of the degradation ladder, 0 to 3; 0 holds nothing back.
    #[serde(default, deserialize_with = "level", skip_serializing_if = "Option::is_none")]
    pub degradation_level: Option<u8>,
    /// Versions of what took part, by name: up to 8; names of 1 to 32 characters of `a–z 0–9 _`, values of 1 to
    /// 64 characters without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<BTreeMap<String, String>>,
    /// Anything more, at most 4096 bytes as JSON.
    #[serde(default)]
    pub detail: Value,
}

impl ClientDiagnostic {
    /// The classes that are counted by name; others count as `other`.
    pub const CLASSES: [&'static str; 7] = [
        "sender_started",
        "sender_stopped",
        "encode_error",
        "transport_error",
        "fallback_triggered",
        "fallback_completed",
        "negotiation_failed",
    ];

    /// Highest level of the degradation ladder.
    pub const MAX_LEVEL: u8 = 3;

    /// Most entries of [`ClientDiagnostic::versions`].
    pub const MAX_VERSIONS: usize = 8;

    /// A diagnostic of a class alone.
    pub fn new(class: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            reason_code: None,
            encoder_backend: None,
            degradation_level: None,
            versions: None,
            detail: Value::Null,
        }
    }

    /// # Errors
    ///
    /// `bad_message`, naming the field that is out of its bounds.
    pub fn validate(&self) -> Result<(), ErrorBody> {
        name("class", &self.class, 64)?;
        self.reason_code.as_deref().map_or(Ok(()), |code| name("reason_code", code, 64))?;
        let backend = self.encoder_backend.as_ref().map_or(0, String::len);
        if backend > 64 {
            return refuse(format!("encoder_backend has {backend} bytes, more than 64"));
        }
        if let Some(level) = self.degradation_level.filter(|level| *level > Self::MAX_LEVEL) {
            return refuse(format!(
                "degradation_level {level} is not an integer from 0 to {}",
                Self::MAX_LEVEL
            ));
        }
        let versions = self.versions.as_ref().map_or(0, BTreeMap::len);
        if versions > Self::MAX_VERSIONS {
            return refuse(format!("versions has {versions} entries, more than {}", Self::MAX_VERSIONS));
        }
        for (key, value) in self.versions.iter().flatten() {
            name("versions: key", key, 32)?;
            let chars = value.chars().take(65).count();
            if !(1..=64).contains(&chars) || value.contains(char::is_control) {
                let value = excerpt(value);
                return refuse(format!("versions.{key} {value} is not 1 to 64 printable characters"));
            }
        }
        let detail = self.detail.to_string().len();
        if detail > 4096 {
            return refuse(format!("detail has {detail} bytes, more than 4096"));
        }
        Ok(())
    }
}

fn refuse(message: String) -> Result<(), ErrorBody> {
    Err(ErrorBody::bad_message(message))
}

fn name(field: &str, text: &str, most: usize) -> Result<(), ErrorBody> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if (1..=most).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    refuse(format!("{field} {} is not 1 to {most} characters of a-z 0-9 _", excerpt(text)))
}

/// A level whose refusal names its bounds, whatever is in its place.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if value.is_null() {
        return Ok(None);
    }
    let most = ClientDiagnostic::MAX_LEVEL;
    let level = value.as_u64().and_then(|level| u8::try_from(level).ok()).filter(|level| *level <= most);
    let refused = || {
        let value = if value.is_number() { value.to_string() } else { excerpt(&value.to_string()) };
        serde::de::Error::custom(format!("degradation_level {value} is not an integer from 0 to {most}"))
    };
    level.map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::messages::Action;

    fn versions<const N: usize>(entries: [(&str, &str); N]) -> Option<BTreeMap<String, String>> {
        Some(entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn a_diagnostic_out_of_bounds_is_refused_by_field() {
        let diagnostic = ClientDiagnostic::new("encode_error");
        let with = |change: fn(&mut ClientDiagnostic)| {
            let mut changed = diagnostic.clone();
            change(&mut changed);
            changed
        };
        for good in [
            diagnostic.clone(),
            with(|d| d.degradation_level = Some(3)),
            with(|d| d.versions = versions([("yc_host", "0.1.0"), ("browser", "Chromium 131 (Linux) é")])),
            with(|d| d.versions = versions([])),
        ] {
            assert_eq!(good.validate(), Ok(()));
        }
        for (broken, field) in [
            (with(|d| d.class = "Encode Error".into()), "class"),
            (with(|d| d.class = String::new()), "class"),
            (with(|d| d.reason_code = Some("é".into())), "reason_code"),
            (with(|d| d.encoder_backend = Some("x".repeat(65))), "encoder_backend"),
            (with(|d| d.degradation_level = Some(4)), "degradation_level 4 is not an integer from 0 to 3"),
            (
                with(|d| d.versions = Some((0..9).map(|n| (format!("k{n}"), "1".into())).collect())),
                "versions has 9",
            ),
            (with(|d| d.versions = versions([("", "1")])), "versions: key \"\""),
            (with(|d| d.versions = versions([("Yc", "1")])), "versions: key \"Yc\""),
            (with(|d| d.versions = Some([("k".repeat(33), "1".into())].into())), "versions: key"),
            (with(|d| d.versions = versions([("k", "")])), "versions.k \"\""),
            (with(|d| d.versions = versions([("k", "1\n2")])), "versions.k \"1\\n2\""),
            (with(|d| d.versions = Some([("k".into(), "1".repeat(65))].into())), "versions.k"),
            (with(|d| d.detail = json!("x".repeat(4095))), "detail"),
        ] {
            let message = broken.validate().unwrap_err().message;
            assert!(message.starts_with(field), "{message}");
            assert!(message.len() < 300, "{message}");
        }
    }

    #[test]
    fn what_is_no_level_or_version_is_named_with_its_bounds() {
        let read = |field: &str, value: Value| {
            crate::messages::Request::parse(
                &json!({"id": 1, "action": "client_diagnostic", "data": {"class": "x", field: value}})
                    .to_string(),
            )
        };
        for bad in [json!(4), json!(-1), json!(1.5), json!("1"), json!(256)] {
            let message = read("degradation_level", bad.clone()).unwrap_err().error.message;
            assert!(
                message.contains("data.degradation_level: ") && message.contains("from 0 to 3"),
                "{message}"
            );
        }
        for bad in [json!(4), json!([]), json!({"a": 1}), json!({"a": null})] {
            let message = read("versions", bad).unwrap_err().error.message;
            assert!(message.contains("data.versions"), "{message}");
        }
        for (level, versions) in [(Value::Null, Value::Null), (json!(0), json!({"yc_host": "0.1.0"}))] {
            assert!(read("degradation_level", level).is_ok());
            let Action::ClientDiagnostic(read) = read("versions", versions.clone()).unwrap().action else {
                panic!("another action")
            };
            assert_eq!(json!(read.versions), versions);
        }
    }
}
