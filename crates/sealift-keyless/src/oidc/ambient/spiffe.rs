//! The Workload API of SPIFFE: an agent on this machine that knows workloads by their process.
//!
//! One call of gRPC, written out: a message of one field there, of one field back. Looks for no agent at a path that
//! nobody named: in a shared directory anybody could have put one.
//! Specification: <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md>.

use std::path::PathBuf;

use async_trait::async_trait;
use http::HeaderName;
use http::header::TE;
use sealift_core::repository::foreign_text;
use url::Url;

use super::Environment;
use crate::oidc::{IdentityError, IdentityProvider, IdentityToken, MAX_ANSWER_BYTES, token_for};
use crate::transport::{Answer, Request, Transport};

/// Asks the agent for a token of this workload.
#[derive(Debug)]
pub(super) struct Spiffe {
    socket: PathBuf,
    url: Url,
    transport: Transport,
}

impl Spiffe {
    /// The variable holds `unix:` and an absolute path.
    pub(super) fn new(environment: &Environment, transport: Transport) -> Option<Self> {
        let address = environment.variable("SPIFFE_ENDPOINT_SOCKET")?.strip_prefix("unix:")?;
        let path = address.strip_prefix("//").unwrap_or(address);
        let socket = PathBuf::from(path);
        socket.is_absolute().then_some(Self { socket, url: Url::parse(METHOD).ok()?, transport })
    }
}

#[async_trait]
impl IdentityProvider for Spiffe {
    fn name(&self) -> &'static str {
        "SPIFFE"
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        let request = Request::post(self.url.clone(), "application/grpc", frame(&field(AUDIENCE, audience.as_bytes())))
            .header(TE, "trailers")
            .header(SECURITY, "true")
            .limit(MAX_ANSWER_BYTES);
        let answer = self.transport.send_to_socket(&self.socket, &request).await?;
        read(&answer, audience)
    }
}

fn read(answer: &Answer, audience: &str) -> Result<IdentityToken, IdentityError> {
    if !answer.status().is_success() {
        return Err(IdentityError::Refused { who: WHO, source: answer.refusal() });
    }
    // A refusal has no message, and its status among the headers.
    if let Some(status) = answer.headers().get(STATUS).filter(|status| *status != "0") {
        return Err(IdentityError::Agent { status: foreign_text(status.to_str().unwrap_or_default()) });
    }
    let message = unframe(answer.body());
    let token = message.and_then(|message| find(message, SVIDS)).and_then(|svid| find(svid, SVID));
    let text = token.and_then(|token| std::str::from_utf8(token).ok());
    token_for(audience, text.ok_or(IdentityError::Malformed { who: WHO })?)
}

/// Returns a message as gRPC sends it: not compressed, its length before it.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0], &length[..], message].concat()
}

fn unframe(body: &[u8]) -> Option<&[u8]> {
    let ([0, length @ ..], rest) = body.split_first_chunk::<5>()? else { return None };
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (rest.len() == length).then_some(rest)
}

/// Returns a field of bytes in the encoding of protocol buffers.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = varint(number << 3 | LENGTH_DELIMITED);
    encoded.extend(varint(bytes.len() as u64));
    encoded.extend_from_slice(bytes);
    encoded
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
    bytes
}

/// Finds the first field of bytes with this number; messages of the API hold nothing else.
fn find(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut rest = message;
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        if key & 7 != LENGTH_DELIMITED {
            return None;
        }
        let length = usize::try_from(read_varint(&mut rest)?).ok()?;
        let (bytes, after) = rest.split_at_checked(length)?;
        if key >> 3 == number {
            return Some(bytes);
        }
        rest = after;
    }
    None
}

fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

const WHO: &str = "the SPIFFE agent";
/// The host names nobody: the request goes to the socket.
const METHOD: &str = "http://localhost/SpiffeWorkloadAPI/FetchJWTSVID";
/// Says that the request was made on purpose, and not by a server that was made to fetch an address.
const SECURITY: HeaderName = HeaderName::from_static("workload.spiffe.io");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const LENGTH_DELIMITED: u64 = 2;
/// `audience` of `JWTSVIDRequest`.
const AUDIENCE: u64 = 1;
/// `svids` of `JWTSVIDResponse`; the first is the workload's own.
const SVIDS: u64 = 1;
/// `svid` of `JWTSVID`.
const SVID: u64 = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_survive_their_encoding() {
        for (number, bytes) in [(0, &[0][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
            assert_eq!(varint(number), bytes);
            assert_eq!(read_varint(&mut &bytes[..]), Some(number));
        }
        assert_eq!(read_varint(&mut &[0xff; 20][..]), None);
        assert_eq!(read_varint(&mut &[0x80][..]), None);
    }

    proptest! {
        #[test]
        fn fields_are_found_among_others(one in ".{0,200}", two in ".{0,200}") {
            let message = [field(1, one.as_bytes()), field(2, two.as_bytes()), field(2, b"later")].concat();
            let framed = frame(&message);
            let message = unframe(&framed).unwrap();
            prop_assert_eq!(find(message, 2), Some(two.as_bytes()));
            prop_assert_eq!(find(message, 3), None);
            prop_assert_eq!(unframe(&framed[..framed.len() - 1]), None);
        }

        #[test]
        fn reading_is_total(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = unframe(&bytes).and_then(|message| find(message, 1));
        }
    }
}
