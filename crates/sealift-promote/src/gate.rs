//! A promotion from gate to gate: judged where it comes from, moved, and judged again where it arrived.

use sealift_core::copy::CopyOptions;
use sealift_core::repository::ReadRepository;
use sealift_policy::Decision;

use crate::approved::Approved;
use crate::ends::Ends;
use crate::error::PromoteError;
use crate::judge::Judge;
use crate::plan::{AdmittedPlan, plan};
use crate::request::{Promotion, Target};
use crate::transfer::transfer;

/// What a gate said.
#[derive(Debug)]
pub enum Gate<T> {
    /// It let pass.
    Passed(T),
    /// It stopped the promotion: no tag was moved, and nothing written unless what arrived had to be judged.
    Stopped(Decision),
}

/// Judges what `promotion` names at the source, and plans it.
///
/// Given a [`Snapshot`](sealift_core::repository::Snapshot), the gate and the plan read the same things once.
///
/// # Errors
/// As [`plan`]; that the judge does not allow it is no error.
pub async fn admit(
    source: &dyn ReadRepository,
    promotion: &Promotion,
    judge: &dyn Judge,
) -> Result<Gate<AdmittedPlan>, PromoteError> {
    let decision = judge.judge(source, &promotion.root.digest).await;
    if !decision.is_allowed() {
        return Ok(Gate::Stopped(decision));
    }
    plan(source, promotion).await?.admit(&decision).map(Gate::Passed)
}

/// Moves an admitted plan and judges what arrived; then only the tags are missing. Nothing is moved to where the judge
/// allows nothing.
///
/// # Errors
/// As [`transfer`].
pub async fn arrive<'a>(
    admitted: AdmittedPlan,
    ends: Ends<'_, 'a>,
    target: Target,
    judge: &dyn Judge,
    options: &CopyOptions,
) -> Result<Gate<Approved<'a>>, PromoteError> {
    let denied = judge.foresee(ends.destination.name(), &admitted.plan().root().digest);
    if let Some(decision) = denied.filter(|decision| !decision.is_allowed()) {
        return Ok(Gate::Stopped(decision));
    }
    let moved = transfer(admitted, ends, target, options).await?;
    // What arrived is judged, not what was sent.
    let decision = judge.judge(moved.arrived(), &moved.plan().root().digest).await;
    if !decision.is_allowed() {
        return Ok(Gate::Stopped(decision));
    }
    moved.approve(&decision).map(Gate::Passed)
}
