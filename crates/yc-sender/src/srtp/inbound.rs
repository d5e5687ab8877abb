//! What comes in: SRTCP.

use super::cipher::SessionCipher;
use super::replay::ReplayWindow;
use super::{SrtpError, SrtpErrorKind, SrtpMasterKey};

/// Lets through what the receiver protected, once.
#[derive(Debug)]
pub(super) struct Inbound {
    rtcp: SessionCipher,
    /// By the SSRC that sent it, which is authentic.
    streams: Vec<(u32, ReplayWindow)>,
}

impl Inbound {
    /// Of what is protected with `key`.
    pub(super) fn new(key: &SrtpMasterKey) -> Self {
        Self::with_cipher(SessionCipher::rtcp(key))
    }

    pub(super) fn with_cipher(rtcp: SessionCipher) -> Self {
        Self { rtcp, streams: Vec::with_capacity(MOST_STREAMS) }
    }

    /// Opens an SRTCP datagram in place and answers with the length of the RTCP in it. What was refused is not fit
    /// to be read.
    ///
    /// # Errors
    ///
    /// `Malformed` for what cannot be SRTCP, `AuthenticationFailed`, `Replayed`, and `Exhausted` for a sender after the
    /// 16th.
    pub(super) fn open_rtcp(&mut self, datagram: &mut [u8]) -> Result<usize, SrtpError> {
        let (len, index) = self.rtcp.open_rtcp(datagram)?;
        let ssrc = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        let window = match self.streams.iter_mut().position(|(known, _)| *known == ssrc) {
            Some(at) => &mut self.streams[at].1,
            None if self.streams.len() < MOST_STREAMS => {
                self.streams.push((ssrc, ReplayWindow::default()));
                let last = self.streams.last_mut();
                &mut last.expect("one was just added").1
            }
            None => {
                let why = "16 others send RTCP, as many as are kept apart";
                return Err(SrtpError::new(SrtpErrorKind::Exhausted, why));
            }
        };
        if !window.accept(index) {
            return Err(SrtpError::new(
                SrtpErrorKind::Replayed,
                "its index was there, or is too old to tell",
            ));
        }
        Ok(len)
    }
}

/// A receiver sends as one SSRC, or a few. No one that was forgotten could be told from a repeat.
const MOST_STREAMS: usize = 16;
