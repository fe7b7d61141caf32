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

/// What is signed at the destination, and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Endorsement {
    pub(crate) signer: SignerArgs,
    /// How what arrives is signed once more, if it is.
    pub(crate) resigning: Option<Resigning>,
    /// Whether a record is attached.
    pub(crate) records: bool,
}

impl EndorsementArgs {
    /// Returns what is to be signed, if anything.
    ///
    /// # Errors
    /// [`UsageError::NobodySigns`] for a flag that is about signing, without anybody who signs, and
    /// [`UsageError::NameWithoutLegacy`] for a docker-reference where nothing has one.
    pub(crate) fn wanted(&self) -> Result<Option<Endorsement>, UsageError> {
        if self.key.is_none() && !self.sign_keyless {
            return match self.needs_signer() {
                Some(flag) => Err(UsageError::NobodySigns { flag }),
                None => Ok(None),
            };
        }
        let signer = SignerArgs {
            key: self.key.clone(),
            passphrase: self.passphrase.clone(),
            identity: self.identity.clone(),
            services: ServiceArgs {
                instance: self.sign_instance.clone(),
                trusted_root: self.sign_trusted_root.clone(),
                addresses: self.services.clone(),
            },
            yes: self.yes,
            is_keyless_said: self.sign_keyless,
        };
        Ok(Some(Endorsement { signer, resigning: self.resigning()?, records: !self.no_record }))
    }

    fn needs_signer(&self) -> Option<&'static str> {
        let flags = [
            (self.record, "--record"),
            (self.resign, "--resign"),
            (self.passphrase.passphrase_file.is_some(), "--passphrase-file"),
            (self.sign_instance.is_some(), "--sign-instance"),
            (self.sign_trusted_root.is_some(), "--sign-trusted-root"),
        ];
        let own = flags.into_iter().find(|(is_given, _)| *is_given).map(|(_, flag)| flag);
        // Not `--yes`, which scripts give out of habit, and which changes nothing where nobody is asked.
        own.or_else(|| self.identity.given()).or_else(|| self.services.given())
    }

    fn resigning(&self) -> Result<Option<Resigning>, UsageError> {
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

#[cfg(test)]
mod tests {
    use clap::{Arg, Args as _, Command, FromArgMatches as _};

    use super::*;

    /// Says who signs, is about no signer, or comes with `--resign` only, which is about one.
    const OTHERS: [&str; 6] = ["sign-key", "sign-keyless", "yes", "no-record", "sign-format", "sign-identity"];

    #[test]
    fn every_flag_about_signing_needs_somebody_who_signs() {
        let command = EndorsementArgs::augment_args(Command::new("promote"));
        let is_other = |arg: &&Arg| arg.get_long().is_some_and(|name| OTHERS.contains(&name));
        let (others, flags): (Vec<&Arg>, Vec<&Arg>) = command.get_arguments().partition(is_other);
        assert_eq!(others.len(), OTHERS.len());
        for flag in flags {
            let name = format!("--{}", flag.get_long().unwrap());
            let line = format!("promote {name}{}", example(flag));
            let matches = command.clone().try_get_matches_from(line.split(' ')).unwrap();
            let wanted = EndorsementArgs::from_arg_matches(&matches).unwrap().wanted().map(|_| ());
            let Err(UsageError::NobodySigns { flag }) = wanted else { panic!("{line}: {wanted:?}") };
            assert_eq!(flag, name);
        }
    }

    /// Returns a value; where the flag has one by itself, that: typed out it says as much as any other.
    fn example(flag: &Arg) -> &'static str {
        let name = flag.get_value_names().map_or("", |names| names[0].as_str());
        match name {
            _ if !flag.get_action().takes_values() || flag.is_require_equals_set() => "",
            "FLOW" => " device",
            "PORT" => " 8080",
            "SOURCE" => " github",
            "URL" => " https://service.example.com",
            "VERSION" => " 1",
            _ => " sigstore",
        }
    }
}
