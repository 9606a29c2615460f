//! Secrets from the system's source of random bytes, and how they are kept: as hashes only.

use crate::{LabelError, Result};

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| LabelError::Random(error.to_string()))?;
    Ok(bytes)
}

/// A secret of 256 bits as 64 hexadecimal digits.
pub fn secret() -> Result<String> {
    Ok(hexadecimal(&bytes::<32>()?))
}

/// A short random name, 64 bits as 16 hexadecimal digits.
pub fn name() -> Result<String> {
    Ok(hexadecimal(&bytes::<8>()?))
}

/// What is stored of a secret of 256 bits: such a secret can't be guessed, so that a fast hash is enough.
pub fn stored(secret: &str) -> String {
    blake3::Hasher::new_derive_key("helpmate 2026 label secret")
        .update(secret.as_bytes())
        .finalize()
        .to_hex()
        .to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_their_hashes_do_not_tell_them() {
        let (a, b) = (secret().unwrap(), secret().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), 64);
        assert_eq!(stored(&a), stored(&a));
        assert_ne!(stored(&a), stored(&b));
        assert_ne!(stored(&a), blake3::hash(a.as_bytes()).to_hex().to_string());
    }
}
