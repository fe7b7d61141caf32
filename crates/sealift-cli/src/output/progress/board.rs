//! How far everything is.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sealift_core::copy::CopyReport;
use sealift_core::locked;
use tokio::time::Instant;

use super::image::ImageProgress;
use super::rate::Rate;
use crate::output::model::{Ending, Endings};

/// How far everything is.
#[derive(Debug)]
pub(super) struct Board {
    started: Instant,
    images: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    under_way: Vec<Arc<ImageProgress>>,
    done: usize,
    endings: Endings,
    /// What has arrived of the images that are done.
    arrived: CopyReport,
    rate: Rate,
}

/// How far everything is at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Images there are.
    pub(super) images: usize,
    pub(super) done: usize,
    pub(super) under_way: Vec<UnderWay>,
    pub(super) endings: Endings,
    /// What has arrived; the bytes on their way count as copied.
    pub(super) arrived: CopyReport,
    /// Bytes a second, lately.
    pub(super) rate: u64,
    pub(super) elapsed: Duration,
}

/// One image under way.
#[derive(Clone, Debug)]
pub(super) struct UnderWay {
    pub(super) name: String,
    /// Bytes to arrive at most; 0 until it is known what travels.
    pub(super) expected: u64,
    /// Bytes that are there, or on their way.
    pub(super) bytes: u64,
}

impl Board {
    pub(super) fn new(images: usize) -> Self {
        Self { started: Instant::now(), images, state: Mutex::default() }
    }

    /// Returns how many images there are.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// Begins with an image.
    pub(super) fn open(&self, name: String) -> Arc<ImageProgress> {
        let image = Arc::new(ImageProgress::new(name));
        self.state().under_way.push(Arc::clone(&image));
        image
    }

    /// Ends with an image, and returns how many are done.
    pub(super) fn close(&self, image: &Arc<ImageProgress>, endings: impl Iterator<Item = Ending>) -> usize {
        let mut state = self.state();
        state.under_way.retain(|other| !Arc::ptr_eq(other, image));
        state.arrived.absorb(image.standing().1);
        endings.for_each(|ending| state.endings.count(ending));
        state.done += 1;
        state.done
    }

    /// Returns how far everything is now.
    pub(super) fn standing(&self) -> Standing {
        let elapsed = self.started.elapsed();
        let mut state = self.state();
        let mut arrived = state.arrived.clone();
        let mut under_way = Vec::new();
        for image in &state.under_way {
            let (expected, report) = image.standing();
            let bytes = [report.copied, report.mounted, report.present].map(|tally| tally.bytes);
            let bytes = bytes.into_iter().fold(0, u64::saturating_add);
            under_way.push(UnderWay { name: image.name.clone(), expected, bytes });
            arrived.absorb(report);
        }
        let rate = state.rate.sample(elapsed, arrived.copied.bytes);
        let (done, endings) = (state.done, state.endings);
        Standing { images: self.images, done, under_way, endings, arrived, rate, elapsed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}
