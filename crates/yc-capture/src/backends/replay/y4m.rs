//! The YUV4MPEG2 container (Y4M): one text line for the stream, then one and the samples for each frame.

use yc_media::{FrameRate, Resolution};

/// What the stream line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) size: Resolution,
    pub(super) rate: Rate,
}

/// Frames per second as a fraction. Above 0; at most [`FrameRate::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    numerator: u32,
    denominator: u32,
}

/// Why a stream is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Y4mError {
    #[error("it does not start with \"YUV4MPEG2 \"")]
    NoSignature,
    #[error("a header line is longer than {MAX_LINE} bytes")]
    LongLine,
    #[error("the header ends in the middle of a line")]
    CutShort,
    #[error("{what} {value:?} is not allowed: {bounds}")]
    Value { what: &'static str, value: String, bounds: &'static str },
    #[error("the header has no {0}")]
    Missing(&'static str),
    #[error("frame {0} does not start with \"FRAME\"")]
    NoFrame(u64),
}

impl Header {
    /// Reads the stream line, without its newline.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Y4mError> {
        let parameters = line.strip_prefix(b"YUV4MPEG2 ").ok_or(Y4mError::NoSignature)?;
        let (mut width, mut height, mut rate) = (None, None, None);
        for parameter in parameters.split(|&byte| byte == b' ').filter(|parameter| !parameter.is_empty()) {
            let value = String::from_utf8_lossy(&parameter[1..]).into_owned();
            match parameter[0] {
                b'W' => width = Some(side("width", value)?),
                b'H' => height = Some(side("height", value)?),
                b'F' => rate = Some(Rate::parse(value)?),
                b'C' => colour_space(value)?,
                b'I' if !matches!(value.as_str(), "p" | "?") => {
                    return Err(refused("interlacing", value, "p: interlaced pictures are not played"));
                }
                b'X' if value.eq_ignore_ascii_case("COLORRANGE=FULL") => {
                    return Err(refused("colour range", value, "limited: frames are BT.709, limited range"));
                }
                // The pixel aspect ratio, and comments of the program that wrote the file.
                _ => {}
            }
        }
        let (width, height) =
            (width.ok_or(Y4mError::Missing("width"))?, height.ok_or(Y4mError::Missing("height"))?);
        let size = Resolution::new(width, height)
            .map_err(|_| refused("size", format!("{width}x{height}"), SIDE_BOUNDS))?;
        Ok(Self { size, rate: rate.ok_or(Y4mError::Missing("frame rate"))? })
    }
}

/// Checks the line before a frame's samples, without its newline.
pub(super) fn check_frame_line(line: &[u8], index: u64) -> Result<(), Y4mError> {
    match line.strip_prefix(b"FRAME") {
        Some([]) | Some([b' ', ..]) => Ok(()),
        _ => Err(Y4mError::NoFrame(index)),
    }
}

impl Rate {
    /// A whole number of frames per second.
    pub(super) fn whole(rate: FrameRate) -> Self {
        Self { numerator: rate.as_fps(), denominator: 1 }
    }

    /// When frame `index` is due, in nanoseconds from the first.
    pub(super) fn time_of(self, index: u64) -> u128 {
        u128::from(index) * u128::from(self.denominator) * 1_000_000_000 / u128::from(self.numerator)
    }

    /// The frame that is on at `nanos` from the first.
    pub(super) fn frame_at(self, nanos: u128) -> u64 {
        let index = nanos * u128::from(self.numerator) / (u128::from(self.denominator) * 1_000_000_000);
        // `time_of` rounds down, so the moment it gives may still count as the frame before.
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        if self.time_of(index.saturating_add(1)) <= nanos { index + 1 } else { index }
    }

    fn parse(value: String) -> Result<Self, Y4mError> {
        const BOUNDS: &str = "NUMERATOR:DENOMINATOR, from 1 frame a minute to 240 a second";
        let parts = value.split_once(':').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
        match parts {
            Some((numerator, denominator))
                if denominator > 0
                    && numerator > 0
                    && u64::from(numerator) <= u64::from(FrameRate::MAX) * u64::from(denominator)
                    && u64::from(numerator) * 60 >= u64::from(denominator) =>
            {
                Ok(Self { numerator, denominator })
            }
            _ => Err(refused("frame rate", value, BOUNDS)),
        }
    }
}

