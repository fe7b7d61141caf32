//! Hexadecimal digits, as logs and TUF write hashes.

/// Reads digits of either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_of_digits() {
        for (text, bytes) in
            [("", Some(vec![])), ("00fF", Some(vec![0, 255])), ("0", None), ("0g", None), ("\u{e9}", None)]
        {
            assert_eq!(from_hex(text), bytes, "{text}");
        }
    }
}
