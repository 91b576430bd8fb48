use proptest::prelude::*;

use super::*;
use crate::{critical, linear::assert_linear};

fn read(block: &str) -> Outline<'_> {
    super::outline(block, Aim::Cut).unwrap_or_default()
}

fn printed(block: &str) -> String {
    read(block).whole()
}

#[test]
fn a_page_is_what_a_reader_sees_of_it() {
    let page = "<!DOCTYPE html>\n<html><head><title>Notes</title><style>.a{color:red}</style>\n<script>if (a < b) go()</script></head>\n\
        <body><!-- menu --><nav><ul><li><a href=\"/a\">One</a></li><li><a href=\"/b\">Two</a></li><li><a href='/c'>Three</a></li></ul></nav>\n\
        <main><h1>Limits &amp; rates</h1><p>A call\n   waits. It is <b>refused</b> at &lt; 5&nbsp;ms.</p>\n\
        <p>See <a href=\"https://a.example/x?y=1&amp;z=2\">the page</a>.</p>\n\
        <ul><li>rope<li>lamp<ul><li>oil</ul></ul>\n<pre>fn a() {\n    b();\n}</pre>\n\
        <table><tr><th>day<th>calls</tr><tr><td>mon<td>3</tr><tr><td></td><td>4</td></tr></table>\n\
        <blockquote>He said so.</blockquote><input type=hidden name=t value=1><input name=mail placeholder='you@a.example'><img src=a.png alt='a boat'>";
    assert_eq!(
        printed(page),
        "# Notes\nOne | Two | Three\n# Limits & rates\nA call waits. It is refused at < 5 ms.\n\
         See the page (https://a.example/x?y=1&z=2).\n- rope\n- lamp\n  - oil\nfn a() {\n    b();\n}\nday | calls\nmon | 3\n | 4\n\
         > He said so.\n[field mail: you@a.example][image: a boat]"
    );
}

#[test]
fn other_markup_is_a_tree_of_lines() {
    let feed = "<?xml version=\"1.0\"?>\n<suite name=\"a\" xmlns=\"urn:x\">\n <case name=\"one\" time=\"0.1\"/>\n <case name=\"two\"><failure type=\"E\">expected 3 &lt; 4</failure></case>\n\
        <item><title>First</title><link>https://a.example/1</link></item>\n <note>plain</note>tail\n</suite>";
    assert_eq!(
        printed(feed),
        "suite name=a\n  case name=one time=0.1\n  case name=two: failure type=E=expected 3 < 4\n  item: title=First; link=https://a.example/1\n  note: plain\n  tail"
    );
}

#[test]
fn what_a_part_is_printed_for_is_where_it_stood() {
    let page = "<html><body><p>One is\n  here. Two is there.</p>\n<p>Caf&eacute; <b>three</b> of them.</p>\n<table><tr><td>mon<td>3</tr></table></body></html>";
    let outline = read(page);
    let sources: Vec<&str> = outline.units.iter().map(|unit| &page[unit.source.clone()]).collect();
    assert_eq!(sources[..2], ["One is\n  here.", "Two is there."]);
    assert!(sources[2].starts_with("Caf&eacute; <b>three") && sources[2].ends_with("of them."), "{}", sources[2]);
    assert!(sources[3].contains("mon<td>3"), "{}", sources[3]);
}

#[test]
fn menus_are_one_unit_and_keep_their_links_where_they_are_content() {
    let links = "<a href=/x1>First one</a> <a href=/x2>Second one</a> <a href=/x3>Third one</a>".replace("<a", "<p><a");
    assert_eq!(
        printed(&format!("<html><body><div>{links}</div>")),
        "First one (/x1) | Second one (/x2) | Third one (/x3)"
    );
    assert_eq!(printed(&format!("<html><body><nav>{links}</nav>")), "First one | Second one | Third one");
}

fn markup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,10}",
        "</?(p|div|h2|li|ul|table|tr|td|th|a|pre|nav|dl|dt|dd|title|item|x:y|html)( [a-z]{1,4}=(\"[a-z<> ]{0,5}\"|'b|c)?)?/?>?",
        "<(script|style|!--|\\?xml|!\\[CDATA\\[)",
        "(</script>|-->|\\]\\]>|&[a-z#0-9x]{1,6};)",
        "([A-Z][a-z]{1,8}( [a-z]{1,8}){0,9}[.!?] ){1,3}",
        Just("7f3a9c1e-55aa-4b1c-9d2e-000000000017 ".to_owned()),
        "(\r?\n){1,2}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_markup_is_read_and_units_stand_within_it(block in markup()) {
        for outline in [page::outline(&block), xml::outline(&block)] {
            for unit in &outline.units {
                prop_assert!(block.get(unit.source.clone()).is_some(), "{:?}", unit);
                prop_assert!(unit.group < outline.groups.len());
            }
            for (at, group) in outline.groups.iter().enumerate() {
                prop_assert!(group.parent.is_none_or(|parent| parent < at));
            }
            // Every head and every unit is printed once.
            let parts = outline.groups.iter().map(|group| &group.head).chain(outline.units.iter().map(|unit| &unit.text));
            let length = parts.filter(|part| !part.is_empty()).map(|part| part.len() + 1).sum::<usize>();
            prop_assert!(outline.whole().len() <= length);
        }
    }

    #[test]
    fn ids_in_text_stand_as_they_stood(words in prop::collection::vec("[a-z]{2,7}", 3), id in "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", tag in "(p|li|td|pre|h3|span|item)") {
        let block = format!("<div><{tag}>{} <b>{id}</b>, {}. {}</{tag}></div>", words[0], words[1], words[2]);
        prop_assert!(critical::scan(&block).iter().any(|found| block[found.range.clone()] == id));
        prop_assert!(printed(&block).contains(&id));
    }
}

#[test]
fn no_markup_takes_more_than_linear_time() {
    let hostile: [fn(usize) -> String; 12] = [
        |size| "<".repeat(size),
        |size| "<a ".repeat(size / 3),
        |size| "<a>".repeat(size / 3),
        |size| "<x>".repeat(size / 3),
        |size| "<a b=\"c>\" ".repeat(size / 10),
        |size| "<!--".repeat(size / 4),
        |size| "<script>".repeat(size / 8),
        |size| "&amp".repeat(size / 4),
        |size| "<ul><li>a".repeat(size / 9),
        |size| "<td>a".repeat(size / 5),
        |size| "<p><a href=b>c</a>".repeat(size / 18),
        |size| format!("<html>{}", " ".repeat(size)),
    ];
    assert_linear(&hostile, 4_000, |text| drop(read(text)));
}
