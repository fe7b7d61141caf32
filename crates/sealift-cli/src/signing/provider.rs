//! Who says who signs: a given token, the surroundings, or a person who signs in.

use std::path::Path;
use std::sync::Arc;

use sealift_keyless::Transport;
use sealift_keyless::oidc::{
    BrowserFlow, DeviceFlow, GivenToken, IdentityProvider, OutOfBandFlow, Person, RelyingParty, ambient,
};

use crate::args::keyless::{AuthFlow, SignerIdentityArgs};
use crate::context::Context;
use crate::error::{CliError, UsageError};
use crate::files;
use crate::sigstore::has_terminal;

/// How somebody came to be the signer, which decides whether they are asked before anything is published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The surroundings of a job say who it is; whoever wrote the job asked for it.
    Ambient,
    /// A token was given.
    Given,
    /// A person signs in.
    Person,
}

/// Chooses the provider: what is given first, then the surroundings, then a person.
pub(crate) fn choose(
    context: &Context,
    args: &SignerIdentityArgs,
    issuer: Option<&str>,
    transport: &Transport,
) -> Result<(Box<dyn IdentityProvider>, Origin), CliError> {
    if let Some(token) = &args.identity_token {
        return Ok((Box::new(GivenToken::from_argument(token)), Origin::Given));
    }
    let environment = context.ambient();
    if let Some(source) = args.oidc_provider {
        let provider = source.provider(&environment, transport);
        return provider
            .map(|provider| (provider, Origin::Ambient))
            .ok_or_else(|| UsageError::NoIdentityIn { place: source.as_str() }.into());
    }
    let may_detect = args.fulcio_auth_flow.is_none() && args.oidc_disable_ambient_providers != Some(true);
    if may_detect && let Some(provider) = ambient::detect(&environment, transport) {
        return Ok((provider, Origin::Ambient));
    }
    let flow = match args.fulcio_auth_flow {
        Some(flow) => flow,
        None if has_terminal() => AuthFlow::Normal,
        None => return Err(UsageError::NoSigner.into()),
    };
    let issuer = args.oidc_issuer.as_deref().or(issuer).ok_or(UsageError::NoService { flag: "--oidc-issuer" })?;
    let mut party = RelyingParty::new(issuer, transport.clone()).with_client_id(args.client_id());
    if let Some(path) = &args.oidc_client_secret_file {
        party = party.with_client_secret(secret(path)?.trim());
    }
    let person: Arc<dyn Person> = Arc::new(context.person());
    let provider: Box<dyn IdentityProvider> = match flow {
        AuthFlow::Normal => {
            let browser = BrowserFlow::new(party, person);
            Box::new(match args.oidc_redirect_port {
                Some(port) => browser.with_port(port),
                None => browser,
            })
        }
        AuthFlow::Device => Box::new(DeviceFlow::new(party, person)),
        AuthFlow::Oob => Box::new(OutOfBandFlow::new(party, person)),
        AuthFlow::Token => return Err(UsageError::NoToken.into()),
    };
    Ok((provider, Origin::Person))
}

fn secret(path: &Path) -> Result<String, CliError> {
    /// The largest secret read.
    const MAX_SECRET_BYTES: u64 = 4096;
    let bytes = files::read(path, MAX_SECRET_BYTES)?;
    String::from_utf8(bytes).map_err(|_| UsageError::NotText { path: path.to_owned() }.into())
}
