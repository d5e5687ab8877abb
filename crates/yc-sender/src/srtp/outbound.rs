//! What goes out: SRTP and SRTCP.

use super::cipher::{RTCP_HEADER_LEN, SessionCipher};
use super::{SrtpError, SrtpErrorKind, SrtpMasterKey};

/// Protects what we send.
#[derive(Debug)]
pub(super) struct Outbound {
    rtp: SessionCipher,
    rtcp: SessionCipher,
    streams: Vec<Stream>,
}

/// One SSRC of ours: media, or its retransmission.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    packets: Option<SentPackets>,
    /// The index of the next RTCP datagram.
    next_rtcp: u32,
}

impl Outbound {
    /// With `key`.
    pub(super) fn new(key: &SrtpMasterKey) -> Self {
        Self::with_ciphers(SessionCipher::rtp(key), SessionCipher::rtcp(key))
    }

    pub(super) fn with_ciphers(rtp: SessionCipher, rtcp: SessionCipher) -> Self {
        Self { rtp, rtcp, streams: Vec::with_capacity(MOST_STREAMS) }
    }

    /// Protects an RTP packet in place. Its header, with sources and extensions, stays in the clear and is
    /// authenticated.
    ///
    /// A packet that was sent before may be sent again, as it was: its protected form is the same. After an error the
    /// packet must not leave.
    ///
    /// # Errors
    ///
    /// `Malformed` for what is no RTP; `Replayed` for a packet that has the index of another one that was sent, or of
    /// one so old that it cannot be told; `Exhausted` after 2^48 packets of one SSRC, and for a ninth SSRC.
    pub(super) fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let header_len = rtp_header_len(packet)
            .ok_or_else(|| SrtpError::new(SrtpErrorKind::Malformed, "it is no RTP packet"))?;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        let stream = stream(&mut self.streams, ssrc)?;
        let sent = stream.packets.get_or_insert_with(|| SentPackets::from(sequence.into()));
        let index = sent.index_of(sequence)?;
        let plain_len = packet.len();
        self.rtp.seal_rtp(packet, header_len, ssrc, index);
        sent.note(index, &packet[plain_len..])
    }

    /// Protects an RTCP compound in place.
    ///
    /// # Errors
    ///
    /// `Malformed` for what is no RTCP; `Exhausted` after 2^31 datagrams of one SSRC, and for a ninth SSRC.
    pub(super) fn seal_rtcp(&mut self, datagram: &mut Vec<u8>) -> Result<(), SrtpError> {
        if datagram.len() < RTCP_HEADER_LEN || datagram[0] >> 6 != 2 {
            return Err(SrtpError::new(SrtpErrorKind::Malformed, "it is no RTCP"));
        }
        let ssrc = u32::from_be_bytes([datagram[4], datagram[5], datagram[6], datagram[7]]);
        let stream = stream(&mut self.streams, ssrc)?;
        let index = stream.next_rtcp;
        if index > LAST_RTCP_INDEX {
            return Err(SrtpError::new(SrtpErrorKind::Exhausted, "it has protected 2^31 RTCP datagrams"));
        }
        stream.next_rtcp += 1;
        self.rtcp.seal_rtcp(datagram, ssrc, index);
        Ok(())
    }

    /// Goes on from here, as if everything before had been sent.
    #[cfg(test)]
    pub(super) fn go_on_from(&mut self, ssrc: u32, rtp_index: u64, rtcp_index: u32) {
        let stream = stream(&mut self.streams, ssrc).unwrap();
        (stream.packets, stream.next_rtcp) = (Some(SentPackets::from(rtp_index)), rtcp_index);
    }
}

fn stream(streams: &mut Vec<Stream>, ssrc: u32) -> Result<&mut Stream, SrtpError> {
    match streams.iter().position(|stream| stream.ssrc == ssrc) {
        Some(at) => Ok(&mut streams[at]),
        None if streams.len() == MOST_STREAMS => {
            Err(SrtpError::new(SrtpErrorKind::Exhausted, "8 SSRCs are sent, as many as are kept apart"))
        }
        None => {
            streams.push(Stream { ssrc, packets: None, next_rtcp: 0 });
            Ok(streams.last_mut().expect("one was just added"))
        }
    }
}

/// The packets of one SSRC that were sent last, by their indices.
///
/// Two packets under one index are what no suite bears: AES-GCM gives away the key that it authenticates with, and
/// counter mode the difference of the two. So a packet that is sent again must be the same, byte by byte, and its
/// tag tells that.
#[derive(Debug)]
struct SentPackets {
    /// Rollover counter and sequence number of the latest packet.
    highest: u64,
    /// The beginning of each one's tag, by its index modulo their number; 0 where none was sent.
    tags: Box<[u64]>,
}

impl SentPackets {
    /// None yet; the first will be `index`.
    fn from(index: u64) -> Self {
        Self { highest: index, tags: vec![0; REMEMBERED].into_boxed_slice() }
    }

    /// The index of the packet with this sequence number, as a receiver estimates it: the one that is nearest to the
    /// latest. [RFC 3711 §3.3.1](https://www.rfc-editor.org/rfc/rfc3711#section-3.3.1).
    fn index_of(&self, sequence: u16) -> Result<u64, SrtpError> {
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        let index = self.highest.checked_add_signed(ahead.into()).filter(|index| {
            // What is older is not remembered, so that nobody knows whether it was sent.
            index + REMEMBERED as u64 > self.highest
        });
        match index {
            None => Err(SrtpError::new(SrtpErrorKind::Replayed, "it is too old to be sent again")),
            Some(index) if index > LAST_RTP_INDEX => {
                Err(SrtpError::new(SrtpErrorKind::Exhausted, "it has protected 2^48 packets"))
            }
            Some(index) => Ok(index),
        }
    }

    /// The packet of `index` got this tag.
    fn note(&mut self, index: u64, tag: &[u8]) -> Result<(), SrtpError> {
        let newer = index.saturating_sub(self.highest).min(REMEMBERED as u64);
        for skipped in 0..newer {
            self.tags[slot(index - skipped)] = 0;
        }
        self.highest = self.highest.max(index);
        let tag = tag.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)).max(1);
        let before = &mut self.tags[slot(index)];
        if *before != 0 && *before != tag {
            return Err(SrtpError::new(SrtpErrorKind::Replayed, "another packet was sent under its index"));
        }
        *before = tag;
        Ok(())
    }
}

fn slot(index: u64) -> usize {
    (index % REMEMBERED as u64) as usize
}

/// The length of an RTP packet's header with its sources and extensions, if it is one.
/// [RFC 3550 §5.1](https://www.rfc-editor.org/rfc/rfc3550#section-5.1).
fn rtp_header_len(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut len = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (len <= packet.len()).then_some(len)
}

/// A share sends as two SSRCs.
const MOST_STREAMS: usize = 8;
/// How many packets of an SSRC are remembered: more than anybody keeps to send them again.
pub(super) const REMEMBERED: usize = 4_096;
/// [RFC 3711 §9.2](https://www.rfc-editor.org/rfc/rfc3711#section-9.2).
pub(super) const LAST_RTP_INDEX: u64 = (1 << 48) - 1;
/// [RFC 3711 §9.2](https://www.rfc-editor.org/rfc/rfc3711#section-9.2).
pub(super) const LAST_RTCP_INDEX: u32 = (1 << 31) - 1;
