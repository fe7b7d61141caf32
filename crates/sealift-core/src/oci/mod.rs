//! What things are called: digests, descriptors, references, manifests and their media types.
//!
//! Parses and formats only; nothing here fetches anything.
//! Specification: <https://github.com/opencontainers/image-spec/tree/v1.1.1>.

pub mod annotation;
mod descriptor;
mod digest;
mod index;
mod manifest;
pub mod media_type;
mod reference;
mod unknown_fields;

pub use descriptor::{Descriptor, EMPTY_JSON, Platform};
pub use digest::{Digest, DigestAlgorithm, DigestError, Hasher};
pub use index::{EntryEdit, IndexDocument, parse_listing};
pub use manifest::{MAX_MANIFEST_BYTES, Manifest, ManifestError, RawManifest};
pub use media_type::MediaType;
pub use reference::{
    LayoutReference, Reference, ReferenceError, RegistryHost, RegistryReference, RepositoryName, Selector, Tag,
};
pub use unknown_fields::UnknownFields;
