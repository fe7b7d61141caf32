//! Reading ahead: the next pieces of a blob are received and checked while the last ones are sent.
//!
//! Never holds more than a few pieces, and stops reading when nobody wants them any more.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use sealift_core::repository::ContentError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Pieces read ahead: enough to keep both connections busy. The HTTP client's pieces have some 100 KiB.
const PIECES: usize = 4;

/// Returns the same stream, read by a task of its own.
pub(super) fn read_ahead(
    mut content: BoxStream<'static, Result<Bytes, ContentError>>,
) -> BoxStream<'static, Result<Bytes, ContentError>> {
    let (sender, pieces) = mpsc::channel(PIECES);
    let reading = tokio::spawn(async move {
        while let Some(piece) = content.next().await {
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    stream::unfold(Some(Ahead { pieces, reading }), |ahead| async {
        let mut ahead = ahead?;
        if let Some(piece) = ahead.pieces.recv().await {
            return Some((piece, Some(ahead)));
        }
        // A reader that broke off is no end of the content.
        let ended = (&mut ahead.reading).await;
        ended.err().map(|error| (Err(ContentError::Read(Box::new(error))), None))
    })
    // Its reader looks once more after the end.
    .fuse()
    .boxed()
}

struct Ahead {
    pieces: mpsc::Receiver<Result<Bytes, ContentError>>,
    reading: JoinHandle<()>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pieces(count: u8) -> impl Iterator<Item = Result<Bytes, ContentError>> {
        (0..count).map(|piece| Ok(Bytes::from(vec![piece])))
    }

    #[tokio::test]
    async fn everything_comes_in_order_and_errors_last() {
        let broken = Err(ContentError::TooShort { size: 101, missing: 1 });
        let mut content = read_ahead(stream::iter(pieces(100).chain([broken])).boxed());
        let read: Vec<_> = content.by_ref().collect().await;
        assert!(content.next().await.is_none());
        let found: Vec<u8> = read.iter().filter_map(|piece| Some(piece.as_ref().ok()?[0])).collect();
        assert_eq!(found, (0..100).collect::<Vec<_>>());
        assert!(matches!(read.last(), Some(Err(ContentError::TooShort { .. }))));
    }

    #[tokio::test]
    async fn a_reader_that_breaks_off_is_an_error() {
        let broken = stream::iter(pieces(2)).chain(stream::once(async { panic!("broken on purpose") }));
        let read: Vec<_> = read_ahead(broken.boxed()).collect().await;
        assert!(read.len() == 3 && matches!(read.last(), Some(Err(ContentError::Read(_)))), "{read:?}");
    }

    #[tokio::test]
    async fn nothing_is_read_for_nobody() {
        let held = Arc::new(());
        let holding = Arc::clone(&held);
        let endless = stream::repeat_with(move || {
            let _held = &holding;
            Ok(Bytes::from_static(b"piece"))
        });
        let mut content = read_ahead(endless.boxed());
        assert!(content.next().await.is_some());
        drop(content);
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
