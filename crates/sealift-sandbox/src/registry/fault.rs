//! Faults: which requests go wrong, and how.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt};
use sealift_core::locked;
use sealift_core::oci::Digest;

use super::reply::{DOCKER_CONTENT_DIGEST, Refusal, Reply, empty, set};
use super::route::{Call, Endpoint};

/// Says which requests an effect happens to.
///
/// Without conditions that is every request; each condition narrows it. `nth` and `times` count the requests that
/// meet all other conditions, refused and unauthenticated ones included.
///
/// ```
/// use sealift_sandbox::registry::{Effect, Endpoint, Rule};
/// let second_page_fails = Rule::new(Effect::Status(500)).on(Endpoint::Referrers).page(2);
/// let seventh_request_fails = Rule::new(Effect::Status(503)).nth(7).times(1);
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    effect: Effect,
    method: Option<String>,
    endpoint: Option<Endpoint>,
    repository: Option<String>,
    reference: Option<String>,
    page: Option<usize>,
    nth: u64,
    times: u64,
}

impl Rule {
    /// Returns a rule for every request.
    pub fn new(effect: Effect) -> Self {
        Self {
            effect,
            method: None,
            endpoint: None,
            repository: None,
            reference: None,
            page: None,
            nth: 1,
            times: u64::MAX,
        }
    }

