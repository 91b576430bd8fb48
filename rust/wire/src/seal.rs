//! Sealed tokens: what the gateway gives out and must recognise later, perhaps after a restart.
//!
//! A token carries kind, backend, expiry, a binding (for `requestState`: a digest of method and params) and a payload,
//! under an HMAC-SHA256
//! that also covers the principal, who is not written into it. It is signed, not hidden: a payload must hold nothing
//! its holder may not see.
//! The newest key of the ring seals, any of them opens, so that keys can be rotated while tokens are out.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

mod digest;

pub use digest::request_digest;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const MAC_BYTES: usize = 32;
/// Longest token that is looked at, in characters.
const MAX_TOKEN: usize = 1 << 20;

/// What a token is for; one kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The `requestState` of an input-required result.
    RequestState,
    /// A page cursor.
    Cursor,
    /// A legacy session id.
    Session,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::RequestState => 1,
            Self::Cursor => 2,
            Self::Session => 3,
        }
    }
}

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims<'a> {
    /// Whom the token is for.
    pub principal: &'a str,
    /// The server it leads to; empty if none.
    pub backend: &'a str,
    /// The last second (Unix time) it is good for.
    pub expires_at: u64,
    /// What it is bound to (see [`request_digest`]); empty if nothing.
    pub binding: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

/// What an accepted token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The server it leads to.
    pub backend: String,
    /// The last second it is good for.
    pub expires_at: u64,
    /// What it is bound to.
    pub binding: Vec<u8>,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealError {
    /// It is no token of ours.
    Malformed,
    /// It was changed, made for another principal, or sealed by a key no longer in the ring.
    Forged,
    /// It is sound but made for something else.
    WrongKind,
    /// Its time is over.
    Expired,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the token is malformed",
            Self::Forged => "the token was not issued to this caller by this gateway",
            Self::WrongKind => "the token was issued for something else",
            Self::Expired => "the token has expired",
        })
    }
}

impl std::error::Error for SealError {}

/// The keys, newest first.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<[u8; 32]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys.len())
    }
}

impl Keyring {
    /// A ring of keys, newest first. A ring without keys seals nothing that can be opened.
    pub fn new(keys: Vec<[u8; 32]>) -> Self {
        Self { keys }
    }

    /// Makes a token: base64url without padding, fit for URLs and headers.
    pub fn seal(&self, kind: Kind, claims: &Claims<'_>, nonce: [u8; NONCE_BYTES]) -> String {
        let mut body =
            Vec::with_capacity(40 + claims.backend.len() + claims.binding.len() + claims.payload.len() + MAC_BYTES);
        body.extend_from_slice(&[VERSION, kind.byte()]);
        body.extend_from_slice(&nonce);
        body.extend_from_slice(&claims.expires_at.to_be_bytes());
        push_part(&mut body, claims.backend.as_bytes());
        push_part(&mut body, claims.binding);
        push_part(&mut body, claims.payload);
        let mac = self.keys.first().map(|key| mac(key, &body, claims.principal).finalize().into_bytes());
        body.extend_from_slice(&mac.unwrap_or_default());
        URL_SAFE_NO_PAD.encode(body)
    }

    /// Opens a token for a principal at a time (Unix seconds).
    pub fn open(&self, kind: Kind, token: &str, principal: &str, now_s: u64) -> Result<Opened, SealError> {
        if token.len() > MAX_TOKEN {
            return Err(SealError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| SealError::Malformed)?;
        let cut = bytes.len().checked_sub(MAC_BYTES).ok_or(SealError::Malformed)?;
        let (body, tag) = bytes.split_at(cut);
        let known =
            self.keys.iter().fold(false, |known, key| known | mac(key, body, principal).verify_slice(tag).is_ok());
        if !known {
            return Err(SealError::Forged);
        }
        let (found, opened) = read(body).ok_or(SealError::Malformed)?;
        if found != kind.byte() {
            return Err(SealError::WrongKind);
        }
        if now_s > opened.expires_at {
            return Err(SealError::Expired);
        }
        Ok(opened)
    }
}

/// The principal comes after the body, whose own length is settled by the lengths inside it and told once more here.
#[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac(key: &[u8; 32], body: &[u8], principal: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(b"omnimind/seal/1");
    mac.update(&(body.len() as u64).to_be_bytes());
    mac.update(body);
    mac.update(principal.as_bytes());
    mac
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(part);
}

fn read(body: &[u8]) -> Option<(u8, Opened)> {
    let (&[version, kind], rest) = body.split_first_chunk::<2>()?;
    let (_nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
    let (expires_at, rest) = rest.split_first_chunk::<8>()?;
    let (backend, rest) = part(rest)?;
    let (binding, rest) = part(rest)?;
    let (payload, rest) = part(rest)?;
    if version != VERSION || !rest.is_empty() {
        return None;
    }
    let backend = std::str::from_utf8(backend).ok()?.to_owned();
    let opened = Opened {
        backend,
        expires_at: u64::from_be_bytes(*expires_at),
        binding: binding.to_vec(),
        payload: payload.to_vec(),
    };
    Some((kind, opened))
}

fn part(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = from.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
