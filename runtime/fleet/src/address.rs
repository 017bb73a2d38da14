//! Addresses to listen on: this machine's own, unless others are wanted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::FleetError;

/// The address that a word such as `127.0.0.1:9464`, `[::1]:9464` or `localhost:9464` names. One that other machines may
/// reach needs consent.
pub(crate) fn parse(word: &str, open: bool) -> Result<SocketAddr, FleetError> {
    let wrong = || FleetError::Address { word: word.to_owned() };
    let address = match word.strip_prefix("localhost:") {
        Some(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| wrong())?),
        None => word.parse().map_err(|_| wrong())?,
    };
    if open || address.ip().is_loopback() { Ok(address) } else { Err(FleetError::NotLoopback { address }) }
}

/// Whether the `Host` of a request names this machine as only its own programs do. A page from elsewhere whose name was
/// made to point here has its own name there, and must not read what runs on this machine.
pub(crate) fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_without_consent() {
        for word in ["127.0.0.1:9464", "127.9.9.9:1", "[::1]:9464", "localhost:0"] {
            assert!(parse(word, false).is_ok_and(|address| address.ip().is_loopback()), "{word}");
        }
        for word in ["0.0.0.0:9464", "[::]:9464", "192.168.1.5:80"] {
            let refused = parse(word, false).expect_err(word).to_string();
            assert!(refused.contains("--metrics-open"), "{refused}");
            assert!(parse(word, true).is_ok(), "{word}");
        }
        for word in ["", "9464", ":9464", "127.0.0.1", "127.0.0.1:99999", "host:1", "\u{1b}[2J"] {
            let refused = parse(word, true).expect_err(word).to_string();
            assert!(refused.contains("no address") && !refused.contains('\u{1b}'), "{refused}");
        }
    }

    #[test]
    fn hosts_of_this_machine() {
        for host in ["localhost", "LocalHost:9464", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80"] {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["", "example.org", "localhost.example.org:80", "10.0.0.1", "[::2]", "::1", "127.0.0.1.evil"]
        {
            assert!(!is_local(host), "{host}");
        }
    }
}
