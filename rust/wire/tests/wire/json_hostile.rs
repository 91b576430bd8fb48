//! Texts that somebody sends to be read differently by two readers, one line each.
use bytes::Bytes;
use omnimind_wire::json::{Limits, MalformedKind as Kind, check};
use omnimind_wire::{Id, Message};

fn verdict(raw: &[u8]) -> Option<Kind> {
    check(raw, &Limits::default()).err().map(|malformed| malformed.kind)
}

fn envelope(raw: &str) -> Option<Kind> {
    Message::parse(Bytes::copy_from_slice(raw.as_bytes()), &Limits::default()).err().map(|malformed| malformed.kind)
}

fn nested(open: &str, depth: usize, close: &str) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn broken_json_is_named_for_what_it_is() {
    let table: &[(&[u8], Kind)] = &[
        (b"", Kind::Empty),
        (b"   \r\n", Kind::Empty),
        (b"\xEF\xBB\xBF{}", Kind::ByteOrderMark),
        (b"\xFF\xFE{\0}\0", Kind::Utf8),
        (b"\0", Kind::UnexpectedByte(0)),
        (b"{}\0", Kind::TrailingBytes),
        (b"\x0b{}", Kind::UnexpectedByte(0x0b)),
        (b"{\"a\":1,}", Kind::UnexpectedByte(b'}')),
        (b"[1,]", Kind::UnexpectedByte(b']')),
        (b"[,1]", Kind::UnexpectedByte(b',')),
        (b"[1 2]", Kind::UnexpectedByte(b'2')),
        (b"{,}", Kind::UnexpectedByte(b',')),
        (b"{\"a\"}", Kind::UnexpectedByte(b'}')),
        (b"{\"a\":}", Kind::UnexpectedByte(b'}')),
        (b"{a:1}", Kind::UnexpectedByte(b'a')),
        (b"{'a':1}", Kind::UnexpectedByte(b'\'')),
        (b"{1:1}", Kind::UnexpectedByte(b'1')),
        (b"{} {}", Kind::TrailingBytes),
        (b"{}//x", Kind::TrailingBytes),
        (b"/**/{}", Kind::UnexpectedByte(b'/')),
        (b"{", Kind::UnexpectedEnd),
        (b"[", Kind::UnexpectedEnd),
        (b"[1", Kind::UnexpectedEnd),
        (b"{\"a\":1", Kind::UnexpectedEnd),
        (b"{\"a", Kind::UnexpectedEnd),
        (b"\"\\", Kind::UnexpectedEnd),
        (b"]", Kind::UnexpectedByte(b']')),
        (b"[}", Kind::UnexpectedByte(b'}')),
        (b"NaN", Kind::UnexpectedByte(b'N')),
        (b"[nan]", Kind::UnexpectedByte(b'n')),
        (b"Infinity", Kind::UnexpectedByte(b'I')),
        (b"-Infinity", Kind::Number),
        (b"True", Kind::UnexpectedByte(b'T')),
        (b"tru", Kind::UnexpectedByte(b't')),
        (b"nulll", Kind::TrailingBytes),
        (b"undefined", Kind::UnexpectedByte(b'u')),
        (b"+1", Kind::UnexpectedByte(b'+')),
        (b".5", Kind::UnexpectedByte(b'.')),
        (b"5.", Kind::Number),
        (b"5.e1", Kind::Number),
        (b"01", Kind::Number),
        (b"-01", Kind::Number),
        (b"00", Kind::Number),
        (b"-", Kind::Number),
        (b"1e", Kind::Number),
        (b"1e+", Kind::Number),
        (b"0x10", Kind::TrailingBytes),
        (b"1_000", Kind::TrailingBytes),
        (b"1e999", Kind::NumberNotFinite),
        (b"-1e999", Kind::NumberNotFinite),
        (b"[1e309]", Kind::NumberNotFinite),
        (b"\"\x01\"", Kind::ControlCharacter),
        (b"\"a\nb\"", Kind::ControlCharacter),
        (b"\"long enough for a word\tand a tab\"", Kind::ControlCharacter),
        (b"\"\\x41\"", Kind::Escape),
        (b"\"\\'\"", Kind::Escape),
        (b"\"\\u12\"", Kind::Escape),
        (b"\"\\u12g4\"", Kind::Escape),
        (b"\"\\U0041\"", Kind::Escape),
        (b"\"\\u+123\"", Kind::Escape),
        (b"\"\\ud800\"", Kind::LoneSurrogate),
        (b"\"\\udc00\"", Kind::LoneSurrogate),
        (b"\"\\ud800\\ud800\"", Kind::LoneSurrogate),
        (b"\"\\udc00\\ud800\"", Kind::LoneSurrogate),
        (b"\"\\ud800x\"", Kind::LoneSurrogate),
        (b"\"\\ud800\\n\"", Kind::LoneSurrogate),
        (b"\"\xC0\xAF\"", Kind::Utf8),
        (b"\"\xE0\x80\xAF\"", Kind::Utf8),
        (b"\"\xED\xA0\x80\"", Kind::Utf8),
        (b"\"\xF4\x90\x80\x80\"", Kind::Utf8),
        (b"\"\xC3\"", Kind::Utf8),
        (b"{\"a\":1,\"a\":1}", Kind::DuplicateKey),
        (b"{\"\":1,\"\":1}", Kind::DuplicateKey),
        (b"{\"a\":1,\"\\u0061\":2}", Kind::DuplicateKey),
        (b"{\"\\u0061\":1,\"a\":2}", Kind::DuplicateKey),
        (b"{\"a/b\":1,\"a\\/b\":2}", Kind::DuplicateKey),
        (b"[{\"x\":{\"k\":[{\"d\":0,\"d\":0}]}}]", Kind::DuplicateKey),
        (b"{\"\xC3\xA9\":1,\"\\u00e9\":2}", Kind::DuplicateKey),
    ];
    for (raw, kind) in table {
        assert_eq!(verdict(raw), Some(*kind), "{}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn sound_json_passes_however_odd() {
    let table: &[&str] = &[
        "{}",
        " [ ] ",
        "\"\"",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "1e308",
        "1e-999",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{1F600}\u{FFFF}\"",
        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "{\"__proto__\":1,\"constructor\":2}",
        "{\"a\":1,\"A\":2}",
        "{\"e\u{301}\":1,\"\u{e9}\":2}",
        "true",
        "null",
        "\u{20}\t\r\n[1,\t2]\n",
        "\"\u{2028}\u{7f}\"",
        "9007199254740993",
        "{\"a\":{\"a\":{\"a\":1}}}",
    ];
    for raw in table {
        assert_eq!(verdict(raw.as_bytes()), None, "{raw}");
    }
}

#[test]
fn the_depth_limit_is_exact_and_holds_for_mixtures() {
    assert_eq!(verdict(nested("[", 64, "]").as_bytes()), None);
    assert_eq!(verdict(nested("[", 65, "]").as_bytes()), Some(Kind::TooDeep));
    let mixed = |depth: usize| format!("{}1{}", "[{\"k\":".repeat(depth / 2), "}]".repeat(depth / 2));
    assert_eq!(verdict(mixed(64).as_bytes()), None);
    assert_eq!(verdict(mixed(66).as_bytes()), Some(Kind::TooDeep));
    for depth in [100_000, 1_000_000] {
        assert_eq!(verdict("[".repeat(depth).as_bytes()), Some(Kind::TooDeep));
        assert_eq!(verdict("{\"a\":".repeat(depth).as_bytes()), Some(Kind::TooDeep));
    }
    assert!(check(nested("[", 128, "]").as_bytes(), &Limits { max_depth: usize::MAX }).is_ok());
    assert!(check(nested("[", 129, "]").as_bytes(), &Limits { max_depth: usize::MAX }).is_err());
    assert!(check(b"1", &Limits { max_depth: 0 }).is_ok());
    assert!(check(b"[]", &Limits { max_depth: 0 }).is_err());
}

#[test]
fn siblings_do_not_count_as_depth() {
    let wide = format!("[{}[]]", "[[]],{\"a\":[]},".repeat(10_000));
    assert_eq!(verdict(wide.as_bytes()), None);
}

#[test]
fn a_great_many_keys_are_read_and_a_repeated_one_among_them_is_found() {
    // Comparing each with each would take an hour.
    let members: Vec<String> = (0..200_000).map(|n| format!("\"k{n}\":0")).collect();
    assert_eq!(verdict(format!("{{{}}}", members.join(",")).as_bytes()), None);
    assert_eq!(verdict(format!("{{{},\"k17\":0}}", members.join(",")).as_bytes()), Some(Kind::DuplicateKey));
}

#[test]
fn every_place_of_a_repeated_key_is_found_around_the_switch_to_a_set() {
    for members in 2..40 {
        for first in 0..members - 1 {
            let keys: Vec<String> = (0..members)
                .map(|n| if n == members - 1 { first } else { n })
                .map(|n| format!("\"key{n}\":{n}"))
                .collect();
            assert_eq!(
                verdict(format!("{{{}}}", keys.join(",")).as_bytes()),
                Some(Kind::DuplicateKey),
                "{members} {first}"
            );
        }
    }
}

#[test]
fn huge_numbers_pass_as_long_as_a_double_holds_them() {
    assert_eq!(verdict("9".repeat(308).as_bytes()), None);
    assert_eq!(verdict("9".repeat(309).as_bytes()), Some(Kind::NumberNotFinite));
    assert_eq!(verdict("9".repeat(5_000).as_bytes()), Some(Kind::NumberNotFinite));
    assert_eq!(verdict(format!("0.{}", "1".repeat(5_000)).as_bytes()), None);
    assert_eq!(verdict(format!("1e{}", "9".repeat(5_000)).as_bytes()), Some(Kind::NumberNotFinite));
    assert_eq!(verdict(format!("1e-{}", "9".repeat(5_000)).as_bytes()), None);
}

#[test]
fn the_offset_points_at_what_is_wrong() {
    let at = |raw: &str| check(raw.as_bytes(), &Limits::default()).unwrap_err().offset;
    assert_eq!(at("{\"a\":1,\"a\":2}"), 7);
    assert_eq!(at("[1,2,x]"), 5);
    assert_eq!(at("[\"0123456789\u{1}\"]"), 12);
    assert_eq!(at("[1e999]"), 1);
    let malformed = check(b"[\xFF]", &Limits::default()).unwrap_err();
    assert_eq!((malformed.kind, malformed.offset), (Kind::Utf8, 1));
    assert_eq!(malformed.to_string(), "the text is not valid UTF-8 (at byte 1)");
    assert_eq!(malformed.code(), -32_700);
}

#[test]
fn envelopes_that_are_no_message_are_refused() {
    let table: &[(&str, Kind)] = &[
        ("[]", Kind::Batch),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Kind::Batch),
        ("1", Kind::NotAnObject),
        ("null", Kind::NotAnObject),
        (r#""ping""#, Kind::NotAnObject),
        ("{}", Kind::Version),
        (r#"{"id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"jsonrpc":"2","id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"jsonrpc":null,"id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"JSONRPC":"2.0","id":1,"method":"ping"}"#, Kind::Version),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}"#, Kind::IdRange),
        (r#"{"jsonrpc":"2.0","id":-9007199254740993,"method":"ping"}"#, Kind::IdRange),
        (r#"{"jsonrpc":"2.0","id":99999999999999999999999,"method":"ping"}"#, Kind::IdRange),
        (r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"ping"}"#, Kind::IdRange),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, Kind::MethodType),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, Kind::MethodType),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, Kind::MethodType),
        (r#"{"jsonrpc":"2.0","id":1,"method":["ping"]}"#, Kind::MethodType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, Kind::ParamsType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, Kind::ParamsType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":7}"#, Kind::ParamsType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}"#, Kind::MetaType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":"x"}}"#, Kind::MetaType),
        (r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":1}}"#, Kind::MetaType),
        (r#"{"jsonrpc":"2.0","id":1}"#, Kind::NoMessage),
        (r#"{"jsonrpc":"2.0","id":1,"params":{}}"#, Kind::NoMessage),
        (r#"{"jsonrpc":"2.0","result":{}}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, Kind::IdType),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, Kind::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":""}}"#, Kind::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, Kind::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"error":null}"#, Kind::ErrorShape),
        (r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, Kind::ErrorShape),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#, Kind::ErrorShape),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":""}}"#, Kind::ErrorShape),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, Kind::ErrorShape),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, Kind::DuplicateKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u006dethod":"tools/call"}"#, Kind::DuplicateKey),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, Kind::DuplicateKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#, Kind::DuplicateKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","n\u0061me":"b"}}"#, Kind::DuplicateKey),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"a":1,"a":2}}}"#, Kind::DuplicateKey),
    ];
    for (raw, kind) in table {
        assert_eq!(envelope(raw), Some(*kind), "{raw}");
    }
    let long = "x".repeat(1 << 20);
    assert_eq!(envelope(&format!(r#"{{"jsonrpc":"2.0","id":"{long}","method":"ping"}}"#)), Some(Kind::IdRange));
}

#[test]
fn a_refused_envelope_still_says_whom_to_tell() {
    let malformed =
        |raw: &'static str| Message::parse(Bytes::from_static(raw.as_bytes()), &Limits::default()).unwrap_err();
    let refused = malformed(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#);
    assert_eq!((refused.id.as_deref(), refused.code()), (Some(&Id::Int(7)), -32_600));
    let refused = malformed(r#"{"jsonrpc":"2.0","id":"a","method":"ping","params":{"_meta":1}}"#);
    assert_eq!((refused.id.as_deref(), refused.code()), (Some(&Id::Str("a".into())), -32_602));
    let refused = malformed(r#"{"jsonrpc":"2.0","id":7,"method":"ping""#);
    assert_eq!((refused.id.as_deref(), refused.code()), (None, -32_700));
    let refused = malformed(r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#);
    assert_eq!((refused.id.as_deref(), refused.code()), (None, -32_600));
}

#[test]
fn prototype_keys_and_unknown_members_pass_untouched() {
    let raw = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"a":1},"constructor":null},"extra":[1,{"k":2}]}"#;
    let Message::Request(request) = Message::parse(Bytes::from_static(raw.as_bytes()), &Limits::default()).unwrap()
    else {
        panic!("a request")
    };
    assert_eq!(request.params.as_deref(), Some(&br#"{"__proto__":{"a":1},"constructor":null}"#[..]));
}
