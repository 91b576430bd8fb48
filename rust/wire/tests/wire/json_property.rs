//! The scanner beside `serde_json`: it accepts nothing that the other refuses, refuses more only for what it is meant
//! to, and reads the same.
use crate::common::{self, choices, object, value, written};
use omnimind_wire::json::{self, Limits, MalformedKind as Kind, Object, check};
use proptest::prelude::*;
use serde_json::Value;

/// What both say of one text.
fn agree(raw: &[u8]) -> Result<(), TestCaseError> {
    let ours = check(raw, &Limits::default());
    let theirs = serde_json::from_slice::<Value>(raw);
    match (&ours, &theirs) {
        (Ok(()), Err(error)) => {
            prop_assert!(false, "accepted, but serde_json says {error}: {}", String::from_utf8_lossy(raw));
        }
        (Err(malformed), Ok(_)) => {
            let stricter = matches!(malformed.kind, Kind::DuplicateKey | Kind::TooDeep);
            prop_assert!(stricter, "refused ({malformed}), but serde_json accepts: {}", String::from_utf8_lossy(raw));
        }
        _ => {}
    }
    if let Err(malformed) = ours {
        prop_assert!(malformed.offset <= raw.len());
    }
    Ok(())
}

fn parsed(raw: &[u8]) -> Value {
    serde_json::from_slice(raw).unwrap()
}

proptest! {
    #[test]
    fn every_writing_of_a_value_is_accepted(value in value(), choices in choices()) {
        let raw = written(&value, choices);
        prop_assert_eq!(check(raw.as_bytes(), &Limits::default()), Ok(()));
        agree(raw.as_bytes())?;
    }

    #[test]
    fn a_changed_byte_is_judged_as_serde_json_judges_it(value in value(), choices in choices(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut raw = written(&value, choices).into_bytes();
        let at = at.index(raw.len());
        raw[at] = byte;
        agree(&raw)?;
    }

    #[test]
    fn a_byte_more_or_less_is_judged_as_serde_json_judges_it(
        value in value(), choices in choices(), at in any::<prop::sample::Index>(), byte in prop::sample::select(&b"{}[]\",:\\u0-+.eEtfn \n\x00\xC3\x80"[..])
    ) {
        let raw = written(&value, choices).into_bytes();
        let at = at.index(raw.len());
        let mut longer = raw.clone();
        longer.insert(at, byte);
        agree(&longer)?;
        let mut shorter = raw.clone();
        shorter.remove(at);
        agree(&shorter)?;
        agree(&raw[..at])?;
    }

    #[test]
    fn any_bytes_are_judged_as_serde_json_judges_them(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
        agree(&raw)?;
    }

    #[test]
    fn json_like_text_is_judged_as_serde_json_judges_it(raw in r#"[\[\]{}:,"\\a-cu0-9eE+.\- truefalsn\n\t]{0,48}"#) {
        agree(raw.as_bytes())?;
    }

    #[test]
    fn number_like_text_is_judged_as_serde_json_judges_it(raw in r"-?[0-9]{0,4}(\.[0-9]{0,4})?([eE][+-]?[0-9]{0,4})?") {
        agree(raw.as_bytes())?;
        if check(raw.as_bytes(), &Limits::default()).is_ok() {
            prop_assert_eq!(json::as_f64(raw.as_bytes()), raw.parse::<f64>().ok());
        }
    }

    #[test]
    fn members_are_those_serde_json_finds(object in object(), choices in choices()) {
        let raw = written(&object, choices);
        let found = Object::parse(raw.as_bytes()).unwrap();
        let expected = object.as_object().unwrap();
        prop_assert_eq!(found.len(), expected.len());
        for member in &found {
            prop_assert_eq!(&parsed(member.value), &expected[member.key.as_ref()]);
            prop_assert_eq!(&raw.as_bytes()[member.value_span.clone()], member.value);
            prop_assert_eq!(parsed(&raw.as_bytes()[member.key_span.clone()]), Value::from(member.key.as_ref()));
            prop_assert_eq!(json::find(raw.as_bytes(), &[&member.key]).unwrap(), Some(member.value));
            prop_assert_eq!(json::find_checked(raw.as_bytes(), &member.key), Some(member.value));
        }
        prop_assert_eq!(json::find_checked(raw.as_bytes(), "no such key"), None);
    }

    #[test]
    fn any_two_writings_of_a_value_are_spelled_alike_and_mean_it(value in value(), one in choices(), other in choices()) {
        let spelled = |choices| {
            let mut out = Vec::new();
            json::push_canonical(&mut out, written(&value, choices).as_bytes()).map(|()| out)
        };
        let (one, other) = (spelled(one).unwrap(), spelled(other).unwrap());
        prop_assert_eq!(parsed(&one), value.clone());
        if !value.to_string().contains(|letter: char| letter.is_ascii_digit()) {
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn elements_are_those_serde_json_finds(elements in proptest::collection::vec(value(), 0..6), choices in choices()) {
        let raw = written(&Value::from(elements.clone()), choices);
        let found: Vec<Value> = json::elements(raw.as_bytes()).unwrap().into_iter().map(parsed).collect();
        prop_assert_eq!(found, elements);
    }

    #[test]
    fn the_elements_of_a_member_come_with_the_members(object in object(), choices in choices()) {
        let raw = written(&object, choices);
        let whole = Object::parse(raw.as_bytes()).unwrap();
        let expected = object.as_object().unwrap();
        for key in expected.keys().map(String::as_str).chain(["not there"]) {
            let (members, found) = Object::parse_with_elements(raw.as_bytes(), key).unwrap();
            prop_assert_eq!(&members, &whole);
            let found: Vec<Value> = found.into_iter().map(parsed).collect();
            prop_assert_eq!(found, expected.get(key).and_then(Value::as_array).cloned().unwrap_or_default());
        }
    }

    #[test]
    fn a_path_leads_where_serde_json_leads(object in object(), choices in choices(), path in proptest::collection::vec(common::key(), 0..4)) {
        let raw = written(&object, choices);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let expected = path.iter().try_fold(&object, |value, key| value.as_object()?.get(*key));
        let found = json::find(raw.as_bytes(), &path).unwrap().map(parsed);
        prop_assert_eq!(found.as_ref(), expected);
    }

    #[test]
    fn strings_come_back_from_any_writing(text in common::text(), choices in choices()) {
        let raw = written(&Value::from(text.as_str()), choices);
        let found = json::as_str(raw.as_bytes());
        prop_assert_eq!(found.as_deref(), Some(text.as_str()));
        let quoted = json::quote(&text);
        let found = json::as_str(&quoted);
        prop_assert_eq!(found.as_deref(), Some(text.as_str()));
        prop_assert_eq!(parsed(&quoted), Value::from(text));
    }

    #[test]
    fn integers_are_read_exactly_and_nothing_else_is(text in r"-?[0-9]{1,20}(\.0)?") {
        let valid = serde_json::from_str::<Value>(&text).ok();
        prop_assert_eq!(json::as_i64(text.as_bytes()), valid.as_ref().and_then(Value::as_i64));
        prop_assert_eq!(json::as_u64(text.as_bytes()), valid.as_ref().filter(|_| !text.starts_with('-')).and_then(Value::as_u64));
    }
}
