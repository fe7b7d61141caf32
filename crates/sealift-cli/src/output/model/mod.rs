//! What commands return, and how each is written.

mod attached;
mod audited;
mod batch;
mod blob;
mod bundle;
mod copied;
mod decided;
mod deleted;
mod described;
mod document;
mod explained;
mod inspected;
mod judged;
mod key_pair;
mod promoted;
mod refused;
mod signed;
mod tree;

pub(crate) use attached::Attached;
pub(crate) use audited::{AuditedSubject, Mending, Referrers};
pub(crate) use batch::Batch;
pub(crate) use blob::{SignedBlob, VerifiedBlob};
pub(crate) use bundle::InspectedBundle;
pub(crate) use copied::{Copied, LeftBehind};
pub(crate) use decided::{Decided, DecidedManifest};
pub(crate) use deleted::Deleted;
pub(crate) use described::Described;
pub(crate) use document::Document;
pub(crate) use explained::Explained;
pub(crate) use inspected::{Inspected, InspectedSignature};
pub(crate) use judged::{Judged, Judgement};
pub(crate) use key_pair::KeyPair;
pub(crate) use promoted::{Planned, Promoted};
pub(crate) use refused::Refused;
pub(crate) use signed::{Signed, SignedManifest, State, Stored};
pub(crate) use tree::{Node, Tree};
