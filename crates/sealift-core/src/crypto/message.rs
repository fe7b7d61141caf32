//! A message being verified: hashed at most once per algorithm, however many keys are tried.

use std::cell::OnceCell;

use aws_lc_rs::digest::{self, Context, Digest};

/// A message in pieces, or only its digest.
pub(crate) struct Message<'a> {
    pieces: &'a [&'a [u8]],
    sha256: OnceCell<Digest>,
    sha384: OnceCell<Digest>,
    sha512: OnceCell<Digest>,
    is_whole: bool,
}

impl<'a> Message<'a> {
    /// A message whose bytes are at hand.
    pub(crate) fn new(pieces: &'a [&'a [u8]]) -> Self {
        Self { pieces, sha256: OnceCell::new(), sha384: OnceCell::new(), sha512: OnceCell::new(), is_whole: true }
    }

    /// A message known by one digest alone; what needs another digest or the bytes does not verify.
    pub(crate) fn of_digest(digest: &crate::oci::Digest) -> Message<'static> {
        use crate::oci::DigestAlgorithm;
        let message = Message { is_whole: false, ..Message::new(&[]) };
        let (cell, algorithm) = match digest.algorithm() {
            DigestAlgorithm::Sha256 => (&message.sha256, &digest::SHA256),
            DigestAlgorithm::Sha384 => (&message.sha384, &digest::SHA384),
            DigestAlgorithm::Sha512 => (&message.sha512, &digest::SHA512),
        };
        if let Ok(imported) = Digest::import_less_safe(digest.as_bytes(), algorithm) {
            let _ = cell.set(imported);
        }
        message
    }

    /// Returns the digest, computing it at the first call; `None` when it cannot be known.
    pub(super) fn digest(&self, algorithm: &'static digest::Algorithm) -> Option<&Digest> {
        let cell = if *algorithm == digest::SHA256 {
            &self.sha256
        } else if *algorithm == digest::SHA384 {
            &self.sha384
        } else {
            &self.sha512
        };
        if !self.is_whole {
            return cell.get();
        }
        Some(cell.get_or_init(|| {
            let mut context = Context::new(algorithm);
            self.pieces.iter().for_each(|piece| context.update(piece));
            context.finish()
        }))
    }

    /// Returns the bytes in one piece, which Ed25519 needs; `None` when only a digest is known.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        self.is_whole.then(|| self.pieces.concat())
    }
}
