//! Edits: the same as changing the parsed value, and the rest stays byte for byte.
use crate::common::{choices, key, object, value, written};
use omnimind_wire::Edit;
use omnimind_wire::json::MalformedKind as Kind;
use proptest::prelude::*;
use serde_json::{Map, Value};

#[derive(Debug, Clone)]
enum Change {
    Set(Vec<String>, Value),
    Remove(Vec<String>),
    Prune(Vec<String>),
}

fn path() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(key(), 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (path(), value()).prop_map(|(path, value)| Change::Set(path, value)),
        2 => path().prop_map(Change::Remove),
        1 => path().prop_map(Change::Prune),
    ]
}

/// The same change on a parsed value; false where a step leads through something that is no object.
fn set(target: &mut Value, path: &[String], value: &Value) -> bool {
    if target.is_null() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return false };
    let (key, rest) = path.split_first().unwrap();
    if rest.is_empty() {
        members.insert(key.clone(), value.clone());
        return true;
    }
    set(members.entry(key.clone()).or_insert(Value::Null), rest, value)
}

fn remove(target: &mut Value, path: &[String], prune: bool) {
    let Some(members) = target.as_object_mut() else { return };
    let (key, rest) = path.split_first().unwrap();
    if rest.is_empty() {
        members.remove(key);
        return;
    }
    let Some(inner) = members.get_mut(key) else { return };
    remove(inner, rest, prune);
    if prune && inner.as_object().is_some_and(Map::is_empty) {
        members.remove(key);
    }
}

proptest! {
    #[test]
    fn one_edit_is_one_change_of_the_value(object in object(), choices in choices(), change in change()) {
        let raw = written(&object, choices);
        let mut expected = object.clone();
        let mut possible = true;
        let edit = Edit::new(raw.as_bytes());
        let edited = match &change {
            Change::Set(path, value) => {
                possible = set(&mut expected, path, value);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                edit.set(&path, value.to_string().into_bytes()).finish()
            }
            Change::Remove(path) => {
                remove(&mut expected, path, false);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                edit.remove(&path).finish()
            }
            Change::Prune(path) => {
                remove(&mut expected, path, true);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                edit.remove_pruned(&path).finish()
            }
        };
        if possible {
            prop_assert_eq!(serde_json::from_slice::<Value>(&edited.unwrap()).unwrap(), expected);
        } else {
            prop_assert_eq!(edited.unwrap_err().kind, Kind::NotAnObject);
        }
    }

    #[test]
    fn many_edits_are_the_changes_in_their_order(object in object(), choices in choices(), changes in proptest::collection::vec((path(), proptest::option::of(value())), 1..6)) {
        let raw = written(&object, choices);
        let mut expected = object.clone();
        let mut edit = Edit::new(raw.as_bytes());
        let paths: Vec<(Vec<&str>, &Option<Value>)> =
            changes.iter().map(|(path, value)| (path.iter().map(String::as_str).collect(), value)).collect();
        let mut possible = true;
        for ((path, value), (keys, _)) in paths.iter().zip(&changes) {
            if let Some(value) = value {
                possible &= set(&mut expected, keys, value);
                edit = edit.set(path, value.to_string().into_bytes());
            } else {
                remove(&mut expected, keys, false);
                edit = edit.remove(path);
            }
        }
        let edited = edit.finish();
        if possible {
            prop_assert_eq!(serde_json::from_slice::<Value>(&edited.unwrap()).unwrap(), expected);
        }
    }
}

fn edited(edit: Edit<'_>) -> String {
    String::from_utf8(edit.finish().unwrap().to_vec()).unwrap()
}

#[test]
fn what_is_not_named_keeps_its_bytes() {
    let raw = br#"{ "n" : 1.00e2 , "s":"\u0041\/", "_meta" : { "keep" : [ 1 , 2 ] , "progressToken" : 5 } }"#;
    let out = edited(Edit::new(raw).set(&["_meta", "progressToken"], &b"4294967297"[..]));
    assert_eq!(out, r#"{"n":1.00e2,"s":"\u0041\/","_meta":{"keep":[ 1 , 2 ],"progressToken":4294967297}}"#);
}

#[test]
fn a_member_found_under_an_escaped_key_is_the_member() {
    assert_eq!(
        edited(Edit::new(br#"{"\u005fmeta":{"a":1}}"#).set(&["_meta", "a"], &b"2"[..])),
        r#"{"\u005fmeta":{"a":2}}"#
    );
    assert_eq!(edited(Edit::new(br#"{"\u005fmeta":{"a":1}}"#).remove(&["_meta"])), "{}");
}

#[test]
fn missing_parents_are_made_and_nothing_counts_as_an_empty_object() {
    for raw in [&b"{}"[..], b"", b"null", b" null "] {
        assert_eq!(
            edited(Edit::new(raw).set(&["_meta", "a"], &b"1"[..]).set(&["_meta", "b"], &b"2"[..])),
            r#"{"_meta":{"a":1,"b":2}}"#
        );
    }
    assert_eq!(edited(Edit::new(br#"{"_meta":null}"#).set(&["_meta", "a"], &b"1"[..])), r#"{"_meta":{"a":1}}"#);
}

#[test]
fn an_emptied_parent_goes_only_when_asked() {
    assert_eq!(edited(Edit::new(br#"{"_meta":{"a":1}}"#).remove(&["_meta", "a"])), r#"{"_meta":{}}"#);
    assert_eq!(edited(Edit::new(br#"{"_meta":{"a":1}}"#).remove_pruned(&["_meta", "a"])), "{}");
    assert_eq!(edited(Edit::new(br#"{"_meta":{"a":1,"b":2}}"#).remove_pruned(&["_meta", "a"])), r#"{"_meta":{"b":2}}"#);
    assert_eq!(edited(Edit::new(br#"{"x":1}"#).remove_pruned(&["_meta", "a"])), r#"{"x":1}"#);
}

#[test]
fn a_step_through_something_else_is_an_error_for_set_and_nothing_for_remove() {
    let raw = br#"{"_meta":"text"}"#;
    assert_eq!(Edit::new(raw).set(&["_meta", "a"], &b"1"[..]).finish().unwrap_err().kind, Kind::NotAnObject);
    assert_eq!(edited(Edit::new(raw).remove(&["_meta", "a"])), r#"{"_meta":"text"}"#);
}

#[test]
fn what_is_not_json_never_gets_in() {
    assert!(Edit::new(b"{}").set(&["a"], &b"1,\"b\":2"[..]).finish().is_err());
    assert!(Edit::new(b"{}").set(&["a"], &b""[..]).finish().is_err());
    assert!(Edit::new(b"{").set(&["a"], &b"1"[..]).finish().is_err());
    assert!(Edit::new(b"[]").set(&["a"], &b"1"[..]).finish().is_err());
    assert!(Edit::new(b"{}").set(&[], &b"1"[..]).finish().is_err());
}
