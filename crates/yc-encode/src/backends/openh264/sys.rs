//! All the `unsafe` of this backend: one owner of an OpenH264 encoder.
//!
//! The C++ object is reached through its table of functions. What it hands out lies in its own memory
//! and lives until its next call; borrows of [`Encoder`] say so.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, slice};

use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_GET_STATISTICS,
    ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ENCODER_OPTION_TRACE_CALLBACK,
    ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, ENCODER_OPTION_TRACE_LEVEL, ISVCEncoder, ISVCEncoderVtbl,
    SBitrateInfo, SEncParamExt, SEncoderStatistics, SFrameBSInfo, SPATIAL_LAYER_ALL, SSourcePicture,
    VIDEO_CODING_LAYER, WELS_LOG_ERROR, WELS_LOG_INFO, WELS_LOG_WARNING, WelsTraceCallback, source,
    videoFormatI420, videoFrameTypeI, videoFrameTypeIDR, videoFrameTypeIPMixed, videoFrameTypeP,
};

/// What OpenH264 answered instead of success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(c_int);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // CM_RETURN of codec_def.h.
        let meaning = match self.0 {
            1 => "a parameter is invalid",
            3 => "out of memory",
            4 => "not initialized",
            5 => "unsupported data",
            _ => "unknown reason",
        };
        write!(f, "OpenH264 answered {} ({meaning})", self.0)
    }
}

impl std::error::Error for Code {}

fn check(code: c_int) -> Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(Code(code)) }
}

