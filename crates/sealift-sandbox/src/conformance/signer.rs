//! The contract of `Signer`.

use futures_util::future::join_all;
use sealift_core::sign::{Signature, Signer};

/// Holds a signer to the whole contract.
///
/// # Panics
/// When it breaks the contract.
pub async fn signer(signer: &dyn Signer) {
    let large = vec![7; LARGE_BYTES];
    let messages: [&[u8]; 4] = [b"", b"message", b"messagf", &large];
    let signatures = join_all(messages.map(|message| sign(signer, message))).await;
    for (place, (message, signature)) in messages.iter().zip(&signatures).enumerate() {
        assert_eq!(signature.key, signer.key(), "signatures are of the key that was named before");
        let key = signature.key.public_key();
        assert!(key.verify(message, &signature.bytes).is_ok(), "a signature verifies under the key it names");
        let other = messages[(place + 1) % messages.len()];
        assert!(key.verify(other, &signature.bytes).is_err(), "a signature is over its message alone");
    }
    let shown = format!("{signer:?}");
    assert!(!shown.contains("PRIVATE KEY"), "no private key is shown");
}

async fn sign(signer: &dyn Signer, message: &[u8]) -> Signature {
    signer.sign(message).await.unwrap_or_else(|error| panic!("a signer signs any message: {error}"))
}

/// More than any buffer.
const LARGE_BYTES: usize = 1024 * 1024 + 1;
