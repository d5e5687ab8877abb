//! A recording's file, frame by frame.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use yc_media::{FrameRate, PixelFormat, PlaneLayout, Resolution};

use super::y4m::{self, Header, MAX_LINE, Rate, Y4mError};
use crate::{CaptureError, CaptureErrorKind};

/// An open recording, before the frame it will read next.
#[derive(Debug)]
pub(super) struct Recording {
    file: BufReader<File>,
    container: Container,
    size: Resolution,
    rate: Rate,
    next: u64,
}

/// How frames lie in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    /// With a line before each: I420.
    Y4m,
    /// One after the other: BGRA.
    Raw,
}

impl Recording {
    /// Opens `path`: Y4M, or raw BGRA in pictures of `raw_size`, which has no rate of its own and plays
    /// at `rate`.
    pub(super) fn open(
        path: &Path,
        raw_size: Option<Resolution>,
        rate: FrameRate,
    ) -> Result<Self, CaptureError> {
        let refused = |kind, why: String| {
            CaptureError::new(kind, super::NAME, "opening the recording")
                .with_source(format!("{}: {why}", path.display()))
        };
        let failed = |error: io::Error| {
            let kind = match error.kind() {
                ErrorKind::NotFound => CaptureErrorKind::NotFound,
                ErrorKind::PermissionDenied => CaptureErrorKind::PermissionDenied,
                _ => CaptureErrorKind::Failed,
            };
            refused(kind, error.to_string())
        };
        // Asked before opening: opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(refused(CaptureErrorKind::InvalidInput, "it is not a regular file".to_owned()));
        }
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path).map_err(failed)?);
        if let Some(size) = raw_size {
            let frame = frame_bytes(PixelFormat::Bgra8, size);
            if metadata.len() < frame as u64 {
                let why = format!("{} bytes are less than one {size} picture, {frame} bytes", metadata.len());
                return Err(refused(CaptureErrorKind::InvalidInput, why));
            }
            return Ok(Self { file, container: Container::Raw, size, rate: Rate::whole(rate), next: 0 });
        }
        let mut line = Vec::new();
        let header = match read_line(&mut file, &mut line).map_err(failed)? {
            Line::Whole => Header::parse(&line),
            Line::End => Err(Y4mError::NoSignature),
            Line::CutShort => Header::parse(&line).and(Err(Y4mError::CutShort)),
            Line::TooLong => Err(Y4mError::LongLine),
        }
        .map_err(|error| refused(CaptureErrorKind::InvalidInput, error.to_string()))?;
        Ok(Self { file, container: Container::Y4m, size: header.size, rate: header.rate, next: 0 })
    }

    pub(super) fn size(&self) -> Resolution {
        self.size
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Raw recordings have no rate of their own: play on at `rate`.
    pub(super) fn set_rate(&mut self, rate: FrameRate) {
        if self.container == Container::Raw {
            self.rate = Rate::whole(rate);
        }
    }

    pub(super) fn format(&self) -> PixelFormat {
        match self.container {
            Container::Y4m => PixelFormat::I420,
            Container::Raw => PixelFormat::Bgra8,
        }
    }

    /// Bytes in one picture, without padding.
    pub(super) fn frame_bytes(&self) -> usize {
        frame_bytes(self.format(), self.size)
    }

    /// Where the planes of a picture lie in those bytes.
    pub(super) fn planes(&self) -> ([PlaneLayout; 3], usize) {
        let mut planes = [PlaneLayout::default(); 3];
        let mut offset = 0;
        for (index, plane) in planes.iter_mut().enumerate().take(self.format().planes()) {
            let (row, rows) = self.format().plane_size(index, self.size);
            *plane = PlaneLayout { offset, stride: row };
            offset += row * rows;
        }
        (planes, self.format().planes())
    }

    /// The number of the frame that is read next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Passes over the next frame. `false` at the end.
    pub(super) fn skip(&mut self) -> Result<bool, CaptureError> {
        if !self.frame_line()? {
            return Ok(false);
        }
        let bytes = self.frame_bytes() as i64;
        self.file.seek_relative(bytes).map_err(|error| self.failed(error.to_string()))?;
        self.next += 1;
        Ok(true)
    }

    /// Reads the next frame into `picture`, which has [`Recording::frame_bytes`]. `false` at the end.
    pub(super) fn read(&mut self, picture: &mut [u8]) -> Result<bool, CaptureError> {
        if !self.frame_line()? {
            return Ok(false);
        }
        self.file.read_exact(picture).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => {
                self.failed(format!("frame {} is cut short: a frame is {} bytes", self.next, picture.len()))
            }
            _ => self.failed(error.to_string()),
        })?;
        self.next += 1;
        Ok(true)
    }

    /// Reads what comes before a frame's samples. `false` at the end of the file.
    fn frame_line(&mut self) -> Result<bool, CaptureError> {
        if self.container == Container::Raw {
            let left =
                self.file.fill_buf().map(<[u8]>::len).map_err(|error| self.failed(error.to_string()))?;
            return Ok(left > 0);
        }
        let mut line = Vec::new();
        let read = read_line(&mut self.file, &mut line).map_err(|error| self.failed(error.to_string()))?;
        let checked = match read {
            Line::End => return Ok(false),
            Line::Whole => y4m::check_frame_line(&line, self.next),
            Line::CutShort => y4m::check_frame_line(&line, self.next).and(Err(Y4mError::CutShort)),
            Line::TooLong => Err(Y4mError::NoFrame(self.next)),
        };
        checked.map(|()| true).map_err(|error| self.failed(error.to_string()))
    }

    fn failed(&self, why: String) -> CaptureError {
        CaptureError::new(CaptureErrorKind::InvalidInput, super::NAME, "reading the recording")
            .with_source(why)
    }
}

