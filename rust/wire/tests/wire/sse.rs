//! Event streams: any chunking gives the same events, lines end in three ways, nothing grows without bound.

use omnimind_wire::sse::{self, Event, Parser, TooLarge};
use proptest::prelude::*;

use crate::common::text;

fn read(stream: &[u8]) -> Vec<Event> {
    Parser::new(1 << 20).push(stream).unwrap()
}

fn data(text: &str) -> Event {
    Event { data: text.to_owned().into(), ..Event::default() }
}

#[test]
fn fields_are_read_as_the_standard_says() {
    let table: &[(&str, Vec<Event>)] = &[
        ("data: a\n\n", vec![data("a")]),
        ("data:a\n\n", vec![data("a")]),
        ("data:  a\n\n", vec![data(" a")]),
        ("data: a\ndata: b\n\n", vec![data("a\nb")]),
        ("data\ndata\n\n", vec![data("\n")]),
        ("data\n\n", vec![data("")]),
        ("data: a: b\n\n", vec![data("a: b")]),
        ("\n\n\n", vec![]),
        (": ping\n\n", vec![]),
        (":\n:x\ndata: a\n\n", vec![data("a")]),
        ("event: message\n\n", vec![]),
        ("event: ping\ndata: a\n\ndata: b\n\n", vec![Event { event: Some("ping".into()), ..data("a") }, data("b")]),
        ("event:\ndata: a\n\n", vec![data("a")]),
        ("unknown: x\nDATA: y\ndata: a\n\n", vec![data("a")]),
        ("id: 7\ndata: a\n\n", vec![Event { id: Some("7".into()), ..data("a") }]),
        ("id: a\0b\ndata: a\n\n", vec![data("a")]),
        ("id\ndata: a\n\n", vec![Event { id: Some(String::new()), ..data("a") }]),
        ("retry: 2500\ndata: a\n\n", vec![Event { retry: Some(2500), ..data("a") }]),
        ("retry: 2.5\nretry: -1\nretry:\ndata: a\n\n", vec![data("a")]),
        ("retry: 99999999999999999999999\ndata: a\n\n", vec![data("a")]),
        ("id: 1\nretry: 5\ndata:\n\n", vec![Event { id: Some("1".into()), retry: Some(5), ..data("") }]),
        ("id: 1\n\n", vec![Event { id: Some("1".into()), ..data("") }]),
        ("\u{FEFF}data: a\n\n", vec![data("a")]),
        ("data: a\n\n\u{FEFF}data: b\n\n", vec![data("a")]),
        ("data: a\n", vec![]),
        ("data: a", vec![]),
    ];
    for (stream, events) in table {
        assert_eq!(&read(stream.as_bytes()), events, "{stream:?}");
    }
}

#[test]
fn bytes_that_are_no_utf8_in_data_come_through_untouched() {
    assert_eq!(&read(b"data: \xFF\xC3\n\n")[0].data[..], b"\xFF\xC3");
}

#[test]
fn line_ends_may_be_of_three_kinds_and_fall_apart_anywhere() {
    let lines = ["event: message", "id: 1", "data: a", "data: b", "", ": comment", "data: c", "", ""];
    let expected = vec![Event { event: Some("message".into()), id: Some("1".into()), ..data("a\nb") }, data("c")];
    for end in ["\n", "\r", "\r\n"] {
        let stream: String = lines.iter().flat_map(|line| [*line, end]).collect();
        for cut in 0..=stream.len() {
            let mut parser = Parser::new(1 << 10);
            let (head, tail) = stream.as_bytes().split_at(cut);
            let mut events = parser.push(head).unwrap();
            events.extend(parser.push(b"").unwrap());
            events.extend(parser.push(tail).unwrap());
            assert_eq!(events, expected, "{end:?} cut at {cut}");
        }
        let mut parser = Parser::new(1 << 10);
        let events: Vec<Event> = stream.bytes().flat_map(|byte| parser.push(&[byte]).unwrap()).collect();
        assert_eq!(events, expected, "{end:?} byte by byte");
    }
}

#[test]
fn an_event_at_the_cap_passes_and_one_above_does_not() {
    let stream = |bytes: usize| format!("data: {}\n\n", "x".repeat(bytes));
    assert_eq!(Parser::new(106).push(stream(100).as_bytes()).unwrap().len(), 1);
    assert_eq!(Parser::new(105).push(stream(100).as_bytes()), Err(TooLarge { max_bytes: 105 }));
    let mut parser = Parser::new(1000);
    for _ in 0..10 {
        assert_eq!(parser.push(stream(900).as_bytes()).unwrap().len(), 1);
    }
    let mut endless = Parser::new(1000);
    assert!((0..1000).any(|_| endless.push(b"no line end ").is_err()));
    let mut many_lines = Parser::new(1000);
    assert!((0..1000).any(|_| many_lines.push(b"data: x\n").is_err()));
    let mut comments = Parser::new(1000);
    assert!((0..1000).all(|_| comments.push(b": ping\n\n").is_ok()));
}

