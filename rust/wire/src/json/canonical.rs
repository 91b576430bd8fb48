//! One spelling for equal values, so that equal requests have equal bytes.
//!
//! As RFC 8785 (JCS): no space, members sorted by key (here by its UTF-8, which serves as well where nobody else
//! reads the order), strings with the fewest escapes. Unlike it, numbers keep the text they have: as doubles
//! `9007199254740993` and `...992` would be one, and a server may tell `1` from `1.0`.

use super::{Malformed, Object, as_str, elements, push_quoted};

/// Appends the canonical text of a value.
pub fn push_canonical(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), Malformed> {
    let raw = raw.trim_ascii();
    match raw.first() {
        Some(b'{') => {
            let object = Object::parse(raw)?;
            push_members(out, object.iter().map(|member| (&*member.key, member.value)))
        }
        Some(b'[') => {
            out.push(b'[');
            for (index, element) in elements(raw)?.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_canonical(out, element)?;
            }
            out.push(b']');
            Ok(())
        }
        Some(b'"') => {
            match as_str(raw) {
                Some(text) => push_quoted(out, &text),
                // It is no JSON string; as it stands it equals only itself.
                None => out.extend_from_slice(raw),
            }
            Ok(())
        }
        _ => {
            out.extend_from_slice(raw);
            Ok(())
        }
    }
}

/// Appends the canonical text of an object with these members.
pub fn push_members<'a>(
    out: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), Malformed> {
    let mut sorted: Vec<_> = members.collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    out.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_quoted(out, key);
        out.push(b':');
        push_canonical(out, value)?;
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> String {
        let mut out = Vec::new();
        push_canonical(&mut out, raw.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn space_order_and_escapes_make_no_difference() {
        let one = canonical(r#" { "b" : [ 1 , {"y":null,"x":"\u00e9\/\n"} ], "a" : true } "#);
        let other = canonical("{\"a\":true,\"b\":[1,{\"x\":\"é/\\n\",\"y\":null}]}");
        assert_eq!(one, other);
        assert_eq!(canonical(&one), one);
    }

    #[test]
    fn what_differs_stays_different() {
        for (one, other) in [
            ("1", "1.0"),
            ("9007199254740993", "9007199254740992"),
            ("\"1\"", "1"),
            ("[1,2]", "[2,1]"),
            ("{\"a\":1}", "{\"a\":\"1\"}"),
            ("[[1],2]", "[1,[2]]"),
            ("null", "\"null\""),
            ("{\"a\":{\"b\":1}}", "{\"a.b\":1}"),
            ("\"é\"", "\"e\u{301}\""),
        ] {
            assert_ne!(canonical(one), canonical(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_broken_is_called_broken() {
        assert!(push_canonical(&mut Vec::new(), b"{\"a\":1,\"a\":2}").is_err());
        assert!(push_canonical(&mut Vec::new(), b"[1,").is_err());
    }
}
