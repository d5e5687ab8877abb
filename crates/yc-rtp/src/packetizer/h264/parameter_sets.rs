//! Parameter sets before every IDR picture.

use bytes::Bytes;

use super::annex_b::NalType;

/// The parameter sets of the stream so far: what a receiver that starts at an IDR picture needs first.
///
/// Encoders are told to write them before every IDR picture. Those that write them once only are made up
/// for here, since a viewer who joins later would never see a picture, and an SFU takes an H264 key frame
/// for one only by its SPS.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    /// Copies, so that no buffer of the encoder's pool is held back.
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
}

impl ParameterSets {
    /// Puts the sets that `units` lacks before its first IDR slice, and learns those that it has. On an
    /// error `units` is as it was.
    pub(super) fn complete(&mut self, units: &mut Vec<Bytes>) -> Result<(), &'static str> {
        let idr = units.iter().position(|unit| NalType::of(unit) == NalType::Idr);
        // What stands behind the IDR slice comes too late for it.
        let ahead = &units[..idr.unwrap_or(units.len())];
        let has_sps = has(ahead, NalType::Sps);
        let has_pps = has(ahead, NalType::Pps);
        self.learn(ahead);
        if idr.is_none() {
            return Ok(());
        }
        if self.sps.is_empty() || self.pps.is_empty() {
            return Err("an IDR picture whose SPS or PPS was never seen");
        }
        if !has_sps {
            units.splice(0..0, self.sps.iter().cloned());
        }
        if !has_pps {
            let ahead = units.iter().take_while(|unit| NalType::of(unit) != NalType::Idr);
            let sps = ahead.enumerate().filter(|(_, unit)| NalType::of(unit) == NalType::Sps);
            let behind = sps.last().map_or(0, |(at, _)| at + 1);
            units.splice(behind..behind, self.pps.iter().cloned());
        }
        Ok(())
    }

    /// An access unit with an SPS names its kind of set anew; one with PPSs alone adds to what is known.
    fn learn(&mut self, units: &[Bytes]) {
        let of = |wanted| units.iter().filter(move |unit| NalType::of(unit) == wanted);
        if has(units, NalType::Sps) {
            remember(&mut self.sps, of(NalType::Sps));
            if has(units, NalType::Pps) {
                remember(&mut self.pps, of(NalType::Pps));
            }
            return;
        }
        for unit in of(NalType::Pps) {
            match self.pps.iter_mut().find(|known| pps_id(known) == pps_id(unit)) {
                Some(known) if known == unit => {}
                Some(known) => *known = Bytes::copy_from_slice(unit),
                None => self.pps.push(Bytes::copy_from_slice(unit)),
            }
        }
    }
}

fn has(units: &[Bytes], wanted: NalType) -> bool {
    units.iter().any(|unit| NalType::of(unit) == wanted)
}

/// Allocates only when the sets change.
fn remember<'a>(known: &mut Vec<Bytes>, seen: impl Iterator<Item = &'a Bytes> + Clone) {
    if !known.iter().eq(seen.clone()) {
        known.clear();
        known.extend(seen.map(|unit| Bytes::copy_from_slice(unit)));
    }
}

