//! Limits that are counted: pulls, as Docker Hub does, and requests.

use std::sync::Mutex;
use std::time::Instant;

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, Method, StatusCode};
use sealift_core::locked;

use super::quirk::{PullLimit, Quirks, Throttle};
use super::reply::{Refusal, Reply, set};
use super::route::{Call, Endpoint};

/// What has been used up.
#[derive(Default)]
pub(super) struct Limits(Mutex<Used>);

#[derive(Default)]
struct Used {
    pulls: u64,
    window: Option<(Instant, u32)>,
}

impl Limits {
    /// Counts a request and returns the refusal of one too many.
    pub(super) fn check_requests(&self, quirks: &Quirks) -> Option<Reply> {
        let throttle = quirks.throttle.filter(|throttle| self.exceeds(*throttle))?;
        Some(too_many("too many requests", throttle.retry_after))
    }

    /// Counts a pull and returns the refusal of one too many.
    pub(super) fn check_pulls(&self, quirks: &Quirks, call: &Call) -> Option<Reply> {
        let limit = quirks.pull_limit.filter(|_| call.endpoint == Endpoint::Manifest && call.method == Method::GET)?;
        let mut used = locked(&self.0);
        if used.pulls < limit.pulls {
            used.pulls += 1;
            return None;
        }
        drop(used);
        let mut reply = too_many("you have reached your pull rate limit", None);
        self.tell(limit, &mut reply);
        Some(reply)
    }

    /// Says what is left, in the answers about manifests.
    pub(super) fn announce(&self, quirks: &Quirks, call: &Call, reply: &mut Reply) {
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        if let Some(limit) = quirks.pull_limit.filter(|_| call.endpoint == Endpoint::Manifest && reads) {
            self.tell(limit, reply);
        }
    }

    fn tell(&self, limit: PullLimit, reply: &mut Reply) {
        let left = limit.pulls.saturating_sub(locked(&self.0).pulls);
        let window = limit.window_seconds;
        set(reply, RATELIMIT_LIMIT, &format!("{};w={window}", limit.pulls));
        set(reply, RATELIMIT_REMAINING, &format!("{left};w={window}"));
        set(reply, DOCKER_RATELIMIT_SOURCE, "127.0.0.1");
    }

    fn exceeds(&self, throttle: Throttle) -> bool {
        let now = Instant::now();
        let mut used = locked(&self.0);
        match &mut used.window {
            Some((start, count)) if now.duration_since(*start) < throttle.window => {
                *count += 1;
                *count > throttle.requests
            }
            window => {
                *window = Some((now, 1));
                throttle.requests == 0
            }
        }
    }
}

fn too_many(message: &str, retry_after: Option<u64>) -> Reply {
    let mut reply = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message).into_reply();
    if let Some(seconds) = retry_after {
        set(&mut reply, RETRY_AFTER, &seconds.to_string());
    }
    reply
}

const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const DOCKER_RATELIMIT_SOURCE: HeaderName = HeaderName::from_static("docker-ratelimit-source");
