//! Room tokens: `v1.<role>.<expiry>.<room>.<signature>`, see `docs/signalling.md`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::messages::{ErrorBody, ErrorCode, Role, RoomName};

/// The key that room tokens are signed with. Its `Debug` does not show it.
#[derive(Clone)]
pub struct TokenKey {
    bytes: Vec<u8>,
}

impl TokenKey {
    /// Reads 32 to 128 hexadecimal digits: 16 to 64 bytes.
    ///
    /// # Errors
    ///
    /// A sentence with the bounds; the key itself is not in it.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let len = text.len();
        if !(32..=128).contains(&len)
            || !len.is_multiple_of(2)
            || !text.bytes().all(|b| b.is_ascii_hexdigit())
        {
            return Err(format!(
                "a token key is 32 to 128 hexadecimal digits, an even number; not these {len} bytes"
            ));
        }
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("checked above");
        Ok(Self { bytes: (0..len).step_by(2).map(byte).collect() })
    }

    /// 32 bytes of the system's random source.
    ///
    /// # Errors
    ///
    /// If the system has no random source.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self { bytes })
    }

    /// The key as hexadecimal digits: to hand to whoever may make tokens.
    pub fn to_hex(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `text` is this key in hexadecimal, compared in constant time.
    pub fn matches_hex(&self, text: &str) -> bool {
        // Both sides through the MAC: equal exactly if the keys are, whatever their lengths.
        let Ok(other) = Self::from_hex(text) else { return false };
        self.mac(PROOF).verify_slice(&other.mac(PROOF).finalize().into_bytes()).is_ok()
    }

    /// A token that lets its bearer into `room` in `role` for `ttl`.
    pub fn mint(&self, room: &RoomName, role: Role, ttl: Duration, now: SystemTime) -> Token {
        let expires_unix = unix(now).saturating_add(ttl.as_secs());
        let body = format!("{VERSION}.{role}.{expires_unix}.{room}");
        let signature = URL_SAFE_NO_PAD.encode(self.mac(body.as_bytes()).finalize().into_bytes());
        Token { text: format!("{body}.{signature}"), expires_unix }
    }

    /// Whether `token` lets its bearer into `room` in `role`.
    ///
    /// # Errors
    ///
    /// `unauthorized`, with what is wrong but nothing of the token.
    pub fn verify(&self, token: &str, room: &RoomName, role: Role, now: SystemTime) -> Result<(), ErrorBody> {
        let refuse = |message: String| Err(ErrorBody::new(ErrorCode::Unauthorized, message));
        let Some((body, signature)) = token.rsplit_once('.') else {
            return refuse("this is no room token".into());
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return refuse("this is no room token".into());
        };
        // The signature comes first: nothing is told about a token that the server did not make.
        if self.mac(body.as_bytes()).verify_slice(&signature).is_err() {
            return refuse("the token is not signed with this server's key".into());
        }
        let parts: Vec<&str> = body.split('.').collect();
        let [VERSION, token_role, expiry, token_room] = parts[..] else {
            return refuse("the token is of a version that this server does not know".into());
        };
        let (Ok(token_role), Ok(expiry)) = (token_role.parse::<Role>(), expiry.parse::<u64>()) else {
            return refuse("the token is of a version that this server does not know".into());
        };
        let now = unix(now);
        if expiry <= now {
            return refuse(format!("the token expired {} s ago", now - expiry));
        }
        if token_room != room.as_str() {
            return refuse(format!("the token is for another room than {room}"));
        }
        if !token_role.covers(role) {
            return refuse(format!("the token is for role {token_role}, not {role}"));
        }
        Ok(())
    }

    fn mac(&self, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.bytes).expect("HMAC takes keys of any length");
        mac.update(text);
        mac
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey(<{} bytes>)", self.bytes.len())
    }
}

/// A signed room token.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// What `join` takes.
    pub text: String,
    /// When it stops working, in seconds since 1970-01-01T00:00:00Z.
    pub expires_unix: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(expires_unix: {})", self.expires_unix)
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const VERSION: &str = "v1";
const PROOF: &[u8] = b"yc token key";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(unix: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(unix)
    }

    fn key() -> TokenKey {
        TokenKey::from_hex(&"0a".repeat(32)).unwrap()
    }

    fn room(name: &str) -> RoomName {
        name.parse().unwrap()
    }

    fn minted(role: Role) -> String {
        key().mint(&room("demo"), role, Duration::from_secs(60), at(NOW)).text
    }

    fn refused(token: &str, to: &str, role: Role, now: u64) -> String {
        let error = key().verify(token, &room(to), role, at(now)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthorized);
        error.message
    }

    #[test]
    fn a_token_opens_its_room_in_its_role_until_it_expires() {
        let token = minted(Role::Share);
        assert!(token.starts_with("v1.share.1800000060.demo."), "{token}");
        assert_eq!(key().verify(&token, &room("demo"), Role::Share, at(NOW + 59)), Ok(()));
        assert!(refused(&token, "demo", Role::Share, NOW + 60).contains("expired 0 s ago"));
        assert!(refused(&token, "demo2", Role::Share, NOW).contains("another room"));
        assert!(refused(&token, "demo", Role::View, NOW).contains("role share, not view"));
        assert!(refused(&token, "demo", Role::Both, NOW).contains("role share, not both"));
        assert_eq!(key().verify(&minted(Role::Both), &room("demo"), Role::View, at(NOW)), Ok(()));
    }

    #[test]
    fn any_change_to_a_token_is_refused() {
        let token = minted(Role::View);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of the signature has two bits that mean nothing, which decoding refuses.
            refused(&changed, "demo", Role::View, NOW);
        }
        for other in ["", ".", "....", "v1", &token[..token.len() - 1], &format!("{token}A")] {
            refused(other, "demo", Role::View, NOW);
        }
        let stranger = TokenKey::from_hex(&"0b".repeat(32)).unwrap();
        assert!(stranger.verify(&token, &room("demo"), Role::View, at(NOW)).is_err());
    }

    #[test]
    fn a_signed_token_of_another_form_is_refused() {
        for body in [
            "v2.view.1900000000.demo",
            "v1.view.1900000000.demo.more",
            "v1.admin.1900000000.demo",
            "v1.view.x.demo",
        ] {
            let signature = URL_SAFE_NO_PAD.encode(key().mac(body.as_bytes()).finalize().into_bytes());
            let message = refused(&format!("{body}.{signature}"), "demo", Role::View, NOW);
            assert!(message.contains("version"), "{message}");
        }
    }

    #[test]
    fn a_key_is_hexadecimal_of_a_safe_length_and_stays_out_of_logs() {
        let hex = "0a".repeat(32);
        assert_eq!(key().to_hex(), hex);
        assert!(key().matches_hex(&hex) && key().matches_hex(&hex.to_uppercase()));
        assert!(!key().matches_hex(&"0b".repeat(32)) && !key().matches_hex("") && !key().matches_hex("é"));
        assert!(!format!("{:?}", key()).contains("0a"));
        for bad in ["", "0a", &"0a".repeat(65), &"0".repeat(33), &"0g".repeat(16), &"é".repeat(16)] {
            let message = TokenKey::from_hex(bad).unwrap_err();
            assert!(message.contains("32 to 128"), "{message}");
        }
        let (a, b) = (TokenKey::random().unwrap(), TokenKey::random().unwrap());
        assert_ne!(a.to_hex(), b.to_hex());
    }
}
