//! Who signs, who testifies to it, and what verifies the work before anybody sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sealift_core::crypto::{KeyAlgorithm, PrivateKey};
use sealift_core::entity::{Bundle, SignedEntity};
use sealift_core::identity::IdentityMatcher;
use sealift_core::sign::{KeySigner, Signer, sign, sign_message};
use sealift_core::statement::Statement;
use sealift_core::trust::TrustRoot;
use sealift_core::verify::{Artifact, Claim, Requirements, Verifier};
use sealift_core::witness::Witness;
use sealift_keyless::FulcioClient;

use super::consent::{self, Publication};
use super::keyless::Keyless;
use super::provider;
use super::services::{LegacyProblem, Services};
use crate::args::keyless::SignerArgs;
use crate::config::environment::COSIGN_KEY;
use crate::context::Context;
use crate::error::{CliError, UsageError};

/// A signer with witnesses, and the verifier that must accept its work.
#[derive(Debug)]
pub(crate) struct Signatory {
    source: Source,
    witnesses: Vec<Box<dyn Witness>>,
    trust: TrustRoot,
    requirements: Requirements,
    /// Why cosign's tags have no room for what the witnesses give.
    legacy_problem: Option<LegacyProblem>,
}

/// Where signers come from.
#[derive(Debug)]
enum Source {
    Key(Arc<Hand>),
    Keyless(Box<Keyless>),
}

/// A signer, and whose signatures are its own.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) signer: Box<dyn Signer>,
    pub(crate) identity: IdentityMatcher,
}

impl Signatory {
    /// Chooses who signs and with whose help, and asks before anything can be published. `artifacts` are those to sign.
    pub(crate) async fn open(context: &Context, args: &SignerArgs, artifacts: &[String]) -> Result<Self, CliError> {
        match &args.key {
            Some(source) => {
                Self::of_key(context, args, context.private_key(source, &args.passphrase)?, artifacts).await
            }
            None => {
                if !args.is_keyless_said {
                    context.check_unset(COSIGN_KEY)?;
                }
                Self::keyless(context, args, artifacts).await
            }
        }
    }

    async fn of_key(
        context: &Context,
        args: &SignerArgs,
        key: PrivateKey,
        artifacts: &[String],
    ) -> Result<Self, CliError> {
        let services = Services::keyed(context, &args.services).await?;
        if key.public_key().algorithm() == KeyAlgorithm::Ed25519 {
            services.check_takes_whole_messages()?;
        }
        if !services.rekor.is_empty() {
            let publishers = services.rekor.iter().map(|(url, _)| url.to_string()).collect();
            consent::obtain(context, args.yes, None, &Publication { publishers, artifacts })?;
        }
        let identity = IdentityMatcher::keys(vec![key.public_key().clone()]).map_err(CliError::Identity)?;
        let hand = Arc::new(Hand { signer: Box::new(KeySigner::new(key)), identity });
        Self::with(context, Source::Key(hand), &services)
    }

    async fn keyless(context: &Context, args: &SignerArgs, artifacts: &[String]) -> Result<Self, CliError> {
        let services = Services::keyless(context, &args.services).await?;
        let transport = context.transport()?;
        let issuer = services.oidc_issuer.as_deref();
        let (provider, origin) = provider::choose(context, &args.identity, issuer, &transport)?;
        let publication = Publication { publishers: services.publishers(), artifacts };
        consent::obtain(context, args.yes, Some(origin), &publication)?;
        let fulcio = services.fulcio.clone().ok_or(UsageError::NoService { flag: "--fulcio-url" })?;
        let fulcio = FulcioClient::new(fulcio, transport);
        let verifier =
            Verifier::new(services.requirements()).with_trust_root(services.trust.clone().unwrap_or_default());
        let keyless = Keyless::new(context, provider, fulcio, verifier);
        Self::with(context, Source::Keyless(Box::new(keyless)), &services)
    }

    fn with(context: &Context, source: Source, services: &Services) -> Result<Self, CliError> {
        Ok(Self {
            source,
            witnesses: services.witnesses(&context.transport()?),
            trust: services.trust.clone().unwrap_or_default(),
            requirements: services.requirements(),
            legacy_problem: services.legacy_problem(),
        })
    }

    /// Returns a signer that can sign now. Without a key, it may have to get a certificate first.
    pub(crate) async fn hand(&self) -> Result<Arc<Hand>, CliError> {
        match &self.source {
            Source::Key(hand) => Ok(Arc::clone(hand)),
            Source::Keyless(keyless) => keyless.hand().await,
        }
    }

    /// Returns those who testify.
    pub(crate) fn witnesses(&self) -> Vec<&dyn Witness> {
        self.witnesses.iter().map(|witness| &**witness).collect()
    }

    /// Says whether signing leaves something where it cannot be taken back: an entry in a log, of a signature or of a
    /// certificate.
    pub(crate) fn publishes(&self) -> bool {
        matches!(self.source, Source::Keyless(_)) || !self.witnesses.is_empty()
    }

    /// Refuses witnesses whose testimony cosign's tags have no room for, before anyone testifies.
    pub(crate) fn check_legacy(&self) -> Result<(), UsageError> {
        self.legacy_problem.map_or(Ok(()), |problem| Err(UsageError::Legacy(problem)))
    }

    /// Returns a verifier as a stranger has it who accepts this signatory.
    pub(crate) fn verifier(&self, annotations: BTreeMap<String, String>) -> Verifier {
        Verifier::new(self.requirements.clone().with_annotations(annotations)).with_trust_root(self.trust.clone())
    }

    /// Signs a statement and returns what was read back and verified, not what was meant.
    pub(crate) async fn sign(
        &self,
        statement: &Statement,
        artifact: &Artifact<'_>,
        claim: &Claim,
        annotations: BTreeMap<String, String>,
    ) -> Result<Bundle, CliError> {
        let hand = self.hand().await?;
        let signed = sign(statement, &*hand.signer, &self.witnesses()).await.map_err(CliError::Sign)?;
        let bundle = read_back(&signed)?;
        self.check(&hand, &bundle.clone().into(), artifact, claim, annotations)?;
        Ok(bundle)
    }

    /// Signs an artifact's own bytes, and returns what was read back and verified.
    pub(crate) async fn sign_blob(&self, bytes: &[u8]) -> Result<Bundle, CliError> {
        let hand = self.hand().await?;
        let signed = sign_message(bytes, &*hand.signer, &self.witnesses()).await.map_err(CliError::Sign)?;
        let bundle = read_back(&signed)?;
        self.check(&hand, &bundle.clone().into(), &Artifact::Bytes(bytes), &Claim::Blob, BTreeMap::new())?;
        Ok(bundle)
    }

    /// Verifies what was made as a stranger would, before anybody sees it.
    pub(crate) fn check(
        &self,
        hand: &Hand,
        entity: &SignedEntity,
        artifact: &Artifact<'_>,
        claim: &Claim,
        annotations: BTreeMap<String, String>,
    ) -> Result<(), CliError> {
        let verified = self.verifier(annotations).verify(entity, artifact, &hand.identity, claim);
        verified.map(|_| ()).map_err(CliError::OwnSignature)
    }
}

fn read_back(bundle: &Bundle) -> Result<Bundle, CliError> {
    let json = bundle.to_json().map_err(CliError::Bundle)?;
    Bundle::parse(json.as_bytes()).map_err(CliError::Bundle)
}
