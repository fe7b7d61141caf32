//! Listings of a repository's tags, shared by those who ask while another one is being read.
//!
//! Whoever asks gets a listing that began after that, as if it had been read for nobody else.

use std::sync::atomic::{AtomicU64, Ordering};

use sealift_core::oci::Tag;
use sealift_core::repository::RepositoryError;
use tokio::sync::Mutex;

/// The listings of one repository.
#[derive(Debug, Default)]
pub(super) struct Listings {
    /// How many have asked.
    asked: AtomicU64,
    last: Mutex<Last>,
}

/// The last listing.
#[derive(Debug, Default)]
struct Last {
    /// How many had asked before it began: it is for all of them.
    covered: u64,
    /// What it says, while somebody is waiting for it; `None` also where it could not be read.
    tags: Option<Vec<Tag>>,
}

impl Listings {
    /// Returns what `list` gives, or what it gave somebody else who began after this call.
    pub(super) async fn get(
        &self,
        list: impl Future<Output = Result<Vec<Tag>, RepositoryError>>,
    ) -> Result<Vec<Tag>, RepositoryError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if number <= last.covered {
            // They waited in order, so the last one takes it away.
            let tags = if number == last.covered { last.tags.take() } else { last.tags.clone() };
            drop(last);
            return match tags {
                Some(tags) => Ok(tags),
                // What failed for one may fail for all, and they need not wait for each other to find out.
                None => list.await,
            };
        }
        last.tags = None;
        last.covered = self.asked.load(Ordering::SeqCst);
        let tags = list.await?;
        if last.covered > number {
            last.tags = Some(tags.clone());
        }
        Ok(tags)
    }
}
