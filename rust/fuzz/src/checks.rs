//! The promises, as functions of any bytes. A broken one panics.

use bytes::Bytes;
use omnimind_wire::headers::{self, Values};
use omnimind_wire::json::{self, Limits, MalformedKind as Kind, Object};
use omnimind_wire::names::{self, uri};
use omnimind_wire::passing::{HELD_BYTES, Passing, Plan};
use omnimind_wire::seal::{self, Claims, Keyring};
use omnimind_wire::sse::{self, Parser};
use omnimind_wire::{Edit, Id, Message, bridge, message};
use serde_json::Value;

/// Nothing is accepted that `serde_json` refuses; more is refused only for repeated keys and depth; both read the same
/// members.
pub fn json(raw: &[u8]) {
    let ours = json::check(raw, &Limits::default());
    let theirs = serde_json::from_slice::<Value>(raw);
    match (&ours, &theirs) {
        (Ok(()), Err(error)) => panic!("accepted, but serde_json says {error}"),
        (Err(malformed), Ok(_)) => {
            assert!(
                matches!(malformed.kind, Kind::DuplicateKey | Kind::TooDeep),
                "refused ({malformed}), but serde_json accepts"
            );
        }
        _ => {}
    }
    if let (Ok(()), Ok(Value::Object(expected))) = (&ours, &theirs) {
        let found = Object::parse(raw).expect("an object that was checked");
        assert_eq!(found.len(), expected.len());
        for member in &found {
            let value: Value = serde_json::from_slice(member.value).expect("a value that was checked");
            assert_eq!(Some(&value), expected.get(member.key.as_ref()));
            assert_eq!(json::find(raw, &[&member.key]), Ok(Some(member.value)));
        }
    }
    if let (Ok(()), Ok(Value::String(expected))) = (&ours, &theirs) {
        assert_eq!(json::as_str(raw).as_deref(), Some(expected.as_str()));
    }
}

/// A message that is accepted is sound JSON, and written again it is the same message.
pub fn message(raw: &[u8]) {
    let Ok(found) = Message::parse(Bytes::copy_from_slice(raw), &Limits::default()) else { return };
    json(raw);
    let written = match &found {
        Message::Request(request) => request.to_bytes(None),
        Message::Notification(told) => message::notification(&told.method, told.params.as_deref()),
        Message::Response(response) => {
            let id = response.id.as_ref().map_or(Bytes::from_static(b"null"), omnimind_wire::Id::raw);
            match &response.outcome {
                Ok(result) => message::result(&id, result),
                Err(error) => message::error(&id, error),
            }
        }
    };
    assert_eq!(Message::parse(written, &Limits::default()), Ok(found));
}

/// Changes to `_meta` give sound JSON in which the change is made and every other member is untouched.
pub fn edit(raw: &[u8]) {
    let Ok(before) = Object::parse(raw) else { return };
    let set = Edit::new(raw).set(&["_meta", "progressToken"], &b"7"[..]).remove(&["_meta", "omnimind/query"]).finish();
    let refused = before.get("_meta").is_some_and(|meta| !json::is_object(meta) && !json::is_null(meta));
    assert_eq!(set.is_err(), refused);
    let Ok(set) = set else { return };
    assert_eq!(json::find(&set, &["_meta", "progressToken"]), Ok(Some(&b"7"[..])));
    assert_eq!(json::find(&set, &["_meta", "omnimind/query"]), Ok(None));
    let after = Object::parse(&set).expect("an edit gives an object");
    for member in before.iter().filter(|member| member.key != "_meta") {
        assert_eq!(after.get(&member.key), Some(member.value));
    }
    let removed = Edit::new(&set).remove(&["_meta"]).finish().expect("a member can be removed");
    assert_eq!(json::find(&removed, &["_meta"]), Ok(None));
    for method in ["tools/call", "tools/list", "resources/read"] {
        let modern = bridge::result_to_modern(method, raw, Some(b"{}"));
        assert_eq!(modern.is_err(), refused, "only a _meta that is no object stands in the way");
        if let Ok(modern) = modern {
            json::check(&modern, &Limits { max_depth: Limits::DEEPEST }).expect("a bridged result is sound");
            bridge::result_to_legacy(method, &modern).expect("and goes back");
        }
    }
}

/// The events do not depend on how the stream is cut, and one that is written is read.
pub fn sse(raw: &[u8]) {
    let whole = Parser::new(256).push(raw);
    let mut parser = Parser::new(256);
    let single: Result<Vec<_>, _> = raw.iter().map(|byte| parser.push(&[*byte])).collect();
    match (whole, single) {
        (Ok(whole), Ok(single)) => assert_eq!(whole, single.concat()),
        (_, Err(_)) => {}
        (Err(error), Ok(_)) => panic!("{error} only in one piece"),
    }
    let frame = sse::event(raw);
    let events = Parser::new(usize::MAX).push(&frame).expect("a frame of ours");
    assert_eq!(events.len(), 1);
}

