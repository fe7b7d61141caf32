//! The archives that this process writes: all that write one share it, as only one writer may have it at a time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use sealift_core::repository::RepositoryError;
use tokio::sync::Mutex;

use super::{Inner, LayoutRepository, Mode, is_archive};

/// The archives that are open for writing.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    open: Mutex<HashMap<PathBuf, Weak<Inner>>>,
}

impl Writers {
    /// Opens a layout for writing; an archive that this process writes already is the same one.
    pub(crate) async fn open(&self, path: &Path) -> Result<LayoutRepository, RepositoryError> {
        if !is_archive(path) {
            return LayoutRepository::open(path, Mode::Write).await;
        }
        let place = place(path);
        // Held while one is opened, so that nobody opens it a second time meanwhile.
        let mut open = self.open.lock().await;
        if let Some(inner) = open.get(&place).and_then(Weak::upgrade) {
            return Ok(LayoutRepository { inner });
        }
        open.retain(|_, inner| inner.strong_count() > 0);
        let opened = LayoutRepository::open(path, Mode::Write).await?;
        open.insert(place, Arc::downgrade(&opened.inner));
        Ok(opened)
    }
}

/// Returns the one name of a file that need not exist yet.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    path.canonicalize().unwrap_or_else(|_| folder.join(path.file_name().unwrap_or_default()))
}
