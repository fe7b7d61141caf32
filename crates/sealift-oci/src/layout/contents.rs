//! The table of contents of a tar archive: where each regular file's bytes are.
//!
//! Reads headers and skips the bytes between them; nothing is unpacked, and no name becomes a path. Names and extended
//! headers are read within bounds, because a library that reads them whole can be made to fill memory.
//! Format: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13>.

use std::collections::HashMap;
use std::io;

use sealift_core::oci::Digest;
use tar::{EntryType, Header, PaxExtensions};

use super::blob::MAX_BLOBS;
use super::extent::Extent;

/// Size of a header, and what everything is padded to, in bytes.
const BLOCK_BYTES: u64 = 512;
/// The longest extended header read, in bytes; stops one of gigabytes from filling memory.
const MAX_EXTENSION_BYTES: u64 = 64 * 1024;
/// The most entries read, files or not; stops an archive of empty entries from filling time.
const MAX_ENTRIES: usize = MAX_BLOBS + 10_000;

/// Regular files by name, without a leading `./`; of several with one name the last counts, as when unpacking.
pub(super) type Contents = HashMap<String, Extent>;

/// Reads the table of contents of `archive`; blocks the thread.
pub(super) fn read(archive: &Extent) -> Result<Contents, ContentsError> {
    let mut files = Contents::new();
    let mut next = Extensions::default();
    let mut offset = 0;
    for _ in 0..MAX_ENTRIES {
        let Some(block) = archive.slice(offset, BLOCK_BYTES) else { return Err(ContentsError::Cut) };
        let block = whole(&block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(files);
        }
        let header = header(&block)?;
        let kind = header.entry_type();
        let own = std::mem::take(&mut next);
        let size = if has_content(kind) { own.size.map_or_else(|| header.entry_size(), Ok) } else { Ok(0) };
        let size = size.map_err(|_| ContentsError::Header)?;
        let content = archive.slice(offset + BLOCK_BYTES, size).ok_or(ContentsError::Cut)?;
        match kind {
            EntryType::Regular | EntryType::Continuous => {
                let name = own.name.unwrap_or_else(|| header.path_bytes().into_owned());
                // No file of a layout has a name that is not UTF-8.
                if let Ok(name) = String::from_utf8(name) {
                    files.insert(name.trim_start_matches("./").to_owned(), content);
                }
            }
            EntryType::GNULongName => {
                let name = whole(&content)?;
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                next = Extensions { name: Some(name[..end].to_vec()), ..own };
            }
            EntryType::XHeader => next = Extensions::parse(&whole(&content)?)?,
            EntryType::GNUSparse => return Err(ContentsError::Sparse),
            // A link is not followed, so a blob that is one is not there.
            _ => {}
        }
        let padded = size.checked_next_multiple_of(BLOCK_BYTES).ok_or(ContentsError::Header)?;
        offset = (offset + BLOCK_BYTES).checked_add(padded).ok_or(ContentsError::Header)?;
    }
    Err(ContentsError::TooMany)
}