/// pic_parameter_set_id, 0 to 255: the Exp-Golomb number behind the header byte (ITU-T H.264 §7.3.2.2, §9.1).
fn pps_id(unit: &[u8]) -> Option<u32> {
    let mut bits = [0; 4];
    for (bit, byte) in bits.iter_mut().zip(unit.get(1..)?) {
        *bit = *byte;
    }
    let bits = u32::from_be_bytes(bits);
    // 256, the number written for id 255, has nine bits behind eight zeros; so short a run holds no
    // emulation prevention byte.
    let zeros = bits.leading_zeros();
    if zeros > 8 {
        return None;
    }
    let id = ((bits << zeros) >> (31 - zeros)) - 1;
    (id <= 255).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = b"\x67\x42\xc0\x28";
    const SPS_2: &[u8] = b"\x67\x42\xc0\x1f";
    /// Ids 0, 1 and 0 again.
    const PPS: &[u8] = b"\x68\x80";
    const PPS_1: &[u8] = b"\x68\x40";
    const PPS_0_CHANGED: &[u8] = b"\x68\x81";
    const IDR: &[u8] = b"\x65\x88";
    const SLICE: &[u8] = b"\x41\x9a";
    const SEI: &[u8] = b"\x06\x05";

    #[track_caller]
    fn check(known: &mut ParameterSets, units: &[&[u8]], expected: Result<&[&[u8]], &str>) {
        let mut completed = units.iter().map(|unit| Bytes::copy_from_slice(unit)).collect::<Vec<_>>();
        match known.complete(&mut completed) {
            Ok(()) => {
                assert_eq!(Ok(&completed.iter().map(|unit| &unit[..]).collect::<Vec<_>>()[..]), expected)
            }
            Err(reason) => assert_eq!(Err(reason), expected),
        }
    }

    #[test]
    fn a_complete_access_unit_is_left_alone() {
        let mut known = ParameterSets::default();
        for units in [&[SPS, SPS_2, PPS, PPS_1, SEI, IDR, IDR][..], &[SLICE], &[SPS, PPS, IDR]] {
            check(&mut known, units, Ok(units));
        }
    }

    #[test]
    fn an_idr_picture_without_sets_gets_those_of_the_latest_one() {
        let mut known = ParameterSets::default();
        check(&mut known, &[SPS, PPS, IDR], Ok(&[SPS, PPS, IDR]));
        check(&mut known, &[SPS_2, PPS_1, PPS, IDR], Ok(&[SPS_2, PPS_1, PPS, IDR]));
        check(&mut known, &[SLICE], Ok(&[SLICE]));
        check(&mut known, &[SEI, IDR, IDR], Ok(&[SPS_2, PPS_1, PPS, SEI, IDR, IDR]));
        check(&mut known, &[PPS, IDR], Ok(&[SPS_2, PPS, IDR]));
        check(&mut known, &[SPS, SEI, IDR], Ok(&[SPS, PPS_1, PPS, SEI, IDR]));
    }

    #[test]
    fn sets_sent_ahead_of_the_idr_picture_count() {
        let mut known = ParameterSets::default();
        check(&mut known, &[SPS], Ok(&[SPS]));
        check(&mut known, &[PPS, SLICE], Ok(&[PPS, SLICE]));
        check(&mut known, &[PPS_1], Ok(&[PPS_1]));
        check(&mut known, &[PPS_0_CHANGED], Ok(&[PPS_0_CHANGED]));
        check(&mut known, &[IDR], Ok(&[SPS, PPS_0_CHANGED, PPS_1, IDR]));
        check(&mut known, &[SPS_2, IDR], Ok(&[SPS_2, PPS_0_CHANGED, PPS_1, IDR]));
    }

    #[test]
    fn an_idr_picture_that_nobody_can_decode_is_refused() {
        let mut known = ParameterSets::default();
        let never = Err("an IDR picture whose SPS or PPS was never seen");
        check(&mut known, &[IDR], never);
        check(&mut known, &[IDR, SPS, PPS], never);
        check(&mut known, &[PPS, IDR], never);
        check(&mut known, &[SPS, IDR], Ok(&[SPS, PPS, IDR]));
        check(&mut known, &[IDR, SPS_2, PPS_1], Ok(&[SPS, PPS, IDR, SPS_2, PPS_1]));
    }

    #[test]
    fn pps_ids_are_exp_golomb_numbers() {
        for (unit, id) in [
            (&b"\x68\x80"[..], Some(0)),
            (b"\x68\x40", Some(1)),
            (b"\x68\x60", Some(2)),
            (b"\x68\x00\x80\x00", Some(255)),
            (b"\x68\x00\x80\x80", None), // 256
            (b"\x68", None),
            (b"\x68\x00\x00\x00\x00", None),
            (b"", None),
        ] {
            assert_eq!(pps_id(unit), id, "{unit:x?}");
        }
    }
}
