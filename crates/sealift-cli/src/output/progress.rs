//! Progress of long transfers: bars on standard error, on terminals only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sealift_core::copy::CopyObserver;
use sealift_core::oci::{Descriptor, Digest};
use sealift_core::repository::Arrival;

/// Objects smaller than this come and go too fast for a bar of their own, in bytes.
const MIN_BAR_BYTES: u64 = 1024 * 1024;

/// Whether progress is drawn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    Bars,
    Hidden,
}

impl Progress {
    /// Returns who watches a transfer, if anybody does.
    pub(crate) fn observer(self) -> Option<Arc<Bars>> {
        (self == Self::Bars).then(|| Arc::new(Bars::default()))
    }
}

/// A bar for each large object on its way.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    all: MultiProgress,
    open: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Whatever is left of bars must not stand between the lines of the result.
        let _ = self.all.clear();
    }
}

impl CopyObserver for Bars {
    fn started(&self, descriptor: &Descriptor) {
        if descriptor.size < MIN_BAR_BYTES {
            return;
        }
        let bar = self.all.add(ProgressBar::new(descriptor.size));
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(descriptor.digest.hex()[..12].to_owned());
        self.open().insert(descriptor.digest.clone(), bar);
    }

    fn progressed(&self, descriptor: &Descriptor, bytes: u64) {
        if let Some(bar) = self.open().get(&descriptor.digest) {
            bar.inc(bytes);
        }
    }

    fn finished(&self, descriptor: &Descriptor, _arrival: Arrival) {
        if let Some(bar) = self.open().remove(&descriptor.digest) {
            bar.finish_and_clear();
        }
    }
}
