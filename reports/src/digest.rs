//! Digests: BLAKE3, written as `b3:` and 64 hexadecimal digits.

use serde::Serialize;

/// The digest of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    format!("b3:{}", blake3::hash(bytes).to_hex())
}

/// The digest of a value: that of the bytes of its canonical JSON, so of the file that holds it.
pub fn of_json<T: Serialize>(value: &T) -> String {
    of_bytes(crate::json::to_canonical_json(value).as_bytes())
}

/// The digest of a list of parts. Each part is preceded by its length, so no two different lists share their bytes.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    format!("b3:{}", hasher.finalize().to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_nothing_is_blake3s() {
        let empty = "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(of_bytes(b""), empty);
        assert_eq!(of_parts([]), empty);
    }

    #[test]
    fn the_digest_of_a_value_is_that_of_its_file() {
        assert_eq!(of_json(&1), of_bytes(b"1\n"));
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(of_parts([&b"ab"[..], b"c"]), of_parts([&b"a"[..], b"bc"]));
    }
}
