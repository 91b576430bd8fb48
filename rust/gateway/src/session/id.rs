//! Session ids: sealed, so that a gateway that restarts still knows whose they are and what was agreed.
//!
//! An id carries the process that made it, the version, a random key and what the client said of itself. Who
//! presents an id of *this* process that is not in the table presents one that ended; an id of an earlier
//! process stands for a session that is put together again.

use std::time::Duration;

use bytes::Bytes;
use omnimind_wire::{
    LEGACY_VERSIONS, Object,
    json::is_object,
    seal::{Claims, Keyring, Kind},
};

/// How long after its making an id may be taken up by another process.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// What an id carries of a client's own words; an HTTP head has room for 16 KiB.
const MOST_CAPABILITIES: usize = 2_048;
const MOST_INFO: usize = 512;

/// What an id says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticketed {
    /// The process that made it.
    pub(crate) epoch: u32,
    /// Tells sessions apart.
    pub(crate) key: [u8; 16],
    /// The version agreed on.
    pub(crate) version: &'static str,
    /// The client's capabilities, a raw object.
    pub(crate) capabilities: Bytes,
    /// The client's name and version, raw; may be empty.
    pub(crate) info: Bytes,
}

impl Ticketed {
    /// Seals an id for a principal and an endpoint.
    pub(crate) fn seal(&self, keys: &Keyring, principal: &str, backend: &str, now_s: u64, nonce: [u8; 12]) -> String {
        let version = LEGACY_VERSIONS.iter().position(|version| *version == self.version).unwrap_or(0);
        let mut payload = self.epoch.to_be_bytes().to_vec();
        payload.extend_from_slice(&self.key);
        payload.push(u8::try_from(version).unwrap_or(0));
        payload.extend_from_slice(&u16::try_from(self.capabilities.len()).unwrap_or(0).to_be_bytes());
        payload.extend_from_slice(&self.capabilities);
        payload.extend_from_slice(&self.info);
        let claims = Claims { principal, backend, expires_at: now_s + LIFE.as_secs(), binding: b"", payload: &payload };
        keys.seal(Kind::Session, &claims, nonce)
    }

    /// Opens an id; none if it is not this principal's, not this endpoint's, or too old.
    pub(crate) fn open(keys: &Keyring, id: &str, principal: &str, backend: &str, now_s: u64) -> Option<Self> {
        let opened = keys.open(Kind::Session, id, principal, now_s).ok()?;
        if opened.backend != backend {
            return None;
        }
        let (epoch, rest) = opened.payload.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let (&[version], rest) = rest.split_first_chunk::<1>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (capabilities, info) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        Some(Self {
            epoch: u32::from_be_bytes(*epoch),
            key: *key,
            version: LEGACY_VERSIONS.get(usize::from(version)).copied()?,
            capabilities: Bytes::copy_from_slice(capabilities),
            info: Bytes::copy_from_slice(info),
        })
    }
}

/// A client's capabilities as far as an id has room for them: whole, or only what decides who can be asked.
pub(crate) fn fitting_capabilities(raw: Option<&[u8]>) -> Bytes {
    let Some(raw) = raw.filter(|raw| is_object(raw)) else { return Bytes::from_static(b"{}") };
    if raw.len() <= MOST_CAPABILITIES {
        return Bytes::copy_from_slice(raw);
    }
    let Ok(object) = Object::parse(raw) else { return Bytes::from_static(b"{}") };
    let mut out = vec![b'{'];
    for key in ["roots", "sampling", "elicitation"] {
        let Some(value) = object.get(key).filter(|value| is_object(value)) else { continue };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{key}\":").as_bytes());
        out.extend_from_slice(if value.len() <= MOST_CAPABILITIES / 4 { value } else { b"{}" });
    }
    out.push(b'}');
    out.into()
}

/// A client's own description, if it is short enough to carry.
pub(crate) fn fitting_info(raw: Option<&[u8]>) -> Bytes {
    raw.filter(|raw| is_object(raw) && raw.len() <= MOST_INFO).map_or_else(Bytes::new, Bytes::copy_from_slice)
}
