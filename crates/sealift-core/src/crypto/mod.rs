//! Keys: generated, imported, kept encrypted, used.
//!
//! The only place that names a cryptographic library. Never opens a file and never asks for a passphrase: both come in
//! as arguments.

mod algorithm;
mod error;
mod key_file;
mod message;
mod pem;
mod private_key;
mod public_key;

pub use algorithm::{KeyAlgorithm, UnknownKeyAlgorithm};
pub use error::{KeyError, KeyFileError, PemError, SignatureError};
pub use private_key::{Passphrase, PrivateKey};
pub use public_key::PublicKey;

pub(crate) use message::Message;
