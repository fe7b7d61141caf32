//! `verify-image`: one image in a registry.

use std::path::PathBuf;
use std::sync::Arc;

use sealift_core::evidence::{Effort, Verdict, gather};
use sealift_core::oci::Reference;
use sealift_core::verify::{Claim, LogRequirement};
use sealift_oci::keychain::{DockerConfigKeychain, KeychainSources};
use sealift_oci::{Access, Client};

use crate::arguments::Arguments;
use crate::demand;
use crate::error::ClientError;

const ATTESTATION: &str = "--attestation";
const IGNORE_LOG: &str = "--insecure-ignore-tlog";

pub(crate) fn run(arguments: Vec<String>) -> Result<(), ClientError> {
    let options = [&demand::OPTIONS[..], &[ATTESTATION]].concat();
    let arguments = Arguments::parse(arguments, &options, &[IGNORE_LOG])?;
    crate::runtime()?.block_on(verify(&arguments))
}

async fn verify(arguments: &Arguments) -> Result<(), ClientError> {
    let reference: Reference = arguments.operand()?.parse()?;
    let subject = reference.digest().ok_or(ClientError::NoDigest)?;
    // Without the switch the protocol demands a log entry of keys, too; with it, of certificates alone.
    let log = if arguments.has(IGNORE_LOG) { LogRequirement::ForCertificates } else { LogRequirement::Required };
    let verifier = demand::verifier(arguments, log)?;
    let identity = demand::identity(arguments)?;
    let claim = match arguments.option(ATTESTATION)? {
        Some(predicate_type) => Claim::Attestation { predicate_type: Some(predicate_type.to_owned()) },
        None => Claim::ImageSignature,
    };
    let keychain = Arc::new(DockerConfigKeychain::new(sources()));
    let repository = Client::new(Access::with_keychain(keychain))?.open_read(&reference.repository()).await?;
    let evidence = gather(&*repository, subject, &verifier, &identity, &claim, Effort::FirstMatch).await;
    match evidence.verdict() {
        Verdict::Verified => Ok(()),
        verdict => Err(ClientError::Verdict { verdict, evidence: Box::new(evidence) }),
    }
}

#[expect(clippy::disallowed_methods, reason = "the client's composition root: the protocol names these variables")]
fn sources() -> KeychainSources {
    let path = |name| std::env::var(name).ok().map(PathBuf::from);
    KeychainSources {
        docker_config: path("DOCKER_CONFIG"),
        registry_auth_file: path("REGISTRY_AUTH_FILE"),
        home: path("HOME"),
        ..KeychainSources::default()
    }
}
