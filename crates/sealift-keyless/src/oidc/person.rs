//! The person who signs in, as the flows see them.

use std::fmt::Debug;
use std::io;

use async_trait::async_trait;
use url::Url;

/// Whoever sits before the screen. Flows say what to show and never print.
#[async_trait]
pub trait Person: Debug + Send + Sync {
    /// Brings the browser to `url`. Implementations show the address as well, since a browser may open where nobody
    /// looks; an error ends the sign-in.
    ///
    /// # Errors
    /// When no browser can be opened.
    async fn visit(&self, url: &Url) -> io::Result<()>;

    /// Shows `url` and returns the code that the person finds there and types in.
    ///
    /// # Errors
    /// When there is nobody to ask.
    async fn ask_for_code(&self, url: &Url) -> io::Result<String>;

    /// Shows where to go with which code, on any device.
    ///
    /// # Errors
    /// When there is nobody to show it to.
    async fn show_code(&self, code: &DeviceCode) -> io::Result<()>;
}

/// What a person enters on another device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeviceCode {
    /// The code, short, bounded and printable.
    pub user_code: String,
    /// Where to enter it.
    pub address: Url,
    /// The same with the code filled in, where the issuer offers it.
    pub complete_address: Option<Url>,
}
