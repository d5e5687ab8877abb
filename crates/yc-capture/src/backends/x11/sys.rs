//! Memory that is shared with the display server.

use std::io;
use std::os::fd::OwnedFd;
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Memory without a name that another process can map as well. Nothing of it is left when the last
/// process that maps it is gone.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// `len` bytes of zeroes, at least one, and the descriptor by which the other process maps them.
    pub(super) fn new(len: usize) -> io::Result<(Self, OwnedFd)> {
        let fd = rustix::fs::memfd_create(c"yc-capture", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&fd, len as u64)?;
        // Nobody can shorten it now: reading it can never fault.
        rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        // SAFETY: the kernel chooses where to map, so no memory of ours is replaced; `len` is the length
        // of the file, which the seals keep.
        let start = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((Self { start, len }, fd))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `start` is mapped, readable and `len` bytes long until `self` is dropped. The server
        // writes only while it answers a request to do so, and such a request is made, and its answer
        // awaited, only by the owner of the pool with `&mut` in hand: never while this borrow lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` says that no other borrow lives.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are those of the mapping made in `new`, and no borrow outlives `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

// SAFETY: a mapping belongs to the process, not to a thread: mmap(2) ties nothing to the caller.
unsafe impl Send for Mapping {}
// SAFETY: through `&Mapping` the memory can only be read.
unsafe impl Sync for Mapping {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_the_file_cannot_shrink() {
        let (mut mapping, fd) = Mapping::new(5000).unwrap();
        assert!(mapping.bytes().iter().all(|&byte| byte == 0));
        mapping.bytes_mut()[4999] = 7;
        let mut byte = [0];
        assert_eq!(rustix::io::pread(&fd, &mut byte, 4999), Ok(1));
        assert_eq!(byte, [7]);
        assert!(rustix::fs::ftruncate(&fd, 10).is_err());
        drop(fd);
        assert_eq!(mapping.bytes()[4999], 7);
    }
}