/// Returns the digest of the blob that is kept under this name.
pub(super) fn digest_of(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// What an extended header says about the entry after it.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Extensions {
    fn parse(bytes: &[u8]) -> Result<Self, ContentsError> {
        let mut found = Self::default();
        for extension in PaxExtensions::new(bytes) {
            let extension = extension.map_err(|_| ContentsError::Header)?;
            match extension.key_bytes() {
                b"path" => found.name = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size = extension.value().ok().and_then(|size| size.parse().ok());
                    found.size = Some(size.ok_or(ContentsError::Header)?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(ContentsError::Sparse),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn whole(extent: &Extent) -> Result<bytes::Bytes, ContentsError> {
    extent.read_all(MAX_EXTENSION_BYTES).map_err(ContentsError::Read)?.ok_or(ContentsError::Header)
}

fn header(block: &[u8]) -> Result<&Header, ContentsError> {
    /// Where the checksum is, which counts as spaces in itself.
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    if u64::try_from(block.len()) != Ok(BLOCK_BYTES) {
        return Err(ContentsError::Cut);
    }
    let header = Header::from_byte_slice(block);
    let counted = |(position, byte): (usize, &u8)| u32::from(if CHECKSUM.contains(&position) { b' ' } else { *byte });
    let sum: u32 = block.iter().enumerate().map(counted).sum();
    if header.cksum().ok() != Some(sum) {
        return Err(ContentsError::Header);
    }
    Ok(header)
}

/// Whether bytes follow the header; links and directories have none, whatever size they claim.
fn has_content(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// Says why a file is no readable tar archive.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentsError {
    #[error("it is cut: it ends before its end marker")]
    Cut,
    #[error("it is no tar archive, or damaged")]
    Header,
    #[error("reading the archive failed")]
    Read(#[source] io::Error),
    #[error("it holds sparse files, which no layout needs")]
    Sparse,
    #[error("it holds too many files")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn contents(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ContentsError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let found = read(&Extent::new(Arc::new(file), 0, bytes.len() as u64))?;
        let mut files: Vec<_> = found
            .into_iter()
            .map(|(name, extent)| (name, extent.read_all(u64::MAX).unwrap().unwrap().to_vec()))
            .collect();
        files.sort();
        Ok(files)
    }

    fn entry(kind: EntryType, name: &str, claimed: u64, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(claimed);
        header.set_cksum();
        let mut all = [header.as_bytes().as_slice(), content].concat();
        all.resize(all.len().next_multiple_of(512), 0);
        all
    }

    fn file(name: &str, content: &[u8]) -> Vec<u8> {
        entry(EntryType::Regular, name, content.len() as u64, content)
    }

    const END: [u8; 1024] = [0; 1024];

    #[test]
    fn finds_files_by_every_way_to_name_them() {
        let mut long = tar::Builder::new(vec![]);
        let name = format!("{}/{}", "d".repeat(150), "f".repeat(150));
        let mut header = Header::new_gnu();
        header.set_size(3);
        long.append_data(&mut header, &name, b"gnu".as_slice()).unwrap();
        let pax = entry(EntryType::XHeader, "x", 17, b"17 path=pax/name\n");
        let archive = [&long.into_inner().unwrap()[..2048], &pax, &file("short", b"pax"), &file("./a", b"1")];
        let archive = [archive.concat(), file("a", b"the last counts"), END.to_vec()].concat();
        let found = contents(&archive).unwrap();
        let expected = [("a", "the last counts"), (&name, "gnu"), ("pax/name", "pax")];
        assert_eq!(found, expected.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec())));
    }

    #[test]
    fn links_are_no_files_and_have_no_content() {
        let link = entry(EntryType::Link, "blobs/x", 512, b"");
        let symlink = entry(EntryType::Symlink, "index.json", 0, b"");
        let found = contents(&[link, symlink, file("after", b"x"), END.to_vec()].concat()).unwrap();
        assert_eq!(found, [("after".to_owned(), b"x".to_vec())]);
    }

    #[test]
    fn refuses_what_is_cut_or_lies() {
        let good = [file("a", b"content"), file("b", &[7; 600]), END.to_vec()].concat();
        for end in 0..good.len() - END.len() {
            assert!(matches!(contents(&good[..end]), Err(ContentsError::Cut)), "cut at {end}");
        }
        let mut damaged = good.clone();
        damaged[3] ^= 1;
        assert!(matches!(contents(&damaged), Err(ContentsError::Header)));
        let endless = [entry(EntryType::Regular, "a", u64::MAX / 2, b""), END.to_vec()].concat();
        assert!(matches!(contents(&endless), Err(ContentsError::Cut)));
        let long_name = [entry(EntryType::GNULongName, "n", 70_000, &[b'n'; 70_000]), END.to_vec()].concat();
        assert!(matches!(contents(&long_name), Err(ContentsError::Header)));
        let size = entry(EntryType::XHeader, "x", 29, b"29 size=99999999999999999999\n");
        assert!(matches!(contents(&[size, END.to_vec()].concat()), Err(ContentsError::Header)));
        let sparse = [entry(EntryType::GNUSparse, "s", 0, b""), END.to_vec()].concat();
        assert!(matches!(contents(&sparse), Err(ContentsError::Sparse)));
    }

    proptest! {
        #[test]
        fn reading_is_total(
            flips in proptest::collection::vec((0..2048usize, any::<u8>()), 0..8),
            end in 0..2049usize,
        ) {
            let mut bytes = [file("a", b"content"), END.to_vec()].concat();
            bytes.resize(2048, 0);
            for (position, value) in flips {
                bytes[position] = value;
            }
            let _ = contents(&bytes[..end]);
        }
    }
}
