//! All the `unsafe` of the reference decoder: one owner of OpenH264's.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::slice;

use openh264_sys2::{
    DECODER_OPTION_TRACE_LEVEL, ISVCDecoder, ISVCDecoderVtbl, SBufferInfo, SDecodingParam,
    VIDEO_BITSTREAM_AVC, WELS_LOG_QUIET, source,
};

/// A decoded I420 picture, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) planes: [Vec<u8>; 3],
}

/// OpenH264's decoder.
pub(crate) struct Decoder {
    raw: NonNull<ISVCDecoder>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let mut raw = ptr::null_mut();
        // SAFETY: the function writes one pointer through its argument.
        let code = unsafe { source::APILoader::WelsCreateDecoder(&raw mut raw) };
        let raw = NonNull::new(raw).filter(|_| code == 0).expect("memory for a decoder");
        let decoder = Self { raw };
        let mut level = WELS_LOG_QUIET;
        let set_option = decoder.vtable().SetOption.unwrap();
        // SAFETY: the option is a pointer to an `int`, which it copies.
        unsafe { set_option(raw.as_ptr(), DECODER_OPTION_TRACE_LEVEL, (&raw mut level).cast::<c_void>()) };
        let mut params = SDecodingParam::default();
        params.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC;
        let initialize = decoder.vtable().Initialize.unwrap();
        // SAFETY: the function reads one `SDecodingParam`.
        assert_eq!(unsafe { initialize(raw.as_ptr(), &raw const params) }, 0);
        decoder
    }

    /// Decodes one access unit, which must give one picture and no complaint.
    pub(crate) fn decode(&mut self, unit: &[u8]) -> Decoded {
        let mut planes: [*mut u8; 3] = [ptr::null_mut(); 3];
        let mut info = SBufferInfo::default();
        let function = self.vtable().DecodeFrameNoDelay.unwrap();
        // SAFETY: the decoder reads `unit`, writes three pointers and one `SBufferInfo`.
        let state = unsafe {
            function(
                self.raw.as_ptr(),
                unit.as_ptr(),
                unit.len() as c_int,
                planes.as_mut_ptr(),
                &raw mut info,
            )
        };
        assert_eq!(state, 0, "the decoder complains about an access unit of {} bytes", unit.len());
        assert_eq!(info.iBufferStatus, 1, "no picture came of an access unit of {} bytes", unit.len());
        // SAFETY: the union has one member.
        let memory = unsafe { info.UsrData.sSystemBuffer };
        let (width, height) = (memory.iWidth as usize, memory.iHeight as usize);
        let planes = [0, 1, 2].map(|plane| {
            let shift = usize::from(plane > 0);
            let stride = memory.iStride[shift] as usize;
            (0..height >> shift)
                .flat_map(|row| {
                    // SAFETY: the decoder says that its picture has so many rows of this stride from here
                    // on, and keeps them until the next call.
                    unsafe { slice::from_raw_parts(planes[plane].add(row * stride), width >> shift) }.to_vec()
                })
                .collect()
        });
        Decoded { width, height, planes }
    }

    fn vtable(&self) -> &ISVCDecoderVtbl {
        // SAFETY: `raw` is a live C++ object, whose first word points to its table of functions.
        unsafe { &**self.raw.as_ptr() }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let uninitialize = self.vtable().Uninitialize.unwrap();
        // SAFETY: `raw` is live and initialized; it is destroyed once.
        unsafe {
            uninitialize(self.raw.as_ptr());
            source::APILoader::WelsDestroyDecoder(self.raw.as_ptr());
        }
    }
}
