//! Numbers that nobody can guess: seeds of requests without one, names of conversations.

/// Random bytes from the operating system.
///
/// # Panics
/// If the operating system has none to give: nothing that needs them could be safe.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).expect("the system's random numbers");
    bytes
}

/// 64 random bits.
pub(crate) fn number() -> u64 {
    u64::from_le_bytes(bytes())
}

/// 24 random hexadecimal digits.
pub(crate) fn name() -> String {
    bytes::<12>().iter().map(|byte| format!("{byte:02x}")).collect()
}
