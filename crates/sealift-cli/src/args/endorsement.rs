//! What is signed at the destination of a promotion, and by whom.

use std::path::PathBuf;

use sealift_promote::{Resigning, SignatureForm};

use super::key::{KeySource, PassphraseArgs};
use super::keyless::{InstanceName, ServiceAddressArgs, ServiceArgs, SignerArgs, SignerIdentityArgs};
use super::signing::SignatureFormat;
use crate::error::UsageError;

/// What is signed at the destination, and by whom
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Signing options")]
pub(crate) struct EndorsementArgs {
    /// Private key to sign with at the destination: a PEM file or `env://VARIABLE`
    #[arg(id = "signing_key", long = "sign-key", value_name = "KEY")]
    key: Option<KeySource>,

    /// Sign at the destination as whoever an identity provider vouches for; one certificate serves for all destinations
    #[arg(long, conflicts_with = "signing_key")]
    sign_keyless: bool,

    /// Attach a signed record of the promotion before the tags move; the default where `--sign-key` or `--sign-keyless`
    /// says who signs
    #[arg(long, conflicts_with = "no_record")]
    record: bool,

    /// Attach no record
    #[arg(long, requires = "resign")]
    no_record: bool,

    /// Sign the image, every manifest of an index, and every attached artifact that is no signature itself, unless this
    /// signer has done so
    #[arg(long)]
    resign: bool,

    /// How to store what `--resign` signs; default: bundles, and with `--sign-identity` both
    #[arg(long, value_enum, value_name = "FORMAT", requires = "resign")]
    sign_format: Option<SignatureFormat>,

    /// Put this name into legacy signatures as their docker-reference, instead of the destination repository's
    #[arg(long, visible_alias = "sign-container-identity", value_name = "NAME", requires = "resign")]
    sign_identity: Option<String>,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    /// Sigstore installation to sign with, as `--instance` names those that are trusted
    #[arg(long, value_name = "INSTANCE", conflicts_with_all = ["signing_config", "sign_trusted_root"])]
    sign_instance: Option<InstanceName>,

    /// Trust the authorities and logs of this `trusted_root.json` when what was signed is verified
    #[arg(long, value_name = "FILE")]
    sign_trusted_root: Option<PathBuf>,

    /// Ask nothing: what is said to be published may be published
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    identity: SignerIdentityArgs,

    #[command(flatten)]
    services: ServiceAddressArgs,
}

impl EndorsementArgs {
    /// Returns who signs, if anybody does.
    ///
    /// # Errors
    /// [`UsageError::NobodySigns`] for a flag that is about signing, without anybody who signs.
    pub(crate) fn signer(&self) -> Result<Option<SignerArgs>, UsageError> {
        if self.key.is_none() && !self.sign_keyless {
            return match self.needs_signer() {
                Some(flag) => Err(UsageError::NobodySigns { flag }),
                None => Ok(None),
            };
        }
        Ok(Some(SignerArgs {
            key: self.key.clone(),
            passphrase: self.passphrase.clone(),
            identity: self.identity.clone(),
            services: ServiceArgs {
                instance: self.sign_instance.clone(),
                trusted_root: self.sign_trusted_root.clone(),
                addresses: self.services.clone(),
            },
            yes: self.yes,
        }))
    }

    fn needs_signer(&self) -> Option<&'static str> {
        let flags = [
            (self.record, "--record"),
            (self.resign, "--resign"),
            (self.sign_instance.is_some(), "--sign-instance"),
            (self.sign_trusted_root.is_some(), "--sign-trusted-root"),
            (self.services.signing_config.is_some(), "--signing-config"),
            (self.services.fulcio_url.is_some(), "--fulcio-url"),
            (self.services.rekor_url.is_some(), "--rekor-url"),
            (self.services.timestamp_server_url.is_some(), "--timestamp-server-url"),
            (self.identity.identity_token.is_some(), "--identity-token"),
            (self.identity.oidc_provider.is_some(), "--oidc-provider"),
        ];
        flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, flag)| flag)
    }

    /// Says whether a record is attached where somebody signs.
    pub(crate) fn records(&self) -> bool {
        !self.no_record
    }

    /// Returns how what arrives is signed once more, if it is.
    ///
    /// # Errors
    /// [`UsageError::NameWithoutLegacy`] for a docker-reference where nothing has one.
    pub(crate) fn resigning(&self) -> Result<Option<Resigning>, UsageError> {
        if !self.resign {
            return Ok(None);
        }
        let default = if self.sign_identity.is_some() { SignatureFormat::Both } else { SignatureFormat::Bundle };
        let format = self.sign_format.unwrap_or(default);
        if self.sign_identity.is_some() && !format.has_legacy() {
            return Err(UsageError::NameWithoutLegacy);
        }
        let forms = [(format.has_bundle(), SignatureForm::Bundle), (format.has_legacy(), SignatureForm::CosignTag)];
        let forms = forms.into_iter().filter_map(|(is_wanted, form)| is_wanted.then_some(form)).collect();
        Ok(Some(Resigning { forms, docker_reference: self.sign_identity.clone() }))
    }
}
