//! Layouts that other tools wrote, below `testdata/layouts`: read whole, or refused.

use std::path::{Path, PathBuf};

use sealift_core::attach::{Scope, attachments};
use sealift_core::copy::{CopyError, CopyOptions, copy_graph};
use sealift_core::oci::{Descriptor, Digest, Selector};
use sealift_core::repository::{MemoryRepository, ReadRepository};

use crate::layout::readable;

/// The index in the layouts of every tool but skopeo, which writes its own.
const INDEX: &str = "sha256:3680723bfb0093fb22d59688fadc8d4af64caa93662684f6fe95b0cb27c6af5f";
/// skopeo's.
const SKOPEO_INDEX: &str = "sha256:67356f4d0a6b4c57069b90bbd847bd4fe6828cb6454f4314ecdb772deadbf785";
/// The index, its two platforms, their configurations and layers.
const OBJECTS: usize = 7;

#[tokio::test]
async fn what_other_tools_wrote_is_read_whole() {
    for (name, digest, attached) in [
        ("crane-index", INDEX, 0),
        ("skopeo-index", SKOPEO_INDEX, 0),
        ("oras-with-referrers", INDEX, 2),
        ("cosign-save", INDEX, 3),
    ] {
        let layout = readable(&corpus().join(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let digest: Digest = digest.parse().unwrap();
        let root = layout.resolve(&Selector::Digest(digest.clone())).await.unwrap();
        let copied = copy(&layout, &root).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(copied.object_count(), OBJECTS, "{name}");
        let found = attachments(&layout, &digest, Scope::Nested).await.unwrap();
        assert_eq!(found.found.len(), attached, "{name}: {found:?}");
        assert!(found.problems.is_empty() && found.unread.is_empty(), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn broken_layouts_are_never_read_as_an_image() {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(fault) = name.strip_suffix("_fail") else { continue };
        let told = read(&path).await.expect_err(&name);
        let expected = match fault {
            "missing-blob" => "no content",
            "no-index" => "index.json",
            "other-bytes" => "digest",
            "other-version" => "version",
            "short-blob" => "short of",
            other => panic!("an unknown fault: {other}"),
        };
        assert!(told.contains(expected), "{name}: {told}");
        names.push(name);
    }
    assert_eq!(names.len(), 5, "{names:?}");
}

/// Reads the index and everything below it; says all that an error says.
async fn read(path: &Path) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| {
        let mut told = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            told.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        told
    };
    let layout = readable(path).await.map_err(|error| told(&error))?;
    let root = layout.resolve(&Selector::Digest(INDEX.parse().unwrap())).await.map_err(|error| told(&error))?;
    copy(&layout, &root).await.map(|_| ()).map_err(|error| told(&error))
}

async fn copy(layout: &dyn ReadRepository, root: &Descriptor) -> Result<MemoryRepository, CopyError> {
    let memory = MemoryRepository::new("copy").requiring_children();
    copy_graph(layout, &memory, root, &CopyOptions::default()).await.map(|_| memory)
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts")
}
