//! Passwords as Argon2id hashes (RFC 9106), in the PHC text form.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::{LabelError, Result, random};

/// What checking a password costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordCost {
    /// 19 MiB and two passes, the least that OWASP recommends for Argon2id (2023).
    #[default]
    Standard,
    /// As little as there can be: for tests.
    Least,
}

/// Passwords have at least so many characters.
pub const CHARACTERS_MIN: usize = 8;

/// And at most so many bytes: a hash of megabytes would keep a server busy.
const BYTES_MAX: usize = 1024;

/// The hash of a new password; one that is too short or long is refused.
pub fn hash(password: &str, cost: PasswordCost) -> Result<String> {
    let n = password.chars().count();
    if n < CHARACTERS_MIN || password.len() > BYTES_MAX {
        let expected = format!("{CHARACTERS_MIN} characters or more, {BYTES_MAX} bytes at most");
        return Err(LabelError::invalid("password", format!("{n} characters"), expected));
    }
    let salt = random::bytes::<16>()?;
    let hashed = hasher(cost)?.hash_password_with_salt(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).map_err(failed)
}

/// Whether a password is the one that was hashed. Without a hash (an unknown name, say) as much
/// time is spent, so that an answer's delay tells nothing.
pub fn fits(password: &str, hash: Option<&str>, cost: PasswordCost) -> Result<bool> {
    let hasher = hasher(cost)?;
    let Some(hash) = hash else {
        let _ = hasher.hash_password_with_salt(password.as_bytes(), &[0; 16]);
        return Ok(false);
    };
    if password.len() > BYTES_MAX {
        return Ok(false);
    }
    let hash = PasswordHash::new(hash).map_err(|error| failed(error.into()))?;
    Ok(hasher.verify_password(password.as_bytes(), &hash).is_ok())
}

fn hasher(cost: PasswordCost) -> Result<Argon2<'static>> {
    let params = match cost {
        PasswordCost::Standard => Params::new(19 * 1024, 2, 1, None),
        PasswordCost::Least => Params::new(8, 1, 1, None),
    };
    let params = params.map_err(|error| failed(error.into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: argon2::password_hash::Error) -> LabelError {
    LabelError::invalid("password", error.to_string(), "a password that can be hashed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only_and_never_repeats() {
        let (a, b) = (hash("correct horse", PasswordCost::Least), hash("correct horse", PasswordCost::Least));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_ne!(a, b);
        assert!(a.starts_with("$argon2id$"), "{a}");
        for (password, expected) in [("correct horse", true), ("correct horsf", false), ("", false)] {
            assert_eq!(fits(password, Some(&a), PasswordCost::Least).unwrap(), expected);
        }
        assert!(!fits("correct horse", None, PasswordCost::Least).unwrap());
        // A hash made at one cost is checked at its own.
        assert!(fits("correct horse", Some(&a), PasswordCost::Standard).unwrap());
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(hash("seven77", PasswordCost::Least).is_err());
        assert!(hash(&"x".repeat(1025), PasswordCost::Least).is_err());
        assert!(hash("påsswørd", PasswordCost::Least).is_ok());
    }
}
