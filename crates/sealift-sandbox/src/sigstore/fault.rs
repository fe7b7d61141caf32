//! What a service does wrong, on request.

use std::sync::Mutex;
use std::time::Duration;

use jiff::SignedDuration;
use sealift_core::locked;
use serde_json::json;

use super::service::{Reply, Service};

/// Something that goes wrong at a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The timestamp authority's certificate had expired before the timestamp.
    ExpiredCertificate,
    /// A log of version 1 answers with a checkpoint that another key signed.
    ForeignCheckpoint,
    /// Every request waits this long.
    Latency(Duration),
    /// A log answers with the checkpoint of its state before the entry.
    OldCheckpoint,
    /// A log of version 1 answers the question for one entry with the one before it.
    OtherEntry,
    /// The certificate authority's certificates last this long only.
    ShortLived(SignedDuration),
    /// The service answers with this status and does nothing.
    Status(u16),
    /// The service does what was asked, then answers with this status: the reply is lost.
    StatusAfter(u16),
    /// The proof of inclusion leads to another root.
    WrongProof,
    /// The signed promise, or the signed certificate timestamp, is over other bytes.
    WrongPromise,
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Times {
    /// Until faults are cleared.
    Always,
    /// This many times, then no more.
    Next(u32),
}

/// The faults that still happen.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<(Service, Fault, Times)>>);

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&self, service: Service, fault: Fault, times: Times) {
        locked(&self.0).push((service, fault, times));
    }

    /// Removes all faults.
    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }

    /// Says whether `fault` happens now, and counts it.
    pub(super) fn strikes(&self, service: Service, fault: Fault) -> bool {
        self.take(service, |candidate| (candidate == fault).then_some(())).is_some()
    }

    /// Returns how long the request waits.
    pub(super) fn latency(&self, service: Service) -> Duration {
        let latency = self.take(service, |fault| match fault {
            Fault::Latency(duration) => Some(duration),
            _ => None,
        });
        latency.unwrap_or(Duration::ZERO)
    }

    /// Returns how long a certificate lasts, where that is not as usual.
    pub(super) fn lifetime(&self, service: Service) -> Option<SignedDuration> {
        self.take(service, |fault| match fault {
            Fault::ShortLived(lifetime) => Some(lifetime),
            _ => None,
        })
    }

    /// Returns the answer given instead of doing anything.
    pub(super) fn instead(&self, service: Service) -> Option<Reply> {
        let status = self.take(service, |fault| match fault {
            Fault::Status(status) => Some(status),
            _ => None,
        })?;
        Some(failure(status))
    }

    /// Returns the answer given after doing what was asked.
    pub(super) fn after(&self, service: Service) -> Option<Reply> {
        let status = self.take(service, |fault| match fault {
            Fault::StatusAfter(status) => Some(status),
            _ => None,
        })?;
        Some(failure(status))
    }

    fn take<T>(&self, service: Service, choose: impl Fn(Fault) -> Option<T>) -> Option<T> {
        let mut faults = locked(&self.0);
        let (index, chosen) = faults.iter().enumerate().find_map(|(index, (where_, fault, times))| {
            (*where_ == service && *times != Times::Next(0))
                .then(|| choose(*fault))
                .flatten()
                .map(|chosen| (index, chosen))
        })?;
        if let Times::Next(left) = &mut faults[index].2 {
            *left -= 1;
        }
        Some(chosen)
    }
}

fn failure(status: u16) -> Reply {
    Reply::json(status, &json!({ "code": status, "message": "the sandbox was told to fail", "details": [] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_happen_at_their_service_and_as_often_as_told() {
        let faults = Faults::default();
        faults.add(Service::Fulcio, Fault::Status(503), Times::Next(2));
        faults.add(Service::RekorV1, Fault::WrongProof, Times::Always);
        assert!(faults.instead(Service::RekorV1).is_none());
        assert_eq!(faults.instead(Service::Fulcio).map(|reply| reply.status), Some(503));
        assert_eq!(faults.instead(Service::Fulcio).map(|reply| reply.status), Some(503));
        assert!(faults.instead(Service::Fulcio).is_none());
        for _ in 0..3 {
            assert!(faults.strikes(Service::RekorV1, Fault::WrongProof));
        }
        faults.clear();
        assert!(!faults.strikes(Service::RekorV1, Fault::WrongProof));
    }
}
