//! Where connections go, and on what terms they are kept.

use std::{fmt, io, path::Path, sync::Arc, sync::OnceLock, time::Duration};

use http::{HeaderValue, Uri};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::config;

/// Between two signs of life.
const SIGN: Duration = Duration::from_secs(10);
/// The first rest of an origin that fails too often.
const REST: Duration = Duration::from_secs(30);

/// What connections lead to: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub(super) secure: bool,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: HeaderValue,
}

impl Origin {
    /// The origin of an address; none if it is neither http nor https.
    pub fn of(url: &Uri) -> Option<Self> {
        let secure = match url.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let authority = url.authority()?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let name = HeaderValue::from_str(authority.as_str().rsplit('@').next()?).ok()?;
        Some(Self { secure, host, port, name })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        let host = self.host.to_ascii_lowercase();
        let (left, right) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{left}{host}{right}:{}", self.port)
    }
}

/// The terms on which connections to one origin are kept.
#[derive(Clone)]
pub struct Terms {
    /// Counts, times and HTTP/2.
    pub pool: config::Pool,
    /// The first rest of an origin that fails too often.
    pub rest: Duration,
    /// Between two signs of life that a shared connection with calls on it is asked for, and how long each may take.
    pub sign: Duration,
    /// Whose certificates are believed.
    pub trust: Arc<Trust>,
    /// A number in `0.0..1.0`, another one each time.
    pub chance: fn() -> f64,
}

impl Terms {
    /// The configured terms.
    pub fn new(pool: config::Pool, trust: Arc<Trust>) -> Self {
        Self { pool, rest: REST, sign: SIGN, trust, chance }
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// From the system; the middle if it has none to give.
fn chance() -> f64 {
    let mut bytes = [0u8; 4];
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(4) => f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        _ => 0.5,
    }
}

/// Whose certificates are believed: those of the system, read when the first one is needed, as most fleets
/// never do.
#[derive(Debug, Default)]
pub struct Trust {
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Trust {
    /// These and no others.
    pub fn only(roots: RootCertStore) -> Self {
        Self { roots: OnceLock::from(Arc::new(roots)) }
    }

    /// Those in a file of PEM and no others.
    ///
    /// # Errors
    /// It cannot be read, or holds no certificate.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let unread = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let wrong = |why: &dyn fmt::Display| unread(io::Error::new(io::ErrorKind::InvalidData, why.to_string()));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&std::fs::read(path).map_err(unread)?) {
            roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() { Err(wrong(&"there is no certificate in it")) } else { Ok(Self::only(roots)) }
    }

    /// What a TLS connection begins with, and whether it offers HTTP/2.
    pub(super) fn config(&self, http2: bool) -> io::Result<ClientConfig> {
        let roots = if let Some(roots) = self.roots.get() {
            Arc::clone(roots)
        } else {
            let roots = Arc::new(of_the_system()?);
            Arc::clone(self.roots.get_or_init(|| roots))
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        let offered: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        Ok(config)
    }
}

fn of_the_system() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (valid, _) = roots.add_parsable_certificates(found.certs);
    if valid > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no certificates to trust: {why}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let of = |url: &str| Origin::of(&url.parse().unwrap());
        let origin = of("https://user@[::1]:8443/mcp?x").unwrap();
        assert_eq!(
            (origin.secure, &*origin.host, origin.port, &origin.name),
            (true, "::1", 8443, &"[::1]:8443".parse().unwrap())
        );
        assert_eq!(of("http://a/").unwrap().port, 80);
        assert_eq!(of("https://a").unwrap().port, 443);
        assert_eq!((of("ftp://a/"), of("/mcp")), (None, None));
    }

    #[test]
    fn chance_is_a_number_below_one_and_changes() {
        let some: Vec<f64> = (0..20).map(|_| chance()).collect();
        assert!(some.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(some.windows(2).any(|pair| pair[0].to_bits() != pair[1].to_bits()));
    }
}