    /// Narrows to one method, such as `GET`.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Narrows to one endpoint.
    #[must_use]
    pub fn on(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// Narrows to repositories of this name, in which `*` stands for any text.
    #[must_use]
    pub fn repository(self, glob: &str) -> Self {
        Self { repository: Some(glob.to_owned()), ..self }
    }

    /// Narrows to this tag, digest or upload session, in which `*` stands for any text.
    #[must_use]
    pub fn reference(self, glob: &str) -> Self {
        Self { reference: Some(glob.to_owned()), ..self }
    }

    /// Narrows to one page of a listing, the first being 1.
    #[must_use]
    pub fn page(self, page: usize) -> Self {
        Self { page: Some(page), ..self }
    }

    /// Begins with the request of this number, the first being 1.
    #[must_use]
    pub fn nth(self, nth: u64) -> Self {
        Self { nth, ..self }
    }

    /// Ends after this many requests.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    fn fits(&self, call: &Call) -> bool {
        let fits = |glob: &Option<String>, text: &str| glob.as_deref().is_none_or(|glob| matches_glob(glob, text));
        self.method.as_deref().is_none_or(|method| method == call.method.as_str())
            && self.endpoint.is_none_or(|endpoint| endpoint == call.endpoint)
            && self.page.is_none_or(|page| page == call.page())
            && fits(&self.repository, &call.repository)
            && fits(&self.reference, &call.reference)
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Effect {
    /// The body is replaced, the headers stay as they were but for `Content-Length`.
    Body(Bytes),
    /// The body has one byte changed: another digest, the same size.
    Corrupt,
    /// The connection is cut after this many bytes of the body.
    CutAfter(u64),
    /// Only this many bytes of the request's body arrive; an upload keeps them, and the answer is a 502.
    CutUploadAfter(u64),
    /// The request waits.
    Delay(Duration),
    /// The body arrives in pieces of `bytes` with a pause before each.
    Drip {
        /// Size of the pieces.
        bytes: usize,
        /// Time before each.
        pause: Duration,
    },
    /// The body never ends, and no length is given.
    Endless,
    /// The listing has a next page, whatever page it is.
    EndlessPages,
    /// The body is gzip, whatever was accepted, and this many bytes of zeros when unpacked.
    GzipBomb(u64),
    /// There is never an answer.
    Hang,
    /// A header is set, or taken away.
    Header {
        /// Name of the header.
        name: String,
        /// Value, or nothing to take the header away.
        value: Option<String>,
    },
    /// `Location` names another origin, such as `http://127.0.0.1:1`.
    LocationAt(String),
    /// A listing lacks its last entry, as from a replica that lags behind: of referrers, of tags, or of what a fallback
    /// tag holds, which is then served as the manifest it is.
    OmitEntry,
    /// The request is carried out, but the answer is a 502, as from a proxy that lost it.
    LoseReply,
    /// 307 to the same path and query at another origin, such as `http://127.0.0.1:1`.
    Redirect(String),
    /// This status and error code, and the request is not carried out.
    Refusal(u16, &'static str),
    /// This status and an error body, and the request is not carried out.
    Status(u16),
    /// 429, and the request is not carried out.
    Throttle(RetryAfter),
}

impl Effect {
    /// Returns the effect that a header is set.
    pub fn header(name: &str, value: &str) -> Self {
        Self::Header { name: name.to_owned(), value: Some(value.to_owned()) }
    }

    /// Returns the effect that a header is missing.
    pub fn no_header(name: &str) -> Self {
        Self::Header { name: name.to_owned(), value: None }
    }

    /// Returns the effects that put this answer in the place of any other.
    pub fn answer(status: u16, media_type: &str, body: &str) -> [Self; 3] {
        let body = Self::Body(Bytes::copy_from_slice(body.as_bytes()));
        [Self::Status(status), body, Self::header("content-type", media_type)]
    }

    /// Returns the effect on one request, of which nothing more need be known.
    fn of(self, call: &Call) -> Self {
        match self {
            Self::EndlessPages => {
                Self::header("link", &format!("<{}?page={}>; rel=\"next\"", call.path, call.page() + 1))
            }
            effect => effect,
        }
    }
}

/// How a throttled client is told when to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryAfter {
    /// As an HTTP date this many seconds from now.
    Date(u64),
    /// Not at all.
    Missing,
    /// As a number of seconds.
    Seconds(u64),
}

/// The rules of one registry, with their counters.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<(Rule, u64)>>);

impl Faults {
    pub(super) fn replace(&self, rules: Vec<Rule>) {
        *locked(&self.0) = rules.into_iter().map(|rule| (rule, 0)).collect();
    }

    /// Counts the request and returns what happens to it.
    pub(super) fn hits(&self, call: &Call) -> Hits {
        let mut effects = Vec::new();
        for (rule, seen) in locked(&self.0).iter_mut().filter(|(rule, _)| rule.fits(call)) {
            *seen += 1;
            if (rule.nth..rule.nth.saturating_add(rule.times)).contains(seen) {
                effects.push(rule.effect.clone().of(call));
            }
        }
        Hits(effects)
    }
}

/// What happens to one request.
pub(super) struct Hits(Vec<Effect>);

impl Hits {
    /// Returns the answer of a request that is not carried out; also waits, where a rule says so.
    pub(super) async fn instead(&self, uri: &Uri) -> Option<Reply> {
        for effect in &self.0 {
            match effect {
                Effect::Delay(time) => tokio::time::sleep(*time).await,
                Effect::Hang => std::future::pending().await,
                Effect::Redirect(origin) => {
                    let path = uri.path_and_query().map_or("/", |path| path.as_str());
                    return Some(empty(StatusCode::TEMPORARY_REDIRECT, &[(LOCATION, &format!("{origin}{path}"))]));
                }
                Effect::Refusal(status, code) => return Some(refused(*status, code)),
                Effect::Status(status) => return Some(injected(*status)),
                Effect::Throttle(after) => return Some(throttled(*after)),
                _ => {}
            }
        }
        None
    }

    /// Returns what arrives of a request's body.
    pub(super) fn received(&self, body: Body) -> Body {
        self.0.iter().fold(body, |body, effect| match effect {
            Effect::CutUploadAfter(bytes) => cut(body, *bytes),
            _ => body,
        })
    }

    /// Returns what becomes of an answer on its way.
    pub(super) fn distort(self, reply: Reply) -> Reply {
        self.0.into_iter().fold(reply, distorted)
    }
}

fn injected(status: u16) -> Reply {
    match status {
        401 => Refusal::unauthorized("Basic realm=\"sandbox\"".to_owned()).into_reply(),
        403 => refused(status, "DENIED"),
        405 => refused(status, "UNSUPPORTED"),
        _ => refused(status, "UNKNOWN"),
    }
}

fn refused(status: u16, code: &'static str) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Refusal::new(status, code, "a fault of the sandbox").into_reply()
}

fn throttled(after: RetryAfter) -> Reply {
    let mut reply = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", "slow down").into_reply();
    match after {
        RetryAfter::Date(seconds) => set(&mut reply, RETRY_AFTER, &http_date(seconds)),
        RetryAfter::Missing => {}
        RetryAfter::Seconds(seconds) => set(&mut reply, RETRY_AFTER, &seconds.to_string()),
    }
    reply
}

#[expect(clippy::disallowed_methods, reason = "the sandbox is the world: its clock is the clock")]
fn http_date(seconds_from_now: u64) -> String {
    let span = jiff::SignedDuration::from_secs(i64::try_from(seconds_from_now).unwrap_or(i64::MAX));
    let time = jiff::Timestamp::now().saturating_add(span).unwrap_or(jiff::Timestamp::MAX);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

fn distorted(reply: Reply, effect: Effect) -> Reply {
    match effect {
        Effect::Body(bytes) => with_length(reply, bytes.len() as u64, |_| Body::from(bytes)),
        Effect::Corrupt => reply.map(corrupted),
        Effect::CutAfter(bytes) => reply.map(|body| cut(body, bytes)),
        Effect::Drip { bytes, pause } => reply.map(|body| dripping(body, bytes.max(1), pause)),
        Effect::Endless => without_length(reply, endless()),
        Effect::GzipBomb(size) => {
            let mut reply = without_length(reply, Body::from_stream(gzip_bomb(size)));
            set(&mut reply, CONTENT_ENCODING, "gzip");
            reply
        }
        Effect::Header { name, value } => with_header(reply, &name, value.as_deref()),
        Effect::LocationAt(origin) => relocated(reply, &origin),
        Effect::OmitEntry => without_last_entry(reply),
        Effect::CutUploadAfter(_) | Effect::LoseReply => {
            Refusal::new(StatusCode::BAD_GATEWAY, "UNKNOWN", "a fault of the sandbox").into_reply()
        }
        Effect::Delay(_)
        | Effect::EndlessPages
        | Effect::Hang
        | Effect::Redirect(_)
        | Effect::Refusal(..)
        | Effect::Status(_)
        | Effect::Throttle(_) => reply,
    }
}

fn with_length(reply: Reply, length: u64, body: impl FnOnce(Body) -> Body) -> Reply {
    let mut reply = reply.map(body);
    set(&mut reply, CONTENT_LENGTH, &length.to_string());
    reply
}

fn without_length(reply: Reply, body: Body) -> Reply {
    let mut reply = reply.map(|_| body);
    reply.headers_mut().remove(CONTENT_LENGTH);
    reply
}

fn with_header(mut reply: Reply, name: &str, value: Option<&str>) -> Reply {
    let Ok(name) = HeaderName::try_from(name) else { return reply };
    if name == CONTENT_LENGTH {
        // A stream has no length of its own that could contradict the header.
        reply = reply.map(|body| Body::from_stream(body.into_data_stream().chain(flush(Ok(Bytes::new())))));
    }
    match value {
        Some(value) => set(&mut reply, name, value),
        None => drop(reply.headers_mut().remove(name)),
    }
    reply
}

fn relocated(mut reply: Reply, origin: &str) -> Reply {
    let location = reply.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let Some(uri) = location.and_then(|location| location.parse::<Uri>().ok()) else { return reply };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    set(&mut reply, LOCATION, &format!("{origin}{path}"));
    reply
}

fn without_last_entry(reply: Reply) -> Reply {
    let (parts, body) = reply.into_parts();
    // Listings are made whole, so that nothing has to be waited for.
    let bytes = axum::body::to_bytes(body, usize::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
    let Some(shorter) = shortened(&bytes) else { return Reply::from_parts(parts, Body::from(bytes)) };
    let digest = Digest::sha256(&shorter).to_string();
    let mut reply = Reply::from_parts(parts, Body::empty());
    for (header, value) in [(DOCKER_CONTENT_DIGEST, digest.clone()), (ETAG, format!("\"{digest}\""))] {
        if reply.headers().contains_key(&header) {
            set(&mut reply, header, &value);
        }
    }
    with_length(reply, shorter.len() as u64, |_| Body::from(shorter))
}

fn shortened(listing: &[u8]) -> Option<Vec<u8>> {
    let mut listing: serde_json::Value = serde_json::from_slice(listing).ok()?;
    let field = ["manifests", "tags"].into_iter().find(|field| listing[*field].is_array())?;
    listing[field].as_array_mut()?.pop()?;
    serde_json::to_vec(&listing).ok()
}

fn corrupted(body: Body) -> Body {
    let mut is_first = true;
    Body::from_stream(body.into_data_stream().map(move |piece| {
        let mut piece = BytesMut::from(&piece?[..]);
        if let Some(byte) = piece.first_mut().filter(|_| is_first) {
            *byte ^= 1;
            is_first = false;
        }
        Ok::<_, axum::Error>(piece.freeze())
    }))
}

fn cut(body: Body, bytes: u64) -> Body {
    let kept = body.into_data_stream().scan(bytes, |left, piece| {
        let kept = match piece {
            Ok(_) if *left == 0 => None,
            Ok(piece) => {
                let piece = piece.slice(..piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                *left -= piece.len() as u64;
                Some(Ok(piece))
            }
            Err(error) => Some(Err(io::Error::other(error))),
        };
        std::future::ready(kept)
    });
    Body::from_stream(kept.chain(flush(Err(io::Error::other("cut by the sandbox")))))
}

/// Gives `last` only after the server had a chance to send what it has: what it had not, dies with the connection.
fn flush<E: Send + 'static>(last: Result<Bytes, E>) -> impl futures_util::Stream<Item = Result<Bytes, E>> + Send {
    stream::once(async move {
        tokio::task::yield_now().await;
        last
    })
}

fn dripping(body: Body, bytes: usize, pause: Duration) -> Body {
    let drops = body.into_data_stream().flat_map(move |piece| {
        let drops: Vec<_> = match piece {
            Ok(mut piece) => {
                std::iter::from_fn(|| (!piece.is_empty()).then(|| Ok(piece.split_to(bytes.min(piece.len()))))).collect()
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(drops)
    });
    Body::from_stream(drops.then(move |drop| async move {
        tokio::time::sleep(pause).await;
        drop
    }))
}

fn endless() -> Body {
    let piece = Bytes::from_static(&[b' '; 64 * 1024]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, io::Error>(piece.clone())))
}

/// Returns a gzip stream of `size` zeros, to the next mebibyte, in a hundredth of the bytes.
///
/// Each piece is a block of fixed Huffman codes (RFC 1951 section 3.2.6): a literal zero, then copies of 258 zeros from
/// distance 1, which take 13 bits each. There is no trailer: whoever misses it has unpacked everything by then.
fn gzip_bomb(size: u64) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    const PIECE_ZEROS: u64 = 1024 * 1024;
    let mut block = BitWriter::default();
    block.push("010"); // not the last block; fixed codes
    block.push("00110000"); // literal 0
    for _ in 0..PIECE_ZEROS / 258 {
        block.push("11000101"); // length 258
        block.push("00000"); // distance 1
    }
    block.push("0000000"); // end of block
    block.push("000"); // an empty stored block, which ends on a whole byte
    block.bytes.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let block = Bytes::from(block.bytes);
    let head = Bytes::from_static(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let blocks = (0..size.div_ceil(PIECE_ZEROS)).map(move |_| Ok(block.clone()));
    stream::iter(std::iter::once(Ok(head)).chain(blocks))
}

/// Packs bits into bytes, least significant first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 0 when it is full.
    used: u32,
}

impl BitWriter {
    fn push(&mut self, bits: &str) {
        for bit in bits.bytes() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut().filter(|_| bit == b'1') {
                *last |= 1 << self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}

/// Says whether `text` is what `glob` describes, `*` standing for any text, `/` included.
pub(super) fn matches_glob(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(position) = rest.find(part) else { return false };
        rest = &rest[position + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::*;

    fn call(method: Method, path: &str) -> Call {
        Call::new(method, &path.parse().unwrap(), axum::http::HeaderMap::new())
    }

    #[test]
    fn globs_match_whole_names() {
        for (glob, text, expected) in [
            ("prod/*", "prod/a/b", true),
            ("prod/*", "staging/a", false),
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("*.sig", "sha256-00.sig", true),
            ("sha256-*.sig", "sha256-00.att", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
        ] {
            assert_eq!(matches_glob(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn rules_count_what_they_match() {
        let faults = Faults::default();
        faults.replace(vec![Rule::new(Effect::Status(500)).on(Endpoint::Manifest).method("GET").nth(2).times(2)]);
        let hits = |method, path| !faults.hits(&call(method, path)).0.is_empty();
        assert!(!hits(Method::GET, "/v2/a/blobs/sha256:00"));
        assert!(!hits(Method::GET, "/v2/a/manifests/v1"));
        assert!(!hits(Method::PUT, "/v2/a/manifests/v1"));
        assert!(hits(Method::GET, "/v2/a/manifests/v1"));
        assert!(hits(Method::GET, "/v2/a/manifests/v1"));
        assert!(!hits(Method::GET, "/v2/a/manifests/v1"));
    }

    #[test]
    fn pages_are_told_apart() {
        let faults = Faults::default();
        faults.replace(vec![Rule::new(Effect::Status(500)).page(2)]);
        assert!(faults.hits(&call(Method::GET, "/v2/a/tags/list")).0.is_empty());
        assert!(!faults.hits(&call(Method::GET, "/v2/a/tags/list?page=2")).0.is_empty());
    }
}
