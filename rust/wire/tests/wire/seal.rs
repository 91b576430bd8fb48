//! Sealed tokens: what goes in comes out for the same caller in time, and for nobody else, never changed.

use omnimind_wire::seal::{Claims, Keyring, Kind, Opened, SealError, request_digest};
use proptest::prelude::*;
use serde_json::json;

use crate::common::{choices, object, written};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];
const NONCE: [u8; 12] = [9; 12];
const KINDS: [Kind; 3] = [Kind::RequestState, Kind::Cursor, Kind::Session];

fn claims() -> Claims<'static> {
    Claims { principal: "alice", backend: "memory", expires_at: 1_000, binding: b"digest", payload: b"page 2" }
}

fn ring() -> Keyring {
    Keyring::new(vec![NEW, OLD])
}

#[test]
fn what_was_sealed_is_opened() {
    let token = ring().seal(Kind::Cursor, &claims(), NONCE);
    let opened = ring().open(Kind::Cursor, &token, "alice", 999).unwrap();
    let expected = Opened {
        backend: "memory".into(),
        expires_at: 1_000,
        binding: b"digest".to_vec(),
        payload: b"page 2".to_vec(),
    };
    assert_eq!(opened, expected);
}

#[test]
fn a_token_fits_urls_and_headers() {
    let payload: Vec<u8> = (0..=255).collect();
    let token = ring().seal(Kind::Session, &Claims { payload: &payload, ..claims() }, NONCE);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
}

#[test]
fn a_change_of_any_character_or_bit_is_seen() {
    let token = ring().seal(Kind::RequestState, &claims(), NONCE);
    for at in 0..token.len() {
        for other in ["A", "B", "_", "=", "+", " ", "é"] {
            if !token[at..].starts_with(other) {
                let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
                assert!(ring().open(Kind::RequestState, &changed, "alice", 0).is_err(), "{other:?} at {at}");
            }
        }
        let shorter = format!("{}{}", &token[..at], &token[at + 1..]);
        assert!(ring().open(Kind::RequestState, &shorter, "alice", 0).is_err());
        assert!(ring().open(Kind::RequestState, &token[..at], "alice", 0).is_err());
    }
    for longer in
        [format!("{token}A"), format!("{token}="), format!("A{token}"), format!("{token}{token}"), format!("{token}\n")]
    {
        assert!(ring().open(Kind::RequestState, &longer, "alice", 0).is_err());
    }
}

#[test]
fn only_the_principal_it_was_made_for_opens_it() {
    let token = ring().seal(Kind::Session, &claims(), NONCE);
    for principal in ["bob", "", "alic", "alice ", "Alice", "alice\0"] {
        assert_eq!(ring().open(Kind::Session, &token, principal, 0), Err(SealError::Forged), "{principal:?}");
    }
}

#[test]
fn one_kind_never_opens_as_another() {
    for made in KINDS {
        let token = ring().seal(made, &claims(), NONCE);
        for asked in KINDS {
            let verdict = ring().open(asked, &token, "alice", 0).map(drop);
            assert_eq!(verdict, if made == asked { Ok(()) } else { Err(SealError::WrongKind) });
        }
    }
}

#[test]
fn the_last_second_is_good_and_the_next_is_not() {
    let token = ring().seal(Kind::Cursor, &claims(), NONCE);
    assert!(ring().open(Kind::Cursor, &token, "alice", 1_000).is_ok());
    assert_eq!(ring().open(Kind::Cursor, &token, "alice", 1_001), Err(SealError::Expired));
    let forever = ring().seal(Kind::Cursor, &Claims { expires_at: u64::MAX, ..claims() }, NONCE);
    assert!(ring().open(Kind::Cursor, &forever, "alice", u64::MAX).is_ok());
}

#[test]
fn an_old_key_opens_until_it_leaves_the_ring() {
    let token = Keyring::new(vec![OLD]).seal(Kind::Cursor, &claims(), NONCE);
    assert!(ring().open(Kind::Cursor, &token, "alice", 0).is_ok());
    assert_eq!(Keyring::new(vec![NEW]).open(Kind::Cursor, &token, "alice", 0), Err(SealError::Forged));
    let fresh = ring().seal(Kind::Cursor, &claims(), NONCE);
    assert!(Keyring::new(vec![NEW]).open(Kind::Cursor, &fresh, "alice", 0).is_ok());
    assert_eq!(Keyring::new(vec![OLD]).open(Kind::Cursor, &fresh, "alice", 0), Err(SealError::Forged));
}

