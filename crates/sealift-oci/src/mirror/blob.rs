//! A blob, read at several places as if they were one.
//!
//! A place that breaks off in the middle is followed by the next, which goes on where it ended; the digest is computed
//! over all parts together. A mirror whose content is wrong is not asked for blobs again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use sealift_core::locked;
use sealift_core::oci::{Descriptor, RepositoryName};
use sealift_core::repository::{Content, ContentError, ReadRepository, RepositoryError};

use super::{Asked, CONTENT};
use crate::registry::RegistryRepository;
use crate::registry::blob::Pieces;

/// Blobs up to this size are read whole before anybody gets them, so that a wrong one is replaced unseen.
const HELD_BYTES: u64 = 1024 * 1024;

/// The original, or one of its mirrors.
#[derive(Debug)]
pub(super) struct Place {
    repository: Arc<RegistryRepository>,
    is_mirror: bool,
    /// Whether it gave content that was not what its digest says.
    is_wrong: AtomicBool,
}

impl Place {
    pub(super) fn mirror(repository: Arc<RegistryRepository>) -> Arc<Self> {
        Arc::new(Self { repository, is_mirror: true, is_wrong: AtomicBool::new(false) })
    }

    pub(super) fn original(repository: Arc<RegistryRepository>) -> Arc<Self> {
        Arc::new(Self { repository, is_mirror: false, is_wrong: AtomicBool::new(false) })
    }

    pub(super) fn repository(&self) -> &dyn ReadRepository {
        &*self.repository
    }

    fn is_wrong(&self) -> bool {
        self.is_wrong.load(Ordering::Relaxed)
    }

    /// Strikes a mirror off; says whether it is one.
    fn strike_off(&self) -> bool {
        if self.is_mirror {
            self.is_wrong.store(true, Ordering::Relaxed);
        }
        self.is_mirror
    }
}

/// Returns a blob from the first of `places` that gives it, and from those after it where it breaks off.
pub(super) async fn fetch(
    descriptor: &Descriptor,
    places: &[Arc<Place>],
    name: &RepositoryName,
    mut asked: Asked,
) -> Result<Content, RepositoryError> {
    let mut left: VecDeque<_> = places.iter().filter(|place| !place.is_wrong()).cloned().collect();
    if left.is_empty() {
        // There is no original to ask instead.
        left = places.iter().cloned().collect();
    }
    while let Some(place) = left.pop_front() {
        let pieces = match place.repository.read_blob(descriptor, 0).await {
            Ok(pieces) => pieces,
            Err(error) => {
                asked.note(error);
                continue;
            }
        };
        if descriptor.size > HELD_BYTES {
            return Ok(Relay::new(descriptor, place, pieces, left).into_content());
        }
        match Content::verified(descriptor, pieces).read_all(HELD_BYTES).await {
            Ok(bytes) => return Ok(Content::from(bytes)),
            Err(error) => {
                if is_wrong(&error) {
                    place.strike_off();
                }
                asked.note(RepositoryError::of_content(place.repository().name(), error));
            }
        }
    }
    Err(asked.into_error(name, CONTENT))
}

/// A large blob on its way.
struct Relay {
    descriptor: Descriptor,
    pieces: Pieces,
    received: u64,
    /// Places that gave a part of it.
    used: Used,
    left: VecDeque<Arc<Place>>,
}

type Used = Arc<Mutex<Vec<Arc<Place>>>>;

impl Relay {
    fn new(descriptor: &Descriptor, place: Arc<Place>, pieces: Pieces, left: VecDeque<Arc<Place>>) -> Self {
        let used = Arc::new(Mutex::new(vec![place]));
        Self { descriptor: descriptor.to_plain(), pieces, received: 0, used, left }
    }

    fn into_content(self) -> Content {
        let (descriptor, used) = (self.descriptor.clone(), Arc::clone(&self.used));
        let pieces = stream::unfold(Some(self), |relay| async {
            let mut relay = relay?;
            let piece = relay.next().await?;
            let next = piece.is_ok().then_some(relay);
            Some((piece, next))
        });
        Content::verified(&descriptor, pieces).map_err(move |error| {
            if !is_wrong(&error) {
                return error;
            }
            // Which of several mirrors it was nobody knows.
            let mirrors = locked(&used).iter().filter(|place| place.strike_off()).count();
            if mirrors > 0 { ContentError::Mirror(Box::new(error)) } else { error }
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, ContentError>> {
        loop {
            let error = match self.pieces.next().await {
                Some(Ok(piece)) => {
                    self.received += piece.len() as u64;
                    return Some(Ok(piece));
                }
                _ if self.received >= self.descriptor.size => return None,
                Some(Err(error)) => error,
                None => {
                    let size = self.descriptor.size;
                    ContentError::TooShort { size, missing: size - self.received }
                }
            };
            if !self.go_on(&error).await {
                return Some(Err(error));
            }
        }
    }

    /// Goes on at the next place that has the rest; says whether there is one.
    async fn go_on(&mut self, broken: &ContentError) -> bool {
        while let Some(place) = self.left.pop_front() {
            match place.repository.read_blob(&self.descriptor, self.received).await {
                Ok(pieces) => {
                    tracing::debug!(%broken, from = self.received, "the next place goes on with a blob");
                    self.pieces = pieces;
                    locked(&self.used).push(place);
                    return true;
                }
                Err(error) => tracing::debug!(%error, "the next place is asked"),
            }
        }
        false
    }
}

fn is_wrong(error: &ContentError) -> bool {
    matches!(error, ContentError::DigestMismatch { .. } | ContentError::TooLong { .. })
}
