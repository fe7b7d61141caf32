//! Answers, read whole within their bound.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use sealift_core::repository::foreign_text;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Request;

/// An answer that came in full. Its `Debug` shows the status alone.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    message: String,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: HeaderMap, body: Bytes, request: &Request) -> Self {
        // What must not be shown goes before the rest is cut to length: half a secret would not be found.
        let message = if status.is_success() { String::new() } else { foreign_text(&request.redacted(&words(&body))) };
        Self { status, headers, body, message }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the body as JSON, whatever the status.
    ///
    /// # Errors
    /// When it is not of the form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// Returns what the answer says if it says no: the status and the service's words.
    pub fn refusal(&self) -> Refusal {
        Refusal { status: self.status.as_u16(), message: self.message.clone() }
    }

    /// Returns the body of an answer that says yes.
    ///
    /// # Errors
    /// The [`Refusal`] that any other is.
    pub fn into_body(self) -> Result<Bytes, Refusal> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refusal()) }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status.as_u16()).finish_non_exhaustive()
    }
}

/// A service's no, in its own words: bounded, without control characters and without what the request carried.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("HTTP {status}{}", and(.message))]
#[non_exhaustive]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The service's words; empty where it has none.
    pub message: String,
}

fn and(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Reads any body: the JSON of Sigstore's services, of OAuth, or just text.
fn words(body: &[u8]) -> String {
    if let Ok(json) = serde_json::from_slice::<Words>(body) {
        return json.message.or(json.error_description).or(json.error).unwrap_or_default();
    }
    let text = String::from_utf8_lossy(body);
    // A page of HTML says nothing to anybody here; other JSON may be a token.
    let is_talk = !text.trim_start().starts_with(['<', '{', '[', '"']);
    if is_talk { text.trim().to_owned() } else { String::new() }
}

#[derive(Deserialize)]
struct Words {
    message: Option<String>,
    error_description: Option<String>,
    error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_words_of_every_service() {
        for (body, expected) in [
            (r#"{"code":3,"message":"no proof","details":[]}"#, "no proof"),
            (r#"{"error":"invalid_grant","error_description":"too\nold"}"#, "tooold"),
            (r#"{"error":"slow_down"}"#, "slow_down"),
            (r#"{"id_token":"a.b.c"}"#, ""),
            (r#"{"error":{"code":403}}"#, ""),
            ("<html>", ""),
            ("try later\n", "try later"),
            ("", ""),
        ] {
            assert_eq!(foreign_text(&words(body.as_bytes())), expected, "{body}");
        }
    }
}
