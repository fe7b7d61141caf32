//! A stretch of a file: a whole blob of a directory, or a part of an archive.
//!
//! Reads at offsets, so one open file serves any number of readers; never holds more than one piece.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use sealift_core::repository::ContentError;

/// How much is read at once, in bytes.
const PIECE_BYTES: u64 = 256 * 1024;

/// Part of an open file.
#[derive(Clone, Debug)]
pub(super) struct Extent {
    file: Arc<File>,
    offset: u64,
    size: u64,
}

impl Extent {
    /// Returns `size` bytes of `file` from `offset` on.
    pub(super) fn new(file: Arc<File>, offset: u64, size: u64) -> Self {
        Self { file, offset, size }
    }

    /// Returns the size, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns a part of it; `None` when it does not reach that far.
    pub(super) fn slice(&self, offset: u64, size: u64) -> Option<Self> {
        let end = offset.checked_add(size)?;
        (end <= self.size).then(|| Self { file: Arc::clone(&self.file), offset: self.offset + offset, size })
    }

    /// Reads everything, or `None` when that is more than `limit` bytes; blocks the thread.
    pub(super) fn read_all(&self, limit: u64) -> io::Result<Option<Bytes>> {
        let Some(size) = usize::try_from(self.size).ok().filter(|_| self.size <= limit) else { return Ok(None) };
        self.read(0, size).map(Some)
    }

    /// Reads the first bytes, at most `size`; blocks the thread.
    pub(super) fn read_start(&self, size: usize) -> io::Result<Bytes> {
        self.read(0, usize::try_from(self.size).map_or(size, |all| all.min(size)))
    }

    /// Copies everything into `writer`; blocks the thread.
    pub(super) fn copy_to(&self, writer: &mut impl io::Write) -> io::Result<()> {
        let mut position = 0;
        while let Some(piece) = self.piece(position)? {
            position += piece.len() as u64;
            writer.write_all(&piece)?;
        }
        Ok(())
    }

    /// Returns the bytes in pieces, each read on a thread for blocking work.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static {
        stream::try_unfold((self, 0), |(extent, position)| async move {
            let read = tokio::task::spawn_blocking(move || extent.piece(position).map(|piece| (extent, piece))).await;
            let (extent, piece) =
                read.map_err(io::Error::other).flatten().map_err(|error| ContentError::Read(Box::new(error)))?;
            Ok(piece.map(|piece| {
                let position = position + piece.len() as u64;
                (piece, (extent, position))
            }))
        })
    }

    fn piece(&self, position: u64) -> io::Result<Option<Bytes>> {
        let left = self.size - position;
        if left == 0 {
            return Ok(None);
        }
        let size = usize::try_from(left.min(PIECE_BYTES)).map_err(io::Error::other)?;
        self.read(position, size).map(Some)
    }

    fn read(&self, position: u64, size: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match read_at(&self.file, &mut buffer[filled..], self.offset + position + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Bytes::from(buffer))
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
