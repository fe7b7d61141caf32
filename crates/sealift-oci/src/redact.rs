//! Secrets and URLs that can be logged without giving anything away.
//!
//! Never shows user information or a query value that could be a signature or a token.

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

/// Query parameters of the distribution and token protocols that hold no secret; every other value may be a signature
/// (S3 and CDN URLs) or a token.
const PUBLIC_PARAMETERS: [&str; 9] =
    ["artifactType", "digest", "from", "last", "mount", "n", "next_page", "scope", "service"];

/// Text that must not be shown: a password, a token. Erased from memory when dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Returns the text itself, to be sent to the one host it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::from(String::new())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Shows a URL without user information and without query values that could be secret.
#[derive(Clone, Copy)]
pub struct SafeUrl<'a>(pub &'a Url);

impl fmt::Display for SafeUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or("-"))?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        let mut separator = '?';
        for (name, value) in url.query_pairs() {
            let shown = if PUBLIC_PARAMETERS.contains(&&*name) { value.as_ref() } else { ".." };
            write!(f, "{separator}{}={shown}", name.escape_debug())?;
            separator = '&';
        }
        Ok(())
    }
}

impl fmt::Debug for SafeUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_no_secret() {
        let url = Url::parse("https://user:pass@cdn.test:8443/b?X-Amz-Signature=abc&digest=sha256:00#frag").unwrap();
        assert_eq!(SafeUrl(&url).to_string(), "https://cdn.test:8443/b?X-Amz-Signature=..&digest=sha256:00");
        assert_eq!(format!("{:?}", Secret::from("hunter2")), "Secret(..)");
    }
}