/// How a line ended.
enum Line {
    Whole,
    /// There was none: the end of the file.
    End,
    /// By the end of the file, without a newline.
    CutShort,
    TooLong,
}

/// Reads one line of at most [`MAX_LINE`] bytes into `line`, without its newline.
fn read_line(file: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<Line> {
    file.take(MAX_LINE as u64 + 1).read_until(b'\n', line)?;
    Ok(match line.pop() {
        Some(b'\n') => Line::Whole,
        None => Line::End,
        Some(last) => {
            line.push(last);
            if line.len() > MAX_LINE { Line::TooLong } else { Line::CutShort }
        }
    })
}

fn frame_bytes(format: PixelFormat, size: Resolution) -> usize {
    (0..format.planes())
        .map(|plane| {
            let (row, rows) = format.plane_size(plane, size);
            row * rows
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn recording(bytes: &[u8], raw: Option<(u32, u32)>) -> Result<Recording, CaptureError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let size = raw.map(|(width, height)| Resolution::new(width, height).unwrap());
        Recording::open(file.path(), size, FrameRate::new(30).unwrap())
    }

    fn error(bytes: &[u8], raw: Option<(u32, u32)>) -> String {
        let error = recording(bytes, raw).unwrap_err();
        assert_eq!(error.kind(), CaptureErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn frames_are_read_and_skipped_one_by_one() {
        let mut file = recording(b"YUV4MPEG2 W3 H1 F30:1\nFRAME\nabcdefgFRAME x\nABCDEFG", None).unwrap();
        // Three lumas, two and two chromas.
        assert_eq!((file.frame_bytes(), file.planes().1), (7, 3));
        let mut picture = [0; 7];
        assert!(file.skip().unwrap());
        assert!(file.read(&mut picture).unwrap());
        assert_eq!(&picture, b"ABCDEFG");
        assert_eq!(file.next(), 2);
        assert!(!file.read(&mut picture).unwrap());
        assert!(!file.skip().unwrap());
    }

    #[test]
    fn what_is_no_recording_is_refused_with_a_reason() {
        assert!(error(b"", None).contains("does not start with"));
        assert!(error(&[0; 5000], None).contains("longer than 1024 bytes"));
        assert!(error(b"YUV4MPEG2 W2 H2 F30:1", None).contains("middle of a line"));
        assert!(error(&[0; 59], Some((3, 5))).contains("59 bytes are less than one 3x5 picture, 60 bytes"));
        let directory = tempfile::tempdir().unwrap();
        let error = Recording::open(directory.path(), None, FrameRate::new(30).unwrap()).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }

    #[test]
    fn a_frame_that_is_cut_short_or_has_no_line_is_an_error_with_its_number() {
        let mut file = recording(b"YUV4MPEG2 W3 H1 F30:1\nFRAME\nabcdefgFRAME\nABC", None).unwrap();
        let mut picture = [0; 7];
        assert!(file.read(&mut picture).unwrap());
        let error = file.read(&mut picture).unwrap_err().to_string();
        assert!(error.contains("frame 1 is cut short: a frame is 7 bytes"), "{error}");
        let mut file = recording(b"YUV4MPEG2 W3 H1 F30:1\nFRAMBE\nabcdefg", None).unwrap();
        assert!(file.read(&mut picture).unwrap_err().to_string().contains("frame 0 does not start"));
        let mut file = recording(&[7; 61], Some((3, 5))).unwrap();
        assert!(file.read(&mut [0; 60]).unwrap());
        assert!(file.read(&mut [0; 60]).unwrap_err().to_string().contains("frame 1 is cut short"));
    }
}
