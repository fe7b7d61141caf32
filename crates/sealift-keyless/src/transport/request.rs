//! Requests: what is sent where, how much may come back, and whether it may be sent again.

use std::fmt;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use url::Url;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::TransportError;

/// A request to come. Its `Debug` shows neither what it carries nor the query of its address.
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    max_bytes: usize,
    repeat: Repeat,
    plain: Plain,
    secrets: Vec<Zeroizing<String>>,
}

/// When a request may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// Whenever the answer may be another one then.
    Always,
    /// Only when the service said that it did nothing (429): what it is given works once.
    WhenUndone,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Plain {
    Allowed,
    OnLoopback,
}

impl Request {
    /// Reads something.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_bytes: MAX_ANSWER_BYTES,
            repeat: Repeat::Always,
            plain: Plain::OnLoopback,
            secrets: Vec::new(),
        }
    }

    /// Sends bytes of a media type.
    pub fn post(url: Url, media_type: &'static str, body: impl Into<Bytes>) -> Self {
        let request = Self { method: Method::POST, body: body.into(), ..Self::get(url) };
        request.header(CONTENT_TYPE, media_type)
    }

    /// Sends JSON and asks for JSON.
    pub fn post_json(url: Url, body: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::post(url, JSON, serde_json::to_vec(body)?).header(ACCEPT, JSON))
    }

    /// Sends a form and asks for JSON.
    pub fn post_form(url: Url, fields: &[(&str, &str)]) -> Self {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        Self::post(url, "application/x-www-form-urlencoded", body).header(ACCEPT, JSON)
    }

    /// Adds a header; a value that no header may have is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Adds `Authorization`, with a scheme such as `Bearer`.
    #[must_use]
    pub fn authorization(mut self, scheme: &str, secret: &str) -> Self {
        let header = Zeroizing::new(format!("{scheme} {secret}"));
        if let Ok(mut value) = HeaderValue::from_str(&header) {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
        self.secret(secret)
    }

    /// Names something the request carries that must not be shown, also when the answer repeats it.
    #[must_use]
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(Zeroizing::new(secret.to_owned()));
        self
    }

    /// Sets the most bytes read of the answer.
    #[must_use]
    pub fn limit(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Sets when the request may be sent again.
    #[must_use]
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    /// Sends the request over plain HTTP to a machine that may be another one: only for metadata servers of clouds,
    /// which are reached within the host and speak nothing else.
    #[must_use]
    pub fn plain_http_unsafe(self) -> Self {
        Self { plain: Plain::Allowed, ..self }
    }

    /// Returns where the request goes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn method(&self) -> Method {
        self.method.clone()
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(super) fn is_plain_allowed(&self) -> bool {
        self.plain == Plain::Allowed
    }

    pub(super) fn may_repeat(&self, error: &TransportError) -> bool {
        match self.repeat {
            Repeat::Always => error.may_pass(),
            Repeat::WhenUndone => error.is_undone(),
        }
    }

    pub(super) fn builder(&self, client: &reqwest::Client, url: Url) -> reqwest::RequestBuilder {
        client.request(self.method.clone(), url).headers(self.headers.clone()).body(self.body.clone())
    }

    /// Takes what must not be shown out of a text.
    pub(super) fn redacted(&self, text: &str) -> String {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), ".."))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = shown(&self.url);
        f.debug_struct("Request").field("method", &self.method).field("url", &url).finish_non_exhaustive()
    }
}

/// Returns the address of a path below a service's address, which may have a path of its own.
pub fn endpoint(service: &Url, path: &str) -> Url {
    let mut url = service.clone();
    let base = service.path().trim_end_matches('/');
    url.set_path(&format!("{base}/{}", path.trim_start_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Returns an address without its user, password and query, which may be what lets one in.
pub(crate) fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), super::host_of(url), url.path())
}

/// The most bytes read of an answer whose request sets no limit: stops endless bodies.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
/// The media type of JSON.
pub(crate) const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_keep_the_path_of_their_service() {
        for (service, expected) in [
            ("https://fulcio.test", "https://fulcio.test/api/v2/signingCert"),
            ("https://one.test/fulcio/?x=1#y", "https://one.test/fulcio/api/v2/signingCert"),
        ] {
            assert_eq!(endpoint(&Url::parse(service).unwrap(), "/api/v2/signingCert").as_str(), expected);
        }
    }

    #[test]
    fn shows_nothing_of_what_it_carries() {
        let url = Url::parse("https://user:hunter2@idp.test/token?code=hunter3").unwrap();
        let request = Request::post_form(url, &[("code", "hunter4")]).authorization("Bearer", "hunter5");
        assert_eq!(format!("{request:?}"), r#"Request { method: POST, url: "https://idp.test/token", .. }"#);
        assert_eq!(request.redacted("no hunter5 here"), "no .. here");
    }
}
