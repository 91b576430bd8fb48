//! Bearer tokens: from a header to a principal.
//!
//! Only digests are stored; the digest of what was sent is compared with all of them in constant time.
//! Nothing else a client says names its principal.

use std::sync::Arc;

use constant_time_eq::constant_time_eq_32;
use http::{HeaderMap, header};
use omnimind_wire::{Reason, Refusal};
use sha2::{Digest, Sha256};

use crate::{
    config::{Auth, TokenSpec},
    principal::Principal,
};

/// The known tokens, ready to compare.
#[derive(Debug)]
pub(crate) struct Tokens {
    known: Vec<([u8; 32], Arc<Principal>)>,
    anyone: Option<Arc<Principal>>,
}

impl Tokens {
    /// From the configuration. A digest that is not 64 hex characters is left out: it opens nothing.
    pub(crate) fn new(auth: &Auth) -> Self {
        let known = auth.tokens.iter().filter_map(|spec| Some((digest(&spec.sha256)?, principal(spec)))).collect();
        Self { known, anyone: (!auth.required).then(|| Arc::new(Principal::local())) }
    }

    /// The principal of this name, for an operator who asks about it.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Principal>> {
        let mut principals = self.anyone.iter().chain(self.known.iter().map(|(_, principal)| principal));
        principals.find(|principal| &*principal.name == name).cloned()
    }

    /// The caller, from its `Authorization` header.
    ///
    /// # Errors
    /// 401 without a token, with more than one, or with one nobody knows.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Refusal> {
        if let Some(anyone) = &self.anyone {
            return Ok(anyone.clone());
        }
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Err(refuse("send the token as `Authorization: Bearer TOKEN`; `omnimind token add NAME` makes one"));
        };
        let bytes = field.as_bytes();
        let token = match bytes.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => return Err(refuse("only bearer tokens are accepted")),
        };
        let sent: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for (known, principal) in &self.known {
            if constant_time_eq_32(known, &sent) {
                found = Some(principal);
            }
        }
        found
            .cloned()
            .ok_or_else(|| refuse("that token is not known here; `omnimind token list` shows which names are"))
    }
}

fn refuse(detail: &str) -> Refusal {
    Refusal::new(Reason::Unauthenticated, "principal", detail)
}

fn principal(spec: &TokenSpec) -> Arc<Principal> {
    Arc::new(Principal {
        name: spec.name.as_str().into(),
        tenant: spec.tenant.as_str().into(),
        class: spec.class,
        role: spec.role,
    })
}

/// 32 bytes from 64 hex characters.
pub(crate) fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Class, Role};

    fn tokens() -> Tokens {
        // echo -n right | sha256sum
        let sha256 = "27042f4e6eca7d0b2a7ee4026df2ecfa51d3339e6d122aa099118ecd8563bad9".into();
        let spec =
            TokenSpec { name: "ann".into(), sha256, tenant: "team".into(), class: Class::Normal, role: Role::User };
        Tokens::new(&Auth { required: true, tokens: vec![spec] })
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_right_token_names_its_principal() {
        for value in ["Bearer right", "bearer right", "BEARER right"] {
            let principal = tokens().authenticate(&headers(&[value])).unwrap();
            assert_eq!((&*principal.name, &*principal.tenant), ("ann", "team"));
        }
    }

    #[test]
    fn anything_else_is_unauthorized() {
        let cases: [&[&str]; 8] = [
            &[],
            &["right"],
            &["Basic right"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer wrong"],
            &["Bearer right "],
            &["Bearer right", "Bearer right"],
        ];
        for case in cases {
            let refusal = tokens().authenticate(&headers(case)).unwrap_err();
            assert_eq!(refusal.reason, Reason::Unauthenticated, "{case:?}");
        }
    }
}
