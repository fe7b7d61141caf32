//! How far one image is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use sealift_core::copy::{CopyObserver, CopyReport};
use sealift_core::locked;
use sealift_core::oci::{Descriptor, Digest};
use sealift_core::repository::Arrival;

/// How far one image is, at all of its destinations together. Counts, and shows nothing.
#[derive(Debug)]
pub(crate) struct ImageProgress {
    pub(super) name: String,
    deliveries: Mutex<Vec<Arc<Delivery>>>,
}

impl ImageProgress {
    pub(super) fn new(name: String) -> Self {
        Self { name, deliveries: Mutex::default() }
    }

    /// Begins to move it to one more destination, at most so many bytes of it; the answer is who watches that.
    pub(crate) fn deliver(&self, bytes: u64) -> Arc<Delivery> {
        let delivery = Arc::new(Delivery { expected: bytes, counts: Mutex::default() });
        locked(&self.deliveries).push(Arc::clone(&delivery));
        delivery
    }

    /// Returns the bytes to arrive at most, 0 until it is known what travels, and what has arrived; the bytes on their
    /// way count as copied.
    pub(super) fn standing(&self) -> (u64, CopyReport) {
        let (mut expected, mut arrived) = (0_u64, CopyReport::default());
        for delivery in locked(&self.deliveries).iter() {
            expected = expected.saturating_add(delivery.expected);
            let counts = locked(&delivery.counts);
            arrived.absorb(counts.arrived.clone());
            let moving = counts.moving.values().copied().fold(0, u64::saturating_add);
            arrived.copied.bytes = arrived.copied.bytes.saturating_add(moving);
        }
        (expected, arrived)
    }
}

/// How far one image is on its way to one destination.
#[derive(Debug)]
pub(crate) struct Delivery {
    expected: u64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: CopyReport,
    /// What is there: objects are counted once, however many manifests name them.
    settled: HashSet<Digest>,
    /// Bytes read of what is on its way.
    moving: HashMap<Digest, u64>,
}

impl CopyObserver for Delivery {
    fn started(&self, descriptor: &Descriptor) {
        let mut counts = locked(&self.counts);
        if !counts.settled.contains(&descriptor.digest) {
            counts.moving.entry(descriptor.digest.clone()).or_default();
        }
    }

    fn progressed(&self, descriptor: &Descriptor, bytes: u64) {
        if let Some(moved) = locked(&self.counts).moving.get_mut(&descriptor.digest) {
            // What is read twice, because a registry hung up, does not arrive twice.
            *moved = moved.saturating_add(bytes).min(descriptor.size);
        }
    }

    fn finished(&self, descriptor: &Descriptor, arrival: Arrival) {
        let mut counts = locked(&self.counts);
        counts.moving.remove(&descriptor.digest);
        if counts.settled.insert(descriptor.digest.clone()) {
            counts.arrived.count(descriptor, arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_as_they_are_read_and_objects_once_at_each_destination() {
        let image = ImageProgress::new("app:v1".to_owned());
        let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", &[0; 100]);
        let first = image.deliver(100);
        first.started(&layer);
        first.progressed(&layer, 40);
        assert_eq!(image.standing().1.copied.bytes, 40);
        // The source hung up, and is read from the beginning.
        first.progressed(&layer, 70);
        assert_eq!(image.standing().1.copied.bytes, 100);
        first.finished(&layer, Arrival::Copied);
        first.started(&layer);
        first.finished(&layer, Arrival::Present);
        let (expected, arrived) = image.standing();
        assert_eq!((expected, arrived.copied.bytes, arrived.copied.objects, arrived.present.objects), (100, 100, 1, 0));
        let second = image.deliver(100);
        second.started(&layer);
        second.finished(&layer, Arrival::Mounted);
        let (expected, arrived) = image.standing();
        assert_eq!((expected, arrived.copied.bytes, arrived.mounted.bytes), (200, 100, 100));
    }
}
