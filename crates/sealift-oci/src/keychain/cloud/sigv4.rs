//! Signs requests to AWS, version 4.
//!
//! Specification: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign as hmac};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sealift_core::hex;
use url::Url;

use crate::redact::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Keys of an AWS principal.
#[derive(Clone, Debug)]
pub(super) struct AwsKeys {
    pub(super) access_key: String,
    pub(super) secret_key: Secret,
    /// Accompanies temporary keys.
    pub(super) session_token: Option<Secret>,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct SigningScope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) time: Timestamp,
}

impl SigningScope<'_> {
    /// Returns the value of `x-amz-date`.
    pub(super) fn date_time(&self) -> String {
        self.time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    fn credential_scope(&self) -> String {
        let date_time = self.date_time();
        let date = date_time.split('T').next().unwrap_or_default();
        format!("{date}/{}/{}/aws4_request", self.region, self.service)
    }

    fn signing_key(&self, secret: &Secret) -> Tag {
        let start = zeroize::Zeroizing::new(format!("AWS4{}", secret.expose()));
        let scope = self.credential_scope();
        let mut parts = scope.split('/');
        let first = hmac(&key(start.as_bytes()), parts.next().unwrap_or_default().as_bytes());
        parts.fold(first, |tag, part| hmac(&key(tag.as_ref()), part.as_bytes()))
    }
}

/// Returns the `Authorization` header of a request with these `headers`, all of which are signed: lower-case names,
/// `host` and `x-amz-date` among them.
pub(super) fn authorization(
    keys: &AwsKeys,
    scope: SigningScope<'_>,
    method: &str,
    url: &Url,
    headers: &BTreeMap<&str, String>,
    body: &[u8],
) -> String {
    let signed: Vec<&str> = headers.keys().copied().collect();
    let signed = signed.join(";");
    let request = canonical_request(method, url, headers, &signed, body);
    let credential_scope = scope.credential_scope();
    let text = format!("{ALGORITHM}\n{}\n{credential_scope}\n{}", scope.date_time(), hash(request.as_bytes()));
    let signature = hex::encode(hmac(&key(scope.signing_key(&keys.secret_key).as_ref()), text.as_bytes()).as_ref());
    let access_key = &keys.access_key;
    format!("{ALGORITHM} Credential={access_key}/{credential_scope}, SignedHeaders={signed}, Signature={signature}")
}

fn canonical_request(method: &str, url: &Url, headers: &BTreeMap<&str, String>, signed: &str, body: &[u8]) -> String {
    let mut query: Vec<&str> = url.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let mut text = format!("{method}\n{}\n{}\n", url.path(), query.join("&"));
    for (name, value) in headers {
        let _ = writeln!(text, "{name}:{}", value.trim());
    }
    let _ = write!(text, "\n{signed}\n{}", hash(body));
    text
}

fn key(bytes: &[u8]) -> Key {
    Key::new(HMAC_SHA256, bytes)
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys and the time of AWS's published test suite.
    fn published() -> (AwsKeys, Timestamp) {
        let keys = AwsKeys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        (keys, "2015-08-30T12:36:00Z".parse().unwrap())
    }

    #[test]
    fn signs_what_the_published_suite_signs() {
        let (keys, time) = published();
        let date = ("x-amz-date", "20150830T123600Z".to_owned());
        let host = ("host", "example.amazonaws.com".to_owned());
        let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
        // get-vanilla, post-vanilla, post-x-www-form-urlencoded, get-vanilla-query-order-key-case
        for (method, url, headers, body, expected) in [
            (
                "GET",
                "https://example.amazonaws.com/",
                vec![host.clone(), date.clone()],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "https://example.amazonaws.com/",
                vec![host.clone(), date.clone()],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "POST",
                "https://example.amazonaws.com/",
                vec![form, host.clone(), date.clone()],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "GET",
                "https://example.amazonaws.com/?Param2=value2&Param1=value1",
                vec![host, date],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let scope = SigningScope { region: "us-east-1", service: "service", time };
            let url = Url::parse(url).unwrap();
            let header = authorization(&keys, scope, method, &url, &headers.into_iter().collect(), body.as_bytes());
            assert!(header.ends_with(&format!("Signature={expected}")), "{method} {url}: {header}");
        }
    }

    #[test]
    fn signs_the_example_of_the_documentation() {
        let (keys, time) = published();
        let headers = BTreeMap::from([
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            ("host", "iam.amazonaws.com".to_owned()),
            ("x-amz-date", "20150830T123600Z".to_owned()),
        ]);
        let url = Url::parse("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08").unwrap();
        let scope = SigningScope { region: "us-east-1", service: "iam", time };
        assert_eq!(
            hex::encode(scope.signing_key(&keys.secret_key).as_ref()),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
        assert_eq!(
            authorization(&keys, scope, "GET", &url, &headers, b""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}