#[test]
fn events_before_one_too_large_still_arrive_and_the_parser_stays_broken() {
    let mut parser = Parser::new(16);
    assert_eq!(parser.push(b"data: a\n\ndata: far too long to be kept\n\n").unwrap(), vec![data("a")]);
    assert!(parser.push(b"").is_err());
    assert!(parser.push(b"data: b\n\n").is_err());
}

#[test]
fn what_the_gateway_writes_reads_back() {
    let raw = br#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let message = Event { event: Some("message".into()), data: raw.to_vec().into(), ..Event::default() };
    assert_eq!(read(&sse::event(raw)), vec![message.clone()]);
    assert_eq!(read(&sse::event_with_id("e-1", raw)), vec![Event { id: Some("e-1".into()), ..message }]);
    assert_eq!(read(&sse::keepalive()), vec![]);
    assert_eq!(read(&sse::comment("two\nlines\r\nand data: x")), vec![]);
    assert_eq!(read(&sse::retry(500)), vec![Event { retry: Some(500), ..Event::default() }]);
    assert_eq!(read(&sse::priming("p", Some(9))), vec![Event { id: Some("p".into()), retry: Some(9), ..data("") }]);
    assert_eq!(read(&sse::priming("p", None)), vec![Event { id: Some("p".into()), ..data("") }]);
}

#[test]
fn an_id_cannot_smuggle_a_field() {
    let frame = sse::event_with_id("1\ndata: evil\r\0", b"good");
    assert_eq!(
        read(&frame),
        vec![Event { event: Some("message".into()), id: Some("1data: evil".into()), ..data("good") }]
    );
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(texts in proptest::collection::vec(text(), 1..5), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let stream: Vec<u8> = texts.iter().flat_map(|text| sse::event(text.as_bytes()).to_vec()).collect();
        let whole = read(&stream);
        prop_assert_eq!(whole.len(), texts.len());
        for (event, text) in whole.iter().zip(&texts) {
            let lines = text.replace('\r', "\n");
            prop_assert_eq!(&event.data[..], lines.as_bytes());
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let mut parser = Parser::new(1 << 20);
        let (mut events, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([stream.len()]) {
            events.extend(parser.push(&stream[from..cut]).unwrap());
            from = cut;
        }
        prop_assert_eq!(events, whole);
    }

    #[test]
    fn a_long_event_in_pieces_has_the_data_it_has_whole(
        lines in proptest::collection::vec(("[a-z]{0,9}", 0u8..4), 1..6),
        ends in proptest::sample::select(&["\n", "\r", "\r\n"][..]),
        from in any::<prop::sample::Index>(),
        cut in 1usize..5,
    ) {
        let mut stream = format!("id: 4{ends}data:{}first{ends}", if cut > 2 { " " } else { "" });
        for (text, kind) in &lines {
            let more = match kind {
                0 => format!("data: {text}{ends}"),
                1 => format!("data:{text}{ends}data{ends}"),
                2 => format!(": {text}{ends}"),
                _ => format!("anotherandlongername{text}: x{ends}"),
            };
            stream.push_str(&more);
        }
        stream += ends;
        let whole = read(stream.as_bytes()).remove(0).data;
        let rest = format!("{stream}data: next{ends}{ends}");
        // Somewhere in the first data line the event turns out to be long.
        let open = stream.find("first").unwrap() + 1 + from.index(4);
        let mut parser = Parser::new(1 << 20);
        prop_assert_eq!(parser.push(&rest.as_bytes()[..open]).unwrap(), vec![]);
        prop_assert!(parser.is_long(1) && !parser.is_long(open));
        prop_assert!(parser.give_long(|_| false).is_none());
        let (begun, mut long) = parser.give_long(|begun| b"first".starts_with(begun)).unwrap();
        prop_assert!(parser.push(b"x").is_err());
        let mut data = begun.to_vec();
        let ended = rest.as_bytes()[open..].chunks(cut).any(|piece| long.push(piece, &mut data));
        prop_assert!(ended);
        prop_assert_eq!(String::from_utf8_lossy(&data), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_events_or_the_same_error(stream in proptest::collection::vec(prop::sample::select(&b"\r\n\n: adtiev\xEF\xBB\xBF\0"[..]), 0..64), cut in any::<prop::sample::Index>()) {
        let whole = read(&stream);
        let mut parser = Parser::new(1 << 20);
        let (head, tail) = stream.split_at(cut.index(stream.len() + 1));
        let mut events = parser.push(head).unwrap();
        events.extend(parser.push(tail).unwrap());
        prop_assert_eq!(events, whole);
    }
}