fn side(what: &'static str, value: String) -> Result<u32, Y4mError> {
    match value.parse() {
        Ok(side @ 1..=Resolution::MAX_SIDE) => Ok(side),
        _ => Err(refused(what, value, SIDE_BOUNDS)),
    }
}

fn colour_space(value: String) -> Result<(), Y4mError> {
    match value.as_str() {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(()),
        "mono" => Err(refused("colour space", value, "420: grey pictures have no chroma planes to play")),
        _ => Err(refused("colour space", value, "420, 420jpeg, 420mpeg2 or 420paldv, 8 bits a sample")),
    }
}

fn refused(what: &'static str, value: String, bounds: &'static str) -> Y4mError {
    Y4mError::Value { what, value, bounds }
}

/// The longest header line that is read, in bytes.
pub(super) const MAX_LINE: usize = 1024;
const SIDE_BOUNDS: &str = "1 to 16384 pixels";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(line: &str) -> String {
        Header::parse(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_header_as_ffmpeg_writes_it_is_read() {
        let line = b"YUV4MPEG2 W1367 H769 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED";
        let header = Header::parse(line).unwrap();
        assert_eq!(header.size.to_string(), "1367x769");
        assert_eq!(header.rate, Rate { numerator: 30_000, denominator: 1_001 });
        assert_eq!(Header::parse(b"YUV4MPEG2 W2 H2 F25:1").unwrap().rate.time_of(2), 80_000_000);
    }

    #[test]
    fn bad_headers_are_refused_with_value_and_bounds() {
        assert_eq!(error("RIFF"), "it does not start with \"YUV4MPEG2 \"");
        assert_eq!(error("YUV4MPEG2 W0 H2 F1:1"), "width \"0\" is not allowed: 1 to 16384 pixels");
        assert_eq!(error("YUV4MPEG2 W2 H99999 F1:1"), "height \"99999\" is not allowed: 1 to 16384 pixels");
        assert_eq!(error("YUV4MPEG2 W2 H2"), "the header has no frame rate");
        assert_eq!(error("YUV4MPEG2 W2 F1:1"), "the header has no height");
        assert!(error("YUV4MPEG2 W2 H2 F1:1 Cmono").contains("grey pictures"));
        assert!(error("YUV4MPEG2 W2 H2 F1:1 C420p10").contains("8 bits a sample"));
        assert!(error("YUV4MPEG2 W2 H2 F1:1 C444").contains("\"444\""));
        assert!(error("YUV4MPEG2 W2 H2 F1:1 It").contains("interlaced"));
        assert!(error("YUV4MPEG2 W2 H2 F1:1 XCOLORRANGE=FULL").contains("limited"));
        for rate in ["0:1", "1:0", "241:1", "1:61", "30", "-1:1", "99999999999:1"] {
            let error = error(&format!("YUV4MPEG2 W2 H2 F{rate}"));
            assert!(error.contains(rate) && error.contains("240 a second"), "{error}");
        }
    }

    #[test]
    fn frame_lines_may_have_parameters() {
        assert_eq!(check_frame_line(b"FRAME", 0), Ok(()));
        assert_eq!(check_frame_line(b"FRAME Ip", 0), Ok(()));
        assert_eq!(check_frame_line(b"FRAMES", 4), Err(Y4mError::NoFrame(4)));
        assert_eq!(check_frame_line(b"", 4), Err(Y4mError::NoFrame(4)));
    }

    proptest! {
        #[test]
        fn a_frame_is_on_from_its_time_on(
            numerator in 1u32..100_000, denominator in 1u32..2_000, index in 0u64..1 << 40,
        ) {
            let rate = Rate { numerator, denominator };
            let time = rate.time_of(index);
            prop_assert_eq!(rate.frame_at(time), index);
            if time > 0 {
                prop_assert_eq!(rate.frame_at(time - 1), index - 1);
            }
        }

        #[test]
        fn any_line_is_read_without_panic(line in proptest::collection::vec(any::<u8>(), 0..80), prefix: bool) {
            let mut whole = if prefix { b"YUV4MPEG2 ".to_vec() } else { Vec::new() };
            whole.extend(line);
            let _ = Header::parse(&whole);
            let _ = check_frame_line(&whole, 1);
        }
    }
}
