//! One spelling for equal values, so that equal requests have equal bytes.
//!
//! As RFC 8785 (JCS): no space, members sorted by key (here by its spelling in UTF-8, which serves as well
//! where nobody else reads the order), strings with the fewest escapes. Unlike it, numbers keep the text they have: as doubles
//! `9007199254740993` and `...992` would be one, and a server may tell `1` from `1.0`.

use super::{Limits, Malformed, MalformedKind as Kind, Scan, Scanner, Span, push_quoted, read, unescape};

/// Appends the canonical text of a value, in one pass.
pub fn push_canonical(out: &mut Vec<u8>, raw: &[u8]) -> Result<(), Malformed> {
    read(raw, Limits::WIDEST, |scanner| spell(scanner, out))
}

/// Appends the canonical text of an object as if it had only the members whose keys `keep` takes; `left` sees the
/// values of the others. One of those that somebody has scanned already, `known`, is not scanned again; it must be a
/// part of `raw`, else nothing is made of it.
pub fn push_kept<'a>(
    out: &mut Vec<u8>,
    raw: &'a [u8],
    known: Option<&[u8]>,
    mut keep: impl FnMut(&str) -> bool,
    mut left: impl FnMut(&'a [u8]),
) -> Result<(), Malformed> {
    let known = known.and_then(|known| span_in(raw, known));
    read(raw, Limits::WIDEST, |scanner| {
        if scanner.peek() != Some(b'{') {
            let at = scanner.at();
            return Err(scanner.fail_at(Kind::NotAnObject, at));
        }
        spell_members(scanner, out, |scanner, key, out| {
            if keep(key) {
                return spell(scanner, out).map(|()| true);
            }
            match &known {
                Some(span) if span.start == scanner.at() => {
                    scanner.skip_to(span.end);
                    left(raw.get(span.clone()).unwrap_or_default());
                }
                _ => left(scanner.raw()?.as_bytes()),
            }
            Ok(false)
        })
    })
}

/// Where a part lies in the text it is a part of; nothing if it lies elsewhere.
pub fn span_in(whole: &[u8], part: &[u8]) -> Option<Span> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
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

fn spell(scanner: &mut Scanner<'_>, out: &mut Vec<u8>) -> Scan {
    match scanner.peek() {
        Some(b'{') => spell_members(scanner, out, |scanner, _, out| spell(scanner, out).map(|()| true)),
        Some(b'[') => {
            out.push(b'[');
            let open = out.len();
            scanner.elements(|scanner| {
                if out.len() > open {
                    out.push(b',');
                }
                spell(scanner, out)
            })?;
            out.push(b']');
            Ok(())
        }
        Some(b'"') => {
            let start = scanner.at();
            let escaped = scanner.string()?;
            let literal = scanner.slice(&(start..scanner.at()));
            match literal.get(1..literal.len() - 1) {
                Some(inside) if escaped => push_quoted(out, &unescape(inside)),
                // What is not escaped need not be.
                _ => out.extend_from_slice(literal.as_bytes()),
            }
            Ok(())
        }
        _ => {
            out.extend_from_slice(scanner.raw()?.as_bytes());
            Ok(())
        }
    }
}

/// Spells an object: its members as they come, and in order afterwards if they did not come so. `value` spells a
/// value, or says that its member is left out.
fn spell_members<'a>(
    scanner: &mut Scanner<'a>,
    out: &mut Vec<u8>,
    mut value: impl FnMut(&mut Scanner<'a>, &str, &mut Vec<u8>) -> Scan<bool>,
) -> Scan {
    out.push(b'{');
    let open = out.len();
    let mut members = Members::default();
    let mut in_order = true;
    scanner.members(|scanner, key| {
        let start = out.len();
        let key = key.text();
        push_quoted(out, &key);
        let key_end = out.len();
        out.push(b':');
        if !value(scanner, &key, out)? {
            out.truncate(start);
            return Ok(());
        }
        // Every member ends with a comma for now.
        out.push(b',');
        let member = Member { start, key_end, end: out.len() };
        in_order &= members.last().is_none_or(|last| last.key(out, 0) < member.key(out, 0));
        members.push(member);
        Ok(())
    })?;
    if !in_order {
        members.sort(out, open);
    }
    if out.len() > open {
        out.pop();
    }
    out.push(b'}');
    Ok(())
}

/// Where a member stands among what is spelled.
#[derive(Clone, Copy, Default)]
struct Member {
    start: usize,
    key_end: usize,
    end: usize,
}

impl Member {
    /// The key as it is spelled, in a text that begins at an offset; without its last quote, which would come before
    /// some letters.
    fn key(self, text: &[u8], from: usize) -> &[u8] {
        text.get(self.start - from..self.key_end - 1 - from).unwrap_or_default()
    }
}

/// Objects of up to this many members are put in order without asking for memory twice.
const FEW: usize = 8;