/// An I420 picture to encode. Chroma planes have half the sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Each plane's bytes from its first row to the end of its last, and its stride.
    pub(super) planes: [(&'a [u8], usize); 3],
    pub(super) timestamp_ms: i64,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coded {
    /// Nothing: the rate control left it out.
    Skipped,
    /// A picture that a decoder can start at.
    Key,
    /// A picture of this temporal layer.
    Delta { temporal: u8 },
}

/// An OpenH264 encoder.
pub(super) struct Encoder {
    raw: NonNull<ISVCEncoder>,
    /// What the last call coded: pointers into the encoder's memory.
    coded: Box<SFrameBSInfo>,
    /// Where the trace callback notes what it hears. The encoder holds its address.
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// It said which SIMD instructions it found, as it does if it was built with its assembly.
    simd: AtomicBool,
}

// SAFETY: `ISVCEncoder` keeps no thread-local state and may be called from any thread, one call at a time;
// `&mut self` and `&self` of a type that is not `Sync` keep it to one.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder that traces to `tracing` and never to stderr. `None` if there is no memory for it.
    pub(super) fn create() -> Option<Self> {
        let mut raw = ptr::null_mut();
        // SAFETY: the function writes one pointer through its argument.
        let code = unsafe { source::APILoader::WelsCreateSVCEncoder(&raw mut raw) };
        let raw = NonNull::new(raw).filter(|_| code == 0)?;
        let coded = Box::new(SFrameBSInfo::default());
        let mut encoder = Self { raw, coded, heard: Arc::default() };

        // Before initialization: it warns there already. Its default goes to stderr.
        let callback: WelsTraceCallback = Some(on_trace);
        let context = Arc::as_ptr(&encoder.heard).cast::<c_void>().cast_mut();
        // SAFETY: the option is a pointer to a `WelsTraceCallback`, which it copies.
        unsafe { encoder.set_option(ENCODER_OPTION_TRACE_CALLBACK, callback) }.ok()?;
        // SAFETY: the option is a pointer to a `void *`, which it copies; what that points to outlives the
        // encoder, whose `Drop` runs before the `Arc` is dropped.
        unsafe { encoder.set_option(ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, context) }.ok()?;
        Some(encoder)
    }

    /// Its parameters as it sets them itself.
    pub(super) fn default_params(&mut self) -> Result<SEncParamExt, Code> {
        let mut params = SEncParamExt::default();
        let function = self.vtable().GetDefaultParams.ok_or(Code(4))?;
        // SAFETY: `raw` is a live encoder; the function fills one `SEncParamExt`.
        check(unsafe { function(self.raw.as_ptr(), &raw mut params) })?;
        Ok(params)
    }

    /// Makes it ready to encode. Only the first call may be expected to succeed.
    pub(super) fn initialize(&mut self, params: &SEncParamExt) -> Result<(), Code> {
        // What SIMD it has it says at this level, and only here; later it would be noise.
        self.trace_level(WELS_LOG_INFO)?;
        let function = self.vtable().InitializeExt.ok_or(Code(4))?;
        // SAFETY: `raw` is a live encoder; the function reads one `SEncParamExt` and keeps a copy.
        let code = unsafe { function(self.raw.as_ptr(), params) };
        self.trace_level(WELS_LOG_WARNING)?;
        check(code)
    }

    /// Whether it runs with SIMD: on x86 what it said at initialization, elsewhere what its build does.
    pub(super) fn has_simd(&self) -> bool {
        if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
            self.heard.simd.load(Ordering::Relaxed)
        } else {
            cfg!(all(any(target_arch = "arm", target_arch = "aarch64"), not(windows)))
        }
    }

    /// Replaces all its parameters. A new size restarts the stream with an IDR.
    pub(super) fn reconfigure(&mut self, params: &SEncParamExt) -> Result<(), Code> {
        // SAFETY: the option is a pointer to an `SEncParamExt`, which it copies.
        unsafe { self.set_option(ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, *params) }
    }

    /// Aims at `bps` bits a second from the next frame on.
    pub(super) fn set_bitrate(&mut self, bps: i32) -> Result<(), Code> {
        let info = SBitrateInfo { iLayer: SPATIAL_LAYER_ALL, iBitrate: bps };
        // SAFETY: the option is a pointer to an `SBitrateInfo`, which it copies.
        unsafe { self.set_option(ENCODER_OPTION_BITRATE, info) }
    }

    /// Budgets for `fps` frames a second from the next frame on.
    pub(super) fn set_frame_rate(&mut self, fps: f32) -> Result<(), Code> {
        // SAFETY: the option is a pointer to a `float`, which it copies.
        unsafe { self.set_option(ENCODER_OPTION_FRAME_RATE, fps) }
    }

    /// Makes the next frame an IDR.
    pub(super) fn force_keyframe(&mut self) -> Result<(), Code> {
        let function = self.vtable().ForceIntraFrame.ok_or(Code(4))?;
        // SAFETY: `raw` is a live encoder.
        check(unsafe { function(self.raw.as_ptr(), true) })
    }

    /// Codes its parameter sets as the next IDR will carry them; read them from [`Encoder::coded`].
    pub(super) fn code_parameter_sets(&mut self) -> Result<(), Code> {
        let function = self.vtable().EncodeParameterSets.ok_or(Code(4))?;
        // SAFETY: `raw` is a live, initialized encoder (`mod.rs` calls this after `initialize` only); the
        // function fills one `SFrameBSInfo`.
        let code = unsafe { function(self.raw.as_ptr(), &raw mut *self.coded) };
        self.check_coded(code)
    }

    /// Encodes one picture; read what it coded from [`Encoder::coded`].
    pub(super) fn encode(&mut self, picture: &Picture<'_>) -> Result<Coded, Code> {
        let mut source = SSourcePicture {
            iColorFormat: videoFormatI420,
            iPicWidth: picture.width as c_int,
            iPicHeight: picture.height as c_int,
            uiTimeStamp: picture.timestamp_ms,
            ..SSourcePicture::default()
        };
        for (index, (bytes, stride)) in picture.planes.into_iter().enumerate() {
            let shift = u32::from(index > 0);
            let (row, rows) = ((picture.width >> shift) as usize, (picture.height >> shift) as usize);
            let end = rows.checked_sub(1).and_then(|above| stride.checked_mul(above)?.checked_add(row));
            if row > stride || end.is_none_or(|end| end > bytes.len()) {
                return Err(Code(5));
            }
            source.iStride[index] = c_int::try_from(stride).map_err(|_| Code(1))?;
            source.pData[index] = bytes.as_ptr().cast_mut();
        }
        let function = self.vtable().EncodeFrame.ok_or(Code(4))?;
        // SAFETY: `raw` is a live encoder. It only reads the planes, which hold what the sizes and strides
        // say (checked above), copies them before it returns, and fills one `SFrameBSInfo`.
        let code = unsafe { function(self.raw.as_ptr(), &raw const source, &raw mut *self.coded) };
        self.check_coded(code)?;

        let frame_type = self.coded.eFrameType;
        if frame_type == videoFrameTypeIDR {
            return Ok(Coded::Key);
        }
        let coded = [videoFrameTypeI, videoFrameTypeP, videoFrameTypeIPMixed].contains(&frame_type);
        if !coded || self.coded_len() == 0 {
            return Ok(Coded::Skipped);
        }
        let picture = self.layers().iter().find(|layer| c_int::from(layer.uiLayerType) == VIDEO_CODING_LAYER);
        Ok(Coded::Delta { temporal: picture.map_or(0, |layer| layer.uiTemporalId) })
    }

    /// What the last call coded, in stream order, start codes included.
    pub(super) fn coded(&self) -> impl Iterator<Item = &[u8]> {
        self.layers().iter().filter(|layer| layer.iNalCount > 0 && !layer.pBsBuf.is_null()).map(|layer| {
            // SAFETY: `layers` holds what the last call filled, and no call was made since: it needs
            // `&mut self`. A layer's NAL units lie one after the other from `pBsBuf` on, as long as
            // `pNalLengthInByte` says.
            unsafe { slice::from_raw_parts(layer.pBsBuf, layer_len(layer)) }
        })
    }

    /// How many bytes the last call coded.
    pub(super) fn coded_len(&self) -> usize {
        self.layers().iter().map(layer_len).sum()
    }

    /// The mean luma quantizer of the frame encoded last.
    pub(super) fn average_qp(&self) -> Option<u8> {
        let mut statistics = SEncoderStatistics::default();
        let function = self.vtable().GetOption?;
        // SAFETY: `raw` is a live encoder; this option fills one `SEncoderStatistics`.
        let code = unsafe {
            function(self.raw.as_ptr(), ENCODER_OPTION_GET_STATISTICS, (&raw mut statistics).cast::<c_void>())
        };
        check(code).ok()?;
        u8::try_from(statistics.uiAverageFrameQP).ok().filter(|qp| *qp <= 51)
    }

    fn layers(&self) -> &[openh264_sys2::SLayerBSInfo] {
        let filled = usize::try_from(self.coded.iLayerNum).unwrap_or(0);
        &self.coded.sLayerInfo[..filled.min(self.coded.sLayerInfo.len())]
    }

    /// A call that failed leaves nothing to read.
    fn check_coded(&mut self, code: c_int) -> Result<(), Code> {
        if code != 0 {
            self.coded.iLayerNum = 0;
        }
        check(code)
    }

    fn trace_level(&mut self, level: c_int) -> Result<(), Code> {
        // SAFETY: the option is a pointer to an `int`, which it copies.
        unsafe { self.set_option(ENCODER_OPTION_TRACE_LEVEL, level) }
    }

    /// # Safety
    ///
    /// `T` is what `option` points to.
    unsafe fn set_option<T>(&mut self, option: ENCODER_OPTION, mut value: T) -> Result<(), Code> {
        let function = self.vtable().SetOption.ok_or(Code(4))?;
        // SAFETY: `raw` is a live encoder, and `value` is what the option points to, as the caller promises.
        check(unsafe { function(self.raw.as_ptr(), option, (&raw mut value).cast::<c_void>()) })
    }

    fn vtable(&self) -> &ISVCEncoderVtbl {
        // SAFETY: `raw` is a live C++ object, whose first word points to its table of functions; the table
        // is constant.
        unsafe { &**self.raw.as_ptr() }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `WelsCreateSVCEncoder` and is destroyed once. Its destructor also
        // uninitializes it and joins its threads; the trace context is still alive.
        unsafe { source::APILoader::WelsDestroySVCEncoder(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("simd", &self.has_simd()).finish_non_exhaustive()
    }
}

fn layer_len(layer: &openh264_sys2::SLayerBSInfo) -> usize {
    let count = usize::try_from(layer.iNalCount).unwrap_or(0);
    if count == 0 || layer.pNalLengthInByte.is_null() {
        return 0;
    }
    // SAFETY: the encoder filled `iNalCount` lengths; they are its own until its next call, and a layer is
    // only reached through a borrow of `Encoder` that forbids one.
    let lengths = unsafe { slice::from_raw_parts(layer.pNalLengthInByte, count) };
    lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum()
}

unsafe extern "C" fn on_trace(context: *mut c_void, level: c_int, message: *const c_char) {
    if context.is_null() || message.is_null() {
        return;
    }
    // SAFETY: `context` is the `Heard` that `Encoder::create` gave; the encoder that calls is destroyed
    // before it.
    let heard = unsafe { &*context.cast::<Heard>() };
    // SAFETY: the encoder formats every message into a buffer and ends it with a zero.
    let message = unsafe { CStr::from_ptr(message) };
    // The library puts its own name and address before what it says.
    if message.to_bytes().windows(SIMD_FOUND.len()).any(|part| part == SIMD_FOUND) {
        heard.simd.store(true, Ordering::Relaxed);
    }
    // A subscriber is somebody else's code, and a panic must not cross into C++.
    let _ = catch_unwind(AssertUnwindSafe(|| match level {
        // Its errors also come back as codes, and its warnings are about settings made on purpose.
        WELS_LOG_ERROR => tracing::warn!(target: "yc_encode::openh264", message = ?message),
        WELS_LOG_WARNING => tracing::debug!(target: "yc_encode::openh264", message = ?message),
        _ => tracing::trace!(target: "yc_encode::openh264", message = ?message),
    }));
}

/// How it begins the line that only a build with the x86 assembly writes. `OutputCpuFeaturesLog` in its
/// `encoder_ext.cpp`.
const SIMD_FOUND: &[u8] = b"WELS CPU features/capacities";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_that_was_never_initialized_refuses_and_drops() {
        let mut encoder = Encoder::create().unwrap();
        assert!(encoder.set_bitrate(1_000_000).is_err());
        assert!(encoder.force_keyframe().is_err());
        assert_eq!(encoder.coded().count(), 0);
        assert_eq!(encoder.average_qp(), None);
        let plane = [0u8; 16 * 16];
        let planes = [(&plane[..], 16), (&plane[..], 8), (&plane[..], 8)];
        let picture = Picture { width: 16, height: 16, planes, timestamp_ms: 0 };
        assert!(encoder.encode(&picture).is_err());
    }

    #[test]
    fn bad_parameters_are_a_code_and_not_a_crash() {
        let mut encoder = Encoder::create().unwrap();
        let params = encoder.default_params().unwrap();
        assert!(encoder.initialize(&SEncParamExt { iTargetBitrate: -1, ..params }).is_err());
    }
}
