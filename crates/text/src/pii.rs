//! What identifies a person or opens a door: e-mail addresses, telephone numbers, IP addresses, keys, card numbers, bank
//! accounts.
//!
//! Patterns find candidates; what has check digits must pass them (Luhn for cards, modulo 97 for IBANs), and numbers
//! that dates or plain counts look like are left alone. It will miss some, and names and postal addresses it doesn't look
//! for: it helps with a first pass and replaces no review.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `name@host.tld`.
    Email,
    /// A key, token or private key.
    Key,
    /// A card number that passes Luhn's check.
    Card,
    /// A bank account that passes the check of ISO 13616.
    Iban,
    /// An IPv4 or IPv6 address that belongs to somebody (private, local and documentation ones don't).
    Ip,
    /// A telephone number with a country code, or written as one.
    Phone,
}

impl Kind {
    /// Its name in rows and reports, and between the brackets that redaction leaves.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Email => "email",
            Kind::Key => "key",
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::Ip => "ip",
            Kind::Phone => "phone",
        }
    }
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

struct Pattern {
    kind: Kind,
    regex: Regex,
    holds: fn(&str) -> bool,
}

/// In the order in which they claim text: a card number isn't a telephone number.
static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let pattern = |kind, text: &str, holds| Pattern { kind, regex: Regex::new(text).expect("a valid pattern"), holds };
    vec![
        pattern(
            Kind::Key,
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]{0,8000}?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
            any,
        ),
        pattern(
            Kind::Key,
            r"\b(?:sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}|hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}|glpat-[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",
            any,
        ),
        pattern(Kind::Email, r"(?i)\b[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}\b", any),
        pattern(Kind::Iban, r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", is_iban),
        pattern(Kind::Card, r"\b\d(?:[ -]?\d){12,18}\b", is_card),
        pattern(Kind::Ip, r"\b(?:\d{1,3}\.){3}\d{1,3}\b", is_public_v4),
        pattern(Kind::Ip, r"(?i)\b(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4}){1,6}\b", is_public_v6),
        pattern(Kind::Phone, r"\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}\b", is_phone),
        pattern(Kind::Phone, r"(?:\(\d{3}\) ?|\b\d{3}[-.])\d{3}[-.]\d{4}\b", any),
        pattern(Kind::Phone, r"\b0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}\b", is_phone),
    ]
});

/// Everything that is found, from left to right, none overlapping.
pub fn find(text: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for Pattern { kind, regex, holds } in PATTERNS.iter() {
        for candidate in regex.find_iter(text).filter(|candidate| holds(candidate.as_str())) {
            let (start, end) = (candidate.start(), candidate.end());
            if !found.iter().any(|other| start < other.end && other.start < end) {
                found.push(Found { kind: *kind, start, end });
            }
        }
    }
    found.sort_unstable_by_key(|found| found.start);
    found
}

/// The text with what was found replaced by `[email]` and so on.
pub fn redact(text: &str, found: &[Found]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for Found { kind, start, end } in found {
        out.push_str(&text[last..*start]);
        out.push_str(&format!("[{}]", kind.name()));
        last = *end;
    }
    out.push_str(&text[last..]);
    out
}

fn any(_: &str) -> bool {
    true
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// Luhn's check, and not one digit again and again.
fn is_card(text: &str) -> bool {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &digit)| match i % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// ISO 13616: the first four characters to the end, letters as 10 to 35, modulo 97 is 1.
fn is_iban(text: &str) -> bool {
    let compact: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    if !(15..=34).contains(&compact.len()) {
        return false;
    }
    let rest = compact[4..].iter().chain(&compact[..4]).try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    rest == Some(1)
}

fn is_public_v4(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| {
        !(ip.is_private()
            || ip.is_loopback()
            || ip.is_unspecified()
            || ip.is_documentation()
            || ip.is_link_local()
            || ip.is_broadcast()
            || ip.octets()[0] == 0
            || ip.octets()[0] > 223)
    })
}

fn is_public_v6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| {
        let first = ip.segments()[0];
        let is_local = first & 0xffc0 == 0xfe80 || first & 0xfe00 == 0xfc00;
        let is_documentation = first == 0x2001 && ip.segments()[1] == 0xdb8;
        !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_local || is_documentation)
    })
}

/// As many digits as numbers have, and more than two different ones.
fn is_phone(text: &str) -> bool {
    let mut digits = digits(text);
    let n_digits = digits.len();
    digits.sort_unstable();
    digits.dedup();
    (8..=15).contains(&n_digits) && digits.len() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text, &find(text)), expected);
    }

    #[test]
    fn what_identifies_is_redacted() {
        check("write to Jo.Doe+x@mail.example.org, please", "write to [email], please");
        check("call +44 20 7946 0958 or (555) 123-4567", "call [phone] or [phone]");
        check("030/123 45678 after six", "[phone] after six");
        check("from 8.8.8.8 to 2a00:1450:4001:81b::200e", "from [ip] to [ip]");
        // The card industry's test number, and the example of ISO 13616.
        check("card 4111 1111 1111 1111.", "card [card].");
        check("pay to GB82 WEST 1234 5698 7654 32 today", "pay to [iban] today");
        check("key AKIAABCDEFGHIJKLMNOP!", "key [key]!");
        check("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "[key]\nx");
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "4111 1111 1111 1112",
            "0000 0000 0000 0000",
            "GB82 WEST 1234 5698 7654 33",
            "192.168.0.1 and 127.0.0.1 and 203.0.113.9",
            "version 1.2.3.400",
            "on 2024-05-17 at 12:30:45",
            "fe80::1:2:3 and 2001:db8::1:2",
            "it costs 1,299.00 or 12345678",
            "f(x)@home and a @ b.c",
            "1999 2000 2001",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }

    #[test]
    fn found_places_do_not_overlap() {
        let text = "a@b.co 4111111111111111 +1 555 123 4567 ghp_abcdefghijklmnopqrstuvwxyz0123456789 a@b.co";
        let found = find(text);
        assert_eq!(found.len(), 5);
        assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
