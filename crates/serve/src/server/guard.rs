//! Who may be listened to: an address that other machines reach needs users and TLS, or a proxy that says it has both.
use super::ServerError;
use std::net::SocketAddr;

/// What stands between strangers and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Users with passwords, or API keys.
    pub users: bool,
    /// Encrypted.
    pub tls: bool,
    /// A proxy in front does both.
    pub behind_proxy: bool,
}

/// Refuses an address beyond loopback that nothing protects.
pub fn check_address(address: SocketAddr, protection: Protection) -> Result<(), ServerError> {
    if address.ip().to_canonical().is_loopback() || protection.behind_proxy {
        return Ok(());
    }
    let missing = match (protection.users, protection.tls) {
        (true, true) => return Ok(()),
        (true, false) => "TLS (--tls-cert, --tls-key)",
        (false, true) => "users or API keys",
        (false, false) => "users or API keys, and TLS (--tls-cert, --tls-key)",
    };
    Err(ServerError::Unprotected { address, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, (users, tls, behind_proxy): (bool, bool, bool), allowed: bool) {
        let found = check_address(address.parse().unwrap(), Protection { users, tls, behind_proxy });
        assert_eq!(found.is_ok(), allowed, "{address}: {found:?}");
    }

    #[test]
    fn only_loopback_goes_unprotected() {
        check("127.0.0.1:80", (false, false, false), true);
        check("[::1]:80", (false, false, false), true);
        check("[::ffff:127.0.0.1]:80", (false, false, false), true);
        for address in ["0.0.0.0:80", "[::]:80", "192.168.1.4:80", "[::ffff:10.0.0.1]:80"] {
            check(address, (false, false, false), false);
            check(address, (true, false, false), false);
            check(address, (false, true, false), false);
            check(address, (true, true, false), true);
            check(address, (false, false, true), true);
        }
    }

    #[test]
    fn the_message_says_what_is_missing() {
        let protection = Protection { users: true, tls: false, behind_proxy: false };
        let error = check_address("0.0.0.0:80".parse().unwrap(), protection).unwrap_err().to_string();
        assert!(
            error.contains("--tls-cert") && error.contains("--behind-proxy") && !error.contains("users"),
            "{error}"
        );
    }
}
