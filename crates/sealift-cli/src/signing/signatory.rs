//! Who signs, who testifies to it, and what verifies the work before anybody sees it.

use std::collections::BTreeMap;

use sealift_core::crypto::PrivateKey;
use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::sign::{KeySigner, Signer, sign, sign_message};
use sealift_core::statement::Statement;
use sealift_core::verify::{Artifact, Claim, Requirements, Verifier};
use sealift_core::witness::Witness;

use crate::error::CliError;

/// A signer with witnesses, and the verifier that must accept its work.
#[derive(Debug)]
pub(crate) struct Signatory {
    signer: Box<dyn Signer>,
    witnesses: Vec<Box<dyn Witness>>,
    identity: IdentityMatcher,
    requirements: Requirements,
}

impl Signatory {
    /// Signs with a key, which needs no witness.
    pub(crate) fn of_key(key: PrivateKey) -> Result<Self, CliError> {
        let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).map_err(CliError::Identity)?;
        Ok(Self {
            signer: Box::new(KeySigner::new(key)),
            witnesses: Vec::new(),
            identity,
            requirements: Requirements::default(),
        })
    }

    /// Returns what signs bare payloads and envelopes.
    pub(crate) fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// Returns whose signatures are this signatory's own.
    pub(crate) fn identity(&self) -> &IdentityMatcher {
        &self.identity
    }

    /// Returns a verifier as a stranger has it who accepts this signatory.
    pub(crate) fn verifier(&self, annotations: BTreeMap<String, String>) -> Verifier {
        Verifier::new(self.requirements.clone().with_annotations(annotations))
    }

    /// Signs a statement and returns what was read back and verified, not what was meant.
    pub(crate) async fn sign(
        &self,
        statement: &Statement,
        artifact: &Artifact<'_>,
        claim: &Claim,
        annotations: BTreeMap<String, String>,
    ) -> Result<Bundle, CliError> {
        let signed = sign(statement, &*self.signer, &self.witnesses()).await.map_err(CliError::Sign)?;
        let bundle = read_back(&signed)?;
        self.check(&bundle.clone().into(), artifact, claim, annotations)?;
        Ok(bundle)
    }

    /// Signs an artifact's own bytes, and returns what was read back and verified.
    pub(crate) async fn sign_blob(&self, bytes: &[u8]) -> Result<Bundle, CliError> {
        let signed = sign_message(bytes, &*self.signer, &self.witnesses()).await.map_err(CliError::Sign)?;
        let bundle = read_back(&signed)?;
        self.check(&bundle.clone().into(), &Artifact::Bytes(bytes), &Claim::Blob, BTreeMap::new())?;
        Ok(bundle)
    }

    /// Verifies what was made as a stranger would, before anybody sees it.
    pub(crate) fn check(
        &self,
        entity: &SignedEntity,
        artifact: &Artifact<'_>,
        claim: &Claim,
        annotations: BTreeMap<String, String>,
    ) -> Result<(), CliError> {
        let verified = self.verifier(annotations).verify(entity, artifact, &self.identity, claim);
        verified.map(|_| ()).map_err(CliError::OwnSignature)
    }

    fn witnesses(&self) -> Vec<&dyn Witness> {
        self.witnesses.iter().map(|witness| &**witness).collect()
    }
}

fn read_back(bundle: &Bundle) -> Result<Bundle, CliError> {
    let json = bundle.to_json().map_err(CliError::Bundle)?;
    Bundle::parse(json.as_bytes()).map_err(CliError::Bundle)
}
