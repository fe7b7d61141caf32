//! What a batch has done so far, in a file, so that an interrupted one continues where it stopped.
//!
//! A line of JSON for each signed manifest, written when its signature is stored. The first line names the job: a file
//! of another job says nothing about this one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use sealift_core::locked;
use sealift_core::oci::Digest;
use serde::{Deserialize, Serialize};

use crate::error::{CliError, UsageError};
use crate::files;
use crate::output::model::Stored;

/// The largest file read: a hundred thousand manifests.
const MAX_STATE_BYTES: u64 = 64 * 1024 * 1024;

/// What is done, and where it is noted.
#[derive(Debug)]
pub(crate) struct BatchState {
    path: PathBuf,
    done: BTreeMap<(String, Digest), Vec<Stored>>,
    file: Mutex<File>,
}

#[derive(Deserialize, Serialize)]
struct Header {
    job: Digest,
}

#[derive(Deserialize, Serialize)]
struct Line {
    repository: String,
    digest: Digest,
    stored: Vec<Stored>,
}

impl BatchState {
    /// Opens the file of a job, or begins one.
    ///
    /// # Errors
    /// [`UsageError::OtherState`] when it is another job's.
    pub(crate) fn open(path: &Path, job: &Digest) -> Result<Self, CliError> {
        let failed = |source| CliError::Write { path: path.to_owned(), source };
        let text = if path.exists() { files::read(path, MAX_STATE_BYTES)? } else { Vec::new() };
        // What a crash cut off was not stored, or is stored and signed once more.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let header = Header { job: job.clone() };
        let is_new = match lines.next() {
            // Nothing but the beginning of the first line may be cut off: the file may be anything.
            None if line_of(&header, path)?.starts_with(&text) => true,
            None => return Err(UsageError::OtherState { path: path.to_owned() }.into()),
            Some(line) => match serde_json::from_slice::<Header>(line) {
                Ok(header) if header.job == *job => false,
                _ => return Err(UsageError::OtherState { path: path.to_owned() }.into()),
            },
        };
        let mut done = BTreeMap::new();
        for line in lines {
            let Ok(Line { repository, digest, stored }) = serde_json::from_slice(line) else {
                return Err(UsageError::OtherState { path: path.to_owned() }.into());
            };
            done.insert((repository, digest), stored);
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        file.set_len(whole as u64).map_err(failed)?;
        let state = Self { path: path.to_owned(), done, file: Mutex::new(file) };
        if is_new {
            state.append(&header)?;
        }
        Ok(state)
    }

    /// Returns what was stored for a manifest, if it was.
    pub(crate) fn done(&self, repository: &str, digest: &Digest) -> Option<&Vec<Stored>> {
        self.done.get(&(repository.to_owned(), digest.clone()))
    }

    /// Notes that a manifest's signature is stored.
    pub(crate) fn note(&self, repository: &str, digest: &Digest, stored: &[Stored]) -> Result<(), CliError> {
        self.append(&Line { repository: repository.to_owned(), digest: digest.clone(), stored: stored.to_vec() })
    }

    fn append(&self, line: &impl Serialize) -> Result<(), CliError> {
        let failed = |source| CliError::Write { path: self.path.clone(), source };
        let text = line_of(line, &self.path)?;
        let mut file = locked(&self.file);
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)
    }
}

fn line_of(value: &impl Serialize, path: &Path) -> Result<Vec<u8>, CliError> {
    let line = serde_json::to_vec(value);
    let mut line = line.map_err(|error| CliError::Write { path: path.to_owned(), source: error.into() })?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_forgotten_and_another_job_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let (job, one, two) = (Digest::sha256(b"job"), Digest::sha256(b"1"), Digest::sha256(b"2"));
        let state = BatchState::open(&path, &job).unwrap();
        state.note("r", &one, &[]).unwrap();
        drop(state);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(br#"{"repository":"r","dig"#);
        std::fs::write(&path, torn).unwrap();
        let state = BatchState::open(&path, &job).unwrap();
        assert!(state.done("r", &one).is_some() && state.done("r", &two).is_none() && state.done("q", &one).is_none());
        state.note("r", &two, &[]).unwrap();
        drop(state);
        assert!(BatchState::open(&path, &job).unwrap().done("r", &two).is_some());
        assert!(BatchState::open(&path, &Digest::sha256(b"other")).is_err());
    }

    #[test]
    fn a_file_that_is_no_state_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        for other in ["one line that does not end", "{\"job\":\"sha256:0", "lines\n"] {
            std::fs::write(&path, other).unwrap();
            assert!(BatchState::open(&path, &Digest::sha256(b"job")).is_err(), "{other}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
        }
        let torn = format!("{{\"job\":\"{}", Digest::sha256(b"job"));
        std::fs::write(&path, &torn[..20]).unwrap();
        BatchState::open(&path, &Digest::sha256(b"job")).unwrap();
        assert!(BatchState::open(&path, &Digest::sha256(b"job")).is_ok());
    }
}
