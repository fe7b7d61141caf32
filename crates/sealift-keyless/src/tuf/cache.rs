//! Files kept between runs.
//!
//! Nothing read from here is believed before it is verified; so a cache may be deleted, or spoilt, at any time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A directory of files, each replaced at once: a reader sees the old one or the new one.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Uses a directory, which is made when there is something to keep.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Returns the directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Uses a directory within.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { directory: self.directory.join(quote(name)) }
    }

    /// Returns a file's bytes; `None` when it is not there, or larger than `limit`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn read(&self, name: &str, limit: usize) -> std::io::Result<Option<Vec<u8>>> {
        let file = match std::fs::File::open(self.directory.join(quote(name))) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() <= limit).then_some(bytes))
    }

    /// Says whether a file is there.
    ///
    /// # Errors
    /// Those of the system: what cannot be looked at may be there.
    pub fn contains(&self, name: &str) -> std::io::Result<bool> {
        self.directory.join(quote(name)).try_exists()
    }

    /// Keeps a file in place of the one of that name.
    ///
    /// # Errors
    /// Those of the system.
    pub fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(self.directory.join(quote(name)))?;
        Ok(())
    }
}

/// Writes foreign text as one segment of a path or URL: what is not a letter, digit or one of `-._~` becomes `%XX`,
/// so that no name leads out of its directory (CVE-2026-24137, CVE-2026-24686).
pub(super) fn quote(text: &str) -> String {
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out() {
        for (name, quoted) in [
            ("root.json", "root.json"),
            ("../x", "..%2Fx"),
            ("/etc/passwd", "%2Fetc%2Fpasswd"),
            ("..", "%2E%2E"),
            ("a?b#c%\\\0", "a%3Fb%23c%25%5C%00"),
            ("\u{e9}", "%C3%A9"),
        ] {
            assert_eq!(quote(name), quoted);
        }
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("inner"));
        cache.write("../escaped", b"x").unwrap();
        assert!(!directory.path().join("escaped").exists());
        assert_eq!(cache.read("../escaped", 10).unwrap().unwrap(), b"x");
    }

    #[test]
    fn files_are_bounded_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path()).below("deep");
        assert_eq!(cache.read("a", 10).unwrap(), None);
        cache.write("a", b"one").unwrap();
        cache.write("a", b"three").unwrap();
        assert_eq!(cache.read("a", 5).unwrap().unwrap(), b"three");
        assert_eq!(cache.read("a", 4).unwrap(), None);
        assert_eq!(std::fs::read_dir(cache.directory()).unwrap().count(), 1, "no temporary file is left");
    }
}
