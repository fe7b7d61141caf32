//! `sign-bundle`: one file, signed under a certificate for the holder of a token.

use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::oci::Digest;
use sealift_core::sign::{sign, sign_message};
use sealift_core::statement::Statement;
use sealift_core::verify::{Artifact, LogRequirement};
use sealift_core::witness::Witness;
use sealift_keyless::oidc::IdentityToken;
use sealift_keyless::rekor::RekorWitness;
use sealift_keyless::signing_config::{ApiVersion, Services, SigningConfig};
use sealift_keyless::timestamp::TimestampWitness;
use sealift_keyless::trust::{TrustMaterial, public_good};
use sealift_keyless::{FulcioClient, FulcioSigner, Transport, TransportOptions};
use url::Url;

use crate::arguments::{Arguments, read};
use crate::demand;
use crate::error::ClientError;
use crate::verify_bundle::claim_of;

const OPTIONS: [&str; 4] = ["--identity-token", "--bundle", "--trusted-root", "--signing-config"];
const IN_TOTO: &str = "--in-toto";

pub(crate) fn run(arguments: Vec<String>) -> Result<(), ClientError> {
    let arguments = Arguments::parse(arguments, &OPTIONS, &[IN_TOTO, "--staging"])?;
    crate::runtime()?.block_on(sign_file(&arguments))
}

async fn sign_file(arguments: &Arguments) -> Result<(), ClientError> {
    let content = read(arguments.operand()?)?;
    let services = services(arguments)?;
    let transport = Transport::new(TransportOptions::default())?;
    let token = IdentityToken::parse(arguments.required("--identity-token")?)?;
    let authority = FulcioClient::new(services.fulcio, transport.clone());
    let signer = FulcioSigner::certify(&authority, &token).await?;
    let witnesses = witnesses(services.rekor, services.timestamp, &transport);
    let witnesses: Vec<&dyn Witness> = witnesses.iter().map(AsRef::as_ref).collect();
    let bundle = if arguments.has(IN_TOTO) {
        sign(&Statement::parse(&content)?, &signer, &witnesses).await?
    } else {
        sign_message(&content, &signer, &witnesses).await?
    };
    check(arguments, &bundle, &content)?;
    let path = arguments.required("--bundle")?;
    std::fs::write(path, bundle.to_json()?).map_err(|source| ClientError::Io { path: path.into(), source })
}

/// Returns the services that the configuration given chooses, or that of the public-good instance.
fn services(arguments: &Arguments) -> Result<Services, ClientError> {
    let config = match arguments.option("--signing-config")? {
        Some(path) => SigningConfig::parse(&read(path)?)?,
        None => {
            let config = TrustMaterial::embedded(&public_good())?.signing_config();
            config.ok_or_else(|| ClientError::Usage { argument: "--signing-config".to_owned() })??
        }
    };
    Ok(config.choose(crate::now())?)
}

fn witnesses(logs: Vec<(Url, ApiVersion)>, authorities: Vec<Url>, transport: &Transport) -> Vec<Box<dyn Witness>> {
    let mut witnesses: Vec<Box<dyn Witness>> = Vec::new();
    for (url, version) in logs {
        witnesses.push(Box::new(RekorWitness::new(url, version, transport.clone())));
    }
    for url in authorities {
        witnesses.push(Box::new(TimestampWitness::new(url, transport.clone())));
    }
    witnesses
}

/// Verifies what was made, as whoever gets it would: the certificate is for the token's holder, and says who that is.
fn check(arguments: &Arguments, bundle: &Bundle, content: &[u8]) -> Result<(), ClientError> {
    let entity = SignedEntity::from(bundle.clone());
    let claim = claim_of(&entity);
    let verifier = demand::verifier(arguments, LogRequirement::Required)?;
    let subject = bundle.statement().and_then(|statement| any_digest(&statement));
    let artifact = subject.as_ref().map_or(Artifact::Bytes(content), Artifact::Digest);
    verifier.verify(&entity, &artifact, &IdentityMatcher::any_identity_unsafe(), &claim)?;
    Ok(())
}

/// Returns a digest that the statement is about.
fn any_digest(statement: &Statement) -> Option<Digest> {
    let digests = statement.subjects().iter().flat_map(|subject| &subject.digest);
    digests.filter_map(|(algorithm, hex)| format!("{algorithm}:{hex}").parse().ok()).next()
}
