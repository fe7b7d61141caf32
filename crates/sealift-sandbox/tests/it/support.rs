//! A plain HTTP client for one repository of a fresh registry.

use reqwest::{Client, Method, RequestBuilder, Response};
use sealift_core::oci::Digest;
use sealift_sandbox::registry::{Registry, RegistryOptions};
use serde_json::Value;

/// A registry and a client that follows no redirect.
pub(crate) struct World {
    pub(crate) registry: Registry,
    client: Client,
}

impl World {
    pub(crate) fn new(options: RegistryOptions) -> Self {
        let registry = Registry::start(options).unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { registry, client }
    }

    /// Starts a request to a path, or to a whole URL as `Location` gives it.
    pub(crate) fn request(&self, method: &str, place: &str) -> RequestBuilder {
        let url = if place.starts_with('/') { format!("{}{place}", self.registry.url()) } else { place.to_owned() };
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), url)
    }

    pub(crate) async fn send(&self, method: &str, place: &str) -> Response {
        self.request(method, place).send().await.unwrap()
    }

    pub(crate) async fn get(&self, place: &str) -> Response {
        self.send("GET", place).await
    }

    /// Opens an upload session and returns its location.
    pub(crate) async fn open(&self, repository: &str) -> String {
        let opened = self.send("POST", &format!("/v2/{repository}/blobs/uploads/")).await;
        assert_eq!(opened.status(), 202);
        header(&opened, "location")
    }

    pub(crate) async fn put_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let location = with_digest(&self.open(repository).await, &digest);
        let put = self.request("PUT", &location).body(content.to_vec()).send().await.unwrap();
        assert_eq!(put.status(), 201);
        digest
    }

    pub(crate) async fn put_manifest(&self, path: &str, body: &Value) -> Response {
        let media_type = body["mediaType"].as_str().unwrap();
        self.request("PUT", path).header("content-type", media_type).body(body.to_string()).send().await.unwrap()
    }
}

pub(crate) fn with_digest(location: &str, digest: &Digest) -> String {
    format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' })
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Asserts status and error code.
pub(crate) async fn assert_refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.status(), status);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["code"], code);
}
