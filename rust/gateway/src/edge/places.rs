//! Host and Origin: the two headers that tell a browser's request from a local client's.
//!
//! A page on any site can make a browser send requests to loopback, and by rebinding a name it can make
//! them look same-origin. Requests that name a foreign host or origin are therefore refused before anything
//! else is looked at (MCP 2026-07-28, streamable HTTP: Origin MUST be validated).

use http::{HeaderMap, Uri, header};
use omnimind_wire::{Reason, Refusal};

use crate::config::Edge;

/// Checks Host (or `:authority`) and Origin.
///
/// # Errors
/// 421 for a host that is not ours, 403 for an origin that is not allowed, 400 without a host.
pub(crate) fn check(edge: &Edge, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next(), uri.authority()) {
        (None, None, Some(authority)) => authority.as_str(),
        (Some(host), None, authority) => {
            let host = host.to_str().unwrap_or("");
            if authority.is_some_and(|authority| authority.as_str() != host) {
                return Err(refuse_host("the request names two different hosts"));
            }
            host
        }
        _ => return Err(refuse_host("a request names exactly one host")),
    };
    if !is_local(host) && !edge.hosts.iter().any(|allowed| named(allowed, host)) {
        return Err(refuse_host("this gateway does not serve that host name; gateway.hosts lists further ones"));
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("");
        let local = ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme).is_some_and(is_local));
        if !local && !edge.origins.iter().any(|allowed| allowed == origin) {
            return Err(Refusal::new(
                Reason::Origin,
                "request",
                "requests from that origin are not allowed; gateway.origins lists further ones",
            ));
        }
    }
    Ok(())
}

fn refuse_host(detail: &str) -> Refusal {
    Refusal::new(Reason::Host, "request", detail)
}

/// `localhost`, `127.0.0.1` or `[::1]`, with any port.
fn is_local(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| named(name, host))
}

/// The configured name, alone or with a port.
fn named(name: &str, host: &str) -> bool {
    let Some((head, rest)) = host.split_at_checked(name.len()) else { return false };
    let port = rest.strip_prefix(':').unwrap_or("");
    head.eq_ignore_ascii_case(name)
        && (rest.is_empty() || (!port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(host: &str, origin: Option<&str>) -> Option<Reason> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        check(&Edge::default(), &Uri::from_static("/mcp"), &headers).err().map(|refusal| refusal.reason)
    }

    #[test]
    fn loopback_names_pass_with_any_port() {
        for host in ["localhost", "localhost:4320", "127.0.0.1:1", "[::1]:65535", "LOCALHOST:80"] {
            assert_eq!(verdict(host, None), None, "{host}");
            assert_eq!(verdict(host, Some(&format!("http://{host}"))), None, "{host}");
        }
    }

    #[test]
    fn foreign_hosts_are_misdirected() {
        for host in [
            "evil.example",
            "localhost.evil",
            "localhost.",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "localhost:80:80",
            "localhost:",
            "localhost:a",
            "evil@localhost",
            "[::1",
            "0x7f.1",
            "",
        ] {
            assert_eq!(verdict(host, None), Some(Reason::Host), "{host}");
        }
    }

    #[test]
    fn foreign_origins_are_forbidden() {
        for origin in [
            "null",
            "http://evil.example",
            "http://localhost.evil",
            "http://127.0.0.1:4320@evil",
            "file://",
            "localhost",
            "http://localhost:4320/",
            "ftp://localhost",
            "http://xn--lcalhost-54a",
            "http://localhost.",
            "",
        ] {
            assert_eq!(verdict("localhost:4320", Some(origin)), Some(Reason::Origin), "{origin}");
        }
    }

    #[test]
    fn two_hosts_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert!(check(&Edge::default(), &Uri::from_static("/mcp"), &headers).is_err());
        assert!(check(&Edge::default(), &Uri::from_static("/mcp"), &HeaderMap::new()).is_err());
    }
}