/// The first byte cuts the input: a header value before, a body name (or a schema) after. Equal is what decodes to
/// equal.
pub fn headers(raw: &[u8]) {
    let Some((cut, rest)) = raw.split_first() else { return };
    let (header, body) = rest.split_at(usize::from(*cut).min(rest.len()));
    let decoded = headers::decode(header);
    if let Ok(text) = std::str::from_utf8(header) {
        let sent = headers::encode(text);
        assert!(sent.bytes().all(|byte| matches!(byte, 0x20..=0x7E)));
        assert_eq!(headers::decode(sent.as_bytes()).as_deref(), Some(text));
    }
    if let Ok(name) = std::str::from_utf8(body) {
        let params = Edit::new(b"{}")
            .set(&["name"], json::quote(name))
            .set(&["_meta"], bridge::request_meta("2026-07-28", None, None, None))
            .finish()
            .expect("params");
        let call = message::request(b"1", "tools/call", Some(&params));
        let Ok(Message::Request(request)) = Message::parse(call, &Limits::default()) else { panic!("a request") };
        let verdict = headers::check_modern(
            &|field| match field {
                headers::PROTOCOL_VERSION => Values::One(b"2026-07-28"),
                headers::METHOD => Values::One(b"tools/call"),
                headers::NAME => Values::One(header),
                _ => Values::None,
            },
            &request,
        );
        assert_eq!(verdict.is_ok(), decoded.as_deref() == Some(name));
    }
    if let Ok(expected) = headers::param_headers(body) {
        let mirrored = headers::mirror_params(&expected, Some(header));
        let look = |field: &str| {
            mirrored
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(field))
                .map(|(_, value)| value.as_bytes())
                .collect()
        };
        assert_eq!(headers::check_params(&expected, Some(header), &look), Ok(()));
    }
}

/// Nothing opens that was not sealed, and what was sealed opens for its principal only.
pub fn seal(raw: &[u8]) {
    let ring = Keyring::new(vec![[1; 32], [2; 32]]);
    if let Ok(token) = std::str::from_utf8(raw) {
        assert!(ring.open(seal::Kind::Cursor, token, "alice", 0).is_err());
    }
    let claims = Claims { principal: "alice", backend: "memory", expires_at: 9, binding: raw, payload: raw };
    let token = ring.seal(seal::Kind::Cursor, &claims, [3; 12]);
    let opened = ring.open(seal::Kind::Cursor, &token, "alice", 9).expect("what was sealed");
    assert_eq!((opened.binding.as_slice(), opened.payload.as_slice()), (raw, raw));
    assert!(ring.open(seal::Kind::Cursor, &token, "bob", 9).is_err());
    if let Ok(text) = json::check(raw, &Limits::default()).map(|()| raw)
        && let Ok(digest) = seal::request_digest("m", Some(text))
    {
        let spaced = [b" ", text, b"\n"].concat();
        assert_eq!(seal::request_digest("m", Some(&spaced)), Ok(digest));
    }
}

/// Names are valid for model APIs, wrapped URIs come back, and a result without its wrapping is the result.
pub fn names(raw: &[u8]) {
    if let Ok(text) = std::str::from_utf8(raw) {
        let cut = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
        let (server, tool) = text.split_at(cut);
        let name = names::join(server, tool);
        assert!((1..=names::MAX_NAME).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
        if !server.is_empty() {
            assert_eq!(uri::unwrap(&uri::wrap(server, tool)), Some((server.to_owned(), tool)));
        }
        let _ = uri::unwrap(text);
    }
    for method in ["resources/list", "resources/read", "tools/call", "prompts/get", "notifications/resources/updated"] {
        let Ok(wrapped) = names::rewrite_uris(method, raw, &mut |found| Some(uri::wrap("s", found))) else { continue };
        let back =
            names::rewrite_uris(method, &wrapped, &mut |found| uri::unwrap(found).map(|(_, inner)| inner.to_owned()));
        let back: Value = serde_json::from_slice(&back.expect("what was written")).expect("sound JSON");
        if let Ok(original) = serde_json::from_slice::<Value>(raw) {
            assert_eq!(back, original);
        }
    }
}

/// The first byte says how long the pieces are, the rest is an answer. What it comes to does not depend on the pieces
/// and is sound JSON; it is taken if it would be taken whole, and its result is the same.
pub fn passing(raw: &[u8]) {
    let Some((cut, text)) = raw.split_first() else { return };
    if text.len() > HELD_BYTES {
        return;
    }
    let cut = usize::from(*cut).max(1);
    let limits = Limits { max_depth: Limits::DEEPEST };
    let through = |plan: &dyn Fn() -> Plan| {
        let found = passed(plan(), text, cut);
        assert_eq!(found, passed(plan(), text, text.len().max(1)), "in other pieces it is another answer");
        if let Some((_, out)) = &found {
            json::check(out, &limits).expect("what passes is sound");
        }
        found
    };
    for method in ["tools/call", "resources/read", "prompts/get"] {
        through(&|| Plan::new(b"1").to_modern(method, Some(Bytes::from_static(b"{}"))));
        through(&|| Plan::new(b"1").to_legacy(method));
        through(&|| Plan::new(b"1").without_meta("a").renaming(method, |found| Some(uri::wrap("s", found))));
    }
    let found = through(&|| Plan::new(b"1")).and_then(|(id, out)| Some((json::as_u64(&id)?, out)));
    let whole = match Message::parse(Bytes::copy_from_slice(text), &limits) {
        Ok(Message::Response(response)) => match (response.id, response.outcome) {
            (Some(Id::Int(id)), Ok(result)) if json::is_object(&result) => {
                u64::try_from(id).ok().map(|id| (id, result))
            }
            _ => None,
        },
        _ => None,
    };
    let (Some((id, out)), Some((expected, result))) = (&found, &whole) else {
        assert_eq!(found.is_some(), whole.is_some(), "in pieces it is judged as it is whole");
        return;
    };
    assert_eq!(id, expected);
    let value = |raw: &[u8]| serde_json::from_slice::<Value>(raw).expect("sound JSON");
    assert_eq!(value(out), value(&message::result(b"1", result)));
}

/// The id of an answer in pieces of this length, and what it comes to; none if it is refused.
fn passed(plan: Plan, text: &[u8], cut: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut passing, mut out) = (Passing::new(plan), Vec::new());
    for piece in text.chunks(cut) {
        passing.push(piece, &mut out).ok()?;
    }
    passing.finish(&mut out).ok()?;
    Some((passing.id()?.to_vec(), out))
}
