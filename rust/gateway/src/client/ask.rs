//! What a program asks for, checked before anything is sent.
//!
//! Nothing that is put together from foreign text can become a second header or a second request: what does not fit is
//! refused, and what frames a message (its length, its connection) is the pool's own.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use super::unpack::Coding;
use crate::pool::Origin;

/// Headers that a caller does not set: they say where a message ends, and what becomes of its connection.
const OURS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
const NAME: HeaderValue = HeaderValue::from_static(concat!("omnimind/", env!("CARGO_PKG_VERSION")));

/// A request that can be sent.
#[derive(Debug)]
pub struct Ask {
    pub(super) origin: Origin,
    pub(super) request: Request<Full<Bytes>>,
    /// The answer may be packed, and is to be unpacked.
    pub(super) unpacks: bool,
    pub(super) timeout: Option<Duration>,
}

/// What is wrong with a request, for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(String);

impl Ask {
    /// Checks a request. `codings` are asked for where the headers say nothing of codings; `timeout` is for all of it.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn new(
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        content: Bytes,
        codings: &[Coding],
        timeout: Option<Duration>,
    ) -> Result<Self, Mistake> {
        let method = named(method)?;
        let url = address(url)?;
        let origin = Origin::of(&url).ok_or_else(|| wrong("a URL begins with http:// or https://"))?;
        let mut map = HeaderMap::with_capacity(headers.len().saturating_add(4));
        for (name, value) in headers {
            let (name, value) = field(name, value)?;
            map.append(name, value);
        }
        let host = url.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
        if let Some(host) = host {
            map.entry(header::HOST).or_insert(host);
        }
        map.entry(header::USER_AGENT).or_insert(NAME);
        let unpacks = !codings.is_empty() && !map.contains_key(header::ACCEPT_ENCODING);
        if unpacks && let Ok(codings) = HeaderValue::try_from(Coding::list(codings)) {
            map.insert(header::ACCEPT_ENCODING, codings);
        }
        let mut request = Request::new(Full::new(content));
        *request.method_mut() = method;
        *request.uri_mut() = url;
        *request.headers_mut() = map;
        Ok(Self { origin, request, unpacks, timeout })
    }

    /// Sent twice it does no harm.
    pub(super) fn is_repeatable(&self) -> bool {
        self.request.method().is_idempotent()
    }

    /// Its answer has a head only.
    pub(super) fn is_bodiless(&self) -> bool {
        *self.request.method() == Method::HEAD
    }
}

fn named(method: &str) -> Result<Method, Mistake> {
    let name = method.to_ascii_uppercase();
    let method = Method::from_bytes(name.as_bytes()).map_err(|_| wrong(format!("{method:?} is not a method")))?;
    if method == Method::CONNECT { Err(wrong("CONNECT makes a tunnel, not a request")) } else { Ok(method) }
}

fn address(text: &str) -> Result<Uri, Mistake> {
    if let Some(odd) = text.chars().find(|letter| !letter.is_ascii_graphic()) {
        let advice = "percent-encode it (urllib.parse.quote); a host name of other letters is written as xn--...";
        return Err(wrong(format!("a URL cannot hold the character {odd:?}: {advice}")));
    }
    let url: Uri = text.parse().map_err(|error| wrong(format!("this is not a URL: {error}")))?;
    let Some(authority) = url.authority().filter(|_| matches!(url.scheme_str(), Some("http" | "https"))) else {
        return Err(wrong("a URL begins with http:// or https:// and a host"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("a name and password in a URL are not sent: use the header Authorization"));
    }
    let port = authority.as_str().get(authority.host().len()..).unwrap_or_default();
    if authority.host().is_empty() || !matches!(port, "" | ":") && authority.port_u16().is_none() {
        return Err(wrong(format!("{:?} is not a host and port", authority.as_str())));
    }
    Ok(url)
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Mistake> {
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(format!("{name:?} cannot name a header")))?;
    if OURS.contains(&key) {
        return Err(wrong(format!("the header {key} is set by the pool itself")));
    }
    // The value is not shown: it may be a secret.
    let value = HeaderValue::from_str(value).map_err(|_| {
        wrong(format!("the value of the header {key} has a line break or a letter beyond ASCII: it cannot be sent"))
    })?;
    Ok((key, value))
}

fn wrong(what: impl Into<String>) -> Mistake {
    Mistake(what.into())
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Result<Ask, Mistake> {
        Ask::new(method, url, headers, Bytes::new(), &Coding::ALL, None)
    }

    #[test]
    fn what_is_not_said_is_added_and_what_is_said_stays() {
        let plain = ask("get", "http://Host:81/a?b#c", &[]).unwrap();
        let headers = plain.request.headers();
        assert_eq!((plain.request.method(), headers["host"].as_bytes()), (&Method::GET, &b"Host:81"[..]));
        assert_eq!((&headers["accept-encoding"], plain.unpacks), (&HeaderValue::from_static("zstd, br, gzip"), true));
        let own = ask("GET", "http://h/", &[("Accept-Encoding", "identity"), ("User-Agent", "me"), ("Host", "x")]);
        let own = own.unwrap();
        assert!(!own.unpacks);
        for (name, value) in [("accept-encoding", "identity"), ("user-agent", "me"), ("host", "x")] {
            assert_eq!(own.request.headers()[name], value);
        }
    }

    #[test]
    fn nothing_can_become_a_second_header_or_request() {
        for (name, value) in [
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "a\0"),
            ("x\r\ny", "a"),
            ("x y", "a"),
            ("", "a"),
            ("Content-Length", "0"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
        ] {
            assert!(ask("GET", "http://h/", &[(name, value)]).is_err(), "{name:?}: {value:?}");
        }
        let urls = [
            "http://h/a b",
            "http://h/\r\nx: y",
            "http://h/\u{fc}",
            "http://u:p@h/",
            "http://h:99999/",
            "http://h:port/",
            "http://:80/",
            "http://",
            "ftp://h/",
            "/only/a/path",
            "host.only",
            "",
        ];
        for url in urls {
            assert!(ask("GET", url, &[]).is_err(), "{url:?}");
        }
        assert!(ask("GE T", "http://h/", &[]).is_err() && ask("CONNECT", "http://h/", &[]).is_err());
        assert!(ask("GET", "http://[::1]:8080/", &[]).is_ok() && ask("GET", "http://h:/", &[]).is_ok());
    }

    #[test]
    fn a_secret_is_not_in_what_is_said_of_a_header() {
        let said = ask("GET", "http://h/", &[("authorization", "Bearer s3cret\n")]).unwrap_err().to_string();
        assert!(said.contains("authorization") && !said.contains("s3cret"));
    }
}
