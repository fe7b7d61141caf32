//! Signing as cosign 2 stores it: layers of `.sig` and `.att` tags, with what verifies them in annotations.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{KeyMaterial, SignError, Signature, Signer, checked_signature, signed_envelope, witnessed};
use crate::entity::{SignedContent, SimpleSigning, layer_annotations};
use crate::oci::annotation;
use crate::statement::Statement;
use crate::witness::Witness;

/// A layer of a `.sig` or `.att` tag.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CosignLayer {
    /// The layer's bytes: a payload of media type [`crate::oci::media_type::SIMPLE_SIGNING`], or an envelope's JSON.
    pub content: Bytes,
    /// The layer's annotations: the signature, and certificate, log entry and timestamp where there are.
    pub annotations: BTreeMap<String, String>,
}

/// Signs a payload as cosign's `.sig` tags hold it.
///
/// # Errors
/// As [`super::sign()`]; [`SignError::LegacyForm`] when these layers have no room for what the witnesses gave: they have
/// for one log's promise and one timestamp.
pub async fn sign_simple(
    payload: &SimpleSigning,
    signer: &dyn Signer,
    witnesses: &[&dyn Witness],
) -> Result<CosignLayer, SignError> {
    let payload = Bytes::from(payload.to_bytes().map_err(SignError::Payload)?);
    let Signature { bytes: signature, key } = checked_signature(&payload, signer).await?;
    let encoded = STANDARD.encode(&signature);
    let content = SignedContent::SimpleSigning { payload: payload.clone(), signature };
    let mut annotations = testified(&content, &key, witnesses).await?;
    annotations.insert(annotation::COSIGN_SIGNATURE.to_owned(), encoded);
    Ok(CosignLayer { content: payload, annotations })
}

/// Signs a statement as cosign's `.att` tags hold it: an envelope, whose signature is inside.
///
/// # Errors
/// As [`sign_simple`].
pub async fn sign_envelope(
    statement: &Statement,
    signer: &dyn Signer,
    witnesses: &[&dyn Witness],
) -> Result<CosignLayer, SignError> {
    let (envelope, key) = signed_envelope(statement, signer).await?;
    let json = envelope.to_json().map_err(SignError::Envelope)?;
    let mut annotations = testified(&SignedContent::Envelope(envelope), &key, witnesses).await?;
    annotations.insert(annotation::COSIGN_SIGNATURE.to_owned(), String::new());
    annotations.insert(annotation::COSIGN_PREDICATE_TYPE.to_owned(), statement.predicate_type().to_owned());
    Ok(CosignLayer { content: json.into(), annotations })
}

async fn testified(
    content: &SignedContent,
    key: &KeyMaterial,
    witnesses: &[&dyn Witness],
) -> Result<BTreeMap<String, String>, SignError> {
    let material = witnessed(content, key, witnesses).await?;
    let certificates = match key {
        KeyMaterial::Certificate(certificate) => {
            std::iter::once(certificate.certificate()).chain(certificate.issuers()).cloned().collect()
        }
        KeyMaterial::PublicKey(_) => Vec::new(),
    };
    layer_annotations(&certificates, &material).map_err(SignError::LegacyForm)
}