/// The members of one object so far.
#[derive(Default)]
struct Members {
    few: [Member; FEW],
    count: usize,
    /// All of them, once they are not few.
    many: Vec<Member>,
}

impl Members {
    fn all(&mut self) -> &mut [Member] {
        if self.many.is_empty() { self.few.get_mut(..self.count).unwrap_or_default() } else { &mut self.many }
    }

    fn last(&mut self) -> Option<Member> {
        self.all().last().copied()
    }

    fn push(&mut self, member: Member) {
        if let Some(place) = self.few.get_mut(self.count) {
            *place = member;
            self.count += 1;
            return;
        }
        if self.many.is_empty() {
            self.many.extend(self.few);
        }
        self.many.push(member);
    }

    /// Puts the members, which stand from `open` on, in the order of their keys.
    fn sort(&mut self, out: &mut Vec<u8>, open: usize) {
        let unsorted = out.get(open..).unwrap_or_default().to_vec();
        let members = self.all();
        members.sort_unstable_by(|one, other| one.key(&unsorted, open).cmp(other.key(&unsorted, open)));
        out.truncate(open);
        for member in members {
            out.extend_from_slice(unsorted.get(member.start - open..member.end - open).unwrap_or_default());
        }
    }
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
    fn members_left_out_leave_no_trace() {
        let kept = |raw: &str| {
            let mut out = b"+".to_vec();
            push_kept(&mut out, raw.as_bytes(), None, |key| key != "_meta", drop).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(kept(r#"{"_meta":{"x":[1]},"b":1, "a":{"_meta":2}}"#), r#"+{"a":{"_meta":2},"b":1}"#);
        assert_eq!(kept(r#"{"\u005fmeta":1}"#), "+{}");
        assert_eq!(kept("{}"), "+{}");
        let mut left = Vec::new();
        push_kept(
            &mut Vec::new(),
            b"{ \"b\" : [ 1 ] ,\"a\":\"x\"}",
            None,
            |_| false,
            |value| left.push(value.to_vec()),
        )
        .unwrap();
        assert_eq!(left, [b"[ 1 ]".to_vec(), b"\"x\"".to_vec()]);
        assert!(push_kept(&mut Vec::new(), b"[]", None, |_| true, drop).is_err());
    }

    #[test]
    fn a_value_that_is_known_is_stepped_over_and_one_from_elsewhere_is_not() {
        let raw = br#"{"a":1, "_meta" : {"x":[1]} ,"b":2}"#;
        let spelled = |known: Option<&[u8]>| {
            let (mut out, mut left) = (Vec::new(), Vec::new());
            push_kept(&mut out, raw, known, |key| key != "_meta", |value| left.push(value.to_vec())).unwrap();
            (out, left)
        };
        let plain = spelled(None);
        assert_eq!(plain.0, br#"{"a":1,"b":2}"#);
        let meta = span_in(raw, raw.get(18..27).unwrap()).unwrap();
        assert_eq!(raw.get(meta.clone()).unwrap(), br#"{"x":[1]}"#);
        assert_eq!(spelled(raw.get(meta)), plain);
        assert_eq!(spelled(Some(br#"{"x":[1]}"#)), plain, "the same text elsewhere is no part of it");
        assert_eq!(span_in(raw, b"elsewhere"), None);
    }

    #[test]
    fn any_order_of_members_at_any_depth_is_one_order() {
        let mut orders = std::collections::HashSet::new();
        for (a, b, c) in [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a"), ("a", "c", "b")] {
            let of = |key| match key {
                "a" => format!(r#""a":{{"{c}":"{c}","{a}":"{a}","{b}":"{b}"}}"#),
                "b" => r#""b":[]"#.to_owned(),
                _ => r#""c":"""#.to_owned(),
            };
            orders.insert(canonical(&format!("{{{},{},{}}}", of(a), of(b), of(c))));
        }
        assert_eq!(orders.into_iter().collect::<Vec<_>>(), [r#"{"a":{"a":"a","b":"b","c":"c"},"b":[],"c":""}"#]);
        // Keys are compared by their text, not by how it is written.
        assert_eq!(canonical(r#"{"a\u0062":1,"aa":2,"":3}"#), r#"{"":3,"aa":2,"ab":1}"#);
        let keys: Vec<String> = (10..40).map(|number| format!("\"{number}\":0")).collect();
        let backwards: Vec<String> = keys.iter().rev().cloned().collect();
        assert_eq!(canonical(&format!("{{{}}}", backwards.join(","))), format!("{{{}}}", keys.join(",")));
    }

    #[test]
    fn what_is_broken_is_called_broken() {
        assert!(push_canonical(&mut Vec::new(), b"{\"a\":1,\"a\":2}").is_err());
        assert!(push_canonical(&mut Vec::new(), b"[1,").is_err());
    }
}
