//! What is decided by in a request's `_meta`, noted while the message is scanned, so that nobody reads it twice.

use super::Request;
use crate::headers::{META_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_OWN, META_PASSING, META_VERSION};
use crate::json::{Key, Scan, Scanner, Span};

/// The members of `_meta` that are acted on; spans count from the first byte of `_meta`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Noted {
    version: Option<Span>,
    capabilities: Option<Span>,
    client_info: Option<Span>,
    log_level: Option<Span>,
    /// A key is one of the gateway's own.
    own: bool,
    /// A key is none of those above, nor one of [`META_PASSING`].
    more: bool,
}

impl Noted {
    /// Reads one member; `base` is where `_meta` begins.
    pub(super) fn member(&mut self, scanner: &mut Scanner<'_>, key: &Key<'_>, base: usize) -> Scan {
        let key = key.bytes();
        let key = key.as_ref();
        let own = key.starts_with(META_OWN.as_bytes());
        self.own |= own;
        let span = scanner.span()?;
        let slot = if key == META_VERSION.as_bytes() {
            &mut self.version
        } else if key == META_CAPABILITIES.as_bytes() {
            &mut self.capabilities
        } else if key == META_CLIENT_INFO.as_bytes() {
            &mut self.client_info
        } else if key == META_LOG_LEVEL.as_bytes() {
            &mut self.log_level
        } else {
            self.more |= !own && !META_PASSING.iter().any(|passing| passing.as_bytes() == key);
            return Ok(());
        };
        *slot = Some(span.start - base..span.end - base);
        Ok(())
    }
}

impl Request {
    /// The protocol version in `_meta`, as raw JSON of any type.
    pub fn meta_version(&self) -> Option<&[u8]> {
        self.noted(self.noted.version.as_ref())
    }

    /// The client's capabilities in `_meta`, as raw JSON of any type.
    pub fn meta_capabilities(&self) -> Option<&[u8]> {
        self.noted(self.noted.capabilities.as_ref())
    }

    /// The client's name and version in `_meta`, as raw JSON of any type.
    pub fn meta_client_info(&self) -> Option<&[u8]> {
        self.noted(self.noted.client_info.as_ref())
    }

    /// The log level in `_meta`, as raw JSON of any type.
    pub fn meta_log_level(&self) -> Option<&[u8]> {
        self.noted(self.noted.log_level.as_ref())
    }

    /// True if `_meta` has a key that begins with [`META_OWN`].
    pub fn has_own_meta(&self) -> bool {
        self.noted.own
    }

    /// True if `_meta` has nothing that an answer may depend on.
    pub fn has_passing_meta(&self) -> bool {
        !self.noted.more
    }

    fn noted(&self, span: Option<&Span>) -> Option<&[u8]> {
        self.meta.as_deref()?.get(span?.clone())
    }
}
