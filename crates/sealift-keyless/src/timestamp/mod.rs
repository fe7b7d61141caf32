//! RFC 3161 timestamps over signatures: an authority's word that it saw one.
//!
//! Checks that the answer is to this very request: its digest and its nonce, without which an old answer could be sent
//! again. Whether the authority itself is trusted is decided by the verifier, with a trust root.
//! Specification: <https://www.rfc-editor.org/rfc/rfc3161>.

mod error;

use async_trait::async_trait;
use http::header::ACCEPT;
use sealift_core::crypto::random_bytes;
use sealift_core::oci::Digest;
use sealift_core::timestamp::{MAX_TIMESTAMP_BYTES, TimestampResponse};
use sealift_core::witness::{Retry, SignedMessage, Testimony, Witness, WitnessError};
use url::Url;

pub use error::TimestampWitnessError;

use crate::transport::{Request, Transport, shown};

/// A timestamp authority that is asked about a signature.
#[derive(Clone, Debug)]
pub struct TimestampWitness {
    url: Url,
    transport: Transport,
}

impl TimestampWitness {
    /// Asks the authority at `url`, which is the whole address and not just that of the service.
    pub fn new(url: Url, transport: Transport) -> Self {
        Self { url, transport }
    }

    /// Returns the DER response of a timestamp over `signature`.
    ///
    /// # Errors
    /// [`TimestampWitnessError`] when the authority did not answer, refused, or answered to another request.
    pub async fn stamp(&self, signature: &[u8]) -> Result<Vec<u8>, TimestampWitnessError> {
        let imprint = Digest::sha256(signature);
        let nonce = nonce(random_bytes().map_err(TimestampWitnessError::Random)?);
        let request = Request::post(self.url.clone(), QUERY, query(&imprint, nonce)).header(ACCEPT, REPLY);
        let answer = self.transport.send(&request.limit(MAX_TIMESTAMP_BYTES)).await;
        let answer = answer.map_err(TimestampWitnessError::Transport)?;
        let body = answer.into_body().map_err(TimestampWitnessError::Refused)?;
        let response = TimestampResponse::parse(&body).map_err(TimestampWitnessError::Response)?;
        if *response.imprint() != imprint {
            return Err(TimestampWitnessError::OtherImprint);
        }
        match response.nonce() {
            Some(found) if found == nonce => Ok(body.to_vec()),
            // No nonce is no answer to a request that had one (timestamp-authority issue 1405).
            None => Err(TimestampWitnessError::NoNonce),
            Some(_) => Err(TimestampWitnessError::OtherNonce),
        }
    }
}

#[async_trait]
impl Witness for TimestampWitness {
    async fn testify(&self, signed: &SignedMessage<'_>) -> Result<Testimony, WitnessError> {
        match self.stamp(signed.content.signature()).await {
            Ok(response) => Ok(Testimony::Timestamp(response)),
            Err(error) => Err(WitnessError {
                witness: shown(&self.url),
                retry: if error.may_pass() { Retry::CanHelp } else { Retry::Hopeless },
                source: Box::new(error),
            }),
        }
    }
}

type Nonce = [u8; 8];

/// Makes random bytes a positive DER integer in its one spelling, and always of the same length.
fn nonce(random: Nonce) -> Nonce {
    let [first, rest @ ..] = random;
    let mut nonce = [0; 8];
    nonce[0] = first & 0x3f | 0x40;
    nonce[1..].copy_from_slice(&rest);
    nonce
}

/// Encodes `TimeStampReq` (RFC 3161 section 2.4.1): every length is known, so it is a template.
fn query(imprint: &Digest, nonce: Nonce) -> Vec<u8> {
    /// SEQUENCE; version 1; MessageImprint with SHA-256 and NULL parameters; OCTET STRING of 32 bytes to come.
    const HEAD: [u8; 24] = [
        0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
        0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
    ];
    /// INTEGER of 8 bytes to come.
    const NONCE: [u8; 2] = [0x02, 0x08];
    /// `certReq` TRUE: some verifiers take the authority's certificate from the response alone.
    const WITH_CERTIFICATE: [u8; 3] = [0x01, 0x01, 0xff];
    [&HEAD[..], imprint.as_bytes(), &NONCE, &nonce, &WITH_CERTIFICATE].concat()
}

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_long_as_it_says() {
        let request = query(&Digest::sha256(b"signature"), nonce([0; 8]));
        assert_eq!(usize::from(request[1]), request.len() - 2);
        assert_eq!(&request[24..56], Digest::sha256(b"signature").as_bytes());
    }

    #[test]
    fn nonces_are_positive_and_minimal() {
        for (random, first) in [([0; 8], 0x40), ([0xff; 8], 0x7f)] {
            assert_eq!(nonce(random)[0], first);
            assert_eq!(nonce(random)[1..], random[1..]);
        }
    }
}
