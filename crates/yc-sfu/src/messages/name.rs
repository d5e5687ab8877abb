//! What people call a peer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ErrorBody, excerpt};

/// How others call a peer: 1 to 64 characters, none of them a control character. Two peers may have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerName(String);

impl PeerName {
    /// Most characters of a name.
    pub const MAX_CHARS: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PeerName {
    type Error = ErrorBody;

    fn try_from(text: String) -> Result<Self, ErrorBody> {
        // Not more are counted than matter: the text may be as long as a message.
        let chars = text.chars().take(Self::MAX_CHARS + 1).count();
        if (1..=Self::MAX_CHARS).contains(&chars) && !text.contains(char::is_control) {
            return Ok(Self(text));
        }
        let name = excerpt(&text);
        Err(ErrorBody::bad_message(format!(
            "name {name} is not 1 to 64 characters without control characters"
        )))
    }
}

impl FromStr for PeerName {
    type Err = ErrorBody;

    fn from_str(text: &str) -> Result<Self, ErrorBody> {
        Self::try_from(text.to_owned())
    }
}

impl From<PeerName> for String {
    fn from(name: PeerName) -> Self {
        name.0
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_in_characters_and_have_no_control_characters() {
        for good in ["a", " ", "Zoë 🎥", "x y", &"ü".repeat(64)] {
            assert_eq!(good.parse::<PeerName>().unwrap().as_str(), good);
        }
        for bad in ["", "a\nb", "\u{1b}[31m", "\u{7f}", "\u{9b}m", &"ü".repeat(65)] {
            let message = bad.parse::<PeerName>().unwrap_err().message;
            assert!(message.contains("1 to 64 characters"), "{message}");
        }
        assert!("x".repeat(200_000).parse::<PeerName>().unwrap_err().message.len() < 400);
    }
}
