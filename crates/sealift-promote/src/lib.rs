//! Plans and carries out promotions: an image with everything attached to it, from one repository to another.
//!
//! Verification is not optional: a plan is admitted by a decision at the source, and the tags are moved by a decision at
//! the destination, about what arrived there. Never changes a byte of a manifest, never deletes, and moves the tags
//! last, so that whatever fails on the way leaves no tag.
//!
//! ```text
//!  Promotion ──plan──▶ Plan ──admit(decision at source)──▶ AdmittedPlan ──transfer──▶ Transferred { completeness }
//!                      data                                                                │
//!        Promoted ◀──publish── Approved ◀──approve(decision at destination)───────────────┘
//!                              │    ▲
//!                              └────┘ resign, record: signed by the destination, before the tags move
//! ```

mod approved;
mod completeness;
mod destination;
mod endorse;
mod ends;
mod error;
mod gate;
mod judge;
mod object;
mod part;
mod plan;
mod platform;
mod presence;
mod promotion_manifest;
mod prove;
mod publish;
mod record;
mod request;
mod selection;
mod shard;
mod tag;
mod transfer;

pub use approved::Approved;
pub use completeness::{ArrivalProof, ArrivedObject, Completeness};
pub use endorse::{EndorseError, Endorsed, Endorser, Resigning, SignatureForm};
pub use ends::Ends;
pub use error::PromoteError;
pub use gate::{Gate, admit, arrive};
pub use judge::Judge;
pub use object::{PlannedObject, Role, SkipReason, Skipped};
pub use plan::{AdmittedPlan, Plan, plan, plan_alone};
pub use presence::Presence;
pub use promotion_manifest::{
    Clashes, Image, MAX_IMAGES, ManifestEntry, PromotionManifest, PromotionManifestError, Source, SourceError,
};
pub use publish::Promoted;
pub use request::{Promotion, TagRule, Target};
pub use selection::{Feature, Selection, Signers};
pub use shard::{Shard, ShardError};
pub use tag::TagChange;
pub use transfer::{Transferred, transfer};
