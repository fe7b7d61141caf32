//! Checkpoints: what a log says about its whole tree, as a signed note.
//!
//! Specification: <https://c2sp.org/tlog-checkpoint> and <https://c2sp.org/signed-note>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;

/// The largest checkpoint read; a note with two dozen witnesses takes 4 KiB. Stops megabytes of signature lines.
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// The most signature lines read; each costs a comparison, and one of the log's costs a verification.
const MAX_SIGNATURES: usize = 64;

/// A parsed checkpoint; nothing about it is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// Name of the key, such as the host of the log.
    pub name: String,
    /// The first four bytes of the key's identifier.
    pub key_hint: [u8; 4],
    /// The signature.
    pub bytes: Vec<u8>,
}

impl Checkpoint {
    /// Reads a signed note whose text is a checkpoint.
    ///
    /// # Errors
    /// Says which line is not what it should be.
    pub fn parse(note: &str) -> Result<Self, CheckpointError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointError::TooLarge { limit: MAX_CHECKPOINT_BYTES });
        }
        if note.chars().any(|character| character.is_control() && character != '\n') {
            return Err(CheckpointError::ControlCharacter);
        }
        // The text ends with its last line's end; an empty line parts it from the signatures.
        let end = note.rfind("\n\n").ok_or(CheckpointError::NoSignatures)?;
        let (text, rest) = note.split_at(end + 1);
        let signatures = parse_signatures(&rest[1..])?;
        let mut lines = text.lines();
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Origin)?;
        let size = lines.next().and_then(parse_size).ok_or(CheckpointError::Size)?;
        let root = lines.next().and_then(parse_root).ok_or(CheckpointError::Root)?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::EmptyLine);
        }
        Ok(Self { origin: origin.to_owned(), size, root, text: text.to_owned(), signatures })
    }

    /// Returns the first line: the name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root hash.
    pub fn root(&self) -> &Hash {
        &self.root
    }

    /// Returns the text that is signed, with its last line's end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines, those of witnesses included.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature>, CheckpointError> {
    let lines = lines.strip_suffix('\n').ok_or(CheckpointError::NoSignatures)?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == MAX_SIGNATURES {
            return Err(CheckpointError::TooManySignatures { limit: MAX_SIGNATURES });
        }
        signatures.push(parse_signature(line).ok_or(CheckpointError::Signature { line: signatures.len() + 1 })?);
    }
    Ok(signatures)
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    if name.is_empty() || name.contains(['+', ' ']) {
        return None;
    }
    let decoded = STANDARD.decode(encoded).ok()?;
    let (key_hint, bytes) = decoded.split_first_chunk::<4>()?;
    (!bytes.is_empty()).then(|| NoteSignature { name: name.to_owned(), key_hint: *key_hint, bytes: bytes.to_vec() })
}

/// One spelling per number, as the specification demands: digits only, no leading zero.
fn parse_size(line: &str) -> Option<u64> {
    let size: u64 = line.parse().ok()?;
    (size.to_string() == line).then_some(size)
}

fn parse_root(line: &str) -> Option<Hash> {
    STANDARD.decode(line).ok()?.try_into().ok()
}

/// Says why a text is no checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There is a control character other than the line's end.
    #[error("the checkpoint has a control character")]
    ControlCharacter,
    /// There is an empty line inside the text.
    #[error("the checkpoint has an empty line")]
    EmptyLine,
    /// There is no empty line with signatures below it.
    #[error("the checkpoint has no signatures")]
    NoSignatures,
    /// The first line is missing.
    #[error("the checkpoint has no origin")]
    Origin,
    /// The third line is not a SHA-256 hash in base64.
    #[error("the checkpoint's third line is not a root hash")]
    Root,
    /// A signature line is malformed.
    #[error("signature line {line} of the checkpoint is malformed")]
    Signature {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The second line is not a number.
    #[error("the checkpoint's second line is not a tree size")]
    Size,
    /// It is larger than any checkpoint.
    #[error("the checkpoint has more than {limit} bytes")]
    TooLarge {
        /// Largest size, in bytes.
        limit: usize,
    },
    /// It has more signatures than any checkpoint.
    #[error("the checkpoint has more than {limit} signatures")]
    TooManySignatures {
        /// Most signatures.
        limit: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=";

    fn note(text: &str, signatures: &[&str]) -> String {
        let mut note = format!("{text}\n");
        for name in signatures {
            note += &format!("\u{2014} {name} {}\n", STANDARD.encode([1, 2, 3, 4, 5]));
        }
        note
    }

    #[test]
    fn reads_text_and_signatures() {
        let checkpoint =
            Checkpoint::parse(&note(&format!("log.test\n7\n{ROOT}\nother: x\n"), &["w", "log.test"])).unwrap();
        assert_eq!((checkpoint.origin(), checkpoint.size()), ("log.test", 7));
        assert_eq!(checkpoint.text(), format!("log.test\n7\n{ROOT}\nother: x\n"));
        assert_eq!(checkpoint.signatures()[1].name, "log.test");
        assert_eq!(checkpoint.signatures()[1].key_hint, [1, 2, 3, 4]);
        assert_eq!(checkpoint.signatures()[1].bytes, [5]);
    }

    #[test]
    fn refuses_everything_else() {
        for (text, error) in [
            (String::new(), CheckpointError::NoSignatures),
            (format!("log.test\n7\n{ROOT}\n\n"), CheckpointError::NoSignatures),
            (note("log.test\n07\nx\n", &["a"]), CheckpointError::Size),
            (note("log.test\n7\n\n", &["a"]), CheckpointError::Root),
            (note(&format!("log.test\n7\n{ROOT}\n\nx\n"), &["a"]), CheckpointError::EmptyLine),
            (note(&format!("log.test\n7\n{ROOT}\n"), &["a+b"]), CheckpointError::Signature { line: 1 }),
            (note(&format!("log.test\n7\n{ROOT}\n"), &["a"; 65]), CheckpointError::TooManySignatures { limit: 64 }),
            (note(&format!("log.test\r\n7\n{ROOT}\n"), &["a"]), CheckpointError::ControlCharacter),
            ("x".repeat(MAX_CHECKPOINT_BYTES + 1), CheckpointError::TooLarge { limit: MAX_CHECKPOINT_BYTES }),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(error), "{text:.60}");
        }
    }
}
