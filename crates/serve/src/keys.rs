//! Who may ask: API keys from a file, tokens of the labeling database, or everybody on this machine.

use label::{Scope, Store};

/// Shorter keys can be guessed.
const KEY_CHARACTERS_MIN: usize = 16;

/// The keys of a server. Only their hashes are kept.
#[derive(Default)]
pub struct Keys {
    known: Vec<(String, blake3::Hash)>,
    /// Where tokens of scope `generate` are looked up.
    tokens: Option<Store>,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The key's name; absent where no key is needed.
    pub name: Option<String>,
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// A line of another form.
    #[error("line {line}: expected `NAME KEY`")]
    Form {
        /// Counted from 1.
        line: usize,
    },
    /// A key that can be guessed.
    #[error("line {line}: a key of {found} characters, expected {KEY_CHARACTERS_MIN} or more")]
    Short {
        /// Counted from 1.
        line: usize,
        /// Its length.
        found: usize,
    },
    /// Two of a name, or two names of a key.
    #[error("line {line}: the name or the key is there already")]
    Twice {
        /// Counted from 1.
        line: usize,
    },
    /// No key at all.
    #[error("no keys in it")]
    Empty,
}

impl Keys {
    /// Reads lines of `NAME KEY`; blank ones and those that begin with `#` are left out.
    pub fn parse(text: &str) -> Result<Keys, KeyError> {
        let mut keys = Keys::default();
        for (i, row) in text.lines().enumerate() {
            let (line, row) = (i + 1, row.trim());
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let parts: Vec<&str> = row.split_whitespace().collect();
            let [name, key] = parts[..] else { return Err(KeyError::Form { line }) };
            let found = key.chars().count();
            if found < KEY_CHARACTERS_MIN {
                return Err(KeyError::Short { line, found });
            }
            let hash = blake3::hash(key.as_bytes());
            if keys.known.iter().any(|known| known.0 == name || known.1 == hash) {
                return Err(KeyError::Twice { line });
            }
            keys.known.push((name.to_owned(), hash));
        }
        if keys.known.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
    }

    /// Also takes the database's API tokens of scope `generate`.
    pub fn with_tokens(self, store: Store) -> Keys {
        Keys { tokens: Some(store), ..self }
    }

    /// Whether who asks must have a key.
    pub fn are_needed(&self) -> bool {
        !self.known.is_empty() || self.tokens.is_some()
    }

    /// Whose key it is. Hashes are compared in constant time.
    pub async fn caller(&self, key: Option<&str>) -> Option<Caller> {
        if !self.are_needed() {
            return Some(Caller::default());
        }
        let key = key?.to_owned();
        let hash = blake3::hash(key.as_bytes());
        if let Some((name, _)) = self.known.iter().find(|(_, known)| *known == hash) {
            return Some(Caller { name: Some(name.clone()) });
        }
        let store = self.tokens.clone()?;
        let found = tokio::task::spawn_blocking(move || store.authenticate_api_token(&key, Scope::Generate)).await;
        Some(Caller { name: Some(found.ok()?.ok()?.name) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_says_whose_each_key_is() {
        let keys = Keys::parse("# ours\n\nalice 0123456789abcdef\n  bob\tfedcba9876543210  \n").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let caller = |key: Option<&str>| runtime.block_on(keys.caller(key)).map(|caller| caller.name.unwrap());
        assert_eq!(caller(Some("0123456789abcdef")).as_deref(), Some("alice"));
        assert_eq!(caller(Some("fedcba9876543210")).as_deref(), Some("bob"));
        assert_eq!((caller(Some("0123456789abcdeF")), caller(None)), (None, None));
        assert_eq!(runtime.block_on(Keys::default().caller(None)), Some(Caller { name: None }));
    }

    #[test]
    fn a_bad_key_file_says_where() {
        let refused = |text: &str| Keys::parse(text).err();
        assert_eq!(refused("\nalice"), Some(KeyError::Form { line: 2 }));
        assert_eq!(refused("alice secret"), Some(KeyError::Short { line: 1, found: 6 }));
        assert_eq!(refused("a 0123456789abcdef\na 1123456789abcdef"), Some(KeyError::Twice { line: 2 }));
        assert_eq!(refused("a 0123456789abcdef\nb 0123456789abcdef"), Some(KeyError::Twice { line: 2 }));
        assert_eq!(refused("# nothing\n"), Some(KeyError::Empty));
    }
}
