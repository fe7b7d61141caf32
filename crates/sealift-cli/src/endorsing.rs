//! Signing at the destinations of promotions, as the command line asks for it: one signer for all of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sealift_promote::{Approved, Endorser, PromoteError, Resigning, SignatureForm};

use crate::args::endorsement::Endorsement;
use crate::context::Context;
use crate::error::CliError;
use crate::signing::Signatory;

/// Who signs at the destinations, and what.
pub(crate) struct Endorsing {
    signatory: Signatory,
    records: bool,
    resigning: Option<Resigning>,
    clock: fn() -> Timestamp,
}

impl Endorsing {
    /// Chooses who signs, and asks before anything can be published about `destinations`.
    pub(crate) async fn open(
        context: &Context,
        endorsement: Endorsement,
        destinations: &[String],
    ) -> Result<Self, CliError> {
        let Endorsement { signer, resigning, records } = endorsement;
        let signatory = Signatory::open(context, &signer, destinations).await?;
        let has_legacy = resigning.as_ref().is_some_and(|how| how.forms.contains(&SignatureForm::CosignTag));
        if has_legacy {
            signatory.check_legacy()?;
        }
        Ok(Self { signatory, records, resigning, clock: Context::clock })
    }

    /// Signs what passed both gates, before its tags move.
    pub(crate) async fn endorse<'a>(&self, approved: Approved<'a>) -> Result<Approved<'a>, CliError> {
        let hand = self.signatory.hand().await?;
        let verifier = self.signatory.verifier(BTreeMap::new());
        let endorser = Endorser {
            signer: &*hand.signer,
            witnesses: self.signatory.witnesses(),
            identity: &hand.identity,
            verifier: &verifier,
            time: (self.clock)(),
        };
        let failed = |source| CliError::Promote(PromoteError::Endorse(source));
        let approved = match &self.resigning {
            Some(how) => approved.resign(&endorser, how).await.map_err(failed)?,
            None => approved,
        };
        match self.records {
            true => approved.record(&endorser).await.map_err(failed),
            false => Ok(approved),
        }
    }
}
