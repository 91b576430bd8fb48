//! What the configuration says of connections to a server over HTTP.

use serde::Deserialize;

/// Connections to one server over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Never more at once.
    pub max_connections: usize,
    /// A call waits so long for one.
    pub wait_ms: u64,
    /// So many are kept open while nothing happens.
    pub min_idle: usize,
    /// One that has rested so long is closed, until it is known when the server closes them.
    pub idle_ms: u64,
    /// One is replaced when it is so old, give or take a tenth.
    pub max_age_ms: u64,
    /// Whether HTTP/2 is spoken.
    pub http2: Http2,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_connections: 100,
            wait_ms: 5_000,
            min_idle: 0,
            idle_ms: 4_000,
            max_age_ms: 300_000,
            http2: Http2::default(),
        }
    }
}

/// Whether HTTP/2 is spoken to a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http2 {
    /// Over TLS, if the server offers it.
    #[default]
    Offered,
    /// Also in the clear: the server is known to.
    Known,
    /// Never.
    Never,
}
