//! One PEM block, read strictly.
//!
//! Lax readers skip what they do not understand, so two programs can read two keys from one file; here a file is one
//! block, with explanatory text only in front, as RFC 7468 section 2 allows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::PemError;

/// The label and content of a PEM block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) label: String,
    pub(super) content: Zeroizing<Vec<u8>>,
}

/// Reads the only block of `text`; `EC PARAMETERS`, which openssl writes in front of a key, are passed over.
pub(super) fn read(text: &[u8]) -> Result<Block, PemError> {
    if text.len() > MAX_PEM_BYTES {
        return Err(PemError::TooLarge { limit: MAX_PEM_BYTES });
    }
    let text = std::str::from_utf8(text).map_err(|_| PemError::NoBlock)?;
    let (label, body, rest) = split(text)?;
    let (label, body, rest) = if label == "EC PARAMETERS" { split(rest)? } else { (label, body, rest) };
    if rest.contains(BEGIN) {
        return Err(PemError::SeveralBlocks);
    }
    if !rest.trim().is_empty() {
        return Err(PemError::TrailingText);
    }
    if body.contains(':') {
        return Err(PemError::Headers);
    }
    let compact: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let content = STANDARD.decode(compact.as_bytes()).map_err(|_| PemError::Base64)?;
    Ok(Block { label: label.to_owned(), content: Zeroizing::new(content) })
}

/// Splits off the first block: its label, its body and what follows.
fn split(text: &str) -> Result<(&str, &str, &str), PemError> {
    let (_, text) = text.split_once(BEGIN).ok_or(PemError::NoBlock)?;
    let (label, text) = text.split_once(DASHES).ok_or(PemError::Unfinished)?;
    if label.contains(['\n', '\r']) {
        return Err(PemError::Unfinished);
    }
    let (body, text) = text.split_once("-----END ").ok_or(PemError::Unfinished)?;
    let rest = text.strip_prefix(label).and_then(|text| text.strip_prefix(DASHES)).ok_or(PemError::Unfinished)?;
    Ok((label, body, rest))
}

/// Writes a block with lines of 64 characters, as Go and openssl do.
pub(crate) fn write(label: &str, content: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(content));
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for line in body.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str(DASHES);
    text.push('\n');
    text
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The largest key file read; an RSA-4096 key takes 3.3 KiB, encrypted 5 KiB. Stops reading whatever a path names.
const MAX_PEM_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_with_text_in_front() {
        let content: Vec<u8> = (0..=200).collect();
        let block = read(format!("Bag Attributes\n{}\n\n", write("X Y", &content)).as_bytes()).unwrap();
        assert_eq!((block.label.as_str(), block.content.as_slice()), ("X Y", content.as_slice()));
    }

    #[test]
    fn passes_over_ec_parameters() {
        let text = write("EC PARAMETERS", b"curve") + &write("EC PRIVATE KEY", b"key");
        assert_eq!(read(text.as_bytes()).unwrap().label, "EC PRIVATE KEY");
    }

    #[test]
    fn refuses_everything_else() {
        let good = write("A", b"content");
        for (text, error) in [
            (String::new(), PemError::NoBlock),
            (good.clone() + &good, PemError::SeveralBlocks),
            (good.clone() + "x", PemError::TrailingText),
            (good.replace("END A", "END B"), PemError::Unfinished),
            (good[..good.len() - 4].to_owned(), PemError::Unfinished),
            (good.replacen("A-----\n", "A-----\nProc-Type: 4,ENCRYPTED\n", 1), PemError::Headers),
            (good.replace("Y29u", "Y2*u"), PemError::Base64),
            (" ".repeat(MAX_PEM_BYTES + 1), PemError::TooLarge { limit: MAX_PEM_BYTES }),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), error, "{text:.80}");
        }
    }
}