#[test]
fn a_ring_without_keys_opens_nothing() {
    let empty = Keyring::new(Vec::new());
    let token = empty.seal(Kind::Cursor, &claims(), NONCE);
    assert_eq!(empty.open(Kind::Cursor, &token, "alice", 0), Err(SealError::Forged));
    assert_eq!(ring().open(Kind::Cursor, &token, "alice", 0), Err(SealError::Forged));
}

#[test]
fn garbage_is_no_token() {
    for token in ["", "x", "AAAA", "not a token", "page=2", &"A".repeat(100), &"A".repeat(2 << 20), "\u{1F600}"] {
        assert!(ring().open(Kind::Cursor, token, "alice", 0).is_err());
    }
}

#[test]
fn a_ring_does_not_show_its_keys() {
    assert_eq!(format!("{:?}", ring()), "Keyring(2 keys)");
}

#[test]
fn the_digest_changes_with_everything_that_counts_and_with_nothing_else() {
    let digest = |method: &str, params: &str| request_digest(method, Some(params.as_bytes())).unwrap();
    let base = digest("tools/call", r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"]}}"#);
    for same in [
        r#" { "arguments" : { "b" : [ true , "\u0078" ] , "a" : 1 } , "n\u0061me" : "ask" } "#,
        r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"]},"_meta":{"progressToken":1}}"#,
        r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"]},"inputResponses":{"q":{}},"requestState":"s"}"#,
    ] {
        assert_eq!(digest("tools/call", same), base, "{same}");
    }
    for other in [
        r#"{"name":"ask","arguments":{"a":2,"b":[true,"x"]}}"#,
        r#"{"name":"ask","arguments":{"a":1,"b":["x",true]}}"#,
        r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"],"_meta":{}}}"#,
        r#"{"name":"ask","arguments":{"a":1.0,"b":[true,"x"]}}"#,
        r#"{"name":"ask","arguments":{"a":"1","b":[true,"x"]}}"#,
        r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"]},"more":null}"#,
        r#"{"name":"ask"}"#,
        "{}",
    ] {
        assert_ne!(digest("tools/call", other), base, "{other}");
    }
    assert_ne!(digest("prompts/get", r#"{"name":"ask","arguments":{"a":1,"b":[true,"x"]}}"#), base);
    assert_ne!(request_digest("m", None).unwrap(), request_digest("m", Some(b"{}")).unwrap());
    assert!(request_digest("m", Some(b"[]")).is_err());
    assert!(request_digest("m", Some(b"{")).is_err());
}

#[test]
fn trees_that_only_look_alike_when_flattened_have_different_digests() {
    let digest = |params: serde_json::Value| request_digest("m", Some(params.to_string().as_bytes())).unwrap();
    let trees = [
        json!({"a": ["b", "c"]}),
        json!({"a": [["b"], "c"]}),
        json!({"a": ["b", ["c"]]}),
        json!({"a": {"b": "c"}}),
        json!({"a": "b", "c": {}}),
        json!({"a": []}),
        json!({"a": {}}),
        json!({"a": ""}),
        json!({"a": null}),
        json!({"a": "null"}),
        json!({"a": [null]}),
        json!({"ab": "c"}),
        json!({"a": "bc"}),
    ];
    for (n, left) in trees.iter().enumerate() {
        for right in &trees[n + 1..] {
            assert_ne!(digest(left.clone()), digest(right.clone()), "{left} {right}");
        }
    }
}

proptest! {
    #[test]
    fn any_claims_come_back(principal in ".{0,20}", backend in ".{0,20}", expires_at in any::<u64>(), binding in proptest::collection::vec(any::<u8>(), 0..40), payload in proptest::collection::vec(any::<u8>(), 0..200), nonce in any::<[u8; 12]>()) {
        let claims = Claims { principal: &principal, backend: &backend, expires_at, binding: &binding, payload: &payload };
        let token = ring().seal(Kind::Cursor, &claims, nonce);
        let opened = ring().open(Kind::Cursor, &token, &principal, expires_at).unwrap();
        prop_assert_eq!(opened, Opened { backend, expires_at, binding, payload });
    }

    #[test]
    fn a_flipped_bit_of_the_bytes_is_seen(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        use base64::Engine;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = engine.decode(ring().seal(Kind::Cursor, &claims(), NONCE)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(ring().open(Kind::Cursor, &engine.encode(bytes), "alice", 0), Err(SealError::Forged));
    }

    #[test]
    fn the_digest_does_not_depend_on_the_writing(params in object(), one in choices(), two in choices()) {
        let digest = |raw: String| request_digest("m", Some(raw.as_bytes())).unwrap();
        prop_assert_eq!(digest(written(&params, one)), digest(written(&params, two)));
    }
}
