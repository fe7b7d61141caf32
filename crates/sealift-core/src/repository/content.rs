//! Content on its way from one store to another, checked as it flows.
//!
//! Never buffers more than one piece; what does not match its descriptor ends in an error, not in a short read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

use crate::oci::{Descriptor, Digest, Hasher};

/// Bytes of a known size, at hand or still arriving.
pub struct Content {
    size: u64,
    body: Body,
}

enum Body {
    Bytes(Bytes),
    Stream(BoxStream<'static, Result<Bytes, ContentError>>),
}

impl Content {
    /// Returns content that arrives through `stream` and is checked against `descriptor` on the way.
    ///
    /// The stream ends in an error when it is shorter or longer than the descriptor's size or has another digest; no
    /// piece past the size is ever handed on.
    pub fn verified(
        descriptor: &Descriptor,
        stream: impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static,
    ) -> Self {
        let checked = CheckedStream {
            inner: stream.boxed(),
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            expected: descriptor.digest.clone(),
            remaining: descriptor.size,
            size: descriptor.size,
        };
        Self { size: descriptor.size, body: Body::Stream(checked.boxed()) }
    }

    /// Returns the size, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the bytes, if they are at hand: such content can be sent again.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Stream(_) => None,
        }
    }

    /// Returns the content as a stream of pieces.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, ContentError>> {
        match self.body {
            Body::Bytes(bytes) => stream::once(async move { Ok(bytes) }).boxed(),
            Body::Stream(stream) => stream,
        }
    }

    /// Returns the same content, calling `observer` with the size of each piece as it passes.
    #[must_use]
    pub fn observed(self, observer: impl Fn(u64) + Send + 'static) -> Self {
        let size = self.size;
        let stream = self.into_stream().inspect(move |piece| {
            if let Ok(piece) = piece {
                observer(piece.len() as u64);
            }
        });
        Self { size, body: Body::Stream(stream.boxed()) }
    }

    /// Returns the same content, whose errors are changed.
    #[must_use]
    pub fn map_err(self, change: impl FnMut(ContentError) -> ContentError + Send + 'static) -> Self {
        match self.body {
            Body::Bytes(_) => self,
            Body::Stream(stream) => Self { size: self.size, body: Body::Stream(stream.map_err(change).boxed()) },
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// Refuses content larger than `limit` bytes before reading any of it.
    pub async fn read_all(self, limit: u64) -> Result<Bytes, ContentError> {
        if self.size > limit {
            return Err(ContentError::TooLarge { limit, size: self.size });
        }
        let mut stream = match self.body {
            Body::Bytes(bytes) => return Ok(bytes),
            Body::Stream(stream) => stream,
        };
        let mut all = BytesMut::new();
        while let Some(piece) = stream.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all.freeze())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self { size: bytes.len() as u64, body: Body::Bytes(bytes) }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("size", &self.size).finish_non_exhaustive()
    }
}

struct CheckedStream {
    inner: BoxStream<'static, Result<Bytes, ContentError>>,
    /// `None` once the end was reached or an error was given.
    hasher: Option<Hasher>,
    expected: Digest,
    remaining: u64,
    size: u64,
}

impl CheckedStream {
    fn admit(&mut self, piece: Bytes) -> Result<Bytes, ContentError> {
        let length = piece.len() as u64;
        let hasher = self.hasher.as_mut().ok_or(ContentError::TooLong { size: self.size })?;
        if length > self.remaining {
            self.hasher = None;
            return Err(ContentError::TooLong { size: self.size });
        }
        self.remaining -= length;
        hasher.update(&piece);
        Ok(piece)
    }

    fn finish(&mut self) -> Option<ContentError> {
        let found = self.hasher.take()?.finish();
        if self.remaining > 0 {
            return Some(ContentError::TooShort { size: self.size, missing: self.remaining });
        }
        (found != self.expected).then(|| ContentError::DigestMismatch { expected: self.expected.clone(), found })
    }
}

impl Stream for CheckedStream {
    type Item = Result<Bytes, ContentError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.hasher.is_none() {
            return Poll::Ready(None);
        }
        self.inner.poll_next_unpin(context).map(|item| match item {
            Some(Ok(piece)) => Some(self.admit(piece)),
            Some(Err(error)) => {
                self.hasher = None;
                Some(Err(error))
            }
            None => self.finish().map(Err),
        })
    }
}

/// Says why content could not be read as described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Reading it for several destinations at once ended for this one: it lagged behind, or the reading broke off.
    #[error("the content is no longer read for several destinations at once")]
    Detached,
    /// The bytes have another digest.
    #[error("the content has digest {found}, not {expected}")]
    DigestMismatch {
        /// Digest asked for.
        expected: Digest,
        /// Digest of the bytes.
        found: Digest,
    },
    /// A mirror gave other content; it is not asked again, so the same content may be right when it is read anew.
    #[error("a mirror gave other content")]
    Mirror(#[source] Box<Self>),
    /// Reading failed on the way.
    #[error("reading the content failed")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The content is larger than what is read whole.
    #[error("the content has {size} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Most bytes read.
        limit: u64,
        /// Size of the content, in bytes.
        size: u64,
    },
    /// More bytes came than described.
    #[error("the content is longer than the {size} bytes described")]
    TooLong {
        /// Size described, in bytes.
        size: u64,
    },
    /// Fewer bytes came than described.
    #[error("the content ended {missing} bytes short of the {size} described")]
    TooShort {
        /// Size described, in bytes.
        size: u64,
        /// Bytes that did not come.
        missing: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect::<Vec<_>>())
    }

    async fn read(described: &[u8], parts: &[&'static str]) -> Result<Bytes, ContentError> {
        Content::verified(&Descriptor::of("text/plain", described), pieces(parts)).read_all(100).await
    }

    #[tokio::test]
    async fn gives_what_was_described() {
        assert_eq!(read(b"hello", &["he", "llo"]).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn refuses_other_bytes_and_sizes() {
        assert!(matches!(read(b"hello", &["hellO"]).await, Err(ContentError::DigestMismatch { .. })));
        assert!(matches!(read(b"hello", &["hell"]).await, Err(ContentError::TooShort { missing: 1, .. })));
        assert!(matches!(read(b"hello", &["hello", "!"]).await, Err(ContentError::TooLong { .. })));
        assert!(matches!(read(&[b'x'; 101], &[]).await, Err(ContentError::TooLarge { .. })));
    }

    #[tokio::test]
    async fn hands_on_nothing_past_the_size() {
        let content = Content::verified(&Descriptor::of("text/plain", b"ab"), pieces(&["ab", "c", "d"]));
        let items: Vec<_> = content.into_stream().collect().await;
        assert_eq!(items.len(), 2);
        assert!(items[0].is_ok() && items[1].is_err());
    }
}
