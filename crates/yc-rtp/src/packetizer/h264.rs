//! H264, packetization mode 1. [RFC 6184](https://www.rfc-editor.org/rfc/rfc6184).

mod annex_b;
mod parameter_sets;

use bytes::Bytes;
use yc_media::{Codec, EncodedFrame};

use self::annex_b::{NalType, NalUnits};
use self::parameter_sets::ParameterSets;
use super::RtpPacketizer;
use crate::{PacketizeError, RtpPayload};

/// Splits H264 access units by packetization mode 1: single NAL units, STAP-A and FU-A, in decoding order.
///
/// - Start codes, access unit delimiters and filler stay behind.
/// - Neighbours that fit into one payload travel as STAP-A, up to [`RtpPayload::INLINE_PARTS`] at a time.
/// - What does not fit is fragmented into FU-As of equal size, parameter sets like anything else.
/// - Every IDR picture has all parameter sets before it: those that the encoder left out since an earlier
///   IDR are put back in.
#[derive(Debug)]
pub struct H264Packetizer {
    nal_units: NalUnits,
    parameter_sets: ParameterSets,
    /// What is to be sent of the present access unit; reused from frame to frame.
    units: Vec<Bytes>,
}

impl H264Packetizer {
    /// The smallest payload limit: an FU-A of one byte.
    pub const LEAST_PAYLOAD: usize = FU_HEADER_LEN + 1;

    /// A packetizer that has seen no parameter set.
    pub fn new() -> Self {
        Self { nal_units: NalUnits::new(), parameter_sets: ParameterSets::default(), units: Vec::new() }
    }

    /// Collects into `units` what is to be sent of `data`.
    fn collect(&mut self, data: &Bytes) -> Result<(), &'static str> {
        self.units.clear();
        for unit in self.nal_units.split(data)? {
            match NalType::of(&unit) {
                NalType::Delimiter | NalType::Filler => {}
                NalType::NotSendable => return Err("a NAL unit of type 0 or 24 to 31"),
                NalType::Idr | NalType::Sps | NalType::Pps | NalType::Other => self.units.push(unit),
            }
        }
        if self.units.is_empty() {
            return Err("no NAL unit but delimiters and filler");
        }
        self.parameter_sets.complete(&mut self.units)
    }
}

impl Default for H264Packetizer {
    fn default() -> Self {
        Self::new()
    }
}

impl RtpPacketizer for H264Packetizer {
    fn packetize(
        &mut self,
        frame: &EncodedFrame,
        max_len: usize,
        out: &mut Vec<RtpPayload>,
    ) -> Result<(), PacketizeError> {
        if frame.codec != Codec::H264 {
            return Err(PacketizeError::WrongCodec { frame: frame.codec, packetizer: Codec::H264 });
        }
        if max_len < Self::LEAST_PAYLOAD {
            return Err(PacketizeError::LimitTooSmall { max_len, least: Self::LEAST_PAYLOAD });
        }
        // The size fields of a STAP-A are 16 bits wide.
        let max_len = max_len.min(usize::from(u16::MAX));
        let collected = self.collect(&frame.data);
        if let Err(reason) = collected {
            self.units.clear();
            return Err(PacketizeError::Malformed { codec: Codec::H264, reason });
        }
        let mut first = 0;
        while let Some(unit) = self.units.get(first) {
            let taken = if unit.len() > max_len {
                fragment(unit, max_len, out);
                1
            } else {
                let together = fitting(&self.units[first..], max_len);
                out.push(aggregate(&self.units[first..first + together]));
                together
            };
            first += taken;
        }
        // Their buffer goes back to its pool as soon as the packets are gone.
        self.units.clear();
        Ok(())
    }
}

/// How many of `units`, from the first on, one payload of `max_len` bytes holds; at least one.
fn fitting(units: &[Bytes], max_len: usize) -> usize {
    let mut len = STAP_HEADER_LEN;
    let fit = units.iter().take(RtpPayload::INLINE_PARTS).take_while(|unit| {
        len += SIZE_FIELD_LEN + unit.len();
        len <= max_len
    });
    fit.count().max(1)
}

/// One unit as it is, or several as one STAP-A.
/// [RFC 6184 §5.7.1](https://www.rfc-editor.org/rfc/rfc6184#section-5.7.1).
fn aggregate(units: &[Bytes]) -> RtpPayload {
    if let [unit] = units {
        return RtpPayload::single(&[], unit.clone());
    }
    let forbidden = units.iter().fold(0, |bit, unit| bit | (unit[0] & F_BIT));
    let importance = units.iter().map(|unit| unit[0] & NRI).max().unwrap_or(0);
    let mut payload = RtpPayload::new();
    for (at, unit) in units.iter().enumerate() {
        let [high, low] = (unit.len() as u16).to_be_bytes();
        let prefix = [forbidden | importance | STAP_A, high, low];
        payload.push(if at == 0 { &prefix } else { &prefix[1..] }, unit.clone());
    }
    payload
}

/// Appends `unit` as two or more FU-As whose sizes differ by one byte at most.
/// [RFC 6184 §5.8](https://www.rfc-editor.org/rfc/rfc6184#section-5.8).
fn fragment(unit: &Bytes, max_len: usize, out: &mut Vec<RtpPayload>) {
    // The header byte travels in the indicator and the FU header.
    let header = unit[0];
    let body = unit.len() - 1;
    let count = body.div_ceil(max_len - FU_HEADER_LEN);
    debug_assert!(count >= 2, "a unit over the limit does not fit into one FU-A");
    let (base, longer) = (body / count, body % count);
    out.reserve(count);
    let mut start = 1;
    for at in 0..count {
        let end = start + base + usize::from(at < longer);
        let position = match at {
            0 => FU_START,
            _ if at + 1 == count => FU_END,
            _ => 0,
        };
        let prefix = [(header & (F_BIT | NRI)) | FU_A, position | (header & TYPE)];
        out.push(RtpPayload::single(&prefix, unit.slice(start..end)));
        start = end;
    }
}

/// forbidden_zero_bit. [RFC 6184 §1.3](https://www.rfc-editor.org/rfc/rfc6184#section-1.3).
const F_BIT: u8 = 0x80;
/// nal_ref_idc.
const NRI: u8 = 0x60;
/// nal_unit_type.
const TYPE: u8 = 0x1f;
/// [RFC 6184 §5.2, table 1](https://www.rfc-editor.org/rfc/rfc6184#section-5.2).
const STAP_A: u8 = 24;
/// [RFC 6184 §5.2, table 1](https://www.rfc-editor.org/rfc/rfc6184#section-5.2).
const FU_A: u8 = 28;
const STAP_HEADER_LEN: usize = 1;
const SIZE_FIELD_LEN: usize = 2;
/// FU indicator and FU header.
const FU_HEADER_LEN: usize = 2;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
