//! Reads an SPS as a receiver does. [ITU-T H.264 §7.3.2.1.1](https://www.itu.int/rec/T-REC-H.264), Annex E.

/// What the tests ask of an SPS of the baseline profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) profile_idc: u8,
    pub(crate) constraints: u8,
    pub(crate) level_idc: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) reference_frames: u32,
    pub(crate) colour: Option<Colour>,
    pub(crate) square_pixels: bool,
}

/// The video signal type of the VUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour {
    pub(crate) full_range: bool,
    pub(crate) primaries: u32,
    pub(crate) transfer: u32,
    pub(crate) matrix: u32,
}

impl Sps {
    /// `nal` is an SPS of profile 66 with its header byte.
    pub(crate) fn read(nal: &[u8]) -> Self {
        assert_eq!(nal[0] & 0x1f, 7, "not an SPS");
        let mut rbsp = Vec::new();
        for &byte in &nal[1..] {
            if !(byte == 3 && rbsp.ends_with(&[0, 0])) {
                rbsp.push(byte);
            }
        }
        let mut bits = Bits { bytes: &rbsp, at: 0 };
        let (profile_idc, constraints, level_idc) = (bits.u(8) as u8, bits.u(8) as u8, bits.u(8) as u8);
        assert_eq!(profile_idc, 66, "other profiles have more fields");
        bits.ue();
        bits.ue();
        match bits.ue() {
            0 => {
                bits.ue();
            }
            order => assert_eq!(order, 2, "pic_order_cnt_type"),
        }
        let reference_frames = bits.ue();
        bits.u(1);
        let (width, height) = ((bits.ue() + 1) * 16, (bits.ue() + 1) * 16);
        assert_eq!(bits.u(1), 1, "frame_mbs_only_flag");
        bits.u(1);
        let crop = if bits.u(1) == 1 { [bits.ue(), bits.ue(), bits.ue(), bits.ue()] } else { [0; 4] };
        let (mut colour, mut square_pixels) = (None, false);
        if bits.u(1) == 1 {
            if bits.u(1) == 1 {
                let aspect = bits.u(8);
                assert_ne!(aspect, 255, "an explicit aspect ratio");
                square_pixels = aspect == 1;
            }
            if bits.u(1) == 1 {
                bits.u(1);
            }
            if bits.u(1) == 1 {
                bits.u(3);
                let full_range = bits.u(1) == 1;
                if bits.u(1) == 1 {
                    let [primaries, transfer, matrix] = [8, 8, 8].map(|count| bits.u(count));
                    colour = Some(Colour { full_range, primaries, transfer, matrix });
                }
            }
        }
        Self {
            profile_idc,
            constraints,
            level_idc,
            width: width - 2 * (crop[0] + crop[1]),
            height: height - 2 * (crop[2] + crop[3]),
            reference_frames,
            colour,
            square_pixels,
        }
    }
}

/// The NAL units of an Annex B stream.
pub(crate) fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..stream.len().saturating_sub(2)).filter(|&at| stream[at..at + 3] == [0, 0, 1]).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let nal = &stream[start + 3..end];
            &nal[..nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)]
        })
        .collect()
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn u(&mut self, count: u32) -> u32 {
        (0..count).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u32::from(bit)
        })
    }

    fn ue(&mut self) -> u32 {
        let mut zeros = 0;
        while self.u(1) == 0 {
            zeros += 1;
        }
        (1 << zeros) - 1 + self.u(zeros)
    }
}
