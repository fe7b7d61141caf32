//! Plans and carries out promotions: an image with everything attached to it, from one repository to another.
//!
//! Verification is not optional: a plan is admitted by a decision at the source, and the tag is moved by a decision at
//! the destination, about what arrived there. Never changes a byte of a manifest, never deletes, and moves the tag last,
//! so that whatever fails on the way leaves no tag.
//!
//! ```text
//!  Promotion ──plan──▶ Plan ──admit(decision at source)──▶ AdmittedPlan ──transfer──▶ Transferred
//!                      data                                                               │
//!                               PromotionRecord ◀──publish(decision at destination)───────┘
//! ```

mod destination;
mod error;
mod plan;
mod record;
mod request;
mod transfer;

pub use error::PromoteError;
pub use plan::{AdmittedPlan, Plan, PlannedObject, Role, SkipReason, Skipped, plan};
pub use record::{PromotionRecord, TagChange, publish};
pub use request::{Overwrite, Promotion, Selection};
pub use transfer::{Transferred, transfer};
