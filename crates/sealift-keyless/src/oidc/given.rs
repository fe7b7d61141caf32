//! A token that somebody else asked for.

use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;

use super::token::MAX_TOKEN_BYTES;
use super::{IdentityError, IdentityProvider, IdentityToken, token_for};
use crate::secret::Secret;

/// A token that is there already: its text, or the file that holds it. The file is read each time, since whoever
/// writes it may renew it. Its `Debug` never shows the text.
#[derive(Clone)]
pub struct GivenToken(Place);

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Text(Secret),
}

impl GivenToken {
    /// Takes what a user gives, as cosign does: a token if it reads as one, else the path of a file with one.
    pub fn from_argument(argument: &str) -> Self {
        match IdentityToken::parse(argument) {
            Ok(_) => Self::from_text(argument),
            Err(_) => Self::from_file(Path::new(argument)),
        }
    }

    /// Takes the token itself.
    pub fn from_text(text: &str) -> Self {
        Self(Place::Text(Secret::from(text)))
    }

    /// Takes the path of a file with the token.
    pub fn from_file(path: &Path) -> Self {
        Self(Place::File(path.to_owned()))
    }
}

#[async_trait]
impl IdentityProvider for GivenToken {
    fn name(&self) -> &'static str {
        match self.0 {
            Place::File(_) => "token file",
            Place::Text(_) => "given token",
        }
    }

    async fn token(&self, audience: &str) -> Result<IdentityToken, IdentityError> {
        match &self.0 {
            Place::File(path) => {
                let read = read(path).await;
                let text = read.map_err(|source| IdentityError::File { path: path.clone(), source })?;
                token_for(audience, text.expose())
            }
            Place::Text(text) => token_for(audience, text.expose()),
        }
    }
}

/// Reads one byte more than a token may have, so that a longer one is found to be too long.
async fn read(path: &Path) -> std::io::Result<Secret> {
    let limit = u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(limit).read_to_string(&mut text).await?;
    Ok(Secret::from(text))
}

impl fmt::Debug for GivenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => f.debug_tuple("GivenToken").field(path).finish(),
            Place::Text(_) => f.write_str("GivenToken(..)"),
        }
    }
}
